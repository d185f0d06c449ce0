from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scoring import binary
from scoring.compare import compare, delong, paired_bootstrap
from scoring.contract import BINARY
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

TASK = TASKS[BINARY]
reference: Any = importlib.import_module("scipy.stats")  # it ships no types
SIMULATIONS = 400


def draw(seed: int, rows: int, better: float = 0.0) -> Rows:
    """Labels and two models' probabilities; both see the signal through noise of their own, the second with less."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=rows)
    labels = (random.random(rows) < 1 / (1 + np.exp(-1.5 * signal))).astype(np.float64)
    first, second = (1 / (1 + np.exp(-(signal + (1 - less) * random.normal(size=rows)))) for less in (0.0, better))
    return labels, first, second


def test_models_that_are_equally_good_are_rarely_told_apart() -> None:
    found = [compare(TASK, *draw(seed, 200), seed=seed) for seed in range(SIMULATIONS)]
    for metric in ("auc", "log_loss"):
        share = np.mean([one[metric]["p_value"] < 0.05 for one in found])
        assert 0.02 <= share <= 0.085, metric  # 0.05 ± 3 standard errors of 400 simulations
        covered = np.mean([one[metric]["lower"] <= 0 <= one[metric]["upper"] for one in found])
        assert covered >= 0.91, metric


def test_a_better_model_is_found() -> None:
    found = [compare(TASK, *draw(seed, 1500, better=0.4), seed=seed) for seed in range(40)]
    for metric, sign in (("auc", 1), ("log_loss", -1)):
        right = [one[metric]["p_value"] < 0.05 and sign * one[metric]["difference"] > 0 for one in found]
        assert np.mean(right) >= 0.9, metric


def test_a_model_compared_with_itself_does_not_differ() -> None:
    labels, scores, _ = draw(1, 200)
    for one in compare(TASK, labels, scores, scores, seed=0).values():
        assert (one["difference"], one["standard_error"], one["p_value"]) == (0, 0, 1)
        assert (one["lower"], one["upper"]) == (0, 0)


def test_the_areas_are_those_of_the_evaluation_ties_included() -> None:
    labels, first, second = (np.round(values, 1) for values in draw(3, 400))
    found = delong(labels, first, second)
    assert found.champion == pytest.approx(binary.auc(labels, first), abs=1e-12)
    assert found.challenger == pytest.approx(binary.auc(labels, second), abs=1e-12)


def test_delongs_error_is_that_of_the_pairwise_definition() -> None:
    labels, first, second = (np.round(values, 1) for values in draw(4, 120))
    kernels: list[NDArray[np.float64]] = []
    for scores in (first, second):
        ones, zeros = scores[labels == 1][:, None], scores[labels == 0][None, :]
        kernels.append((ones > zeros) + 0.5 * (ones == zeros))
    gap = kernels[1] - kernels[0]
    variance = sum(np.var(gap.mean(axis=axis), ddof=1) / gap.shape[1 - axis] for axis in (0, 1))
    found = delong(labels, first, second)
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)
    z = found.difference / found.standard_error
    assert found.p_value == pytest.approx(2 * reference.norm.sf(abs(z)), rel=1e-9)


def test_the_bootstrap_agrees_with_the_paired_t_test_and_is_decided_by_its_seed() -> None:
    labels, first, second = draw(5, 2000, better=0.1)
    losses = [binary.row_losses(labels, scores) for scores in (first, second)]
    found = paired_bootstrap(losses[0], losses[1], seed=1)
    assert found == paired_bootstrap(losses[0], losses[1], seed=1)
    assert found != paired_bootstrap(losses[0], losses[1], seed=2)
    gap = losses[1] - losses[0]
    assert found.difference == pytest.approx(gap.mean())
    assert found.standard_error == pytest.approx(gap.std(ddof=1) / np.sqrt(len(gap)), rel=0.06)
    assert found.p_value == pytest.approx(reference.ttest_rel(losses[1], losses[0]).pvalue, abs=0.03)

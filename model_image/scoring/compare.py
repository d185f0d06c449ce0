"""Champion against challenger on the same rows: how large the difference is, and whether it can be chance.

The areas under the ROC curves are compared by DeLong's test for correlated curves; means over rows, such as the log
loss, by a paired bootstrap. Sources: DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more
correlated receiver operating characteristic curves" (Biometrics 44, 1988), with the midrank form of Sun and Xu (IEEE
Signal Processing Letters 21, 2014); Efron and Tibshirani, "An Introduction to the Bootstrap", chapters 13 and 16.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scoring.tasks import Task

RESAMPLES = 2000
CONFIDENCE = 0.95
NORMAL_QUANTILE = 1.959963984540054
"""Standard normal quantile of 0.975."""

DRAWS_AT_ONCE = 4_000_000
"""Resampled rows held in memory at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One metric of two models."""

    champion: float
    challenger: float
    difference: float
    """Challenger less champion."""
    standard_error: float
    lower: float
    upper: float
    """95 % confidence interval of the difference."""
    p_value: float
    """Chance of a difference at least as large between models that are equally good; two-sided."""


def compare(
    task: Task,
    labels: NDArray[np.floating],
    champion: NDArray[np.floating],
    challenger: NDArray[np.floating],
    seed: int,
) -> dict[str, dict[str, float]]:
    """Compare two models by metric.

    Args:
        task: What both have learnt.
        labels: Shape (rows,); of a binary task both occur.
        champion: Its predictions, shape (rows,), or (rows, classes).
        challenger: Its predictions for the same rows.
        seed: Decides the bootstrap's samples.
    """
    names = (*task.comparisons, *task.row_values)
    return {name: asdict(by_metric(task, name, labels, champion, challenger, seed=seed)) for name in names}


def by_metric(
    task: Task,
    metric: str,
    labels: NDArray[np.floating],
    champion: NDArray[np.floating],
    challenger: NDArray[np.floating],
    *,
    seed: int,
) -> Comparison:
    """Compare two models by one metric; the arguments are those of `compare`."""
    if metric in task.comparisons:
        return task.comparisons[metric](labels, champion, challenger)
    values = task.row_values[metric]
    return paired_bootstrap(values(labels, champion), values(labels, challenger), seed)


def delong(
    labels: NDArray[np.floating], champion: NDArray[np.floating], challenger: NDArray[np.floating]
) -> Comparison:
    """Compare two areas under the ROC curve of the same rows, ties counting half."""
    placements = [_placements(labels, scores) for scores in (champion, challenger)]
    areas = [float(ones.mean()) for ones, _ in placements]
    of_ones, of_zeros = (placements[1][side] - placements[0][side] for side in (0, 1))
    variance = sum(
        float(np.var(part, ddof=1)) / len(part) if len(part) > 1 else math.nan for part in (of_ones, of_zeros)
    )
    difference, error = areas[1] - areas[0], math.sqrt(variance)
    return Comparison(
        champion=areas[0],
        challenger=areas[1],
        difference=difference,
        standard_error=error,
        lower=difference - NORMAL_QUANTILE * error,
        upper=difference + NORMAL_QUANTILE * error,
        p_value=math.erfc(abs(difference) / error / math.sqrt(2)) if error else float(difference == 0),
    )


def _placements(
    labels: NDArray[np.floating], scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give, per row labelled 1, the share of zeros ranked below it, and per row labelled 0 the share of ones above."""
    ones, zeros = scores[labels == 1], scores[labels == 0]
    above = _midranks(scores)
    share_below = (above[labels == 1] - _midranks(ones)) / len(zeros)
    share_above = 1 - (above[labels == 0] - _midranks(zeros)) / len(ones)
    return share_below, share_above


def _midranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def paired_bootstrap(champion: NDArray[np.float64], challenger: NDArray[np.float64], seed: int) -> Comparison:
    """Compare two means over the same rows.

    The interval holds the middle 95 % of the resampled differences; the p-value is the share of resampled differences,
    moved to mean 0, that are at least as large as the observed one.
    """
    differences = challenger - champion
    rows, observed = len(differences), float(differences.mean())
    draw = np.random.default_rng(seed)
    step = max(1, DRAWS_AT_ONCE // rows)
    resampled = np.concatenate(
        [
            differences[draw.integers(0, rows, (min(step, RESAMPLES - start), rows))].mean(axis=1)
            for start in range(0, RESAMPLES, step)
        ]
    )
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(resampled, [tail, 1 - tail])
    extreme = int(np.sum(np.abs(resampled - observed) >= abs(observed)))
    return Comparison(
        champion=float(champion.mean()),
        challenger=float(challenger.mean()),
        difference=observed,
        standard_error=float(resampled.std()),
        lower=float(lower),
        upper=float(upper),
        p_value=(extreme + 1) / (RESAMPLES + 1),
    )

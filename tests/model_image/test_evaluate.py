from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import binary, evaluate
from scoring.contract import BINARY
from scoring.tasks import TASKS

TASK = TASKS[BINARY]
reference: Any = importlib.import_module("sklearn.metrics")  # it ships no types

Score = st.integers(0, 8).map(lambda step: step / 8)  # few values, so that ties occur


@given(st.lists(st.tuples(st.integers(0, 1), Score), min_size=2, max_size=60))
@settings(max_examples=150, deadline=None)
def test_metrics_agree_with_scikit_learn_ties_included(pairs: list[tuple[int, float]]) -> None:
    labels = np.array([label for label, _ in pairs], dtype=np.float32)
    scores = np.array([score for _, score in pairs], dtype=np.float32)
    if len(set(labels.tolist())) == 2:
        assert binary.auc(labels, scores) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
        assert binary.log_loss(labels, scores) == pytest.approx(reference.log_loss(labels, scores), rel=1e-5)
    predicted = scores >= binary.THRESHOLD
    assert binary.accuracy(labels, scores) == pytest.approx(reference.accuracy_score(labels, predicted))
    assert binary.precision(labels, scores) == pytest.approx(
        reference.precision_score(labels, predicted, zero_division=0)
    )
    assert binary.recall(labels, scores) == pytest.approx(reference.recall_score(labels, predicted, zero_division=0))


def test_auc_of_one_class_is_not_a_number() -> None:
    assert np.isnan(binary.auc(np.ones(3), np.array([0.1, 0.2, 0.3])))


def _document(rows: int) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    labels = (draw.random(rows) < 0.3).astype(np.float32)
    probabilities = np.clip(labels * 0.4 + draw.random(rows) * 0.6, 0, 1).astype(np.float32)
    document: dict[str, Any] = evaluate.evaluate(TASK, labels, probabilities, seed=1)
    return document


def test_the_document_has_the_layout_that_the_registry_reads() -> None:
    metrics = _document(400)["binary_classification_metrics"]
    assert metrics.keys() >= {"auc", "log_loss", "accuracy", "precision", "recall", "confusion_matrix"}
    for name, entry in metrics.items():
        if name != "confusion_matrix":
            assert entry.keys() == {"value", "standard_deviation"}
            assert 0 < entry["standard_deviation"] < 0.2
    counts = metrics["confusion_matrix"]
    assert sum(counts[actual][guess] for actual in ("0", "1") for guess in ("0", "1")) == 400
    assert (counts["0"]["0"] + counts["1"]["1"]) / 400 == pytest.approx(metrics["accuracy"]["value"])


def test_the_deviation_is_the_text_nan_below_two_hundred_rows() -> None:
    assert _document(199)["binary_classification_metrics"]["auc"]["standard_deviation"] == "NaN"
    assert _document(200)["binary_classification_metrics"]["auc"]["standard_deviation"] != "NaN"


def test_the_constant_classifier_knows_only_the_share_of_ones() -> None:
    labels = np.array([1] * 30 + [0] * 70, dtype=np.float32)
    found = evaluate.values(TASK, evaluate.evaluate(TASK, labels, np.full(100, 0.5, dtype=np.float32), seed=0))
    assert found["accuracy_best_constant_classifier"] == pytest.approx(0.7)
    assert found["log_loss_best_constant_classifier"] == pytest.approx(-0.3 * np.log(0.3) - 0.7 * np.log(0.7))
    assert found["log_loss"] == pytest.approx(np.log(2))

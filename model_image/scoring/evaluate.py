"""Metrics of a binary classifier, in the layout that SageMaker's model registry and Model Monitor read.

Source: Amazon SageMaker Developer Guide, "Model quality metrics": the standard deviation comes from five random
samples of 80 % of the rows, and is the text ``NaN`` below 200 rows. ``log_loss``, its best constant classifier and
``expected_calibration_error`` are additions in the same form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scoring.calibration import expected_calibration_error
from scoring.document import Document

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Metric = Callable[[NDArray[np.floating], NDArray[np.floating]], float]

ROOT = "binary_classification_metrics"

THRESHOLD = 0.5
"""Probability from which the predicted class is 1."""

SAMPLES = 5
SAMPLE_SHARE = 0.8
LEAST_ROWS = 200


def auc(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Area under the ROC curve: the chance that a random 1 is ranked above a random 0, ties counting half.

    Computed from ranks (Mann and Whitney's U). NaN if only one class occurs.
    """
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    _, place, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(middle_rank[place][labels == 1].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def row_losses(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Negative log-likelihood of each row, in nats; probabilities are kept one float32 step away from 0 and 1."""
    step = float(np.finfo(np.float32).eps)
    clipped = np.clip(probabilities.astype(np.float64), step, 1 - step)
    return -np.where(labels == 1, np.log(clipped), np.log1p(-clipped))


def log_loss(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Mean of the rows' losses."""
    return float(row_losses(labels, probabilities).mean())


def accuracy(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Share of rows whose class is right at the threshold 0.5."""
    right = np.equal(probabilities >= THRESHOLD, labels == 1)
    return float(right.mean())


def precision(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Share of true ones among predicted ones; 0 if none is predicted."""
    predicted = probabilities >= THRESHOLD
    return float(np.equal(labels[predicted], 1).mean()) if predicted.any() else 0.0


def recall(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Share of predicted ones among true ones; 0 if there is none."""
    ones = labels == 1
    return float(np.greater_equal(probabilities[ones], THRESHOLD).mean()) if ones.any() else 0.0


METRICS: dict[str, Metric] = {
    "auc": auc,
    "log_loss": log_loss,
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "expected_calibration_error": expected_calibration_error,
}

BASELINES: dict[str, Metric] = {
    "log_loss_best_constant_classifier": log_loss,
    "accuracy_best_constant_classifier": accuracy,
}
"""The same metrics for a model that knows only the share of ones."""


def evaluate(labels: NDArray[np.floating], probabilities: NDArray[np.floating], seed: int) -> dict[str, object]:
    """Evaluate predictions.

    Args:
        labels: 0 or 1, shape (rows,).
        probabilities: Predicted chance of 1, shape (rows,).
        seed: Decides the samples behind the standard deviations.

    Returns:
        The document of ``evaluation.json``.
    """
    draw, rows = np.random.default_rng(seed), len(labels)
    samples = [draw.permutation(rows)[: int(rows * SAMPLE_SHARE)] for _ in range(SAMPLES)] if rows >= LEAST_ROWS else []
    constant = np.full(rows, labels.mean(), dtype=np.float64)
    metrics: dict[str, object] = {"confusion_matrix": _confusion(labels, probabilities)}
    metrics |= {name: _entry(metric, labels, probabilities, samples) for name, metric in METRICS.items()}
    metrics |= {name: _entry(metric, labels, constant, samples) for name, metric in BASELINES.items()}
    return {ROOT: metrics}


def values(document: dict[str, object]) -> dict[str, float]:
    """Give the plain values of an evaluation document by metric name."""
    metrics = Document(ROOT, document[ROOT])
    return {name: metrics.child(name).get("value", float) for name in (*METRICS, *BASELINES)}


def _entry(
    metric: Metric,
    labels: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    samples: list[NDArray[np.int64]],
) -> dict[str, float | str]:
    deviation = float(np.std([metric(labels[rows], probabilities[rows]) for rows in samples])) if samples else "NaN"
    return {"value": metric(labels, probabilities), "standard_deviation": deviation}


def _confusion(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> dict[str, dict[str, int]]:
    """Count rows: actual class, then predicted class."""
    predicted = probabilities >= THRESHOLD
    return {
        str(actual): {str(guess): int(np.sum((labels == actual) & (predicted == guess))) for guess in (0, 1)}
        for actual in (0, 1)
    }

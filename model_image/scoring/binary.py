"""Metrics of a binary classifier: labels 0 or 1, and the predicted chance of 1, both of shape (rows,)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLD = 0.5
"""Probability from which the predicted class is 1."""


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


def row_hits(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give 1 per row whose class is right at the threshold 0.5, else 0."""
    return np.equal(probabilities >= THRESHOLD, labels == 1).astype(np.float64)


def accuracy(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Share of rows whose class is right."""
    return float(row_hits(labels, probabilities).mean())


def precision(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Share of true ones among predicted ones; 0 if none is predicted."""
    predicted = probabilities >= THRESHOLD
    return float(np.equal(labels[predicted], 1).mean()) if predicted.any() else 0.0


def recall(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Share of predicted ones among true ones; 0 if there is none."""
    ones = labels == 1
    return float(np.greater_equal(probabilities[ones], THRESHOLD).mean()) if ones.any() else 0.0


def confusion(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> dict[str, dict[str, int]]:
    """Count rows: actual class, then predicted class."""
    predicted = probabilities >= THRESHOLD
    return {
        str(actual): {str(guess): int(np.sum((labels == actual) & (predicted == guess))) for guess in (0, 1)}
        for actual in (0, 1)
    }


def constant(labels: NDArray[np.floating], _probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give the answers of a model that knows only the share of ones."""
    return np.full(len(labels), labels.mean(), dtype=np.float64)


def share_of_ones(labels: NDArray[np.floating]) -> float:
    """Share of rows labelled 1."""
    return float(labels.mean())

"""Metrics of a classifier of several classes: labels from 0, shape (rows,), and probabilities, shape (rows, classes).

The predicted class is the likeliest, the first of equally likely ones. Averages over classes are macro, where all
classes count the same, or weighted, where a class counts as often as it occurs. There is no micro average: with one
class per row, precision, recall and F1 summed over the classes are all the accuracy.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from scoring import calibration

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Scores = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def row_losses(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Negative log-likelihood of each row, in nats; probabilities are kept one float32 step away from 0."""
    own = probabilities[np.arange(len(labels)), labels.astype(np.intp)].astype(np.float64)
    return -np.log(np.clip(own, np.finfo(np.float32).eps, 1))


def log_loss(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Mean of the rows' losses."""
    return float(row_losses(labels, probabilities).mean())


def row_hits(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give 1 per row whose class is right, else 0."""
    return np.equal(probabilities.argmax(axis=1), labels).astype(np.float64)


def accuracy(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Share of rows whose class is right."""
    return float(row_hits(labels, probabilities).mean())


def counts(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Count rows: actual class, then predicted class; shape (classes, classes)."""
    classes = probabilities.shape[1]
    place = labels.astype(np.intp) * classes + probabilities.argmax(axis=1)
    return np.bincount(place, minlength=classes * classes).reshape(classes, classes)


def confusion(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> dict[str, dict[str, int]]:
    """Give the counts as the registry reads them: actual class, then predicted class."""
    table = counts(labels, probabilities).tolist()
    return {str(actual): {str(guess): rows for guess, rows in enumerate(row)} for actual, row in enumerate(table)}


def top_calibration_error(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Expected calibration error of the likeliest class: its probability against whether it is right.

    Source: Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017).
    """
    return calibration.expected_calibration_error(row_hits(labels, probabilities), probabilities.max(axis=1))


def top_reliability(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> list[dict[str, float | int]]:
    """Give the reliability bins of the likeliest class; its ones are the rows where it is right."""
    return calibration.reliability(row_hits(labels, probabilities), probabilities.max(axis=1))


def constant(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give the answers of a model that knows only the share of each class."""
    shares = np.bincount(labels.astype(np.intp), minlength=probabilities.shape[1]) / len(labels)
    return np.broadcast_to(shares, probabilities.shape)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _precision(
    right: NDArray[np.float64], _actual: NDArray[np.float64], predicted: NDArray[np.float64]
) -> NDArray[np.float64]:
    return _ratio(right, predicted)


def _recall(
    right: NDArray[np.float64], actual: NDArray[np.float64], _predicted: NDArray[np.float64]
) -> NDArray[np.float64]:
    return _ratio(right, actual)


def _f_score(
    beta: float, right: NDArray[np.float64], actual: NDArray[np.float64], predicted: NDArray[np.float64]
) -> NDArray[np.float64]:
    return _ratio((1 + beta**2) * right, beta**2 * actual + predicted)


def _average(
    scores: Scores, weighted: bool, labels: NDArray[np.floating], probabilities: NDArray[np.floating]
) -> float:
    """Average a score over the classes; it is 0 for a class where its denominator is."""
    table = counts(labels, probabilities).astype(np.float64)
    actual = table.sum(axis=1)
    by_class = scores(table.diagonal().copy(), actual, table.sum(axis=0))
    return float(np.average(by_class, weights=actual if weighted else None))


_SCORES: dict[str, Scores] = {
    "precision": _precision,
    "recall": _recall,
    "f0_5": partial(_f_score, 0.5),
    "f1": partial(_f_score, 1.0),
    "f2": partial(_f_score, 2.0),
}

AVERAGES = {
    f"{word}_{name}": partial(_average, scores, weighted)
    for word, weighted in (("macro", False), ("weighted", True))
    for name, scores in _SCORES.items()
}
"""Metrics by name, such as ``macro_f1``; the weighted ones are those that the registry knows."""

"""Metrics of predicted numbers: labels and predictions of shape (rows,)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def row_absolute_errors(labels: NDArray[np.floating], predictions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Distance of each prediction from its label."""
    return np.abs(predictions.astype(np.float64) - labels)


def row_squared_errors(labels: NDArray[np.floating], predictions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Square of that distance."""
    return row_absolute_errors(labels, predictions) ** 2


def mae(labels: NDArray[np.floating], predictions: NDArray[np.floating]) -> float:
    """Mean absolute error, in the label's unit."""
    return float(row_absolute_errors(labels, predictions).mean())


def mse(labels: NDArray[np.floating], predictions: NDArray[np.floating]) -> float:
    """Mean squared error."""
    return float(row_squared_errors(labels, predictions).mean())


def rmse(labels: NDArray[np.floating], predictions: NDArray[np.floating]) -> float:
    """Root of the mean squared error, in the label's unit."""
    return mse(labels, predictions) ** 0.5


def row_r2(labels: NDArray[np.floating], predictions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give what each row contributes to `r2`, their mean: 1 less its squared error over the labels' variance."""
    spread = float(np.var(labels.astype(np.float64)))
    errors = row_squared_errors(labels, predictions)
    return 1 - errors / spread if spread else np.zeros_like(errors)


def r2(labels: NDArray[np.floating], predictions: NDArray[np.floating]) -> float:
    """Share of the labels' variance that is explained, at most 1; 0 for the best constant, and if no label varies."""
    return float(row_r2(labels, predictions).mean())


def mean_label(labels: NDArray[np.floating]) -> float:
    """Mean of the labels."""
    return float(labels.mean(dtype=np.float64))

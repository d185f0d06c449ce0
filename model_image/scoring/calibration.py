"""Whether predicted probabilities mean what they say: reliability bins and the expected calibration error.

Source: Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015),
with bins of equal width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 10


def expected_calibration_error(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Mean distance, over the rows, between a bin's mean probability and its share of ones; from 0 to 1."""
    rows, predicted, observed = _bins(labels, probabilities)
    return float(np.abs(predicted - observed).sum() / rows.sum())


def reliability(labels: NDArray[np.floating], probabilities: NDArray[np.floating]) -> list[dict[str, float | int]]:
    """Give the bins that hold rows: borders, number of rows, mean probability and share of ones."""
    rows, predicted, observed = _bins(labels, probabilities)
    return [
        {
            "from": place / BINS,
            "to": (place + 1) / BINS,
            "rows": int(rows[place]),
            "mean_probability": float(predicted[place] / rows[place]),
            "share_of_ones": float(observed[place] / rows[place]),
        }
        for place in range(BINS)
        if rows[place]
    ]


def _bins(
    labels: NDArray[np.floating], probabilities: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Give rows, sum of probabilities and number of ones per bin; a probability of 1 belongs to the last bin."""
    place = np.minimum((probabilities.astype(np.float64) * BINS).astype(np.int64), BINS - 1)
    predicted = np.zeros(BINS)
    observed = np.zeros(BINS)
    np.add.at(predicted, place, probabilities)
    np.add.at(observed, place, labels)
    return np.bincount(place, minlength=BINS), predicted, observed

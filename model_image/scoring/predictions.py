"""How the answers of a version are distributed, over bounds that are the same for every version.

A rollout compares the predictions of a new version with those of the old one, and cannot wait for the truth. As with
drift, the event loop keeps some answers, and they are counted twice a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoring.metrics import Family, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]

MOST_ANSWERS = 512
"""Answers that are counted at a time."""

_INSIDE = (0.001, 0.002, 0.005, 0.01, 0.02, *(hundredth / 100 for hundredth in range(5, 100, 5)), 0.98, 0.99)
_BEYOND = tuple(factor * 10.0**power for power in range(7) for factor in (1, 2, 5))
BOUNDS = (*(-bound for bound in reversed(_BEYOND)), -0.1, 0.0, *_INSIDE, *_BEYOND)
"""Upper bounds: fine between 0 and 1, where probabilities lie, and by steps of about two for other values."""


class Predictions:
    """Counts answers of one version."""

    def __init__(self) -> None:
        """Start without answers."""
        self._histogram = Histogram(BOUNDS)
        self._kept: list[NDArray[np.float32]] = []
        self._room = MOST_ANSWERS

    def watching(self, predict: Predict) -> Predict:
        """Give a predictor that keeps some answers until they are counted; nobody may change them."""

        def watched(rows: NDArray[np.float32]) -> NDArray[np.float32]:
            answers = predict(rows)
            if self._room > 0:
                self._kept.append(answers[: self._room])
                self._room -= len(answers)
            return answers

        return watched

    def count(self) -> None:
        """Count what was kept, and make room for more; to be called about twice a second."""
        kept, self._kept, self._room = self._kept, [], MOST_ANSWERS
        for answers in kept:
            of_classes = answers.ndim > 1
            values = answers.argmax(axis=1) if of_classes else answers
            for value in values.tolist():
                self._histogram.observe(value)

    def family(self) -> Family:
        """Give the metric."""
        self.count()
        text = "Predictions, or the most likely class; a sample of the answers."
        return Family("slipway_prediction", "histogram", text, [*self._histogram.samples()])

"""How far the requests' features have moved from the training data: the population stability index of each.

The event loop keeps the rows of some calls of the model, which are immutable and there anyway; they are counted twice a
second, a bounded number of them, so that the cost per request does not grow with the load. Old rows fade: when the
window is full, all counts are halved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from scoring.metrics import Family, Sample, labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from scoring.contract import Schema

    Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]

MOST_ROWS = 512
"""Rows that are counted at a time."""

WINDOW_ROWS = 20_000.0
"""Rows after which the counts are halved: the index is of the last 10,000 to 20,000 rows that were counted."""

FEWEST_ROWS = 1_000.0
"""Rows before there is an index; with B bins and no drift its mean is about B divided by the rows."""

LEAST_SHARE = 1e-4
"""Smallest share of a bin, so that an empty one does not make the index infinite."""


class Bins:
    """One feature's bins."""

    def __init__(self, reference: Mapping[str, Any]) -> None:
        """Start empty, with the bins of a feature as `reference.describe` gives them."""
        self.expected = np.asarray(reference["rows"], dtype=np.float64)
        """Values by bin at training."""
        self._expected = np.maximum(self.expected / max(self.expected.sum(), 1.0), LEAST_SHARE)
        self._edges = np.asarray(reference.get("edges", ()), dtype=np.float32)
        self._codes = cast("list[int] | None", reference.get("codes"))
        self._sorted = np.argsort(np.asarray(self._codes or (), dtype=np.int64))
        self.counts = np.zeros(len(self.expected))
        """Values by bin; the last bin is of what is missing."""

    def count(self, values: NDArray[np.float32]) -> None:
        """Count values, NaN as missing."""
        known = values[~np.isnan(values)]
        places = self._of_codes(known) if self._codes is not None else np.searchsorted(self._edges, known, "right")
        self.counts += np.bincount(places, minlength=len(self.counts))
        self.counts[-1] += len(values) - len(known)

    def _of_codes(self, known: NDArray[np.float32]) -> NDArray[np.intp]:
        """Give each code's bin; one without a bin of its own belongs to the last but one."""
        codes = np.asarray(self._codes, dtype=np.float32)
        others = len(codes)
        if not others:
            return np.zeros(len(known), dtype=np.intp)
        found = np.minimum(np.searchsorted(codes, known, sorter=self._sorted), others - 1)
        places = self._sorted[found]
        return np.where(codes[places] == known, places, others)

    @property
    def index(self) -> float:
        """The population stability index: the sum of (actual - expected) * ln(actual / expected) over the bins."""
        actual = np.maximum(self.counts / self.counts.sum(), LEAST_SHARE)
        return float(np.sum((actual - self._expected) * np.log(actual / self._expected)))

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return float(self.counts[-1] / self.counts.sum())


class Drift:
    """Compares the rows that a model is asked about with those it was trained on."""

    def __init__(self, reference: Mapping[str, Any], schema: Schema) -> None:
        """Start without rows; ``reference`` is as `reference.describe` gives it, with every feature of the schema."""
        self._bins = {name: Bins(reference[name]) for name in schema.names}
        self._kept: list[NDArray[np.float32]] = []
        self._room = MOST_ROWS
        self._rows = 0.0
        self._counted = 0

    def watching(self, predict: Predict) -> Predict:
        """Give a predictor that keeps the rows of some calls until they are counted; nobody may change them."""

        def watched(rows: NDArray[np.float32]) -> NDArray[np.float32]:
            if self._room > 0:
                self._kept.append(rows[: self._room])
                self._room -= len(rows)
            return predict(rows)

        return watched

    def count(self) -> None:
        """Count what was kept, and make room for more; to be called about twice a second."""
        if not self._kept:
            return
        rows = np.concatenate(self._kept)
        self._kept, self._room = [], MOST_ROWS
        for place, bins in enumerate(self._bins.values()):
            bins.count(rows[:, place])
        self._rows += len(rows)
        self._counted += len(rows)
        if self._rows >= WINDOW_ROWS:
            self._rows /= 2
            for bins in self._bins.values():
                bins.counts /= 2

    def families(self) -> list[Family]:
        """Give the metrics; the indices only when they rest on enough rows."""
        self.count()
        ready = self._bins if self._rows >= FEWEST_ROWS else {}
        index = [Sample(labels({"feature": name}), round(bins.index, 6)) for name, bins in ready.items()]
        missing = [Sample(labels({"feature": name}), round(bins.missing, 6)) for name, bins in ready.items()]
        text = "Population stability index of the requests' values against the training data."
        return [
            Family("slipway_feature_drift", "gauge", text, index),
            Family("slipway_feature_missing_ratio", "gauge", "Share of the counted rows without a value.", missing),
            Family("slipway_drift_rows_total", "counter", "Rows counted for drift.", [Sample("", self._counted)]),
        ]

"""How each feature, and a model's answers, were distributed at training: bins that requests are compared with.

A numeric feature has up to ten bins between its quantiles, open at both ends; a categorical one a bin per category, the
rare ones together. The last bin of either holds what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scoring.contract import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scoring.contract import Schema

BINS = 10
"""Most bins of a numeric feature's values; deciles are usual for the population stability index."""

MOST_CATEGORIES = 50
"""Categories with a bin of their own: those with the most rows."""

MOST_ROWS = 1_000_000
"""Rows from which the quantiles are taken, evenly over the data; more would not move them visibly."""


def describe(rows: NDArray[np.float32], schema: Schema) -> dict[str, object]:
    """Describe training rows.

    Args:
        rows: Encoded rows, shape (n, features), NaN where missing.
        schema: Their features.

    Returns:
        By feature: ``edges`` (numeric: inner bounds, a value equal to one belongs above it) or ``codes`` (categorical:
        those with a bin of their own, in its order), and ``rows`` of every bin.
    """
    sample = rows[:: -(-len(rows) // MOST_ROWS) or 1]
    return {feature.name: _one(sample[:, place], feature.kind) for place, feature in enumerate(schema.features)}


def describe_answers(answers: NDArray[np.float32]) -> dict[str, object]:
    """Describe a model's answers for rows that it has not learnt from, as `describe` does a feature.

    Args:
        answers: Values of shape (n,), or (n, classes), of which the most likely class is described.
    """
    if answers.ndim > 1:
        return _one(answers.argmax(axis=1).astype(np.float32), Kind.CATEGORICAL)
    return _one(answers, Kind.NUMERIC)


def _one(values: NDArray[np.float32], kind: Kind) -> dict[str, object]:
    known = values[~np.isnan(values)]
    missing = len(values) - len(known)
    if kind is Kind.CATEGORICAL:
        codes, counts = np.unique(known.astype(np.int64), return_counts=True)
        order = np.lexsort((codes, -counts))
        largest, rest = order[:MOST_CATEGORIES], order[MOST_CATEGORIES:]
        rows = [*counts[largest].tolist(), int(counts[rest].sum()), missing]
        return {"codes": codes[largest].tolist(), "rows": rows}
    shares = np.linspace(0, 1, BINS + 1)[1:-1]
    edges = np.unique(np.quantile(known, shares, method="lower")) if known.size else known
    places = np.searchsorted(edges, known, side="right")
    return {"edges": edges.tolist(), "rows": [*np.bincount(places, minlength=len(edges) + 1).tolist(), missing]}

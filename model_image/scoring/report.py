"""The document of ``evaluation.json``: metrics of one channel as a whole, of its slices, and their calibration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from scoring import calibration, evaluate
from scoring.contract import Kind
from scoring.document import suggestion
from scoring.errors import UserError, summarize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scoring.contract import Schema
    from scoring.dataset import Table
    from scoring.hyperparameters import Hyperparameters

MOST_SLICES = 50
"""Values of one column that are reported: those with the most rows."""

SLICE_METRICS = ("auc", "log_loss", "accuracy", "expected_calibration_error")


def check_slices(schema: Schema, columns: str) -> None:
    """Check that the columns to slice by, separated by commas, are categorical features.

    Raises:
        UserError: with every column that is not.
    """
    categorical = [feature.name for feature in schema.features if feature.kind is Kind.CATEGORICAL]
    problems = [
        f"hyperparameter 'slices' names {name!r}, which is no categorical feature{suggestion(name, categorical)}"
        for name in _split(columns)
        if name not in categorical
    ]
    if problems:
        raise UserError(summarize(problems))


def build(
    table: Table,
    labels: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    settings: Hyperparameters,
) -> dict[str, object]:
    """Evaluate the predictions for one channel.

    Args:
        table: The channel, for the values to slice by.
        labels: 0 or 1, shape (rows,).
        probabilities: Predicted chance of 1, shape (rows,).
        settings: Seed and columns to slice by.
    """
    document = evaluate.evaluate(labels, probabilities, settings.seed)
    document |= {
        "evaluated_channel": table.channel,
        "calibration": {"bins": calibration.reliability(labels, probabilities)},
    }
    slices = {
        name: _slices(table.columns[name].texts, table.columns[name].codes, labels, probabilities)
        for name in _split(settings.slices)
    }
    return document | ({"slices": slices} if slices else {})


def _split(columns: str) -> list[str]:
    return [name for name in columns.split(",") if name]


def _slices(
    texts: tuple[str, ...],
    codes: NDArray[np.int32],
    labels: NDArray[np.float32],
    probabilities: NDArray[np.float32],
) -> list[dict[str, object]]:
    """Evaluate the rows of each value, largest first; a metric that has no value for them is null."""
    counts = np.bincount(codes, minlength=len(texts))
    largest = sorted(range(len(texts)), key=lambda code: (-counts[code], texts[code]))[:MOST_SLICES]
    found: list[dict[str, object]] = []
    for code in largest:
        own = codes == code
        entry: dict[str, object] = {"value": texts[code], "rows": int(counts[code])}
        entry["share_of_ones"] = float(labels[own].mean())
        for name in SLICE_METRICS:
            value = evaluate.METRICS[name](labels[own], probabilities[own])
            entry[name] = None if math.isnan(value) else value
        found.append(entry)
    return found

"""The document of ``evaluation.json``: metrics of one channel as a whole, of its slices, and their calibration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from scoring import evaluate, reference
from scoring.contract import Kind
from scoring.document import suggestion
from scoring.errors import UserError, summarize
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scoring.contract import Schema
    from scoring.dataset import Column, Table
    from scoring.hyperparameters import Hyperparameters
    from scoring.tasks import Task

MOST_SLICES = 50
"""Values of one column that are reported: those with the most rows."""


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
    predictions: NDArray[np.float32],
    settings: Hyperparameters,
) -> dict[str, object]:
    """Evaluate the predictions for one channel.

    Args:
        table: The channel, for the values to slice by.
        labels: Shape (rows,).
        predictions: What the model answers, shape (rows,), or (rows, classes).
        settings: Objective, seed and columns to slice by.
    """
    task = TASKS[settings.objective]
    document = evaluate.evaluate(task, labels, predictions, settings.seed)
    document["evaluated_channel"] = table.channel
    document["answers"] = reference.describe_answers(predictions)
    if task.reliability:
        document["calibration"] = {"bins": task.reliability(labels, predictions)}
    slices = {name: _slices(task, table.columns[name], labels, predictions) for name in _split(settings.slices)}
    return document | ({"slices": slices} if slices else {})


def _split(columns: str) -> list[str]:
    return [name for name in columns.split(",") if name]


def _slices(
    task: Task, column: Column, labels: NDArray[np.float32], predictions: NDArray[np.float32]
) -> list[dict[str, object]]:
    """Evaluate the rows of each value, largest first; a metric that has no value for them is null."""
    texts, codes = column.texts, column.codes
    counts = np.bincount(codes, minlength=len(texts))
    largest = sorted(range(len(texts)), key=lambda code: (-counts[code], texts[code]))[:MOST_SLICES]
    found: list[dict[str, object]] = []
    for code in largest:
        own = codes == code
        entry: dict[str, object] = {"value": texts[code], "rows": int(counts[code])}
        entry |= {name: of_labels(labels[own]) for name, of_labels in task.of_labels.items()}
        for name in task.slice_metrics:
            value = task.metrics[name](labels[own], predictions[own])
            entry[name] = None if math.isnan(value) else value
        found.append(entry)
    return found

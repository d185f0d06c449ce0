"""Metrics of predictions, in the layout that SageMaker's model registry and Model Monitor read.

Source: Amazon SageMaker Developer Guide, "Model quality metrics": the group's name says the kind of problem, and the
standard deviation comes from five random samples of 80 % of the rows, and is the text ``NaN`` below 200 rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scoring.document import Document

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scoring.tasks import Metric, Task

SAMPLES = 5
SAMPLE_SHARE = 0.8
LEAST_ROWS = 200


def evaluate(
    task: Task, labels: NDArray[np.floating], predictions: NDArray[np.floating], seed: int
) -> dict[str, object]:
    """Evaluate predictions.

    Args:
        task: What was learnt.
        labels: Shape (rows,).
        predictions: What the model answers, shape (rows,), or (rows, classes).
        seed: Decides the samples behind the standard deviations.

    Returns:
        The document of ``evaluation.json``.
    """
    draw, rows = np.random.default_rng(seed), len(labels)
    samples = [draw.permutation(rows)[: int(rows * SAMPLE_SHARE)] for _ in range(SAMPLES)] if rows >= LEAST_ROWS else []
    metrics: dict[str, object] = {}
    if task.confusion:
        metrics["confusion_matrix"] = task.confusion(labels, predictions)
    metrics |= {name: _entry(metric, labels, predictions, samples) for name, metric in task.metrics.items()}
    if task.constant:
        constant = task.constant(labels, predictions)
        metrics |= {name: _entry(metric, labels, constant, samples) for name, metric in task.baselines.items()}
    return {task.group: metrics}


def values(task: Task, document: dict[str, object]) -> dict[str, float]:
    """Give the plain values of an evaluation document by metric name."""
    metrics = Document(task.group, document[task.group])
    return {name: metrics.child(name).get("value", float) for name in (*task.metrics, *task.baselines)}


def _entry(
    metric: Metric,
    labels: NDArray[np.floating],
    predictions: NDArray[np.floating],
    samples: list[NDArray[np.int64]],
) -> dict[str, float | str]:
    deviation = float(np.std([metric(labels[rows], predictions[rows]) for rows in samples])) if samples else "NaN"
    return {"value": metric(labels, predictions), "standard_deviation": deviation}

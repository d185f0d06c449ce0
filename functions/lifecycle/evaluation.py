"""What an evaluation says, in the layout of SageMaker's registry."""

from __future__ import annotations

from typing import cast

from lifecycle.training_log import REPORTED


def metric_values(evaluation: object) -> dict[str, float]:
    """Metrics of an evaluation document `{"binary_classification_metrics": {"auc": {"value": 0.75, …}, …}}`.

    Entries that hold no number are left out: whoever needs one of them will miss it by name.

    Source: Amazon SageMaker Developer Guide, "Model quality metrics", JSON schema of a monitoring report.
    """
    groups = [_child(evaluation, reported.group) for reported in REPORTED.values()]
    values = {name: _child(entry, "value") for group in groups for name, entry in _items(group)}
    return {name: float(value) for name, value in values.items() if isinstance(value, (int, float))}


def _items(value: object) -> list[tuple[str, object]]:
    return list(cast("dict[str, object]", value).items()) if isinstance(value, dict) else []


def _child(value: object, key: str) -> object:
    return dict(_items(value)).get(key)

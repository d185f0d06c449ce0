"""Whether a trained model may be registered: a pure decision on its evaluation. A gate that cannot compute says no."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from lifecycle.training_log import REPORTED

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's answer."""

    passed: bool
    """Whether the model may be registered."""
    reasons: tuple[str, ...]
    """Why, one sentence each; never empty."""


def metric_values(evaluation: object) -> dict[str, float]:
    """Metrics of an evaluation document, such as `{"binary_classification_metrics": {"auc": {"value": 0.75, …}, …}}`.

    Entries that hold no number are left out: whoever needs one of them will miss it by name.

    Source: Amazon SageMaker Developer Guide, "Model quality metrics", JSON schema of a monitoring report.
    """
    groups = [_child(evaluation, reported.group) for reported in REPORTED.values()]
    values = {name: _child(entry, "value") for group in groups for name, entry in _items(group)}
    return {name: float(value) for name, value in values.items() if isinstance(value, (int, float))}


def decide(metrics: Mapping[str, float], *, metric: str, minimum: float) -> Decision:
    """Decide whether `metric`, of which more is better, is strictly above `minimum`.

    A value equal to the minimum is not enough. A metric that is missing or not finite does not pass.
    """
    value = metrics.get(metric)
    if value is None:
        known = ", ".join(sorted(metrics)) or "none"
        return Decision(passed=False, reasons=(f"the evaluation has no metric {metric!r}; it has: {known}",))
    if not math.isfinite(value):
        return Decision(passed=False, reasons=(f"{metric} is {value}, which is no measurement",))
    passed = value > minimum
    relation = "is above" if passed else "does not exceed"
    return Decision(passed=passed, reasons=(f"{metric} {value:.4f} {relation} the minimum {minimum:.4f}",))


def _items(value: object) -> list[tuple[str, object]]:
    return list(cast("dict[str, object]", value).items()) if isinstance(value, dict) else []


def _child(value: object, key: str) -> object:
    return dict(_items(value)).get(key)

"""The alarms about drift, and the names of what they watch.

Pure functions from settings and names. Metrics of the job are those of `model_image/processing`, which a test holds
together with these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from components.drift_definition import THING
from components.watches import Watch

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import ModelSpec

KINDS: Final = ("data", "prediction", "quality")
"""Kinds of drift; each has an alarm."""
NAMESPACE: Final = "Slipway/Drift"
"""CloudWatch namespace of the job's metrics."""
DEAD: Final = f"{THING}-dead"
"""Last part of the name of the queue for runs that could not be started."""
PERIOD_SECONDS: Final = 3600
"""An hour: a result stands for the window that ends with it, and CloudWatch counts silence in these for a week."""


def clock_role(labels: Labels, model: ModelSpec) -> str:
    """Name of the role of the schedule, short enough for the longest names of environment and model."""
    return labels.role(f"{model.name}-{THING}-tick")


def alarm_names(model: ModelSpec) -> dict[str, str]:
    """Kind of drift → name of its alarm after the environment's prefix, as the door of retraining expects it."""
    return {kind: f"{model.name}-{THING}-{kind}" for kind in KINDS}


def watches(labels: Labels, model: ModelSpec) -> list[Watch]:
    """The three alarms about drift.

    A run without enough rows or labels repeats what the one before said, and between two runs there is no datum: a
    missing one keeps the alarm as it is.
    """
    return [
        Watch(
            name=name,
            says=f"drift of {model.name}, {kind}: docs/drift.md says what to do",
            namespace=NAMESPACE,
            metric=f"{kind}-raised",
            dimensions=_dimensions(labels, model),
            statistic="Maximum",
            period=PERIOD_SECONDS,
            missing="ignore",
        )
        for kind, name in alarm_names(model).items()
    ]


def silence(labels: Labels, model: ModelSpec, hours: int) -> Watch:
    """The alarm about a job that has said nothing, whatever the reason: not started, failed, or not heard."""
    return Watch(
        name=f"silence-{model.name}",
        says=f"nothing has been said about drift of {model.name} for {hours} hours: docs/drift.md says what to do",
        namespace=NAMESPACE,
        metric=f"{KINDS[0]}-raised",
        dimensions=_dimensions(labels, model),
        statistic="SampleCount",
        period=PERIOD_SECONDS,
        periods=hours,
        missing="breaching",
        less=True,
    )


def not_started(labels: Labels) -> Watch:
    """The alarm about runs that could not be started."""
    return Watch(
        name="dead-letters",
        says="a look for drift could not be started: docs/drift.md says what to do",
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": labels.queue(DEAD)},
        statistic="Maximum",
    )


def _dimensions(labels: Labels, model: ModelSpec) -> dict[str, str]:
    return {"Environment": labels.environment.name, "Model": model.name}

"""The alarms about drift, what starts the looks, and the names of both.

Pure functions from settings and names. Metrics of the job are those of `model_image/processing`, variables of the
function those of `functions/looking`, which tests hold together with these.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from components import drift_definition as definition
from components.drift_definition import THING
from components.function_archive import Program
from components.labels import MODELS, fitted
from components.lambda_functions import MAX_FUNCTION_NAME
from components.model_places import ModelPlaces
from components.watches import Watch
from settings.model import Target

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import ApprovedSpec, ModelSpec

KINDS: Final = ("data", "prediction", "quality")
"""Kinds of drift; each has an alarm."""
NAMESPACE: Final = "Slipway/Drift"
"""CloudWatch namespace of the job's metrics."""
DEAD: Final = f"{THING}-dead"
"""Last part of the name of the queue for looks that could not be started."""
PROGRAM: Final = Program(
    "looking",
    (
        "looking/*.py",
        *(f"lifecycle/{name}.py" for name in ("__init__", "steps")),
        *(f"release/{name}.py" for name in ("__init__", "record", "registry")),
        *(f"rollout/{name}.py" for name in ("__init__", "plan", "verdicts")),
    ),
)
HANDLER: Final = "looking.handler.lambda_handler"
TICK: Final = json.dumps({"time": "<aws.scheduler.scheduled-time>"})
"""What the schedule tells: a time that is the same for each attempt (Scheduler's user guide, "context attributes")."""
PERIOD_SECONDS: Final = 3600
"""An hour: a result stands for the window that ends with it, and CloudWatch counts silence in these for a week."""


def clock_role(labels: Labels, model: ModelSpec) -> str:
    """Name of the role of the schedule, short enough for the longest names of environment and model."""
    return labels.role(f"{model.name}-{THING}-tick")


def function_role(model: ModelSpec) -> str:
    """Duty of the role of the function, as short."""
    return f"{model.name}-{THING}-look"


def function_name(labels: Labels, model: ModelSpec) -> str:
    """Name of the function that starts a model's looks, as its pipeline's."""
    return fitted(definition.pipeline_name(labels, model), MAX_FUNCTION_NAME)


def place(labels: Labels, model: ModelSpec) -> str:
    """Where releases bring versions of a model to, as they name it; empty where the program moves what serves."""
    released = model.serving is not None and model.serving.target is Target.EKS
    return labels.cluster if released else ""


def variables(labels: Labels, model: ModelSpec, approved: ApprovedSpec) -> dict[str, str]:
    """What the function is told, beside the pipeline."""
    return {
        "PACKAGE_GROUP": labels.package_group(model.name),
        "PLACE": place(labels, model),
        "MODELS_BUCKET": labels.bucket(MODELS),
        "MEMORY": ModelPlaces(labels, model).drift_memory,
        "APPROVED": json.dumps(definition.given(approved)),
    }


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


def lost(labels: Labels, model: ModelSpec) -> Watch:
    """The alarm about looks that were neither started nor kept."""
    return Watch(
        name=f"lost-{model.name}",
        says=f"a look for drift of {model.name} was neither started nor kept: docs/drift.md says what to do",
        namespace="AWS/Lambda",
        metric="DeadLetterErrors",
        dimensions={"FunctionName": function_name(labels, model)},
        statistic="Sum",
    )


def not_started(labels: Labels) -> Watch:
    """The alarm about looks that could not be started."""
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

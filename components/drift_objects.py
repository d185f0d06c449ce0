"""What watches a model: the pipeline of one step that looks for drift, and the alarms about what it finds.

Pure functions from settings and names. Words and metrics of the job are those of `model_image/processing`, which a test
holds together with these.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from components.model_places import Duty, ModelPlaces
from components.pipeline_definition import VERSION
from components.pipeline_jobs import JobRequests
from components.pipeline_words import Step, joined, parameter, retries
from components.watches import Watch
from settings.model import Target

if TYPE_CHECKING:
    from components.labels import Labels
    from components.pipeline_jobs import Surroundings
    from settings.model import ApprovedSpec, DriftSpec, ModelSpec

KINDS: Final = ("data", "prediction", "quality")
"""Kinds of drift; each has an alarm."""
NAMESPACE: Final = "Slipway/Drift"
"""CloudWatch namespace of the job's metrics."""
THING: Final = "drift"
DEAD: Final = f"{THING}-dead"
"""Last part of the name of the queue for runs that could not be started."""
STEP: Final = "Compare"
IMAGE, ARTEFACT, MODEL_VERSION = "ImageDigest", "ModelData", "ModelVersion"
"""Parameters of the pipeline: the approved version, of which the definition knows nothing."""
PERIOD_SECONDS: Final = 3600
"""An hour: a result stands for the window that ends with it, and CloudWatch counts silence in these for a week."""
EXECUTION: Final = {"Get": "Execution.PipelineExecutionId"}


def pipeline_name(labels: Labels, model: ModelSpec) -> str:
    """Name of the pipeline that watches a model; no model's own pipeline is called so (`settings.rules.drift`)."""
    return labels.pipeline(f"{model.name}-{THING}")


def clock_role(labels: Labels, model: ModelSpec) -> str:
    """Name of the role of the schedule, short enough for the longest names of environment and model."""
    return labels.role(f"{model.name}-{THING}-tick")


def drift_definition(labels: Labels, model: ModelSpec, spec: DriftSpec, around: Surroundings) -> str:
    """The definition as JSON: one processing job, which compares captures and truth with the approved version.

    A version has its own memory: the alarms of the one before are not its alarms.
    """
    places = ModelPlaces(labels, model)
    memory = places.uri(places.drift_memory), parameter(MODEL_VERSION)
    request = JobRequests(places, around).processing(
        places.drift_job_prefix,
        spec.job,
        Duty.DRIFT,
        _words(labels, model, spec),
        inputs={
            "captures": f"{places.uri(places.captures)}/",
            "truth": f"{places.uri(places.truth)}/",
            "memory": joined("/", *memory, ""),
            "model": parameter(ARTEFACT),
        },
        outputs={"report": joined("/", places.uri(places.drift_reports), EXECUTION), "memory": joined("/", *memory)},
    )
    step = {"Name": STEP, "Type": "Processing", "Arguments": request, "RetryPolicies": retries(model.pipeline.attempts)}
    parameters = [{"Name": name, "Type": "String"} for name in (IMAGE, ARTEFACT, MODEL_VERSION)]
    return json.dumps({"Version": VERSION, "Metadata": {}, "Parameters": parameters, "Steps": [step]})


def _words(labels: Labels, model: ModelSpec, spec: DriftSpec) -> list[str | Step]:
    """Arguments of the job.

    Pods write which version answered into a capture, and the job compares that one alone, while a release goes on, too.
    Captures that SageMaker makes of an endpoint do not say so: there every record counts.
    """
    named: dict[str, object] = {
        "environment": labels.environment.name,
        "model": model.name,
        "window-hours": spec.window_hours,
        "minimum-rows": spec.minimum_rows,
        "false-alarms": spec.false_alarms,
        "effect": spec.data.effect,
        "missing-gain": spec.data.missing_gain,
        "answers-effect": spec.prediction.effect,
        "metric": model.gate.metric,
        "minimum-labels": spec.quality.minimum_labels,
        "drop": spec.quality.drop,
        "runs": spec.runs,
        "clear-below": spec.clear_below,
    }
    words: list[str | Step] = [THING, *(word for name, value in named.items() for word in (f"--{name}", str(value)))]
    pods = model.serving.eks if model.serving is not None and model.serving.target is Target.EKS else None
    dropped = pods.capture.drop if pods is not None and pods.capture is not None else ()
    words += [word for feature in dict.fromkeys((*spec.ignored, *dropped)) for word in ("--without", feature)]
    return words if pods is None else [*words, "--model-version", parameter(MODEL_VERSION)]


def given(approved: ApprovedSpec) -> dict[str, str]:
    """What the schedule gives to each run."""
    return {
        IMAGE: approved.image_digest,
        ARTEFACT: approved.model_data,
        MODEL_VERSION: str(approved.version),
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

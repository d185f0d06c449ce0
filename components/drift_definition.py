"""The pipeline of one step that looks for drift of a model.

Pure functions from settings and names. Words of the job are those of `model_image/processing`, which a test holds
together with these.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from components.model_places import Duty, ModelPlaces
from components.pipeline_definition import VERSION
from components.pipeline_jobs import JobRequests
from components.pipeline_words import Step, joined, parameter, retries

if TYPE_CHECKING:
    from components.labels import Labels
    from components.pipeline_jobs import Surroundings
    from settings.model import ApprovedSpec, DriftSpec, ModelSpec

THING: Final = "drift"
STEP: Final = "Compare"
IMAGE, ARTEFACT, MODEL_VERSION = "ImageDigest", "ModelData", "ModelVersion"
"""Parameters of the pipeline: the version that is looked at, of which the definition knows nothing."""
EXECUTION: Final = {"Get": "Execution.PipelineExecutionId"}


def pipeline_name(labels: Labels, model: ModelSpec) -> str:
    """Name of the pipeline that watches a model; no model's own pipeline is called so (`settings.rules.drift`)."""
    return labels.pipeline(f"{model.name}-{THING}")


def drift_definition(labels: Labels, model: ModelSpec, spec: DriftSpec, around: Surroundings) -> str:
    """The definition as JSON: one processing job, which compares captures and truth with one version.

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
    step = {"Name": STEP, "Type": "Processing", "Arguments": request, **retries(model.pipeline.attempts)}
    parameters = [{"Name": name, "Type": "String"} for name in (IMAGE, ARTEFACT, MODEL_VERSION)]
    return json.dumps({"Version": VERSION, "Metadata": {}, "Parameters": parameters, "Steps": [step]})


def _words(labels: Labels, model: ModelSpec, spec: DriftSpec) -> list[str | Step]:
    """Arguments of the job.

    Pods write which version answered into a capture, and endpoints capture to a folder for each version; the job
    compares that one alone, while a release goes on, too.
    """
    named: dict[str, object] = {"environment": labels.environment.name, "model": model.name, **limits(model, spec)}
    words: list[str | Step] = [THING, *(word for name, value in named.items() for word in (f"--{name}", str(value)))]
    words += [word for feature in uncompared(model, spec) for word in ("--without", feature)]
    return [*words, "--model-version", parameter(MODEL_VERSION)]


def limits(model: ModelSpec, spec: DriftSpec) -> dict[str, object]:
    """What is compared, and what is borne, by option of the job."""
    return {
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


def uncompared(model: ModelSpec, spec: DriftSpec) -> tuple[str, ...]:
    """Features that are left out."""
    capture = model.pods.capture if model.pods else None
    return tuple(dict.fromkeys((*spec.ignored, *(capture.drop if capture is not None else ()))))


def given(approved: ApprovedSpec) -> dict[str, str]:
    """What a look at the version in the stack file is given."""
    return {
        IMAGE: approved.image_digest,
        ARTEFACT: approved.model_data,
        MODEL_VERSION: str(approved.version),
    }

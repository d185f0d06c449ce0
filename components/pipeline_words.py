"""The words of a pipeline definition: references between steps, inputs and outputs, and when a step is tried again.

A reference is resolved when the execution gets there; until then it stands in the definition as it is.
Sources: SageMaker developer guide, "Pipeline definition JSON schema" (version 2020-12-01), "Retry Policy for Pipeline
Steps"; API reference, `Channel`, `ProcessingInput`, `ProcessingOutput`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

PROCESSING: Final = "/opt/ml/processing"
"""Folder of a processing container's inputs and outputs; SageMaker fixes it."""
CSV: Final = "text/csv"
CONTENT_TYPES: Final = {"csv": CSV, "parquet": "application/x-parquet", "libsvm": "text/libsvm"}
"""Content type by what the settings call a format of data."""
JSON: Final = "application/json"
EVALUATION: Final = "evaluation"
"""Property file of what the evaluation found; `<name>.json` in the report."""
_ROOM: Final = "\0"
"""Where a part of a text is to stand; no text of the settings holds it."""

Step = dict[str, Any]
"""A step or a part of it, in SageMaker's own spelling."""


def parameter(name: str) -> Step:
    """What an execution was given."""
    return {"Get": f"Parameters.{name}"}


def result(step: str, path: str) -> Step:
    """What the job of an earlier step answers when it is described."""
    return {"Get": f"Steps.{step}.{path}"}


def output(step: str, name: str) -> Step:
    """Where a processing step put one of its outputs."""
    return result(step, f"ProcessingOutputConfig.Outputs['{name}'].S3Output.S3Uri")


def joined(on: str, *values: object) -> Step:
    """One text of several."""
    return {"Std:Join": {"On": on, "Values": list(values)}}


@dataclass(frozen=True, slots=True)
class Part:
    """A reference inside of a document that becomes text."""

    reference: Step
    quoted: bool = True
    """Whether it stands for a word without characters that JSON escapes; else for JSON text."""


def text_of(document: object) -> Step:
    """A document with `Part`s in it as JSON text."""
    parts: list[Part] = []

    def leave_room(part: Part) -> str:
        parts.append(part)
        return _ROOM

    first, *others = json.dumps(document, default=leave_room).split(json.dumps(_ROOM))
    values: list[Any] = [first]
    for part, after in zip(parts, others, strict=True):
        mark = '"' if part.quoted else ""
        values[-1] += mark
        values += [part.reference, f"{mark}{after}"]
    return joined("", *values)


def found(path: str) -> Step:
    """A value that the evaluation found."""
    return {"Std:JsonGet": {"PropertyFile": {"Get": f"Steps.Evaluate.PropertyFiles.{EVALUATION}"}, "Path": path}}


def retries(attempts: int) -> Step:
    """When a step is tried again: what AWS itself failed, ever more slowly; a quota or missing capacity takes longer.

    Source: SageMaker developer guide, "Retry Policy for Pipeline Steps".
    """
    if attempts == 1:
        return {}
    seconds = {
        ("Step.SERVICE_FAULT", "Step.THROTTLING"): 10,
        ("SageMaker.JOB_INTERNAL_ERROR",): 10,
        ("SageMaker.CAPACITY_ERROR", "SageMaker.RESOURCE_LIMIT"): 300,
    }
    policies = [
        {"ExceptionType": list(names), "IntervalSeconds": interval, "BackoffRate": 2.0, "MaxAttempts": attempts}
        for names, interval in seconds.items()
    ]
    return {"RetryPolicies": policies}


def channel(name: str, uri: object, content_type: str, mode: str = "File") -> Step:
    """Channel of a training job: every file of a type below a prefix, on every host; `FastFile` streams them."""
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {
        "ChannelName": name,
        "ContentType": content_type,
        "InputMode": mode,
        "DataSource": {"S3DataSource": source},
    }


def job_input(name: str, uri: object) -> Step:
    """Input of a processing job: every object below a prefix, or one object."""
    source = {
        "S3Uri": uri,
        "LocalPath": f"{PROCESSING}/input/{name}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
        "S3CompressionType": "None",
    }
    return {"InputName": name, "AppManaged": False, "S3Input": source}


def job_output(name: str, uri: object) -> Step:
    """Output of a processing job, which is uploaded when the job ends well."""
    target = {"S3Uri": uri, "LocalPath": f"{PROCESSING}/output/{name}", "S3UploadMode": "EndOfJob"}
    return {"OutputName": name, "AppManaged": False, "S3Output": target}


def report(uri: object) -> Step:
    """A report that the registry shows with a version."""
    return {"ContentType": JSON, "S3Uri": uri}

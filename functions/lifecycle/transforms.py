"""Batch transform jobs of a model as thin calls on boto3 clients; each may be repeated and then finds its own result.

There is no resource of infrastructure for a job: the stack exports what every job of a model has in common (`Plan`),
and a job adds the data that it is about.
Source: Amazon SageMaker API Reference, `CreateTransformJob`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from lifecycle.steps import LifecycleError, data_version, split_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import CreateTransformJobRequestTypeDef

DIGEST_DIGITS = 16
"""Of the digest in a job's name; jobs of one model tell apart by them."""
_RUNNING = frozenset({"InProgress", "Stopping"})


class TransformFailedError(LifecycleError):
    """A job ended without all answers; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all jobs of a model have in common; an output of the stack (`batchTransforms`)."""

    job_prefix: str
    """First part of the name of every job."""
    output: str
    """Address below which each job has a prefix of its own."""
    request: Mapping[str, Any]
    """`CreateTransformJob` without name, input address and output address."""

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Plan:
        """Read the stack's output."""
        return cls(job_prefix=document["jobPrefix"], output=document["output"], request=document["request"])


@dataclass(frozen=True, slots=True)
class Transform:
    """A job that runs or has run."""

    name: str
    """Name of the job."""
    output_uri: str
    """Address below which its answers are, one object for each of the input."""
    created: bool
    """False when it had been started before."""


def transform_request(plan: Plan, input_uri: str, version: str, attempt: int) -> CreateTransformJobRequestTypeDef:
    """The request for a job: its name is the same for the same model, data and attempt."""
    content = json.dumps([plan.output, plan.request, input_uri, version, attempt], sort_keys=True, default=dict)
    digest = hashlib.sha256(content.encode()).hexdigest()[:DIGEST_DIGITS]
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": input_uri}}
    request = {
        **plan.request,
        "TransformJobName": f"{plan.job_prefix}-{digest}",
        "TransformInput": {**plan.request["TransformInput"], "DataSource": source},
        "TransformOutput": {**plan.request["TransformOutput"], "S3OutputPath": f"{plan.output}/{digest}"},
    }
    return cast("CreateTransformJobRequestTypeDef", request)


def start_or_adopt(
    sagemaker: SageMakerClient, s3: S3Client, plan: Plan, input_uri: str, *, max_attempts: int
) -> Transform:
    """Start a job over the objects below `input_uri`, or adopt the one that runs or has run over the same ones.

    Raises:
        LifecycleError: There is no object.
        TransformFailedError: All attempts have failed.
    """
    version, reason = data_version(s3, [input_uri]), ""
    for attempt in range(1, max_attempts + 1):
        request = transform_request(plan, input_uri, version, attempt)
        name, output = request["TransformJobName"], request["TransformOutput"]["S3OutputPath"]
        try:
            sagemaker.create_transform_job(**request)
        except sagemaker.exceptions.ResourceInUse:
            found = sagemaker.describe_transform_job(TransformJobName=name)
            if found["TransformJobStatus"] in {*_RUNNING, "Completed"}:
                return Transform(name, output, created=False)
            reason = found.get("FailureReason") or found["TransformJobStatus"]
        else:
            return Transform(name, output, created=True)
    raise TransformFailedError(f"all {max_attempts} attempts failed; change data, model or settings\n{reason}")


def wait_for_transform(
    sagemaker: SageMakerClient,
    name: str,
    *,
    on_progress: Callable[[str], None],
    poll_seconds: float,
    timeout_seconds: float,
) -> None:
    """Wait until a job has answered everything.

    Raises:
        TransformFailedError: It failed, or somebody stopped it.
        LifecycleError: It is still running after `timeout_seconds`; it goes on and can be waited for again.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = sagemaker.describe_transform_job(TransformJobName=name)
        status = found["TransformJobStatus"]
        on_progress(status)
        if status not in _RUNNING:
            break
        if time.monotonic() > deadline:
            raise LifecycleError(f"{name} is still {status} after {timeout_seconds:.0f} s")
        time.sleep(poll_seconds)
    if status != "Completed":
        raise TransformFailedError(found.get("FailureReason") or f"{name} ended as {status}")


def bring_answers(s3: S3Client, output_uri: str, folder: Path) -> list[Path]:
    """Copy the answers of a job to files of the same names; returns these.

    Raises:
        LifecycleError: A name leads out of the folder.
    """
    bucket, prefix = split_uri(output_uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    files: list[Path] = []
    for key in (item.get("Key", "") for page in pages for item in page.get("Contents", [])):
        file = (folder / key.removeprefix(f"{prefix}/")).resolve()
        if not file.is_relative_to(folder.resolve()):
            raise LifecycleError(f"{key} leads out of {folder}")
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as target:
            shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=key)["Body"], target)
        files.append(file)
    return files

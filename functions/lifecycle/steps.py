"""The steps of one training loop as thin calls on boto3 clients; each may be repeated and then finds its own result."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lifecycle.gate import metric_values
from lifecycle.requests import (
    JSON,
    TRAINING_JOB_PROPERTY,
    TrainedModel,
    evaluation_uri,
    model_package_request,
    training_job_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeModelPackageOutputTypeDef, DescribeTrainingJobResponseTypeDef

    from lifecycle.requests import TrainingPlan

EVALUATION_FILE = "evaluation.json"
"""Member of `model.tar.gz` that holds the evaluation on the validation data."""

ARTEFACT_LIMIT = 512 * 1024 * 1024
"""Largest `model.tar.gz` that is read here, in bytes."""

_RUNNING = frozenset({"InProgress", "Stopping"})
_BAD = frozenset({"Failed", "Stopped"})


class LifecycleError(Exception):
    """A step cannot reach its result; the message is for a person."""


class TrainingFailedError(LifecycleError):
    """The training job ended without a model."""


@dataclass(frozen=True, slots=True)
class Started:
    """A training job that runs or has run."""

    job_name: str
    """Name of the job."""
    created: bool
    """False when the job had been started before."""


@dataclass(frozen=True, slots=True)
class Package:
    """One version in the model registry."""

    arn: str
    """ARN of the version."""
    version: int
    """Number of the version."""
    status: str
    """Approval status."""
    image_uri: str
    """Image that serves it."""
    artefact_uri: str
    """`ModelDataUrl`."""
    properties: dict[str, str]
    """Customer metadata."""
    evaluation_uri: str
    """Evaluation JSON in S3; empty when the version names none."""


def data_version(s3: S3Client, uris: Iterable[str]) -> str:
    """Digest over key, ETag and size of every object under the prefixes: any change of the data changes it.

    Raises:
        LifecycleError: A prefix holds no object.
    """
    total = hashlib.sha256()
    for uri in sorted(uris):
        bucket, prefix = _split(uri)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        objects = [item for page in pages for item in page.get("Contents", [])]
        if not objects:
            raise LifecycleError(f"no object under {uri}: upload data before training")
        for item in objects:
            total.update(json.dumps([item.get("Key"), item.get("ETag"), item.get("Size")]).encode())
    return total.hexdigest()


def start_or_adopt(sagemaker: SageMakerClient, plan: TrainingPlan, *, max_attempts: int) -> Started:
    """Start the plan's training job, or adopt the one that runs or has completed.

    The job's name is a function of the plan, and SageMaker accepts a name once: two callers at the same moment, or
    one after a crash, end up with the same job. A failed or stopped attempt is followed by the next one.

    Raises:
        TrainingFailedError: All attempts have failed.
    """
    reasons: list[str] = []
    for attempt in range(1, max_attempts + 1):
        name = plan.job_name(attempt)
        found = _describe_job(sagemaker, name)
        if found is None:
            try:
                sagemaker.create_training_job(**training_job_request(plan, attempt))
            except sagemaker.exceptions.ResourceInUse:
                return Started(name, created=False)
            return Started(name, created=True)
        if found["TrainingJobStatus"] not in _BAD:
            return Started(name, created=False)
        reasons.append(f"{name}: {found.get('FailureReason', found['TrainingJobStatus'])}")
    raise TrainingFailedError("all attempts failed; change data, code or settings\n" + "\n".join(reasons))


def _describe_job(sagemaker: SageMakerClient, name: str) -> DescribeTrainingJobResponseTypeDef | None:
    """The job, or None. SageMaker reports an unknown job as a `ValidationException` that says it was not found."""
    try:
        return sagemaker.describe_training_job(TrainingJobName=name)
    except sagemaker.exceptions.ClientError as error:
        details = error.response.get("Error", {})
        unknown = details.get("Code") in {"ValidationException", "ResourceNotFound"}
        if unknown and any(words in details.get("Message", "").lower() for words in ("not found", "could not find")):
            return None
        raise


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running job shows."""

    phase: str
    """Secondary status."""
    metrics: dict[str, float]
    """Latest value of each metric definition."""


def wait_for_job(
    sagemaker: SageMakerClient,
    name: str,
    *,
    on_progress: Callable[[Progress], None],
    poll_seconds: float,
    timeout_seconds: float,
) -> DescribeTrainingJobResponseTypeDef:
    """Wait until a job has completed.

    Raises:
        TrainingFailedError: It failed, was stopped, or ended without an artefact.
        LifecycleError: It is still running after `timeout_seconds`; it goes on and can be waited for again.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        metrics = {item.get("MetricName", ""): item.get("Value", 0.0) for item in job.get("FinalMetricDataList", [])}
        on_progress(Progress(job["SecondaryStatus"], metrics))
        if job["TrainingJobStatus"] not in _RUNNING:
            break
        if time.monotonic() > deadline:
            raise LifecycleError(f"training job {name} is still {job['SecondaryStatus']} after {timeout_seconds:.0f} s")
        time.sleep(poll_seconds)
    artefact = job.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if job["TrainingJobStatus"] != "Completed" or not artefact:
        reason = job.get("FailureReason") or f"ended as {job['SecondaryStatus']} without a model"
        raise TrainingFailedError(f"training job {name}: {reason}")
    return job


def evaluate(s3: S3Client, sagemaker: SageMakerClient, job_name: str, *, kms_key: str) -> TrainedModel:
    """Read the evaluation out of a completed job's artefact and put it beside it, where the registry can point to it.

    Raises:
        LifecycleError: The artefact holds no evaluation.
    """
    job = sagemaker.describe_training_job(TrainingJobName=job_name)
    artefact = job["ModelArtifacts"]["S3ModelArtifacts"]
    content = fetch(s3, artefact)
    document = _member(content, EVALUATION_FILE, artefact)
    target = evaluation_uri(artefact)
    bucket, key = _split(target)
    s3.put_object(
        Bucket=bucket,
        Key=key,
        Body=document,
        ContentType=JSON,
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=kms_key,
    )
    return TrainedModel(
        job_name=job_name,
        job_arn=job["TrainingJobArn"],
        image_uri=job["AlgorithmSpecification"].get("TrainingImage", ""),
        artefact_uri=artefact,
        artefact_sha256=hashlib.sha256(content).hexdigest(),
        evaluation_uri=target,
        metrics=metric_values(json.loads(document)),
    )


def fetch(s3: S3Client, uri: str) -> bytes:
    """The object at `uri`.

    Raises:
        LifecycleError: It is larger than `ARTEFACT_LIMIT`.
    """
    bucket, key = _split(uri)
    answer = s3.get_object(Bucket=bucket, Key=key)
    if answer["ContentLength"] > ARTEFACT_LIMIT:
        raise LifecycleError(f"{uri} has {answer['ContentLength']} bytes; at most {ARTEFACT_LIMIT} are read here")
    return answer["Body"].read()


def _member(archive: bytes, name: str, uri: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for member in tar:
            if member.name.removeprefix("./") == name and (file := tar.extractfile(member)) is not None:
                return file.read()
    raise LifecycleError(f"{uri} holds no {name}: the training image has to write it into the model folder")


def register(
    sagemaker: SageMakerClient, group: str, trained: TrainedModel, *, reason: str, instance_types: Sequence[str]
) -> tuple[Package, bool]:
    """Register the model as the next version of `group`, unless this training job has a version there already.

    Returns:
        The version, and whether it was made now.
    """
    found = find_package(
        sagemaker, group, lambda package: package.properties.get(TRAINING_JOB_PROPERTY) == trained.job_name
    )
    if found is not None:
        return found, False
    request = model_package_request(group, trained, reason=reason, instance_types=instance_types)
    arn = sagemaker.create_model_package(**request)["ModelPackageArn"]
    return describe_package(sagemaker, arn), True


def find_package(sagemaker: SageMakerClient, group: str, wanted: Callable[[Package], bool]) -> Package | None:
    """The newest version of `group` that is wanted."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, ModelPackageType="Versioned", SortBy="CreationTime", SortOrder="Descending"
    )
    for page in pages:
        for summary in page["ModelPackageSummaryList"]:
            package = describe_package(sagemaker, summary["ModelPackageArn"])
            if wanted(package):
                return package
    return None


def describe_package(sagemaker: SageMakerClient, arn: str) -> Package:
    """One version as the registry holds it."""
    return _package(sagemaker.describe_model_package(ModelPackageName=arn))


def _package(found: DescribeModelPackageOutputTypeDef) -> Package:
    container = found["InferenceSpecification"]["Containers"][0]
    return Package(
        arn=found["ModelPackageArn"],
        version=found["ModelPackageVersion"],
        status=found["ModelApprovalStatus"],
        image_uri=container.get("Image", ""),
        artefact_uri=container.get("ModelDataUrl", ""),
        properties=dict(found.get("CustomerMetadataProperties", {})),
        evaluation_uri=found.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {}).get("S3Uri", ""),
    )


def approve(sagemaker: SageMakerClient, package: Package, reason: str) -> bool:
    """Approve a version that waits for it; whether that changed anything.

    Raises:
        LifecycleError: The version was rejected: that is a person's decision, which no program turns over.
    """
    if package.status == "Rejected":
        raise LifecycleError(f"{package.arn} was rejected; train another model or approve it by hand")
    if package.status == "Approved":
        return False
    sagemaker.update_model_package(
        ModelPackageArn=package.arn, ModelApprovalStatus="Approved", ApprovalDescription=reason
    )
    return True


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.netloc, parts.path.removeprefix("/")

"""The data that a pipeline is started with, and the versions that it registered, as thin calls on boto3 clients."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeModelPackageOutputTypeDef

TRAINING_JOB_PROPERTY = "training-job"
"""Customer metadata of a model package: its training job. (A version cannot carry tags, only its group can.)"""

ORIGIN_PROPERTY = "promoted-from"
"""Customer metadata of a model package: ARN of the version that it was promoted from."""

MODEL_DIGEST_PROPERTY = "model-sha256"
"""Customer metadata of a model package: SHA-256 of `model.tar.gz`."""

ARTEFACT_LIMIT = 512 * 1024 * 1024
"""Largest `model.tar.gz` that is read here, in bytes."""


class LifecycleError(Exception):
    """A step cannot reach its result; the message is for a person."""


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
        bucket, prefix = split_uri(uri)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        objects = [item for page in pages for item in page.get("Contents", [])]
        if not objects:
            raise LifecycleError(f"no object under {uri}: upload data before training")
        for item in objects:
            total.update(json.dumps([item.get("Key"), item.get("ETag"), item.get("Size")]).encode())
    return total.hexdigest()


def fetch(s3: S3Client, uri: str) -> bytes:
    """The object at `uri`.

    Raises:
        LifecycleError: It is larger than `ARTEFACT_LIMIT`.
    """
    bucket, key = split_uri(uri)
    answer = s3.get_object(Bucket=bucket, Key=key)
    if answer["ContentLength"] > ARTEFACT_LIMIT:
        raise LifecycleError(f"{uri} has {answer['ContentLength']} bytes; at most {ARTEFACT_LIMIT} are read here")
    return answer["Body"].read()


def find_package(sagemaker: SageMakerClient, group: str, wanted: Callable[[Package], bool]) -> Package | None:
    """The newest version of `group` that is wanted."""
    return next((package for package in packages(sagemaker, group) if wanted(package)), None)


def packages(sagemaker: SageMakerClient, group: str) -> Iterator[Package]:
    """All versions of `group`, the newest first; each is described when it is asked for."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, ModelPackageType="Versioned", SortBy="CreationTime", SortOrder="Descending"
    )
    for page in pages:
        for summary in page["ModelPackageSummaryList"]:
            yield describe_package(sagemaker, summary["ModelPackageArn"])


def describe_package(sagemaker: SageMakerClient, arn: str) -> Package:
    """One version as the registry holds it."""
    return package_of(sagemaker.describe_model_package(ModelPackageName=arn))


def package_of(found: DescribeModelPackageOutputTypeDef) -> Package:
    """What is needed of a version's description."""
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


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an address in S3."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.removeprefix("/")

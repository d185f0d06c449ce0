"""Makes the account behind the loopback endpoint hold what the environment's infrastructure declares, and the data.

The endpoint keeps its state in memory: after a restart it is empty and everything here is done again, with the same
result.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

from sandbox.loop.files import md5_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType
    from mypy_boto3_sagemaker import SageMakerClient

    from sandbox.loop.flights import Dataset
    from sandbox.loop.loopback import Clients
    from sandbox.loop.spec import DeclaredPipeline, LoopSpec

USES = ("train", "validation", "holdout")
"""Folders of a data set; each becomes a prefix below the model's own."""

NO_CONSTRAINT_REGION = "us-east-1"
"""The one region that refuses to be named as a LocationConstraint (S3 API Reference, CreateBucket)."""


def declare(clients: Clients, spec: LoopSpec) -> bool:
    """Create what is missing: versioned buckets, objects, the image repository, the model package group, the pipeline.

    Returns:
        Whether anything was missing.
    """
    present = {bucket.get("Name") for bucket in clients.s3.list_buckets()["Buckets"]}
    missing = [bucket for bucket in dict.fromkeys((spec.data_bucket, spec.models_bucket)) if bucket not in present]
    for bucket in missing:
        _create_bucket(clients.s3, bucket, spec.region)
    absent = [key for key in spec.objects if not _holds(clients.s3, spec.models_bucket, key)]
    for key in absent:
        clients.s3.put_object(Bucket=spec.models_bucket, Key=key, Body=spec.objects[key])
    repository = _declare_repository(clients, repository_name(spec))
    group = _declare_group(clients, spec.package_group)
    pipeline = _declare_pipeline(clients.sagemaker, spec.pipeline)
    return bool(missing) or bool(absent) or repository or group or pipeline


def _holds(s3: S3Client, bucket: str, key: str) -> bool:
    return bool(s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"])


def repository_name(spec: LoopSpec) -> str:
    """Name of the repository in its registry."""
    return spec.repository_url.partition("/")[2]


def _create_bucket(s3: S3Client, bucket: str, region: str) -> None:
    if region == NO_CONSTRAINT_REGION:
        s3.create_bucket(Bucket=bucket)
    else:
        s3.create_bucket(
            Bucket=bucket,
            CreateBucketConfiguration={"LocationConstraint": cast("BucketLocationConstraintType", region)},
        )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def _declare_repository(clients: Clients, name: str) -> bool:
    try:
        clients.ecr.create_repository(
            repositoryName=name,
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
        )
    except clients.ecr.exceptions.RepositoryAlreadyExistsException:
        return False
    return True


def _declare_group(clients: Clients, name: str) -> bool:
    pages = clients.sagemaker.get_paginator("list_model_package_groups").paginate(NameContains=name)
    groups = {group["ModelPackageGroupName"] for page in pages for group in page["ModelPackageGroupSummaryList"]}
    if name in groups:
        return False
    clients.sagemaker.create_model_package_group(ModelPackageGroupName=name)
    return True


def _declare_pipeline(sagemaker: SageMakerClient, declared: DeclaredPipeline) -> bool:
    """Create the pipeline, or bring its definition up to date."""
    pages = sagemaker.get_paginator("list_pipelines").paginate(PipelineNamePrefix=declared.name)
    names = {found.get("PipelineName") for page in pages for found in page["PipelineSummaries"]}
    if declared.name not in names:
        sagemaker.create_pipeline(
            PipelineName=declared.name,
            PipelineDefinition=declared.definition,
            RoleArn=declared.role_arn,
            ClientRequestToken=hashlib.sha256(declared.definition.encode()).hexdigest(),
        )
        return True
    if sagemaker.describe_pipeline(PipelineName=declared.name)["PipelineDefinition"] == declared.definition:
        return False
    sagemaker.update_pipeline(PipelineName=declared.name, PipelineDefinition=declared.definition)
    return True


def upload(s3: S3Client, spec: LoopSpec, data: Dataset, note: Callable[[str], None]) -> int:
    """Put every month where it belongs and remove what belongs to no month; objects that are the same already stay.

    Returns:
        How many objects were written or deleted.
    """
    changes = 0
    for use in USES:
        prefix = f"{spec.model.dataset_prefix}{use}/"
        there = _etags(s3, spec.data_bucket, prefix)
        files = data.files(use)
        for name, path in files.items():
            if there.get(name) == md5_of(path):
                continue
            note(f"{use}/{name}")
            s3.put_object(Bucket=spec.data_bucket, Key=prefix + name, Body=path.read_bytes(), ContentType="text/csv")
            changes += 1
        for name in there.keys() - files.keys():
            s3.delete_object(Bucket=spec.data_bucket, Key=prefix + name)
            changes += 1
    return changes


def _etags(s3: S3Client, bucket: str, prefix: str) -> dict[str, str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    objects = [item for page in pages for item in page.get("Contents", [])]
    return {item.get("Key", "").removeprefix(prefix): item.get("ETag", "").strip('"') for item in objects}

"""What there is to say of a version: read from the registry, its training job and its evaluation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle import evaluation, steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeTrainingJobResponseTypeDef

EVALUATION: Final = "evaluation/"
"""First part of the names of metrics of the pipeline's evaluation; those of the training keep the image's words."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number."""

    key: str
    value: float
    milliseconds: int
    """When it was told, since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a model, as a run of MLflow."""

    arn: str
    number: int
    group: str
    """Package group."""
    description: str
    approval: str
    """Approval status."""
    started: int
    """When its training began, milliseconds since 1970; else when it was registered."""
    ended: int
    """When it was registered, milliseconds since 1970."""
    parameters: Mapping[str, str]
    """Hyperparameters of its training; none where another environment has trained it."""
    metrics: tuple[Metric, ...]
    lineage: Mapping[str, str]
    """What was written down with the version: data, image, job, digest, the comparison with the model in service."""


def read(sagemaker: SageMakerClient, s3: S3Client, arn: str) -> Version:
    """Read a version."""
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    package, registered = steps.package_of(found), _milliseconds(found["CreationTime"].timestamp())
    job = None if steps.ORIGIN_PROPERTY in package.properties else _training(sagemaker, package)
    told = evaluation.metric_values(json.loads(steps.fetch(s3, package.evaluation_uri)))
    judged = (Metric(f"{EVALUATION}{name}", value, registered) for name, value in told.items())
    return Version(
        arn=package.arn,
        number=package.version,
        group=found["ModelPackageGroupName"],
        description=found.get("ModelPackageDescription", ""),
        approval=package.status,
        started=registered if job is None else _milliseconds(job["CreationTime"].timestamp()),
        ended=registered,
        parameters={} if job is None else job["HyperParameters"],
        metrics=(*judged, *(() if job is None else _last(job))),
        lineage=package.properties,
    )


def _training(sagemaker: SageMakerClient, package: steps.Package) -> DescribeTrainingJobResponseTypeDef:
    return sagemaker.describe_training_job(TrainingJobName=package.properties[steps.TRAINING_JOB_PROPERTY])


def _last(job: DescribeTrainingJobResponseTypeDef) -> list[Metric]:
    """The last value of each metric that the image printed; MLflow groups by what stands before a slash."""
    return [
        Metric(
            each.get("MetricName", "").replace(":", "/"),
            each.get("Value", 0.0),
            _milliseconds((each.get("Timestamp") or job["CreationTime"]).timestamp()),
        )
        for each in job.get("FinalMetricDataList", [])
    ]


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)

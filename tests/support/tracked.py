"""Versions of a model in moto's registry, each with its training job and evaluation, as a pipeline leaves them."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

from moto import mock_aws
from moto.sagemaker.models import sagemaker_backends

from lifecycle.steps import ORIGIN_PROPERTY, TRAINING_JOB_PROPERTY
from tests.functions.test_steps import REGION, make_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

ACCOUNT = "123456789012"
GROUP = "slipway-test-flight-delay"
BUCKET = "models-bucket"
IMAGE = "sha256:" + "1" * 64


@dataclass(frozen=True, slots=True)
class Versions:
    """A registry."""

    sagemaker: SageMakerClient
    s3: S3Client

    def register(self, auc: float, eta: str = "0.1", *, group: str = GROUP, origin: str = "") -> str:
        """Train and register a version; with `origin`, one that another environment has trained.

        Returns:
            Its ARN.
        """
        job = f"job-{group}-{eta.replace('.', '-')}-{auc}".replace(".", "-")
        if not origin:
            self._train(job, auc, eta)
        report = f"reports/{job}/evaluation.json"
        evaluation = {"binary_classification_metrics": {"auc": {"value": auc}, "accuracy": {"value": 0.9}}}
        self.s3.put_object(Bucket=BUCKET, Key=report, Body=json.dumps(evaluation).encode())
        lineage = {"data-version": f"data of {eta}", "image-digest": IMAGE, TRAINING_JOB_PROPERTY: job}
        made = self.sagemaker.create_model_package(
            ModelPackageGroupName=group,
            ModelPackageDescription="Passed the gate: auc exceeds 0.7",
            ModelApprovalStatus="PendingManualApproval",
            InferenceSpecification={
                "Containers": [{"Image": f"r@{IMAGE}", "ModelDataUrl": f"s3://{BUCKET}/{job}/model.tar.gz"}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            ModelMetrics={
                "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": f"s3://{BUCKET}/{report}"}}
            },
            CustomerMetadataProperties={**lineage, **({ORIGIN_PROPERTY: origin} if origin else {})},
        )
        return made["ModelPackageArn"]

    def approve(self, arn: str) -> None:
        """Approve a version; of its properties moto forgets what an update does not repeat."""
        kept = self.sagemaker.describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"]
        self.sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus="Approved", CustomerMetadataProperties=kept
        )

    def _train(self, job: str, auc: float, eta: str) -> None:
        self.sagemaker.create_training_job(
            TrainingJobName=job,
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/train",
            AlgorithmSpecification={"TrainingImage": f"r@{IMAGE}", "TrainingInputMode": "File"},
            HyperParameters={"eta": eta, "objective": "binary:logistic"},
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/{job}"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            StoppingCondition={"MaxRuntimeInSeconds": 3600},
        )
        record = sagemaker_backends[ACCOUNT][REGION].training_jobs[job]
        told = {"train:round": 40.0, "validation:auc": auc - 0.01, "final:auc": auc}
        record.final_metric_data_list = [
            {"MetricName": name, "Value": value, "Timestamp": record.creation_time} for name, value in told.items()
        ]


@functools.cache
def _clients() -> tuple[SageMakerClient, S3Client]:
    """Clients once for all tests: reading the models of the services takes longer than all requests together."""
    return cast("SageMakerClient", make_client("sagemaker")), cast("S3Client", make_client("s3"))


def registry() -> Iterator[Versions]:
    """An empty registry with two groups, for a fixture."""
    sagemaker, s3 = _clients()
    with mock.patch.dict(os.environ, {"HOME": "/nonexistent"}, clear=True), mock_aws():
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        for group in (GROUP, f"{GROUP}-2"):
            sagemaker.create_model_package_group(ModelPackageGroupName=group)
        yield Versions(sagemaker, s3)


def changed(arn: str) -> dict[str, Any]:
    """The event by which SageMaker tells that a version has changed.

    Source: SageMaker developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge".
    """
    detail = {"ModelPackageArn": arn, "ModelPackageGroupName": arn.split("/")[1]}
    return {"source": "aws.sagemaker", "detail-type": "SageMaker Model Package State Change", "detail": detail}

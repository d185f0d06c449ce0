"""The requests that train and register a model: pure functions from a plan to what boto3 sends.

Sources: Amazon SageMaker API Reference, CreateTrainingJob and CreateModelPackage. Names are functions of what goes
into a model, so the same input asks for the same job however often, and from wherever, it is asked.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_sagemaker.literals import (
        ProductionVariantInstanceTypeType,
        TrainingInstanceTypeType,
        TransformInstanceTypeType,
    )
    from mypy_boto3_sagemaker.type_defs import (
        ChannelTypeDef,
        CreateModelPackageInputTypeDef,
        CreateTrainingJobRequestTypeDef,
        StoppingConditionTypeDef,
        TagTypeDef,
    )

JOB_NAME_LIMIT = 63
"""Longest training job name that SageMaker accepts."""

FINGERPRINT_LENGTH = 16
"""Hexadecimal digits of a fingerprint in a name: 64 bits, no two of a few million plans collide in practice."""

CLIENT_TOKEN_LIMIT = 36

CSV, JSON = "text/csv", "application/json"

TRAINING_JOB_PROPERTY = "training-job"
"""Customer metadata of a model package: its training job. (A version cannot carry tags, only its group can.)"""

MODEL_DIGEST_PROPERTY = "model-sha256"
"""Customer metadata of a model package: SHA-256 of `model.tar.gz`."""

EVALUATION_PROPERTY_PREFIX = "evaluation/"
"""Customer metadata of a model package: one property per evaluated metric."""

_BY_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a training job runs on, and for how long at most."""

    instance_type: str
    """SageMaker instance type."""
    instance_count: int
    """Hosts."""
    volume_gib: int
    """Encrypted volume of each host, GiB."""
    max_runtime_seconds: int
    """The job is stopped after this time."""
    max_wait_seconds: int | None
    """Managed spot training when set: longest time from start to end, waiting for capacity included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateNetwork:
    """Subnets and security groups of a job that must not leave the VPC."""

    subnet_ids: tuple[str, ...]
    """Private subnets, one per zone."""
    security_group_ids: tuple[str, ...]
    """Security groups of the job's network interfaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Everything that decides one training of one model."""

    model: str
    """Name of the model."""
    image_uri: str
    """Model image by digest (`…@sha256:…`): the code that trains is part of what the model is."""
    role_arn: str
    """Role that SageMaker assumes for the job."""
    channels: Mapping[str, str]
    """S3 prefix of each input channel, ending in a slash."""
    data_version: str
    """Digest over the objects below these prefixes; see `lifecycle.steps.data_version`."""
    output_uri: str
    """S3 prefix, without a slash at the end, below which artefacts and checkpoints go."""
    kms_key: str
    """Key that encrypts artefacts and volumes."""
    capacity: Capacity
    """Machines and limits."""
    hyperparameters: Mapping[str, str]
    """Algorithm settings, all text as SageMaker passes them."""
    metrics: Mapping[str, str]
    """Regular expression that finds each metric in the log; its first group is the number."""
    network: PrivateNetwork | None
    """VPC attachment; None only where there is no VPC."""
    tags: Mapping[str, str]
    """Tags of the job."""

    @property
    def fingerprint(self) -> str:
        """Digest of what decides the model's content: data, code and settings, not where it runs."""
        parts = (self.model, self.data_version, _code_digest(self.image_uri), dict(self.hyperparameters))
        content = json.dumps(parts, sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()[:FINGERPRINT_LENGTH]

    def job_name(self, attempt: int) -> str:
        """Name of the n-th attempt, from 1. SageMaker never frees a name, so after a failure comes the next."""
        suffix = f"-{self.fingerprint}-{attempt}"
        return self.model[: JOB_NAME_LIMIT - len(suffix)].rstrip("-") + suffix


def _code_digest(image_uri: str) -> str:
    found = _BY_DIGEST.search(image_uri)
    if found is None:
        raise ValueError(f"image {image_uri!r} must be named by digest, `<repository>@sha256:<64 hexadecimal digits>`")
    return found[0]


def training_job_request(plan: TrainingPlan, attempt: int = 1) -> CreateTrainingJobRequestTypeDef:
    """Build the `CreateTrainingJob` request of a plan.

    The container has no network (artefacts and data move outside of it), volumes and artefacts are encrypted with the
    plan's key, hosts encrypt what they say to each other, and the job always ends by itself. A spot job keeps its
    checkpoints under the fingerprint rather than the job name, so the next attempt continues where an interrupted one
    stopped.

    Raises:
        ValueError: The image is not named by digest.
    """
    capacity = plan.capacity
    request: CreateTrainingJobRequestTypeDef = {
        "TrainingJobName": plan.job_name(attempt),
        "RoleArn": plan.role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": plan.image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in plan.metrics.items()],
            "EnableSageMakerMetricsTimeSeries": False,
        },
        "HyperParameters": dict(plan.hyperparameters),
        "InputDataConfig": [_channel(name, uri) for name, uri in plan.channels.items()],
        "OutputDataConfig": {"S3OutputPath": f"{plan.output_uri}/jobs", "KmsKeyId": plan.kms_key},
        "ResourceConfig": {
            "InstanceType": cast("TrainingInstanceTypeType", capacity.instance_type),
            "InstanceCount": capacity.instance_count,
            "VolumeSizeInGB": capacity.volume_gib,
            "VolumeKmsKeyId": plan.kms_key,
        },
        "StoppingCondition": _stopping_condition(capacity),
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": capacity.instance_count > 1,
        "EnableManagedSpotTraining": capacity.max_wait_seconds is not None,
        "Tags": _tags(plan.tags),
    }
    if capacity.max_wait_seconds is not None:
        request["CheckpointConfig"] = {"S3Uri": f"{plan.output_uri}/checkpoints/{plan.fingerprint}"}
    if plan.network is not None:
        request["VpcConfig"] = {
            "Subnets": list(plan.network.subnet_ids),
            "SecurityGroupIds": list(plan.network.security_group_ids),
        }
    return request


def _channel(name: str, uri: str) -> ChannelTypeDef:
    return {
        "ChannelName": name,
        "ContentType": CSV,
        "InputMode": "File",
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
        },
    }


def _stopping_condition(capacity: Capacity) -> StoppingConditionTypeDef:
    condition: StoppingConditionTypeDef = {"MaxRuntimeInSeconds": capacity.max_runtime_seconds}
    if capacity.max_wait_seconds is not None:
        condition["MaxWaitTimeInSeconds"] = capacity.max_wait_seconds
    return condition


def _tags(tags: Mapping[str, str]) -> Sequence[TagTypeDef]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """What a completed training job left, as the registry records it."""

    job_name: str
    """Training job."""
    job_arn: str
    """ARN of the training job."""
    image_uri: str
    """Image that trained, and that will serve."""
    artefact_uri: str
    """`ModelArtifacts.S3ModelArtifacts` of the job."""
    artefact_sha256: str
    """Digest of that object."""
    evaluation_uri: str
    """Evaluation JSON in S3."""
    metrics: Mapping[str, float]
    """Metrics of the evaluation."""


def model_package_request(
    group: str, trained: TrainedModel, *, reason: str, instance_types: Sequence[str]
) -> CreateModelPackageInputTypeDef:
    """Build the `CreateModelPackage` request of the next version in `group`; it waits for a manual approval.

    Args:
        group: Model package group.
        trained: The model.
        reason: Why the gate let it through; becomes the description.
        instance_types: Instance types that a SageMaker endpoint or transform job may use.
    """
    properties = {TRAINING_JOB_PROPERTY: trained.job_name, MODEL_DIGEST_PROPERTY: trained.artefact_sha256}
    properties |= {
        f"{EVALUATION_PROPERTY_PREFIX}{name}": f"{value:.6f}" for name, value in sorted(trained.metrics.items())
    }
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": reason,
        "InferenceSpecification": {
            "Containers": [{"Image": trained.image_uri, "ModelDataUrl": trained.artefact_uri}],
            "SupportedContentTypes": [CSV, JSON],
            "SupportedResponseMIMETypes": [CSV, JSON],
            "SupportedRealtimeInferenceInstanceTypes": cast(
                "list[ProductionVariantInstanceTypeType]", list(instance_types)
            ),
            "SupportedTransformInstanceTypes": cast("list[TransformInstanceTypeType]", list(instance_types)),
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": JSON, "S3Uri": trained.evaluation_uri}}},
        "ModelApprovalStatus": "PendingManualApproval",
        "CustomerMetadataProperties": properties,
        "MetadataProperties": {"GeneratedBy": trained.job_arn},
        "ClientToken": hashlib.sha256(f"{group}/{trained.job_name}".encode()).hexdigest()[:CLIENT_TOKEN_LIMIT],
    }


def evaluation_uri(artefact_uri: str) -> str:
    """Where the evaluation goes: beside the artefact."""
    return f"{artefact_uri.rpartition('/')[0]}/evaluation.json"

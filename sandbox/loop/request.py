"""A `CreateTrainingJob` request as the job runner reads it.

botocore has validated the shape before it was sent (Amazon SageMaker API Reference, CreateTrainingJob); here it only
gets types.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from sandbox.loop import script_mode
from settings.algorithms import XGBOOST_REPOSITORY

LONGEST_RUN_SECONDS = 86_400
"""SageMaker's default for MaxRuntimeInSeconds."""


@dataclass(frozen=True, slots=True)
class InputChannel:
    """One input channel."""

    name: str
    s3_uri: str
    """Prefix, empty when the channel does not come from S3."""
    data_type: str
    """`S3Prefix`, `ManifestFile` or `AugmentedManifestFile`."""
    settings: dict[str, str]
    """What the container finds under the channel's name in `inputdataconfig.json`."""

    @property
    def streamed(self) -> bool:
        """Whether the container finds files that it can only read."""
        return self.settings["TrainingInputMode"] == "FastFile"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """What one training job was asked to do."""

    name: str
    role_arn: str
    algorithm: dict[str, Any]
    """`AlgorithmSpecification` as it was sent."""
    image: str
    metric_definitions: dict[str, str]
    hyperparameters: dict[str, str]
    environment: dict[str, str]
    channels: tuple[InputChannel, ...]
    output_uri: str
    """`S3OutputPath`, without a slash at the end."""
    kms_key: str
    """Key of the artefacts, empty when none was given."""
    checkpoint_uri: str | None
    instance_type: str
    instance_count: int
    max_runtime_seconds: int

    @property
    def runs_a_script(self) -> bool:
        """Whether it asks AWS's XGBoost image to run a script."""
        return f"/{XGBOOST_REPOSITORY}:" in self.image and script_mode.PROGRAM in self.hyperparameters

    @classmethod
    def parse(cls, body: bytes) -> TrainingRequest:
        """Read the body of a request."""
        sent = cast("dict[str, Any]", json.loads(body))
        algorithm, output = sent.get("AlgorithmSpecification", {}), sent["OutputDataConfig"]
        resources, stopping = sent.get("ResourceConfig", {}), sent.get("StoppingCondition", {})
        return cls(
            name=sent["TrainingJobName"],
            role_arn=sent["RoleArn"],
            algorithm=algorithm,
            image=algorithm.get("TrainingImage", ""),
            metric_definitions={item["Name"]: item["Regex"] for item in algorithm.get("MetricDefinitions", [])},
            hyperparameters=sent.get("HyperParameters", {}),
            environment=sent.get("Environment", {}),
            channels=tuple(
                _channel(item, algorithm.get("TrainingInputMode", "File")) for item in sent.get("InputDataConfig", [])
            ),
            output_uri=output["S3OutputPath"].rstrip("/"),
            kms_key=output.get("KmsKeyId", ""),
            checkpoint_uri=sent.get("CheckpointConfig", {}).get("S3Uri"),
            instance_type=resources.get("InstanceType", ""),
            instance_count=resources.get("InstanceCount", 1),
            max_runtime_seconds=stopping.get("MaxRuntimeInSeconds", LONGEST_RUN_SECONDS),
        )


def _channel(sent: dict[str, Any], mode: str) -> InputChannel:
    source = sent["DataSource"].get("S3DataSource", {})
    settings = {
        "TrainingInputMode": sent.get("InputMode", mode),
        "RecordWrapperType": sent.get("RecordWrapperType", "None"),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
    }
    if "ContentType" in sent:
        settings["ContentType"] = sent["ContentType"]
    return InputChannel(sent["ChannelName"], source.get("S3Uri", ""), source.get("S3DataType", ""), settings)


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` address."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.removeprefix("/")

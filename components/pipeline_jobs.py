"""Requests of the jobs that pipelines start: what all of them have in common.

Source: SageMaker API reference, `CreateProcessingJob`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from components import iam
from components.pipeline_words import Step, job_input, job_output, joined, parameter
from settings.instances import takes_volume_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.model_places import Duty, ModelPlaces
    from settings.model import ProcessingSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What AWS numbers: known once it exists."""

    key_arn: str
    """Key of volumes and outputs."""
    subnets: Sequence[str]
    """Private subnets, one per zone."""
    security_group: str
    """Security group of jobs."""


@dataclass(frozen=True, slots=True)
class JobRequests:
    """Requests of one model's jobs: in the VPC, isolated, encrypted with the environment's key."""

    places: ModelPlaces
    around: Surroundings

    def processing(
        self,
        prefix: str,
        spec: ProcessingSpec,
        duty: Duty,
        arguments: Sequence[str | Step],
        *,
        inputs: Mapping[str, object],
        outputs: Mapping[str, object],
    ) -> Step:
        """The request of a processing job.

        Args:
            prefix: First part of its name.
            spec: What it runs on.
            duty: What it runs as.
            arguments: Words after `python -m processing`.
            inputs: Address by name.
            outputs: Address by name.
        """
        return {
            "ProcessingJobName": prefix,
            "ProcessingResources": {"ClusterConfig": self.hosts(spec.instance_type, 1, spec.volume_gib)},
            "AppSpecification": {
                "ImageUri": self.image,
                "ContainerEntrypoint": ["python", "-m", "processing"],
                "ContainerArguments": list(arguments),
            },
            "RoleArn": self.role(duty),
            "ProcessingInputs": [job_input(each, uri) for each, uri in inputs.items()],
            "ProcessingOutputConfig": {
                "KmsKeyId": self.around.key_arn,
                "Outputs": [job_output(each, uri) for each, uri in outputs.items()],
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": spec.max_runtime_seconds},
            "NetworkConfig": {
                "EnableInterContainerTrafficEncryption": True,
                "EnableNetworkIsolation": True,
                "VpcConfig": self.network,
            },
            "Tags": self.tags,
        }

    def hosts(self, instance_type: str, count: int, volume_gib: int, *, told: Step | None = None) -> Step:
        """Hosts with encrypted volumes; of a type like this one that the execution is told, where there is a choice."""
        hosts: Step = {"InstanceType": told or instance_type, "InstanceCount": count, "VolumeSizeInGB": volume_gib}
        return hosts | {"VolumeKmsKeyId": self.around.key_arn} if takes_volume_key(instance_type) else hosts

    def role(self, duty: Duty) -> str:
        """ARN of the role of one duty."""
        return self._account.role(self.places.role(duty))

    @property
    def image(self) -> Step:
        """The model's own repository, by a digest: what starts an execution chooses no other place."""
        repository = self.places.labels.repository(self.places.model.name)
        return joined("@", f"{self._account.registry}/{repository}", parameter("ImageDigest"))

    @property
    def network(self) -> Step:
        """Subnets and security group."""
        return {"Subnets": list(self.around.subnets), "SecurityGroupIds": [self.around.security_group]}

    @property
    def tags(self) -> list[Step]:
        """The required tags, which the provider gives to the pipeline and not to its jobs, and the model."""
        tags = {**self.places.labels.tags, "Model": self.places.model.name}
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    @property
    def _account(self) -> iam.Account:
        return iam.Account.of(self.places.labels.environment)

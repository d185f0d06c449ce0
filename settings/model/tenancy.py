"""Teams: their namespaces, what these may use, and who may work in them."""

from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import Name, RoleArn, Section
from settings.model.patterns import FUNCTION_ARN, PREFIX

Prefix = Annotated[str, Field(pattern=PREFIX, max_length=128)]


class QuotaSpec(Section):
    """What all pods and objects of a namespace together may have."""

    cpu: Annotated[int, Field(ge=1, le=100_000)]
    """Processors that the pods may reserve."""
    memory_gib: Annotated[int, Field(ge=1, le=1_000_000)]
    """Memory that the pods may reserve, and may use at most, GiB."""
    gpus: Annotated[int, Field(ge=0, le=10_000)]
    """GPUs; 0 for none."""
    pods: Annotated[int, Field(ge=1, le=50_000)]
    """Pods that have not ended."""
    storage_gib: Annotated[int, Field(ge=0, le=1_000_000)]
    """Volumes that the pods may claim, GiB; 0 for none."""
    load_balancers: Annotated[int, Field(ge=0, le=50)]
    """Services that bring a load balancer, and as many Ingresses; 0 for none."""


class ContainerLimitsSpec(Section):
    """What one container gets when it says nothing, and may ask for at most."""

    default_cpu_millis: Annotated[int, Field(ge=1, le=1_000_000)]
    """Thousandths of a processor that a container reserves when it says nothing."""
    default_memory_mib: Annotated[int, Field(ge=4, le=1_000_000)]
    """Memory that a container reserves, and may use at most, when it says nothing, MiB."""
    max_cpu_millis: Annotated[int, Field(ge=1, le=1_000_000)]
    """Thousandths of a processor that a container may use at most."""
    max_memory_mib: Annotated[int, Field(ge=4, le=4_000_000)]
    """Memory that a container may use at most, MiB."""


class BucketAccessSpec(Section):
    """What the workloads of a namespace reach in the environment's buckets, by prefix; all empty for nothing."""

    read_data: tuple[Prefix, ...] = Field(strict=False, max_length=20)
    """Prefixes of the data bucket that pods may read."""
    read_models: tuple[Prefix, ...] = Field(strict=False, max_length=20)
    """Prefixes of the models bucket that pods may read."""
    write_models: tuple[Prefix, ...] = Field(strict=False, max_length=20)
    """Prefixes of the models bucket that pods may write; no other team and no training job writes there."""

    @property
    def empty(self) -> bool:
        """Whether the workloads call AWS for nothing."""
        return not (self.read_data or self.read_models or self.write_models)


class RotationSpec(Section):
    """Who puts a new value into a secret, and when."""

    function_arn: Annotated[str, Field(pattern=FUNCTION_ARN)]
    """Lambda function that follows the contract of Secrets Manager for rotation."""
    every_days: Annotated[int, Field(ge=1, le=1000)]
    """Days between two rotations (Secrets Manager API reference, `RotationRulesType`)."""


class SecretSpec(Section):
    """A secret of a namespace: the program makes the place, people or a rotation put the value there."""

    name: Name
    """Name of the secret in the namespace, and of the file that pods see."""
    recovery_days: Annotated[int, Field(ge=7, le=30)]
    """Days in which a deleted secret can be restored, and its name is not free."""
    rotation: RotationSpec | None
    """Rotation; null where people change the value."""


class NamespaceSpec(Section):
    """A Kubernetes namespace of a team."""

    name: Name
    """Name of the namespace; no other team has it."""
    workload_type: Literal["training", "inference"]
    """Value of the label `workload-type`; decides priorities and which pods may talk."""
    cost_center: Name | None
    """Who pays for the namespace; null for the team's cost center."""
    load_balancer_subnets: tuple[Literal["private", "public"], ...] = Field(strict=False, max_length=2)
    """Subnets whose load balancers reach the pods: public for internet-facing ones; empty exactly without any."""
    quota: QuotaSpec
    """What all pods together may have."""
    limits: ContainerLimitsSpec
    """What one container may have."""
    buckets: BucketAccessSpec
    """What pods of the service account `workload` reach in the environment's buckets."""
    secrets: tuple[SecretSpec, ...] = Field(strict=False, max_length=20)
    """Secrets that pods of the service account `workload`, and nobody else in the cluster, can read."""
    invokes: tuple[Name, ...] = Field(strict=False, max_length=20)
    """Models of the stack, served by endpoints of SageMaker, that pods of the service account `workload` may ask."""
    asks: tuple[Name, ...] = Field(strict=False, max_length=20)
    """Models of the stack, served by pods, that every pod of the namespace may ask by the model's Service.

    At `http://<model>.<its namespace>`; behind an `nlb` with certificates that is port 443, without TLS in the cluster.
    """

    @property
    def calls_aws(self) -> bool:
        """Whether the workloads call AWS at all."""
        return bool(self.secrets) or self.pods_call_aws

    @property
    def pods_call_aws(self) -> bool:
        """Whether pods do so themselves; secrets are brought to them."""
        return bool(self.invokes) or not self.buckets.empty


class AccessSpec(Section):
    """IAM roles of people and automation by their duty in every namespace of a team; EKS lets them in."""

    view: tuple[RoleArn, ...] = Field(strict=False, max_length=20)
    """Read everything but secrets."""
    deploy: tuple[RoleArn, ...] = Field(strict=False, max_length=20)
    """Also create, change and remove workloads."""
    release: tuple[RoleArn, ...] = Field(strict=False, max_length=20)
    """Only move existing Deployments to another version: for automation."""


class TeamSpec(Section):
    """A team: adding an entry here adds its namespaces, identities and access; no Python changes."""

    name: Name
    """Name of the team; unique in the stack."""
    cost_center: Name
    """Who pays for the team."""
    access: AccessSpec
    """Who works in the team's namespaces."""
    namespaces: tuple[NamespaceSpec, ...] = Field(strict=False, min_length=1)
    """The team's namespaces."""

"""What everything stands on: environment, network, store."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from settings.model.base import (
    AccountId,
    Cidr,
    DataClassification,
    LogRetentionDays,
    Name,
    Partition,
    Region,
    Section,
    Zone,
)
from settings.model.patterns import ENVIRONMENT, TAG_VALUE
from settings.model.peering import PeeringSpec


class EnvironmentSpec(Section):
    """Where the stack lives and who answers for it."""

    name: Annotated[str, Field(pattern=ENVIRONMENT, max_length=12)]
    """Name of the environment in physical names and in the `Environment` tag."""
    account_id: AccountId
    """The only AWS account that this stack may touch; the provider refuses any other."""
    partition: Partition
    """AWS partition of the account."""
    region: Region
    """The only region that this stack uses."""
    owner: Annotated[str, Field(pattern=TAG_VALUE, min_length=3, max_length=128)]
    """Team or address that answers for the environment; the `Owner` tag."""
    cost_center: Name
    """Cost allocation; the `CostCenter` tag."""
    data_classification: DataClassification
    """The `DataClassification` tag."""
    protect_data: bool
    """Pulumi `protect` on what cannot be made again: key, buckets, image repositories, cluster."""


class NatGateways(StrEnum):
    """How private subnets reach the internet."""

    SINGLE = "single"
    PER_ZONE = "per-zone"


class NetworkSpec(Section):
    """The VPC and its address plan."""

    cidr: Cidr
    """Private IPv4 range of the VPC, /16 to /20."""
    zones: tuple[Zone, ...] = Field(strict=False, min_length=2, max_length=4)
    """Availability zones, at least two (EKS needs two for the control plane)."""
    public_prefix: Annotated[int, Field(ge=20, le=27)]
    """Prefix length of each public subnet (load balancers and NAT gateways only); an ALB asks for /27 or wider."""
    private_prefix: Annotated[int, Field(ge=18, le=26)]
    """Prefix length of each private subnet (nodes, pods, SageMaker)."""
    nat_gateways: NatGateways
    """`single` saves money and loses all zones with one; `per-zone` survives a zone."""
    flow_log_retention_days: LogRetentionDays
    """How long VPC flow logs are kept."""
    interface_endpoints: tuple[str, ...] = Field(strict=False)
    """AWS services reached through PrivateLink, by the service's own name (`ecr.api`, `sagemaker.runtime`, …)."""
    peerings: tuple[PeeringSpec, ...] = Field(strict=False)
    """Other VPCs that ours is connected to; empty where SageMaker and EKS share this one."""


class StoreSpec(Section):
    """Encryption key, buckets and image repositories."""

    key_deletion_days: Annotated[int, Field(ge=7, le=30)]
    """Waiting period before a deleted KMS key is gone."""
    noncurrent_version_days: Annotated[int, Field(ge=1, le=3650)]
    """How long an overwritten or deleted object version is kept."""
    access_log_days: Annotated[int, Field(ge=1, le=3650)]
    """How long S3 server access logs are kept."""
    untagged_image_days: Annotated[int, Field(ge=1, le=365)]
    """How long an image that no tag names is kept."""
    force_destroy: bool
    """Whether destroying the stack may delete objects and images that are still there."""

"""Connections to other VPCs."""

from typing import Annotated

from pydantic import Field

from settings.model.base import Cidr, Name, Section
from settings.model.patterns import ROUTE_TABLE_ID, SECURITY_GROUP_ID, VPC_ID

SecurityGroupId = Annotated[str, Field(pattern=SECURITY_GROUP_ID)]


class PeeringSpec(Section):
    """A VPC of the same account and region that somebody else made, and what may cross to and from it."""

    name: Name
    """Name of the connection among those of the environment."""
    vpc_id: Annotated[str, Field(pattern=VPC_ID)]
    """The VPC."""
    cidr: Cidr
    """Its IPv4 range, which nothing of ours overlaps."""
    route_table_ids: tuple[Annotated[str, Field(pattern=ROUTE_TABLE_ID)], ...] = Field(strict=False, min_length=1)
    """Its route tables whose subnets are to be reached: each gets a route to our VPC."""
    runtime_endpoint_group: SecurityGroupId | None
    """Security group of the SageMaker runtime endpoint there that our pods call; null where they call none."""
    job_groups: tuple[SecurityGroupId, ...] = Field(strict=False)
    """Security groups of SageMaker jobs there that call AWS through our interface endpoints; may be empty."""

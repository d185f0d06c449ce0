"""Rules of security groups: one resource per rule, one peer per rule.

A security group of this platform is created without rules; what it lets in and out is stated with the functions here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import pulumi_aws as aws

if TYPE_CHECKING:
    import pulumi

Transport = Literal["tcp", "udp"]

TRANSPORTS: Final[tuple[Transport, ...]] = ("tcp", "udp")
HTTPS: Final = 443
ANYWHERE: Final = "0.0.0.0/0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Traffic with one peer: a security group, a range or a managed prefix list."""

    description: str
    """What the traffic is, as the console shows it."""
    port: int | None
    """Port, or the first of several; None means every protocol and port."""
    last_port: int | None = None
    """Last port, where it is not the first."""
    transport: Transport = "tcp"
    """Protocol of the port."""
    group: pulumi.Input[str] | None = None
    """Security group of the peer."""
    cidr: str | None = None
    """IPv4 range of the peer."""
    prefix_list: pulumi.Input[str] | None = None
    """Managed prefix list of the peer."""

    @property
    def protocol(self) -> str:
        """Protocol as EC2 names it; `-1` is all."""
        return "-1" if self.port is None else self.transport

    @property
    def to_port(self) -> int | None:
        """Last port."""
        return self.port if self.last_port is None else self.last_port


def let_in(
    name: str, group: pulumi.Input[str], traffic: Traffic, opts: pulumi.ResourceOptions
) -> aws.vpc.SecurityGroupIngressRule:
    """Allow `traffic` to reach the members of the security group `group`."""
    return aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=group,
        description=traffic.description,
        ip_protocol=traffic.protocol,
        from_port=traffic.port,
        to_port=traffic.to_port,
        referenced_security_group_id=traffic.group,
        cidr_ipv4=traffic.cidr,
        prefix_list_id=traffic.prefix_list,
        opts=opts,
    )


def let_out(
    name: str, group: pulumi.Input[str], traffic: Traffic, opts: pulumi.ResourceOptions
) -> aws.vpc.SecurityGroupEgressRule:
    """Allow the members of the security group `group` to start `traffic`."""
    return aws.vpc.SecurityGroupEgressRule(
        name,
        security_group_id=group,
        description=traffic.description,
        ip_protocol=traffic.protocol,
        from_port=traffic.port,
        to_port=traffic.to_port,
        referenced_security_group_id=traffic.group,
        cidr_ipv4=traffic.cidr,
        prefix_list_id=traffic.prefix_list,
        opts=opts,
    )

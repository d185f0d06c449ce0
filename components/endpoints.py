"""Endpoints: private ways from the VPC to AWS services.

Creates: a gateway endpoint for S3 on every private route table; one interface endpoint per configured service with
private DNS, behind one security group that answers HTTPS from inside the VPC only. Through each of them only principals
of this account pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import iam
from components.endpoint_policies import interface_endpoint_policy, s3_endpoint_policy
from components.firewall import HTTPS, Traffic, let_in
from components.handles import EndpointsHandle, NetworkHandle

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsArgs:
    """Arguments of `Endpoints`."""

    labels: Labels
    """Names and tags."""
    spec: NetworkSpec
    """Range of the VPC and the services to reach."""
    network: NetworkHandle
    """The VPC."""


class Endpoints(pulumi.ComponentResource):
    """Gateway and interface endpoints; see the module for what is created."""

    handle: EndpointsHandle
    """What sends traffic to AWS services reads this."""

    def __init__(self, name: str, args: EndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:endpoints:Endpoints", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._account = iam.Account.of(args.labels.environment)
        self._services = f"com.amazonaws.{args.labels.environment.region}"
        s3 = aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=args.network.vpc_id,
            service_name=f"{self._services}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=list(args.network.private_route_tables.values()),
            policy=s3_endpoint_policy(self._account),
            tags=args.labels.named("s3"),
            opts=self._child,
        )
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description="Interface endpoints of AWS services",
            vpc_id=args.network.vpc_id,
            tags=args.labels.named("endpoints"),
            opts=self._child,
        )
        inside = Traffic(description="HTTPS from inside the VPC", port=HTTPS, cidr=str(args.spec.cidr))
        https = let_in(f"{name}-https", group.id, inside, self._child)
        interfaces = [self._create_interface(service, group.id) for service in args.spec.interface_endpoints]
        self.handle = EndpointsHandle(
            security_group=group.id, s3_prefix_list=s3.prefix_list_id, ready=(s3, https, *interfaces)
        )
        self.register_outputs({"security_group": group.id})

    def _create_interface(self, service: str, group: pulumi.Input[str]) -> aws.ec2.VpcEndpoint:
        return aws.ec2.VpcEndpoint(
            f"{self._name}-{service}",
            vpc_id=self._args.network.vpc_id,
            service_name=f"{self._services}.{service}",
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=self._args.network.private_subnet_ids,
            security_group_ids=[group],
            policy=interface_endpoint_policy(self._account, service),
            tags=self._args.labels.named(service),
            opts=self._child,
        )

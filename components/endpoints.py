"""Endpoints: private ways from the VPC to AWS services.

Creates: a gateway endpoint for S3 on every private route table; one interface endpoint per configured service with
private DNS, behind one security group that answers HTTPS from inside the VPC only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components.handles import EndpointsHandle, NetworkHandle

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import NetworkSpec

HTTPS = 443


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
        child = pulumi.ResourceOptions(parent=self)
        prefix = f"com.amazonaws.{args.labels.environment.region}"
        s3 = aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=args.network.vpc_id,
            service_name=f"{prefix}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=list(args.network.private_route_tables.values()),
            tags=args.labels.named("s3"),
            opts=child,
        )
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description="Interface endpoints of AWS services",
            vpc_id=args.network.vpc_id,
            tags=args.labels.named("endpoints"),
            opts=child,
        )
        https = aws.vpc.SecurityGroupIngressRule(
            f"{name}-https",
            description="HTTPS from inside the VPC",
            security_group_id=group.id,
            cidr_ipv4=str(args.spec.cidr),
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            opts=child,
        )
        interfaces = [
            aws.ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=args.network.vpc_id,
                service_name=f"{prefix}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=args.network.private_subnet_ids,
                security_group_ids=[group.id],
                tags=args.labels.named(service),
                opts=child,
            )
            for service in args.spec.interface_endpoints
        ]
        self.handle = EndpointsHandle(
            security_group=group.id, s3_prefix_list=s3.prefix_list_id, ready=(s3, https, *interfaces)
        )
        self.register_outputs({"security_group": group.id})

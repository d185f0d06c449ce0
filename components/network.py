"""Network: the VPC of one environment.

Creates: VPC; internet gateway; one public and one private subnet per zone, route tables and routes; one NAT gateway or
one per zone; flow logs to an encrypted log group with a role of their own. Takes over the VPC's default security group
and empties it.
Does not create: endpoints of AWS services, security groups of nodes or jobs, ways to other VPCs.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import grants, iam
from components.address_plan import AddressPlan, plan_addresses
from components.firewall import ANYWHERE
from components.handles import NetworkHandle
from components.labels import KARPENTER_DISCOVERY, Labels
from settings.model import NatGateways, NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkArgs:
    """Arguments of `Network`."""

    labels: Labels
    """Names and tags."""
    spec: NetworkSpec
    """Zones, address plan, NAT, endpoints."""
    key_arn: pulumi.Input[str]
    """Key that encrypts the flow logs."""
    protect: bool
    """Whether the VPC refuses deletion."""
    before_delete: pulumi.ResourceHook
    """Runs before a private subnet is deleted, in which the cluster's nodes had interfaces."""


class Network(pulumi.ComponentResource):
    """VPC, subnets, routes and endpoints; see the module for what is created."""

    handle: NetworkHandle
    """What needs addresses reads this."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:network:Network", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        plan = plan_addresses(
            args.spec.cidr,
            args.spec.zones,
            private_prefix=args.spec.private_prefix,
            public_prefix=args.spec.public_prefix,
        )
        self._vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=str(args.spec.cidr),
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=args.labels.named("vpc"),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self._close_default_security_group()
        self._log_traffic()
        public, gateways = self._public_side(plan)
        private, tables, ready = self._private_side(plan, gateways)
        self.handle = NetworkHandle(
            vpc_id=self._vpc.id,
            private_subnets={zone: subnet.id for zone, subnet in private.items()},
            public_subnets={zone: subnet.id for zone, subnet in public.items()},
            private_route_tables={zone: table.id for zone, table in tables.items()},
            ready=tuple(ready),
        )
        self.register_outputs({"vpc_id": self.handle.vpc_id, "private_subnets": self.handle.private_subnets})

    def _close_default_security_group(self) -> None:
        # AWS creates this group with a VPC and lets its members talk; adopted without rules it allows nothing.
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default-closed",
            vpc_id=self._vpc.id,
            ingress=[],
            egress=[],
            tags=self._args.labels.named("default-closed"),
            opts=self._child,
        )

    def _log_traffic(self) -> None:
        name, labels = self._name, self._args.labels
        account = iam.Account.of(labels.environment)
        group_name = labels.log_group("vpc-flow-logs")
        group = aws.cloudwatch.LogGroup(
            f"{name}-flow-logs",
            name=group_name,
            kms_key_id=self._args.key_arn,
            retention_in_days=self._args.spec.flow_log_retention_days,
            opts=self._child,
        )
        role = aws.iam.Role(
            f"{name}-flow-logs-role",
            name=labels.role("flow-logs"),
            description="VPC flow logs write to their log group",
            assume_role_policy=iam.service_trust(account, "vpc-flow-logs.amazonaws.com"),
            opts=self._child,
        )
        grant = aws.iam.RolePolicy(
            f"{name}-flow-logs-write",
            name="write-flow-logs",
            role=role.name,
            policy=iam.document(*grants.write_logs(account, group_name), *grants.find_log_groups(account)),
            opts=self._child,
        )
        aws.ec2.FlowLog(
            f"{name}-flow-log",
            vpc_id=self._vpc.id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            tags=labels.named("flow-log"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[grant]),
        )

    def _public_side(self, plan: AddressPlan) -> tuple[dict[str, aws.ec2.Subnet], dict[str, aws.ec2.NatGateway]]:
        name, labels, spec = self._name, self._args.labels, self._args.spec
        internet = aws.ec2.InternetGateway(
            f"{name}-internet", vpc_id=self._vpc.id, tags=labels.named("internet"), opts=self._child
        )
        table = aws.ec2.RouteTable(f"{name}-public", vpc_id=self._vpc.id, tags=labels.named("public"), opts=self._child)
        route = aws.ec2.Route(
            f"{name}-public-internet",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=internet.id,
            opts=self._child,
        )
        subnets: dict[str, aws.ec2.Subnet] = {}
        for zone, cidr in plan.public.items():
            subnets[zone], _ = self._subnet(
                "public", zone, str(cidr), table, {"kubernetes.io/role/elb": "1"}, opts=self._child
            )
        after_route = pulumi.ResourceOptions(parent=self, depends_on=[route])
        gateways: dict[str, aws.ec2.NatGateway] = {}
        for zone in spec.zones if spec.nat_gateways is NatGateways.PER_ZONE else spec.zones[:1]:
            tags = labels.named(f"nat-{zone}")
            address = aws.ec2.Eip(f"{name}-nat-{zone}", domain="vpc", tags=tags, opts=after_route)
            gateways[zone] = aws.ec2.NatGateway(
                f"{name}-nat-{zone}",
                allocation_id=address.allocation_id,
                subnet_id=subnets[zone].id,
                tags=tags,
                opts=after_route,
            )
        return subnets, gateways

    def _private_side(
        self, plan: AddressPlan, gateways: dict[str, aws.ec2.NatGateway]
    ) -> tuple[dict[str, aws.ec2.Subnet], dict[str, aws.ec2.RouteTable], list[pulumi.Resource]]:
        name, labels = self._name, self._args.labels
        shared = next(iter(gateways.values()))
        discovery = {"kubernetes.io/role/internal-elb": "1", KARPENTER_DISCOVERY: labels.cluster}
        emptied = pulumi.ResourceOptions(
            parent=self, hooks=pulumi.ResourceHookBinding(before_delete=[self._args.before_delete])
        )
        subnets: dict[str, aws.ec2.Subnet] = {}
        tables: dict[str, aws.ec2.RouteTable] = {}
        ready: list[pulumi.Resource] = []
        for zone, cidr in plan.private.items():
            tables[zone] = aws.ec2.RouteTable(
                f"{name}-private-{zone}",
                vpc_id=self._vpc.id,
                tags=labels.named(f"private-{zone}"),
                opts=self._child,
            )
            subnets[zone], association = self._subnet("private", zone, str(cidr), tables[zone], discovery, opts=emptied)
            route = aws.ec2.Route(
                f"{name}-private-{zone}-nat",
                route_table_id=tables[zone].id,
                destination_cidr_block=ANYWHERE,
                nat_gateway_id=gateways.get(zone, shared).id,
                opts=self._child,
            )
            ready += [association, route]
        return subnets, tables, ready

    def _subnet(
        self,
        side: str,
        zone: str,
        cidr: str,
        table: aws.ec2.RouteTable,
        discovery: dict[str, str],
        *,
        opts: pulumi.ResourceOptions,
    ) -> tuple[aws.ec2.Subnet, aws.ec2.RouteTableAssociation]:
        subnet = aws.ec2.Subnet(
            f"{self._name}-{side}-{zone}",
            vpc_id=self._vpc.id,
            availability_zone=zone,
            cidr_block=cidr,
            map_public_ip_on_launch=False,
            tags={**self._args.labels.named(f"{side}-{zone}"), **discovery},
            opts=opts,
        )
        association = aws.ec2.RouteTableAssociation(
            f"{self._name}-{side}-{zone}", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )
        return subnet, association

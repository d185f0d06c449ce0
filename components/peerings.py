"""Peerings: ways between our VPC and others of the same account and region.

Creates per peering: the connection, accepted at once and with names resolved both ways; a route to the other VPC in
every private route table of ours, and one to ours in every named table of the other; rules for exactly the calls that
the stack file names: our pods to the SageMaker runtime endpoint there, SageMaker jobs there to our interface endpoints.
Does not create: anything else in the other VPC; a way to our S3 gateway endpoint, which no peering extends to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components.firewall import HTTPS, Traffic, let_in, let_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from components.handles import ClusterHandle, EndpointsHandle, FargateHandle, NetworkHandle
    from components.labels import Labels
    from settings.model import NetworkSpec, PeeringSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PeeringsArgs:
    """Arguments of `Peerings`."""

    labels: Labels
    """Names and tags."""
    spec: NetworkSpec
    """Range of our VPC, and the others."""
    network: NetworkHandle
    """Our VPC."""
    endpoints: EndpointsHandle
    """Interface endpoints that jobs of other VPCs call."""
    cluster: ClusterHandle
    """Its nodes and their pods call runtime endpoints of other VPCs."""
    fargate: FargateHandle
    """Its pods call them too."""


class Peerings(pulumi.ComponentResource):
    """Connections to other VPCs; see the module for what is created. Nobody waits for them."""

    def __init__(self, name: str, args: PeeringsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:peerings:Peerings", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        connections: dict[str, pulumi.Output[str]] = {}
        for peering in args.spec.peerings:
            connection = self._connect(peering)
            self._route(peering, connection)
            # A rule may name a group of another VPC only while a connection between the two is active.
            connected = pulumi.ResourceOptions(parent=self, depends_on=[connection])
            self._let_pods_call(peering, connected)
            self._let_jobs_call(peering, connected)
            connections[peering.name] = connection.id
        self.register_outputs({"connections": connections})

    def _connect(self, peering: PeeringSpec) -> aws.ec2.VpcPeeringConnection:
        return aws.ec2.VpcPeeringConnection(
            f"{self._name}-{peering.name}",
            vpc_id=self._args.network.vpc_id,
            peer_vpc_id=peering.vpc_id,
            auto_accept=True,
            requester=aws.ec2.VpcPeeringConnectionRequesterArgs(allow_remote_vpc_dns_resolution=True),
            accepter=aws.ec2.VpcPeeringConnectionAccepterArgs(allow_remote_vpc_dns_resolution=True),
            tags=self._args.labels.named(peering.name),
            opts=self._child,
        )

    def _route(self, peering: PeeringSpec, connection: aws.ec2.VpcPeeringConnection) -> None:
        name, ours, there = f"{self._name}-{peering.name}", str(self._args.spec.cidr), str(peering.cidr)
        tables = self._args.network.private_route_tables
        ways: dict[str, tuple[pulumi.Input[str], str]] = {zone: (table, there) for zone, table in tables.items()}
        ways |= {table: (table, ours) for table in peering.route_table_ids}
        for role, (table, destination) in ways.items():
            aws.ec2.Route(
                f"{name}-{role}",
                route_table_id=table,
                destination_cidr_block=destination,
                vpc_peering_connection_id=connection.id,
                opts=self._child,
            )

    def _let_pods_call(self, peering: PeeringSpec, connected: pulumi.ResourceOptions) -> None:
        """Let pods in at the runtime endpoint; nodes may call HTTPS anywhere already, and so may pods on Fargate."""
        if peering.runtime_endpoint_group is None:
            return
        for kind, group in self._pods():
            call = Traffic(description=f"{self._args.labels.cluster}: SageMaker runtime", port=HTTPS, group=group)
            let_in(f"{self._name}-{peering.name}-runtime-{kind}", peering.runtime_endpoint_group, call, connected)

    def _pods(self) -> Iterator[tuple[str, pulumi.Input[str]]]:
        yield "nodes", self._args.cluster.node_security_group
        if self._args.fargate.security_group is not None:
            yield "fargate", self._args.fargate.security_group

    def _let_jobs_call(self, peering: PeeringSpec, connected: pulumi.ResourceOptions) -> None:
        ours = self._args.endpoints.security_group
        for group in peering.job_groups:
            name = f"{self._name}-{peering.name}-{group}"
            call = f"Jobs of {peering.name}: AWS services by endpoint"
            let_in(f"{name}-in", ours, Traffic(description=call, port=HTTPS, group=group), connected)
            let_out(f"{name}-out", group, Traffic(description=call, port=HTTPS, group=ours), connected)

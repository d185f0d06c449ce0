"""Node pools: EKS managed node groups.

Creates: one role for all nodes; per pool a launch template (IMDSv2 at hop limit 1, encrypted gp3 root volume, tags on
everything that an instance brings) and a node group; for a pool with Elastic Fabric Adapters a placement group.
Does not create: an access entry for the role (EKS does, with the first group), key pairs, autoscalers.

System nodes carry the taint `CriticalAddonsOnly`, which CoreDNS and Karpenter tolerate by default: workloads cannot
crowd out what the cluster itself needs. Spot, GPU and Neuron nodes take only pods that ask for them. On-demand CPU
nodes are open to all.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.accelerated_nodes import encoded, network_interfaces, partition_gpus
from components.handles import ClusterHandle, NetworkHandle, NodePoolsHandle, Ready
from components.labels import CAPACITY_LABEL, EFA_LABEL, POOL_LABEL, ROLE_LABEL, Labels
from components.nodes import ROOT_DEVICE, SYSTEM_TAINT, accelerator_labels, accelerator_taints, create_node_role
from settings.devices import EFA_ADAPTERS, partitions
from settings.instances import Accelerator, Architecture, accelerator, architecture
from settings.model import AcceleratorsSpec, Capacity, NodePoolSpec, PoolRole
from settings.sharing import profile_of

TAGGED_WITH_INSTANCE = ("instance", "volume", "network-interface")

_AMI_TYPES = {
    (Architecture.AMD64, Accelerator.NONE): "AL2023_x86_64_STANDARD",
    (Architecture.ARM64, Accelerator.NONE): "AL2023_ARM_64_STANDARD",
    (Architecture.AMD64, Accelerator.NVIDIA): "AL2023_x86_64_NVIDIA",
    (Architecture.ARM64, Accelerator.NVIDIA): "AL2023_ARM_64_NVIDIA",
    (Architecture.AMD64, Accelerator.NEURON): "AL2023_x86_64_NEURON",
}
_CAPACITY_TYPES = {Capacity.ON_DEMAND: "ON_DEMAND", Capacity.SPOT: "SPOT"}


def ami_type(pool: NodePoolSpec) -> str:
    """EKS image type of a pool's instances (EKS API reference, `amiType`); settings admit one architecture a pool."""
    first = pool.instance_types[0]
    return _AMI_TYPES[architecture(first), accelerator(first)]


def efa_zone(pool: NodePoolSpec, accelerators: AcceleratorsSpec) -> str | None:
    """Zone of the pool's placement group; None for a pool without Elastic Fabric Adapters."""
    return next((entry.zone for entry in accelerators.efa if entry.pool == pool.name), None)


def node_labels(pool: NodePoolSpec, accelerators: AcceleratorsSpec) -> dict[str, str]:
    """Kubernetes labels of a pool's nodes."""
    image = ami_type(pool).partition("_")[0].lower()
    return {
        POOL_LABEL: pool.name,
        ROLE_LABEL: pool.role.value,
        CAPACITY_LABEL: pool.capacity.value,
        **accelerator_labels(pool.role, image, profile_of(accelerators, pool.name)),
        **({EFA_LABEL: "true"} if efa_zone(pool, accelerators) else {}),
    }


def node_taints(pool: NodePoolSpec) -> list[aws.eks.NodeGroupTaintArgs]:
    """Taints of a pool's nodes."""
    taints = accelerator_taints(pool.role)
    if pool.role is PoolRole.SYSTEM:
        taints[SYSTEM_TAINT] = "true"
    if pool.capacity is Capacity.SPOT:
        taints[CAPACITY_LABEL] = pool.capacity.value
    return [aws.eks.NodeGroupTaintArgs(key=key, value=value, effect="NO_SCHEDULE") for key, value in taints.items()]


def user_data(pool: NodePoolSpec, accelerators: AcceleratorsSpec) -> str | None:
    """What the pool's nodes do before they join, as the launch template takes it; None for nothing."""
    profile, first = profile_of(accelerators, pool.name), pool.instance_types[0]
    if profile is None or profile.mig_profile is None:
        return None
    return encoded(partition_gpus(profile.mig_profile, partitions(first, profile.mig_profile)))


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolsArgs:
    """Arguments of `NodePools`."""

    labels: Labels
    """Names and tags."""
    pools: tuple[NodePoolSpec, ...]
    """The pools; each becomes a node group."""
    accelerators: AcceleratorsSpec
    """How pods share GPUs, and which pools have Elastic Fabric Adapters."""
    cluster: ClusterHandle
    """The cluster that nodes join."""
    network: NetworkHandle
    """Subnets of the nodes."""
    key_arn: pulumi.Input[str]
    """Key of the root volumes."""
    after: Ready
    """What a node needs in order to become ready: pod network, routes, endpoints."""


class NodePools(pulumi.ComponentResource):
    """Managed node groups; see the module for what is created."""

    handle: NodePoolsHandle
    """What runs on nodes uses this."""

    def __init__(self, name: str, args: NodePoolsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:nodepools:NodePools", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        role, grants = create_node_role(f"{name}-node-role", args.labels.role("node"), args.labels, self._child)
        groups = {pool.name: self._create_pool(pool, role, grants) for pool in args.pools}
        self.handle = NodePoolsHandle(
            node_role_arn=role.arn,
            names={pool: group.node_group_name for pool, group in groups.items()},
            system_ready=tuple(groups[pool.name] for pool in args.pools if pool.role is PoolRole.SYSTEM),
        )
        self.register_outputs({"node_role_arn": role.arn, "names": self.handle.names})

    def _create_pool(self, pool: NodePoolSpec, role: aws.iam.Role, grants: Ready) -> aws.eks.NodeGroup:
        labels, network = self._args.labels, self._args.network
        template = self._create_launch_template(pool)
        image, capacity = ami_type(pool), _CAPACITY_TYPES[pool.capacity]
        # A cluster placement group lives in one zone.
        near = efa_zone(pool, self._args.accelerators)
        subnets = {zone: subnet for zone, subnet in network.private_subnets.items() if near in (None, zone)}
        zones = tuple(subnets)
        return aws.eks.NodeGroup(
            f"{self._name}-{pool.name}",
            cluster_name=self._args.cluster.name,
            node_group_name=labels.node_group(pool.name, labels.cluster, image, capacity, pool.instance_types, zones),
            node_role_arn=role.arn,
            subnet_ids=list(subnets.values()),
            ami_type=image,
            capacity_type=capacity,
            instance_types=list(pool.instance_types),
            launch_template=aws.eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=pool.min_size, desired_size=pool.desired_size, max_size=pool.max_size
            ),
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=pool.max_unavailable),
            node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            labels=node_labels(pool, self._args.accelerators),
            taints=node_taints(pool),
            tags=labels.named(pool.name, **{POOL_LABEL: pool.name}),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*grants, *self._args.after],
                # An autoscaler owns the number of nodes once the group exists.
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )

    def _create_launch_template(self, pool: NodePoolSpec) -> aws.ec2.LaunchTemplate:
        labels, near = self._args.labels, efa_zone(pool, self._args.accelerators)
        group = self._args.cluster.node_security_group
        tags = {**labels.tags, **labels.named(pool.name, **{POOL_LABEL: pool.name})}
        return aws.ec2.LaunchTemplate(
            f"{self._name}-{pool.name}",
            name=labels.launch_template(pool.name),
            description=f"Nodes of the pool {pool.name}",
            update_default_version=True,
            # EC2 takes the security groups either here or for each interface.
            vpc_security_group_ids=None if near else [group],
            network_interfaces=network_interfaces(EFA_ADAPTERS[pool.instance_types[0]], group) if near else None,
            placement=self._place_together(pool) if near else None,
            user_data=user_data(pool, self._args.accelerators),
            block_device_mappings=[
                aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name=ROOT_DEVICE,
                    ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        volume_type="gp3",
                        volume_size=pool.disk_gib,
                        encrypted="true",
                        kms_key_id=self._args.key_arn,
                        delete_on_termination="true",
                    ),
                )
            ],
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                # A pod is one hop further than its node: 1 keeps the node's role out of its reach.
                http_put_response_hop_limit=1,
            ),
            monitoring=aws.ec2.LaunchTemplateMonitoringArgs(enabled=True),
            # Default tags of the provider reach the template, not what is launched from it.
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
                for kind in TAGGED_WITH_INSTANCE
            ],
            opts=self._child,
        )

    def _place_together(self, pool: NodePoolSpec) -> aws.ec2.LaunchTemplatePlacementArgs:
        labels = self._args.labels
        group = aws.ec2.PlacementGroup(
            f"{self._name}-{pool.name}",
            name=labels.placement_group(pool.name),
            strategy="cluster",
            tags=labels.named(pool.name, **{POOL_LABEL: pool.name}),
            opts=self._child,
        )
        return aws.ec2.LaunchTemplatePlacementArgs(group_name=group.name)

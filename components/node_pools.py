"""Node pools: EKS managed node groups.

Creates: one role for all nodes; per pool a launch template (IMDSv2 at hop limit 1, encrypted gp3 root volume, tags on
everything that an instance brings) and a node group.
Does not create: an access entry for the role (EKS does, with the first group), key pairs, autoscalers.

System nodes carry the taint `CriticalAddonsOnly`, which CoreDNS and Karpenter tolerate by default: workloads cannot
crowd out what the cluster itself needs. Spot and GPU nodes take only pods that ask for them. On-demand CPU nodes are
open to all.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.handles import ClusterHandle, NetworkHandle, NodePoolsHandle, Ready
from components.labels import CAPACITY_LABEL, POOL_LABEL, ROLE_LABEL, Labels
from components.nodes import GPU_PRESENT, GPU_RESOURCE, ROOT_DEVICE, SYSTEM_TAINT, create_node_role
from settings.instances import Accelerator, Architecture, accelerator, architecture
from settings.model import Capacity, NodePoolSpec, PoolRole

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


def node_labels(pool: NodePoolSpec) -> dict[str, str]:
    """Kubernetes labels of a pool's nodes; the GPU one is what NVIDIA's device plugin selects nodes by."""
    labels = {POOL_LABEL: pool.name, ROLE_LABEL: pool.role.value, CAPACITY_LABEL: pool.capacity.value}
    return {**labels, GPU_PRESENT: "true"} if pool.role is PoolRole.GPU else labels


def node_taints(pool: NodePoolSpec) -> list[aws.eks.NodeGroupTaintArgs]:
    """Taints of a pool's nodes."""
    taints: list[tuple[str, str]] = []
    if pool.role is PoolRole.SYSTEM:
        taints.append((SYSTEM_TAINT, "true"))
    if pool.role is PoolRole.GPU:
        taints.append((GPU_RESOURCE, "true"))
    if pool.capacity is Capacity.SPOT:
        taints.append((CAPACITY_LABEL, pool.capacity.value))
    return [aws.eks.NodeGroupTaintArgs(key=key, value=value, effect="NO_SCHEDULE") for key, value in taints]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolsArgs:
    """Arguments of `NodePools`."""

    labels: Labels
    """Names and tags."""
    pools: tuple[NodePoolSpec, ...]
    """The pools; each becomes a node group."""
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
        zones = tuple(network.private_subnets)
        return aws.eks.NodeGroup(
            f"{self._name}-{pool.name}",
            cluster_name=self._args.cluster.name,
            node_group_name=labels.node_group(pool.name, labels.cluster, image, capacity, pool.instance_types, zones),
            node_role_arn=role.arn,
            subnet_ids=network.private_subnet_ids,
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
            labels=node_labels(pool),
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
        labels = self._args.labels
        tags = {**labels.tags, **labels.named(pool.name, **{POOL_LABEL: pool.name})}
        return aws.ec2.LaunchTemplate(
            f"{self._name}-{pool.name}",
            name=labels.launch_template(pool.name),
            description=f"Nodes of the pool {pool.name}",
            update_default_version=True,
            vpc_security_group_ids=[self._args.cluster.node_security_group],
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

"""What all nodes have in common, whoever starts them: their role, root device, and the names of taints and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi_aws as aws

from components import iam
from components.labels import DEVICE_PLUGIN_LABEL
from settings.devices import PLUGIN_IN_IMAGE
from settings.model import PoolRole

if TYPE_CHECKING:
    import pulumi

    from components.handles import Ready
    from components.labels import Labels
    from settings.model import GpuProfileSpec

NODE_POLICIES: Final = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonSSMManagedInstanceCore",
)
"""Managed policies of a node: join, pull images, be reached without a key pair. Pod addresses need the CNI's role."""
GPU_RESOURCE: Final = "nvidia.com/gpu"
"""Resource that GPU pods ask for, and key of the taint on GPU nodes."""
GPU_PRESENT: Final = f"{GPU_RESOURCE}.present"
"""Label of GPU nodes that NVIDIA's own tools go by."""
GPU_PROFILE: Final = f"{GPU_RESOURCE.partition('/')[0]}/device-plugin.config"
"""Label by which a node chooses a configuration of the device plugin (chart nvidia-device-plugin, `NODE_LABEL`)."""
MPS_CAPABLE: Final = f"{GPU_RESOURCE.partition('/')[0]}/mps.capable"
"""Label of the nodes that the chart starts its MPS control daemon on."""
NEURON_RESOURCE: Final = "aws.amazon.com/neuron"
"""Resource that Neuron pods ask for, and key of the taint on Neuron nodes."""
SYSTEM_TAINT: Final = "CriticalAddonsOnly"
"""Key of the taint on system nodes; CoreDNS and Karpenter tolerate it by default."""
ROOT_DEVICE: Final = "/dev/xvda"
"""Root device of Amazon Linux 2023 images."""


_ACCELERATORS: Final = {PoolRole.GPU: GPU_RESOURCE, PoolRole.NEURON: NEURON_RESOURCE}


def accelerator_taints(role: PoolRole) -> dict[str, str]:
    """Taints that keep pods without need of the accelerators off the nodes of a role, by key.

    Nothing adds the matching toleration to a pod: EKS does not run the admission plugin ExtendedResourceToleration.
    `components.gpu_pods` gives a pod what it needs.
    """
    return {_ACCELERATORS[role]: "true"} if role in _ACCELERATORS else {}


def accelerator_labels(role: PoolRole, image: str, profile: GpuProfileSpec | None) -> dict[str, str]:
    """Labels that tell device plugins what a node is.

    A node has them when it joins, so the plugin shares its GPUs rightly from the first moment, and no startup taint is
    needed: the scheduler places no GPU pod before the plugin has reported GPUs, and Karpenter takes a node for ready
    only then (its concept page "Scheduling", "Accelerators/GPU Resources").

    Args:
        role: Role of the node's pool.
        image: Family of its machine image: `al2023` or `bottlerocket`.
        profile: How its pods share GPUs.
    """
    if role is PoolRole.NEURON:
        return {DEVICE_PLUGIN_LABEL: "neuron"}
    if role is not PoolRole.GPU:
        return {}
    plugin = {} if PLUGIN_IN_IMAGE[image] else {DEVICE_PLUGIN_LABEL: "nvidia"}
    sharing = {GPU_PROFILE: profile.name} if profile else {}
    # GPU feature discovery sets the same value, later.
    mps = {MPS_CAPABLE: "true"} if profile and profile.strategy == "mps" else {}
    return {GPU_PRESENT: "true", **plugin, **sharing, **mps}


def create_node_role(
    name: str, role_name: str, labels: Labels, opts: pulumi.ResourceOptions
) -> tuple[aws.iam.Role, Ready]:
    """Create a role for nodes; return it, and what it has to wait for until a node may use it.

    Args:
        name: Logical name of the role and first part of those of its policies.
        role_name: Physical name of the role.
        labels: Names of the environment.
        opts: Options of every resource.
    """
    account = iam.Account.of(labels.environment)
    role = aws.iam.Role(
        name,
        name=role_name,
        description=f"Nodes of {labels.cluster}",
        assume_role_policy=iam.instance_trust(account),
        opts=opts,
    )
    grants = tuple(
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy}",
            role=role.name,
            policy_arn=account.aws_managed("iam", f"policy/{policy}"),
            opts=opts,
        )
        for policy in NODE_POLICIES
    )
    return role, grants

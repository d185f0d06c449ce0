"""What all nodes have in common, whoever starts them: their role, root device, and the names of taints and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi_aws as aws

from components import iam

if TYPE_CHECKING:
    import pulumi

    from components.handles import Ready
    from components.labels import Labels

NODE_POLICIES: Final = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonSSMManagedInstanceCore",
)
"""Managed policies of a node: join, pull images, be reached without a key pair. Pod addresses need the CNI's role."""
GPU_RESOURCE: Final = "nvidia.com/gpu"
"""Resource that GPU pods ask for, and key of the taint on GPU nodes."""
GPU_PRESENT: Final = f"{GPU_RESOURCE}.present"
"""Label by which NVIDIA's device plugin finds GPU nodes."""
SYSTEM_TAINT: Final = "CriticalAddonsOnly"
"""Key of the taint on system nodes; CoreDNS and Karpenter tolerate it by default."""
ROOT_DEVICE: Final = "/dev/xvda"
"""Root device of Amazon Linux 2023 images."""


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

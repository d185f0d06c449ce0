"""Pod network: what a node needs of the cluster before it can become ready.

Creates: the VPC CNI add-on with network policies enforced and an IAM role of its own; the kube-proxy add-on. Both
versions are pinned.
Comes before any node: without a CNI a node never becomes ready and its group fails.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import iam
from components.handles import ClusterHandle, PodNetworkHandle
from components.irsa import ServiceAccountRole, ServiceAccountRoleArgs

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import AddonVersions

CNI_CONFIGURATION = {
    "enableNetworkPolicy": "true",
    # A /28 block per request instead of single addresses: more pods per node, fewer EC2 calls.
    "env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
}
"""Configuration of the add-on `vpc-cni`, by its published schema (`aws eks describe-addon-configuration`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodNetworkArgs:
    """Arguments of `PodNetwork`."""

    labels: Labels
    """Names and tags."""
    versions: AddonVersions
    """Pinned add-on versions."""
    cluster: ClusterHandle
    """The cluster."""


class PodNetwork(pulumi.ComponentResource):
    """VPC CNI and kube-proxy; see the module for what is created."""

    handle: PodNetworkHandle
    """What needs pods to have a network waits for this."""

    def __init__(self, name: str, args: PodNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:podnetwork:PodNetwork", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = iam.Account.of(args.labels.environment)
        identity = ServiceAccountRole(
            f"{name}-cni",
            ServiceAccountRoleArgs(
                cluster=args.cluster,
                role_name=args.labels.role("vpc-cni"),
                description="VPC CNI: addresses for pods",
                namespace="kube-system",
                service_account="aws-node",
            ),
            child,
        )
        grant = aws.iam.RolePolicyAttachment(
            f"{name}-cni-addresses",
            role=identity.role.name,
            policy_arn=account.aws_managed("iam", "policy/AmazonEKS_CNI_Policy"),
            opts=child,
        )
        cni = aws.eks.Addon(
            f"{name}-vpc-cni",
            cluster_name=args.cluster.name,
            addon_name="vpc-cni",
            addon_version=args.versions.vpc_cni,
            service_account_role_arn=identity.role.arn,
            configuration_values=json.dumps(CNI_CONFIGURATION),
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[grant]),
        )
        kube_proxy = aws.eks.Addon(
            f"{name}-kube-proxy",
            cluster_name=args.cluster.name,
            addon_name="kube-proxy",
            addon_version=args.versions.kube_proxy,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            opts=child,
        )
        self.handle = PodNetworkHandle(ready=(cni, kube_proxy))
        self.register_outputs({"vpc_cni_version": cni.addon_version})

"""Pod network: what a node needs of the cluster before it can become ready.

Creates: the VPC CNI add-on with network policies enforced and an IAM role of its own; the kube-proxy add-on. Both
versions are pinned.
Comes before any node: without a CNI a node never becomes ready and its group fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import iam
from components.handles import ClusterHandle, PodNetworkHandle
from components.irsa import ServiceAccountRole, ServiceAccountRoleArgs
from components.releases import create_addon

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
        self._name, self._args = name, args
        role, grant = self._create_identity()
        versions = args.versions
        cni = create_addon(
            f"{name}-vpc-cni",
            addon="vpc-cni",
            version=versions.vpc_cni,
            cluster=args.cluster,
            parent=self,
            values=CNI_CONFIGURATION,
            role=role.arn,
            after=[grant],
        )
        kube_proxy = create_addon(
            f"{name}-kube-proxy", addon="kube-proxy", version=versions.kube_proxy, cluster=args.cluster, parent=self
        )
        self.handle = PodNetworkHandle(ready=(cni, kube_proxy))
        self.register_outputs({"vpc_cni_version": cni.addon_version, "kube_proxy_version": kube_proxy.addon_version})

    def _create_identity(self) -> tuple[aws.iam.Role, aws.iam.RolePolicyAttachment]:
        """The CNI's own role, so that nodes need no right to change their addresses."""
        labels, child = self._args.labels, pulumi.ResourceOptions(parent=self)
        args = ServiceAccountRoleArgs(
            cluster=self._args.cluster,
            role_name=labels.role("vpc-cni"),
            description="VPC CNI: addresses for pods",
            namespace="kube-system",
            service_account="aws-node",
        )
        identity = ServiceAccountRole(f"{self._name}-cni", args, child)
        grant = aws.iam.RolePolicyAttachment(
            f"{self._name}-cni-addresses",
            role=identity.role.name,
            policy_arn=iam.Account.of(labels.environment).aws_managed("iam", "policy/AmazonEKS_CNI_Policy"),
            opts=child,
        )
        return identity.role, grant

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
    from collections.abc import Mapping, Sequence

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
        cni = self._create_addon("vpc-cni", versions.vpc_cni, role=role.arn, after=[grant], values=CNI_CONFIGURATION)
        kube_proxy = self._create_addon("kube-proxy", versions.kube_proxy)
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

    def _create_addon(
        self,
        addon: str,
        version: str,
        *,
        role: pulumi.Input[str] | None = None,
        after: Sequence[pulumi.Resource] = (),
        values: Mapping[str, object] | None = None,
    ) -> aws.eks.Addon:
        return aws.eks.Addon(
            f"{self._name}-{addon}",
            cluster_name=self._args.cluster.name,
            addon_name=addon,
            addon_version=version,
            service_account_role_arn=role,
            configuration_values=json.dumps(values) if values else None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )

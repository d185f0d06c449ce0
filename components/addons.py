"""Add-ons that run as Deployments: they come after the system nodes, without which they would stay degraded.

Creates: the CoreDNS add-on, pinned to a version and to the nodes of the role `system`, spread over zones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components.labels import ROLE_LABEL
from settings.model import AddonVersions, PoolRole

if TYPE_CHECKING:
    from components.handles import ClusterHandle, NodePoolsHandle

COREDNS_CONFIGURATION = {
    "nodeSelector": {ROLE_LABEL: PoolRole.SYSTEM.value},
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
}
"""Configuration of the add-on `coredns`, by its published schema; its own tolerations accept system nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonsArgs:
    """Arguments of `Addons`."""

    versions: AddonVersions
    """Pinned add-on versions."""
    cluster: ClusterHandle
    """The cluster."""
    pools: NodePoolsHandle
    """Node pools; add-ons wait for the system ones."""


class Addons(pulumi.ComponentResource):
    """Deployment-shaped EKS add-ons; see the module for what is created."""

    def __init__(self, name: str, args: AddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:addons:Addons", name, None, opts)
        coredns = aws.eks.Addon(
            f"{name}-coredns",
            cluster_name=args.cluster.name,
            addon_name="coredns",
            addon_version=args.versions.coredns,
            configuration_values=json.dumps(COREDNS_CONFIGURATION),
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.pools.system_ready)),
        )
        self.register_outputs({"coredns_version": coredns.addon_version})

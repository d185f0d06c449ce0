"""Add-ons that run as Deployments: they come after the system nodes, without which they would stay degraded.

Creates: the CoreDNS add-on, pinned to a version and to the nodes of the role `system`, spread over zones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from components.labels import ROLE_LABEL
from components.releases import create_addon, spread_over_zones
from settings.model import AddonVersions, PoolRole

if TYPE_CHECKING:
    from components.handles import ClusterHandle, NodePoolsHandle

COREDNS_CONFIGURATION = {
    "nodeSelector": {ROLE_LABEL: PoolRole.SYSTEM.value},
    "topologySpreadConstraints": spread_over_zones({"k8s-app": "kube-dns"}),
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
        coredns = create_addon(
            f"{name}-coredns",
            addon="coredns",
            version=args.versions.coredns,
            cluster=args.cluster,
            parent=self,
            values=COREDNS_CONFIGURATION,
            after=args.pools.system_ready,
        )
        self.register_outputs({"coredns_version": coredns.addon_version})

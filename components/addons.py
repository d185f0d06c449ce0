"""Add-ons that every cluster has beside its network, each pinned to a version.

Creates: the add-ons CoreDNS and Metrics Server, on nodes of the role `system` and spread over zones; as Deployments
they come after these nodes, without which they would stay degraded. The node monitoring agent, which runs on every node
there will be, and tells node repair what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from components.labels import ROLE_LABEL
from components.releases import create_addon, on_system_nodes, spread_over_zones
from settings.model import AddonVersions, PoolRole

if TYPE_CHECKING:
    from components.handles import ClusterHandle, NodePoolsHandle

COREDNS_CONFIGURATION = {
    "nodeSelector": {ROLE_LABEL: PoolRole.SYSTEM.value},
    "topologySpreadConstraints": spread_over_zones({"k8s-app": "kube-dns"}),
}
"""Configuration of the add-on `coredns`, by its published schema; its own tolerations accept system nodes."""
METRICS_SERVER_CONFIGURATION = {
    **on_system_nodes(),
    # One answers while the other moves; each asks every node, so more of them would only ask more.
    "replicas": 2,
    "topologySpreadConstraints": spread_over_zones({"app.kubernetes.io/name": "metrics-server"}),
}
"""Configuration of the add-on `metrics-server`: its schema has the names of the project's own chart."""


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
    """EKS add-ons beside those of the network; see the module for what is created."""

    def __init__(self, name: str, args: AddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:addons:Addons", name, None, opts)
        versions, after = args.versions, args.pools.system_ready
        coredns = create_addon(
            f"{name}-coredns",
            addon="coredns",
            version=versions.coredns,
            cluster=args.cluster,
            parent=self,
            values=COREDNS_CONFIGURATION,
            after=after,
        )
        create_addon(
            f"{name}-metrics-server",
            addon="metrics-server",
            version=versions.metrics_server,
            cluster=args.cluster,
            parent=self,
            values=METRICS_SERVER_CONFIGURATION,
            after=after,
        )
        create_addon(
            f"{name}-node-monitoring-agent",
            addon="eks-node-monitoring-agent",
            version=versions.node_monitoring_agent,
            cluster=args.cluster,
            parent=self,
        )
        self.register_outputs({"coredns_version": coredns.addon_version})

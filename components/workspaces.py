"""Workspaces: the namespaces that workloads live in, closed before anything runs there.

Creates per namespace: the namespace with Pod Security `restricted`; a network policy that denies all traffic; one that
lets pods ask the cluster's DNS. What a workload needs beyond that, it brings itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from components.labels import WORKLOAD_TYPE

if TYPE_CHECKING:
    from components.handles import PodNetworkHandle
    from settings.model import NamespaceSpec

POD_SECURITY = "pod-security.kubernetes.io"
DNS_PORT = 53


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspacesArgs:
    """Arguments of `Workspaces`."""

    namespaces: tuple[NamespaceSpec, ...]
    """The namespaces."""
    kubernetes_version: str
    """Minor version that the Pod Security standard is read at, so that an upgrade cannot tighten it by surprise."""
    pod_network: PodNetworkHandle
    """The CNI, which enforces the policies."""


class Workspaces(pulumi.ComponentResource):
    """Namespaces with default-deny; see the module for what is created. Needs the cluster's Kubernetes provider."""

    names: tuple[str, ...]
    """The namespaces, in the order of the settings."""
    ready: tuple[pulumi.Resource, ...]
    """The namespaces: objects can live in them after these."""

    def __init__(self, name: str, args: WorkspacesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:workspaces:Workspaces", name, None, opts)
        self._name = name
        self._after_cni = pulumi.ResourceOptions(parent=self, depends_on=list(args.pod_network.ready))
        namespaces: list[pulumi.Resource] = []
        for namespace in args.namespaces:
            created = kubernetes.core.v1.Namespace(
                f"{name}-{namespace.name}",
                metadata=kubernetes.meta.v1.ObjectMetaArgs(
                    name=namespace.name, labels=namespace_labels(namespace, args.kubernetes_version)
                ),
                opts=self._after_cni,
            )
            self._close(namespace.name, created)
            namespaces.append(created)
        self.ready = tuple(namespaces)
        self.names = tuple(namespace.name for namespace in args.namespaces)
        self.register_outputs({"names": list(self.names)})

    def _close(self, namespace: str, created: kubernetes.core.v1.Namespace) -> None:
        inside = pulumi.ResourceOptions(parent=self, depends_on=[created])
        everyone = kubernetes.meta.v1.LabelSelectorArgs()
        networking = kubernetes.networking.v1
        networking.NetworkPolicy(
            f"{self._name}-{namespace}-default-deny",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name="default-deny", namespace=namespace),
            spec=networking.NetworkPolicySpecArgs(pod_selector=everyone, policy_types=["Ingress", "Egress"]),
            opts=inside,
        )
        dns = networking.NetworkPolicyPeerArgs(
            namespace_selector=kubernetes.meta.v1.LabelSelectorArgs(
                match_labels={"kubernetes.io/metadata.name": "kube-system"}
            ),
            pod_selector=kubernetes.meta.v1.LabelSelectorArgs(match_labels={"k8s-app": "kube-dns"}),
        )
        ports = [networking.NetworkPolicyPortArgs(protocol=protocol, port=DNS_PORT) for protocol in ("UDP", "TCP")]
        networking.NetworkPolicy(
            f"{self._name}-{namespace}-allow-dns",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name="allow-dns", namespace=namespace),
            spec=networking.NetworkPolicySpecArgs(
                pod_selector=everyone,
                policy_types=["Egress"],
                egress=[networking.NetworkPolicyEgressRuleArgs(to=[dns], ports=ports)],
            ),
            opts=inside,
        )


def namespace_labels(namespace: NamespaceSpec, kubernetes_version: str) -> dict[str, str]:
    """Labels of a namespace: what runs there, who pays, and which pods the API server refuses."""
    levels = {f"{POD_SECURITY}/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    versions = {f"{level}-version": f"v{kubernetes_version}" for level in levels}
    return {
        WORKLOAD_TYPE: namespace.workload_type,
        "cost-center": namespace.cost_center,
        **levels,
        **versions,
    }

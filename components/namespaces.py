"""Namespaces as this platform makes them: closed before anything runs there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import pulumi
import pulumi_kubernetes as kubernetes

from components import network_flows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.handles import Ready

_POD_SECURITY: Final = "pod-security.kubernetes.io"
_MODES: Final = ("enforce", "audit", "warn")


Level = Literal["restricted", "baseline", "privileged"]
"""Levels of the Pod Security Standards (Kubernetes documentation)."""


def pod_security(level: Level, kubernetes_version: str) -> dict[str, str]:
    """Labels by which the API server refuses pods outside a level of Pod Security.

    Args:
        level: The level.
        kubernetes_version: Minor version that the standard is read at: an upgrade cannot tighten it by surprise.
    """
    levels = {f"{_POD_SECURITY}/{mode}": level for mode in _MODES}
    return {**levels, **{f"{level}-version": f"v{kubernetes_version}" for level in levels}}


def create_namespace(
    name: str,
    namespace: str,
    *,
    kubernetes_version: str,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
    labels: Mapping[str, str] | None = None,
    level: Level = "restricted",
) -> Ready:
    """Create a namespace whose pods reach nothing but DNS; return what its contents wait for.

    Args:
        name: Logical name of the namespace and first part of those of its objects.
        namespace: Name in the cluster.
        kubernetes_version: Minor version of the cluster.
        parent: The component.
        after: What enforces network policies.
        labels: Labels beside those of Pod Security.
        level: Which pods the API server lets in.
    """
    created = kubernetes.core.v1.Namespace(
        name,
        metadata=kubernetes.meta.v1.ObjectMetaArgs(
            name=namespace, labels={**(labels or {}), **pod_security(level, kubernetes_version)}
        ),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after)),
    )
    policies = {"default-deny": network_flows.deny_all(), "allow-dns": network_flows.ask_dns()}
    closed = create_policies(name, namespace, policies, parent=parent, after=(created,))
    # Kubernetes makes this account itself, so it can only be patched.
    account = kubernetes.core.v1.ServiceAccountPatch(
        f"{name}-default-account",
        metadata=kubernetes.meta.v1.ObjectMetaPatchArgs(name="default", namespace=namespace),
        automount_service_account_token=False,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[created]),
    )
    return (created, *closed, account)


def create_policies(
    name: str,
    namespace: str,
    policies: Mapping[str, kubernetes.networking.v1.NetworkPolicySpecArgs],
    *,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
) -> Ready:
    """Create network policies by their name in the namespace."""
    return tuple(
        kubernetes.networking.v1.NetworkPolicy(
            f"{name}-{policy}",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=policy, namespace=namespace),
            spec=spec,
            opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after)),
        )
        for policy, spec in policies.items()
    )

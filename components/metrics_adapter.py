"""Metrics adapter: autoscalers read from Prometheus how many requests the pods of a model have.

Creates, where the settings ask for it: a closed namespace with Pod Security `restricted`; the release of
prometheus-adapter, which registers the API `custom.metrics.k8s.io`; its rights to know who asks, and which pods are
meant; the way to Prometheus.
Does not create: autoscalers, which belong to each model (`components.serving`).

The API server does not verify the adapter's certificate, as it does not verify that of metrics-server: the chart's way
without cert-manager. Network policies say who reaches the adapter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from components import metrics_adapter_objects as objects
from components.address_plan import plan_addresses
from components.metrics_adapter_objects import CHART
from components.namespaces import create_namespace, create_policies
from components.releases import create_release

if TYPE_CHECKING:
    from components.handles import MonitoringHandle, NodePoolsHandle, PodNetworkHandle, Ready, TenancyHandle
    from settings.model import ChartSpec, ClusterSpec, MetricsAdapterSpec, ModelSpec, MonitoringSpec, NetworkSpec

_META = kubernetes.meta.v1.ObjectMetaArgs
_RBAC = "rbac.authorization.k8s.io"
_SUBJECT = kubernetes.rbac.v1.SubjectArgs(kind="ServiceAccount", name=CHART, namespace=CHART)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsAdapterArgs:
    """Arguments of `MetricsAdapter`."""

    spec: MonitoringSpec
    """The adapter, or none, and how often pods are read."""
    chart: ChartSpec
    """Chart of the adapter."""
    models: tuple[ModelSpec, ...]
    """Models; those that are scaled by requests say in which namespaces the adapter lists pods."""
    cluster_spec: ClusterSpec
    """Kubernetes version, at which the Pod Security standard is read, and range of service addresses."""
    network: NetworkSpec
    """The address plan."""
    pod_network: PodNetworkHandle
    """The CNI, which enforces the network policies."""
    pools: NodePoolsHandle
    """Managed groups; the adapter runs on the system ones."""
    monitoring: MonitoringHandle
    """Prometheus, which it asks."""
    tenancy: TenancyHandle
    """Namespaces of the models."""


class MetricsAdapter(pulumi.ComponentResource):
    """prometheus-adapter; see the module for what is created. Needs the cluster's provider."""

    def __init__(self, name: str, args: MetricsAdapterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:metricsadapter:MetricsAdapter", name, None, opts)
        self._name, self._args = name, args
        adapters = [self._create(spec) for spec in (args.spec.adapter,) if spec is not None]
        self.register_outputs({"adapters": len(adapters)})

    def _create(self, spec: MetricsAdapterSpec) -> kubernetes.helm.v3.Release:
        args = self._args
        inside = self._create_namespace()
        values = objects.adapter_values(
            spec, prometheus_url=args.monitoring.prometheus_url, scrape_seconds=args.spec.scrape_seconds
        )
        return create_release(
            f"{self._name}-adapter",
            chart=args.chart,
            chart_name=CHART,
            namespace=CHART,
            values=values,
            parent=self,
            after=(*inside, *self._grant(), *args.pools.system_ready),
        )

    def _create_namespace(self) -> Ready:
        args, network = self._args, self._args.network
        name = f"{self._name}-{CHART}"
        closed = create_namespace(
            name, CHART, kubernetes_version=args.cluster_spec.version, parent=self, after=args.pod_network.ready
        )
        plan = plan_addresses(
            network.cidr, network.zones, private_prefix=network.private_prefix, public_prefix=network.public_prefix
        )
        flows = objects.adapter_flows(list(plan.private.values()), args.cluster_spec.service_cidr)
        asked = {"prometheus-from-adapter": objects.asked_from_here()}
        create_policies(self._name, args.monitoring.namespace, asked, parent=self, after=args.monitoring.ready)
        return (*closed, *create_policies(name, CHART, flows, parent=self, after=closed))

    def _grant(self) -> Ready:
        """Let the adapter know who asks and may ask, and list pods where a model is scaled by requests."""
        may_ask = kubernetes.rbac.v1.ClusterRoleBinding(
            f"{self._name}-delegator",
            metadata=_META(name=f"{CHART}-delegator"),
            role_ref=_role("ClusterRole", "system:auth-delegator"),
            subjects=[_SUBJECT],
            opts=pulumi.ResourceOptions(parent=self),
        )
        who_asks = self._bind("kube-system", _role("Role", "extension-apiserver-authentication-reader"), ())
        for namespace in _namespaces(self._args.models):
            role = kubernetes.rbac.v1.Role(
                f"{self._name}-{namespace}",
                metadata=_META(name=CHART, namespace=namespace),
                rules=objects.found_by_selector(),
                opts=self._after(self._args.tenancy.namespaces[namespace]),
            )
            self._bind(namespace, _role("Role", CHART), (role,))
        return (may_ask, who_asks)

    def _bind(
        self, namespace: str, role: kubernetes.rbac.v1.RoleRefArgs, after: Ready
    ) -> kubernetes.rbac.v1.RoleBinding:
        return kubernetes.rbac.v1.RoleBinding(
            f"{self._name}-{namespace}",
            metadata=_META(name=CHART, namespace=namespace),
            role_ref=role,
            subjects=[_SUBJECT],
            opts=self._after(after),
        )

    def _after(self, ready: Ready) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(ready))


def _role(kind: str, name: str) -> kubernetes.rbac.v1.RoleRefArgs:
    return kubernetes.rbac.v1.RoleRefArgs(api_group=_RBAC, kind=kind, name=name)


def _namespaces(models: tuple[ModelSpec, ...]) -> list[str]:
    """Namespaces of models that are scaled by requests, each once."""
    pods = [model.pods for model in models]
    return list(dict.fromkeys(spec.namespace for spec in pods if spec is not None and spec.autoscaling.requests))

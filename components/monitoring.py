"""Monitoring: metrics of everything in the cluster, gathered, kept, judged and shown.

Creates: the release of the Prometheus operator's custom resource definitions; a namespace for Prometheus, Alertmanager,
Grafana and kube-state-metrics with Pod Security `restricted`, and one for the node exporter, which has to see its node;
network policies that close both and open what is needed; the role of Grafana's pod; the release of all of them.
Does not create: monitors, rules and dashboards of what others run (they bring them: a ServiceMonitor or PrometheusRule
in any namespace, a ConfigMap with the label `grafana_dashboard` in this one); ways in from outside of the cluster.

The definitions need no node and come first, so what brings a ServiceMonitor of its own does not wait for Prometheus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from components.address_plan import plan_addresses
from components.handles import MonitoringHandle, NodePoolsHandle, PodNetworkHandle, Ready
from components.labels import MONITORING_NAMESPACE
from components.monitoring_flows import monitoring_policies
from components.monitoring_objects import CRD_VALUES, GRAFANA_ROLE, NODES_NAMESPACE, RELEASE, stack_values
from components.namespaces import Level, create_namespace, create_policies
from components.releases import create_release

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.labels import Labels
    from settings.model import ChartsSpec, ClusterSpec, MonitoringSpec, NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringArgs:
    """Arguments of `Monitoring`."""

    labels: Labels
    """Names of the environment."""
    spec: MonitoringSpec
    """Sizes and retention."""
    charts: ChartsSpec
    """Charts of the stack and of its custom resource definitions."""
    cluster: ClusterSpec
    """Kubernetes version, at which the Pod Security standard is read, and range of service addresses."""
    network: NetworkSpec
    """The address plan: what Prometheus may reach."""
    pod_network: PodNetworkHandle
    """The CNI, which enforces the network policies."""
    pools: NodePoolsHandle
    """Managed groups; everything but the node exporter runs on the system ones."""
    storage_class: str
    """Class of every volume: encrypted, and bound where its pod runs."""
    storage_ready: Ready = ()
    """The class and its driver."""


class Monitoring(pulumi.ComponentResource):
    """Prometheus and what belongs to it; see the module for what is created. Needs the cluster's provider."""

    handle: MonitoringHandle
    """What brings monitors, rules or dashboards uses this."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:monitoring:Monitoring", name, None, opts)
        self._name, self._args = name, args
        charts = args.charts
        crds = create_release(
            f"{name}-definitions",
            chart=charts.prometheus_operator_crds,
            chart_name="prometheus-operator-crds",
            namespace="kube-system",
            values=CRD_VALUES,
            parent=self,
        )
        stack = create_release(
            f"{name}-stack",
            chart=charts.kube_prometheus_stack,
            chart_name=RELEASE,
            namespace=MONITORING_NAMESPACE,
            values=stack_values(args.labels, args.spec, storage_class=args.storage_class),
            parent=self,
            after=(crds, *self._create_places(), *args.pools.system_ready, *args.storage_ready),
        )
        self.handle = MonitoringHandle(
            namespace=MONITORING_NAMESPACE,
            prometheus_url=f"http://{RELEASE}-prometheus.{MONITORING_NAMESPACE}:9090",
            crds=(crds,),
            ready=(stack,),
        )
        self.register_outputs({"namespace": self.handle.namespace, "prometheus_url": self.handle.prometheus_url})

    def _create_places(self) -> Ready:
        network = self._args.network
        plan = plan_addresses(
            network.cidr, network.zones, private_prefix=network.private_prefix, public_prefix=network.public_prefix
        )
        flows = monitoring_policies(list(plan.private.values()), self._args.cluster.service_cidr)
        place = self._create_namespace(MONITORING_NAMESPACE, policies=flows)
        # Files of the node are mounted, which no other level allows.
        nodes = self._create_namespace(NODES_NAMESPACE, "privileged")
        role = kubernetes.rbac.v1.Role(
            f"{self._name}-grafana",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=GRAFANA_ROLE, namespace=MONITORING_NAMESPACE),
            rules=[
                kubernetes.rbac.v1.PolicyRuleArgs(
                    api_groups=[""], resources=["configmaps"], verbs=["get", "list", "watch"]
                )
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(place)),
        )
        return (*place, *nodes, role)

    def _create_namespace(
        self,
        namespace: str,
        level: Level = "restricted",
        policies: Mapping[str, kubernetes.networking.v1.NetworkPolicySpecArgs] | None = None,
    ) -> Ready:
        name = f"{self._name}-{namespace}"
        closed = create_namespace(
            name,
            namespace,
            kubernetes_version=self._args.cluster.version,
            parent=self,
            after=self._args.pod_network.ready,
            level=level,
        )
        return (*closed, *create_policies(name, namespace, policies or {}, parent=self, after=closed))

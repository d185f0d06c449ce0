"""Accelerators: GPUs become a resource that pods ask for and share, and are measured.

Creates: a namespace of its own, in which only the exporter's port answers, and only to Prometheus; the release of
NVIDIA's device plugin with feature discovery; that of the DCGM exporter; those of the device plugins for AWS Neuron and
Elastic Fabric Adapters where the stack file has their charts.
Does not create: drivers and the container toolkit, which the machine image brings; metrics of Neuron devices.

The namespace is not kube-system: its pods need the run of their nodes, and nothing else shall live under that licence.
Pods that use a GPU need none of it and stay `restricted`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from components.accelerators_objects import (
    METRICS_PORT,
    NAMESPACE,
    device_plugin_values,
    efa_values,
    exporter_values,
    namespace_labels,
    neuron_values,
)
from components.labels import MONITORING_NAMESPACE, PROMETHEUS
from components.releases import create_release

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.handles import NodePoolsHandle, PodNetworkHandle, Ready
    from settings.model import AcceleratorsSpec, ChartSpec, ChartsSpec


def _selector(labels: Mapping[str, str]) -> kubernetes.meta.v1.LabelSelectorArgs:
    return kubernetes.meta.v1.LabelSelectorArgs(match_labels=labels or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorsArgs:
    """Arguments of `Accelerators`."""

    spec: AcceleratorsSpec
    """Sharing profiles and exporter."""
    charts: ChartsSpec
    """Charts of the device plugins and of the exporter."""
    kubernetes_version: str
    """Minor version that the Pod Security standard is read at."""
    pod_network: PodNetworkHandle
    """The CNI, which enforces the network policy."""
    pools: NodePoolsHandle
    """Managed groups; the controller of node labels runs on the system ones."""
    monitor_crds: Ready = ()
    """Definitions of ServiceMonitor: with them the exporter has one, without them none."""


class Accelerators(pulumi.ComponentResource):
    """Device plugins and GPU metrics; see the module for what is created. Needs the cluster's provider."""

    def __init__(self, name: str, args: AcceleratorsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:accelerators:Accelerators", name, None, opts)
        self._name, charts = name, args.charts
        self._inside = self._create_namespace(args)
        self._release(
            "plugin",
            charts.nvidia_device_plugin,
            "nvidia-device-plugin",
            device_plugin_values(args.spec),
            after=args.pools.system_ready,
            # The definitions of Node Feature Discovery have no chart of their own.
            skip_crds=False,
        )
        self._release(
            "exporter",
            charts.dcgm_exporter,
            "dcgm-exporter",
            exporter_values(args.spec, scraped=bool(args.monitor_crds)),
            after=args.monitor_crds,
        )
        if charts.neuron:
            self._release("neuron", charts.neuron, "neuron-helm-chart", neuron_values())
        if charts.efa_device_plugin:
            self._release("efa", charts.efa_device_plugin, "aws-efa-k8s-device-plugin", efa_values())
        self.register_outputs({})

    def _create_namespace(self, args: AcceleratorsArgs) -> Ready:
        namespace = kubernetes.core.v1.Namespace(
            f"{self._name}-namespace",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=NAMESPACE, labels=namespace_labels(args.kubernetes_version)
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.pod_network.ready)),
        )
        networking = kubernetes.networking.v1
        closed = networking.NetworkPolicy(
            f"{self._name}-closed",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name="metrics-only", namespace=NAMESPACE),
            spec=networking.NetworkPolicySpecArgs(
                pod_selector=_selector({}),
                policy_types=["Ingress"],
                ingress=[
                    networking.NetworkPolicyIngressRuleArgs(
                        from_=[
                            networking.NetworkPolicyPeerArgs(
                                namespace_selector=_selector({"kubernetes.io/metadata.name": MONITORING_NAMESPACE}),
                                pod_selector=_selector(PROMETHEUS),
                            )
                        ],
                        ports=[networking.NetworkPolicyPortArgs(protocol="TCP", port=METRICS_PORT)],
                    )
                ],
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[namespace]),
        )
        return namespace, closed

    def _release(
        self,
        role: str,
        chart: ChartSpec,
        chart_name: str,
        values: Mapping[str, object],
        *,
        after: Sequence[pulumi.Resource] = (),
        skip_crds: bool = True,
    ) -> None:
        create_release(
            f"{self._name}-{role}",
            chart=chart,
            chart_name=chart_name,
            namespace=NAMESPACE,
            values=values,
            parent=self,
            after=(*self._inside, *after),
            skip_crds=skip_crds,
        )

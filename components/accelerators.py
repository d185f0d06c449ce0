"""Accelerators: GPUs become a resource that pods ask for and share, and are measured.

Creates: a namespace of its own, whose pods call the API server only, and in which only the exporter's port answers, and
only to Prometheus; the releases of NVIDIA's device plugin with feature discovery and of the DCGM exporter; those of the
device plugins for AWS Neuron and Elastic Fabric Adapters where the stack file has their charts.
Does not create: drivers and the container toolkit, which the machine image brings; metrics of Neuron devices.

The namespace is not kube-system: its pods need the run of their nodes, and nothing else shall live under that licence.
Pods that use a GPU need none of it and stay `restricted`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from components.accelerators_objects import (
    METRICS_PORT,
    NAMESPACE,
    POD_SECURITY_LEVEL,
    device_plugin_values,
    efa_values,
    exporter_values,
    neuron_values,
)
from components.address_plan import plan_addresses
from components.namespaces import create_namespace, create_policies
from components.network_flows import be_scraped, call_api_server
from components.releases import create_release

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.handles import NodePoolsHandle, PodNetworkHandle, Ready
    from settings.model import AcceleratorsSpec, ChartSpec, ChartsSpec, ClusterSpec, NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorsArgs:
    """Arguments of `Accelerators`."""

    spec: AcceleratorsSpec
    """Sharing profiles and exporter."""
    charts: ChartsSpec
    """Charts of the device plugins and of the exporter."""
    cluster: ClusterSpec
    """Version that the Pod Security standard is read at, and addresses of services."""
    network: NetworkSpec
    """Address plan, from which the way to the API server follows."""
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
        network, name = args.network, f"{self._name}-namespace"
        plan = plan_addresses(
            network.cidr, network.zones, private_prefix=network.private_prefix, public_prefix=network.public_prefix
        )
        closed = create_namespace(
            name,
            NAMESPACE,
            kubernetes_version=args.cluster.version,
            parent=self,
            after=args.pod_network.ready,
            level=POD_SECURITY_LEVEL,
        )
        flows = {
            "read-nodes": call_api_server([str(block) for block in plan.private.values()], args.cluster.service_cidr),
            "be-scraped": be_scraped(METRICS_PORT),
        }
        return (*closed, *create_policies(name, NAMESPACE, flows, parent=self, after=closed))

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

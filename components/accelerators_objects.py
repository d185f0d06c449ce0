"""Helm values of what makes accelerators known to Kubernetes and measures them, as pure functions of settings.

Fields are those of the charts nvidia-device-plugin 0.20 with its part node-feature-discovery 0.19, dcgm-exporter 4.8,
neuron-helm-chart 1.10 and aws-efa-k8s-device-plugin 0.5.30.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from components.labels import DEVICE_PLUGIN_LABEL, EFA_LABEL, ROLE_LABEL
from components.nodes import GPU_RESOURCE
from components.releases import container_resources, on_system_nodes
from settings.model import PoolRole
from settings.sharing import DEFAULT_PROFILE

if TYPE_CHECKING:
    from components.namespaces import Level
    from settings.model import AcceleratorsSpec, GpuProfileSpec

NAMESPACE: Final = "accelerators"
"""Namespace of every device plugin and of the exporter."""
POD_SECURITY_LEVEL: Final[Level] = "privileged"
"""The narrowest Pod Security level that works: device plugins and the exporter talk to the kubelet through host
folders, which `baseline` forbids, and the feature discovery and MPS containers are privileged."""
METRICS_PORT: Final = 9400
"""Port of the exporter (chart dcgm-exporter, `service.port`)."""

_ANY_TAINT: Final = [{"operator": "Exists", "effect": "NoSchedule"}]
"""Tolerates the taints of GPUs, of spot and those that a pool of the stack file adds: the node selector alone decides
where a plugin runs. Without it on a node of theirs, pods wait there for a resource that nobody reports."""


def _required(key: str, value: str) -> dict[str, Any]:
    """Node affinity that replaces a chart's own: Helm merges mappings, and takes lists as they are."""
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def plugin_config(profile: GpuProfileSpec | None) -> dict[str, Any]:
    """Configuration of NVIDIA's device plugin for the nodes of a profile (`api/config/v1` of its source).

    With the MIG strategy `single` partitions are reported as `nvidia.com/gpu`, the only resource that Karpenter and
    quotas know; nodes of a profile have partitions of one size.
    """
    mig = "single" if profile and profile.mig_profile else "none"
    config: dict[str, Any] = {"version": "v1", "flags": {"migStrategy": mig}}
    if profile is None or profile.strategy == "exclusive":
        return config
    shared: dict[str, Any] = {"resources": [{"name": GPU_RESOURCE, "replicas": profile.replicas}]}
    if profile.strategy == "mps":
        return {**config, "sharing": {"mps": shared}}
    # Two parts of one GPU are no faster than one: a pod that asks for more is a mistake. MPS refuses it by itself.
    return {**config, "sharing": {"timeSlicing": {"failRequestsGreaterThanOne": True, **shared}}}


def device_plugin_values(spec: AcceleratorsSpec) -> dict[str, Any]:
    """Values of the chart `nvidia-device-plugin`.

    Nodes choose their configuration by a label. Feature discovery labels them with model, memory and driver of their
    GPUs; Node Feature Discovery, a part of the chart, writes those labels. One controller of it is enough: nothing is
    scheduled by its labels.
    """
    configs = {DEFAULT_PROFILE: plugin_config(None), **{each.name: plugin_config(each) for each in spec.gpu_profiles}}
    gpu_nodes = {"nodeSelector": {DEVICE_PLUGIN_LABEL: "nvidia"}, "tolerations": _ANY_TAINT}
    controller = {**on_system_nodes(), "resources": container_resources(128, 256)}
    return {
        "config": {
            "map": {name: json.dumps(config, indent=2) for name, config in configs.items()},
            "default": DEFAULT_PROFILE,
        },
        **gpu_nodes,
        # A plugin that finds no GPU on such a node fails for all to see; otherwise it would wait in silence.
        "failOnInitError": True,
        "affinity": _required(DEVICE_PLUGIN_LABEL, "nvidia"),
        "resources": container_resources(64, 256),
        "gfd": {"enabled": True},
        "nfd": {
            "master": controller,
            "gc": controller,
            "worker": {**gpu_nodes, "resources": container_resources(64, 256)},
        },
    }


def exporter_values(spec: AcceleratorsSpec, *, scraped: bool) -> dict[str, Any]:
    """Values of the chart `dcgm-exporter`.

    Args:
        spec: Memory, interval and sharing.
        scraped: Whether Prometheus's ServiceMonitor exists in the cluster.
    """
    shared = any(profile.replicas > 1 for profile in spec.gpu_profiles)
    return {
        "nodeSelector": {ROLE_LABEL: PoolRole.GPU.value},
        "tolerations": _ANY_TAINT,
        "resources": container_resources(min(256, spec.exporter_memory_mib), spec.exporter_memory_mib, cpu_millis=100),
        "serviceMonitor": {"enabled": scraped, "interval": f"{spec.exporter_interval_seconds}s"},
        "extraEnv": [
            # Milliseconds between two readings of a GPU.
            {"name": "DCGM_EXPORTER_INTERVAL", "value": str(1000 * spec.exporter_interval_seconds)},
            # A series for each pod of a shared GPU, where otherwise one of them stood for all.
            *([{"name": "KUBERNETES_VIRTUAL_GPUS", "value": "true"}] if shared else []),
        ],
    }


def neuron_values() -> dict[str, Any]:
    """Values of the chart `neuron-helm-chart`: the device plugin alone.

    Neuron's newer driver for dynamic resource allocation is not for nodes that Karpenter starts (EKS user guide,
    "Manage Neuron devices on Amazon EKS").
    """
    return {
        "devicePlugin": {
            "enabled": True,
            "namespaceOverride": NAMESPACE,
            "nodeSelector": {DEVICE_PLUGIN_LABEL: "neuron"},
            "tolerations": _ANY_TAINT,
            "resources": container_resources(64, 256),
        },
        "scheduler": {"enabled": False},
        "npd": {"enabled": False},
    }


def efa_values() -> dict[str, Any]:
    """Values of the chart `aws-efa-k8s-device-plugin`."""
    return {
        "nodeSelector": {EFA_LABEL: "true"},
        "tolerations": _ANY_TAINT,
        "resources": container_resources(32, 128),
    }

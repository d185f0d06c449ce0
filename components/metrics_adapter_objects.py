"""Values, rights and network policies of prometheus-adapter, as pure functions of settings.

Values are those of the chart `prometheus-adapter` 5.3 (prometheus-adapter 0.12). The chart's own rights read every
ConfigMap, and are left out; which ones are needed is said by `pkg/custom-provider/provider.go` (pods are listed by the
autoscaler's selector) and by the Kubernetes documentation, "Configure the Aggregation Layer".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pulumi_kubernetes as kubernetes

from components import network_flows
from components.labels import MONITORING_NAMESPACE, PROMETHEUS
from components.monitoring_objects import resources
from components.releases import on_system_nodes, spread_over_zones

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Network

    from settings.model import MetricsAdapterSpec

CHART: Final = "prometheus-adapter"
"""Name of the chart, of its release, of the namespace, and of the service account."""
PORT: Final = 10251
"""Where the API server asks; a port that the nodes' security group has open for metrics-server."""
PROMETHEUS_PORT: Final = 9090
REQUEST_METRICS: Final = {"per-second": "slipway_requests_per_second", "in-flight": "slipway_requests_in_flight"}
"""Metrics of pods by what the settings call them."""
READINGS: Final = 4
"""Readings of a pod in what is averaged: a rate needs two, and one may be missed."""

_POD: Final = {"app.kubernetes.io/name": CHART}
_OF_PODS: Final = {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}}


def adapter_values(spec: MetricsAdapterSpec, *, prometheus_url: str, scrape_seconds: int) -> dict[str, Any]:
    """Values of the chart `prometheus-adapter`.

    Args:
        spec: Replicas and resources.
        prometheus_url: Address of Prometheus, with its port.
        scrape_seconds: How often Prometheus reads a pod.
    """
    return {
        "prometheus": {"url": prometheus_url, "port": 0},
        "listenPort": PORT,
        "logLevel": 2,
        "replicas": spec.replicas,
        **({"podDisruptionBudget": {"enabled": True}} if spec.replicas > 1 else {}),
        # Rights are ours: the release makes none.
        "rbac": {"create": False},
        "rules": {"default": False, "custom": rules(READINGS * scrape_seconds)},
        "resources": resources(spec.cpu_millis, spec.memory_mib),
        "priorityClassName": "system-cluster-critical",
        "topologySpreadConstraints": spread_over_zones(_POD),
        **on_system_nodes(),
    }


def rules(seconds: int) -> list[dict[str, Any]]:
    """What is asked of Prometheus for each metric, over the last `seconds`: one look is noise.

    Source: prometheus-adapter, `docs/config.md`; series are those of `model_image/scoring/metrics.py`, which times
    predictions alone.
    """
    return [
        _rule("per-second", "slipway_request_duration_seconds_count", "rate", seconds),
        _rule("in-flight", "slipway_requests_in_flight", "avg_over_time", seconds),
    ]


def _rule(metric: str, series: str, function: str, seconds: int) -> dict[str, Any]:
    return {
        "seriesQuery": f'{series}{{namespace!="",pod!=""}}',
        "resources": _OF_PODS,
        "name": {"as": REQUEST_METRICS[metric]},
        "metricsQuery": f"sum({function}(<<.Series>>{{<<.LabelMatchers>>}}[{seconds}s])) by (<<.GroupBy>>)",
    }


def found_by_selector() -> list[kubernetes.rbac.v1.PolicyRuleArgs]:
    """In the namespace of a model: which pods an autoscaler means."""
    return [kubernetes.rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["pods"], verbs=["list"])]


def adapter_flows(
    private: Sequence[IPv4Network], services: IPv4Network
) -> Mapping[str, kubernetes.networking.v1.NetworkPolicySpecArgs]:
    """Network policies of its namespace, beside those of a closed one.

    Args:
        private: Ranges of the private subnets, in which the control plane has its interfaces.
        services: Range of service addresses.
    """
    ranges = [str(block) for block in private]
    return {
        "allow-api-server": network_flows.call_api_server(ranges, services),
        "allow-autoscalers": network_flows.take_requests(ranges, PORT),
        "allow-prometheus": network_flows.ask_pods(MONITORING_NAMESPACE, PROMETHEUS, PROMETHEUS_PORT),
    }


def asked_from_here() -> kubernetes.networking.v1.NetworkPolicySpecArgs:
    """In the namespace of Prometheus: the adapter asks it."""
    return network_flows.be_asked(PROMETHEUS, namespace=CHART, by=_POD, port=PROMETHEUS_PORT)

"""Network policies of the monitoring namespace as pure functions: who talks to whom, and on which port.

The namespace is closed: a pod that no policy here selects sends nothing but questions to the cluster's DNS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi_kubernetes as kubernetes

from components.labels import PROMETHEUS
from components.monitoring_objects import RELEASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Network

_networking = kubernetes.networking.v1
_Peer = _networking.NetworkPolicyPeerArgs
_Port = _networking.NetworkPolicyPortArgs

_NAME: Final = "app.kubernetes.io/name"
GRAFANA: Final = {_NAME: "grafana"}
ALERTMANAGER: Final = {_NAME: "alertmanager"}
STATE_METRICS: Final = {_NAME: "kube-state-metrics"}
OPERATOR: Final = {_NAME: f"{RELEASE}-prometheus-operator"}
"""Label of the operator, and of the jobs that give its webhook a certificate."""

_HTTPS: Final = 443
_PROMETHEUS_PORT: Final = 9090
_ALERTMANAGER_PORT: Final = 9093
_GOSSIP_PORT: Final = 9094
_RELOADER_PORT: Final = 8080
_OPERATOR_PORT: Final = 10250
_GRAFANA_PORT: Final = 3000
_STATE_METRICS_PORT: Final = 8080


def monitoring_policies(
    private: Sequence[IPv4Network], services: IPv4Network
) -> dict[str, kubernetes.networking.v1.NetworkPolicySpecArgs]:
    """Policies of the monitoring namespace by name, beside those of a closed one.

    Args:
        private: Ranges of the private subnets: nodes, pods, and the interfaces of the control plane.
        services: Range of service addresses; its first address is the API server's (Kubernetes documentation,
            "Service ClusterIP allocation").
    """
    subnets = [_range(block) for block in private]
    # The CNI judges a packet before a service address becomes an endpoint's, and also what goes to an endpoint.
    api_server = [_Peer(ip_block=_networking.IPBlockArgs(cidr=f"{services.network_address + 1}/32")), *subnets]
    prometheus = _pods(PROMETHEUS)
    return {
        **{
            f"{name}-to-api-server": _out(pods, api_server, _tcp(_HTTPS))
            for name, pods in {
                "grafana": GRAFANA,
                "operator": OPERATOR,
                "prometheus": PROMETHEUS,
                "state-metrics": STATE_METRICS,
            }.items()
        },
        # Targets are nodes, the control plane and pods of every namespace, on ports that their monitors name. With the
        # VPC CNI pods have addresses of these subnets, and it matches ranges against them, which not every CNI does.
        "prometheus-to-targets": _out(PROMETHEUS, subnets, [_Port(protocol="TCP")]),
        "prometheus-from-pods": _in(PROMETHEUS, _pods(PROMETHEUS, GRAFANA), _tcp(_PROMETHEUS_PORT)),
        "prometheus-from-prometheus": _in(PROMETHEUS, prometheus, _tcp(_RELOADER_PORT)),
        "grafana-to-prometheus": _out(GRAFANA, prometheus, _tcp(_PROMETHEUS_PORT)),
        "grafana-to-alertmanager": _out(GRAFANA, _pods(ALERTMANAGER), _tcp(_ALERTMANAGER_PORT)),
        "grafana-from-prometheus": _in(GRAFANA, prometheus, _tcp(_GRAFANA_PORT)),
        "state-metrics-from-prometheus": _in(STATE_METRICS, prometheus, _tcp(_STATE_METRICS_PORT)),
        "operator-from-prometheus": _in(OPERATOR, prometheus, _tcp(_OPERATOR_PORT)),
        # The API server asks the operator whether a rule makes sense, from interfaces somewhere in these subnets.
        "operator-from-api-server": _in(OPERATOR, subnets, _tcp(_OPERATOR_PORT)),
        "alertmanager-from-pods": _in(ALERTMANAGER, _pods(PROMETHEUS, GRAFANA), _tcp(_ALERTMANAGER_PORT)),
        "alertmanager-from-prometheus": _in(ALERTMANAGER, prometheus, _tcp(_RELOADER_PORT)),
        "alertmanager-from-alertmanager": _in(ALERTMANAGER, _pods(ALERTMANAGER), _gossip()),
        "alertmanager-to-alertmanager": _out(ALERTMANAGER, _pods(ALERTMANAGER), _gossip()),
    }


def _in(
    pods: Mapping[str, str], peers: list[_Peer], ports: list[_Port]
) -> kubernetes.networking.v1.NetworkPolicySpecArgs:
    return _networking.NetworkPolicySpecArgs(
        pod_selector=_selector(pods),
        policy_types=["Ingress"],
        ingress=[_networking.NetworkPolicyIngressRuleArgs(from_=peers, ports=ports)],
    )


def _out(
    pods: Mapping[str, str], peers: list[_Peer], ports: list[_Port]
) -> kubernetes.networking.v1.NetworkPolicySpecArgs:
    return _networking.NetworkPolicySpecArgs(
        pod_selector=_selector(pods),
        policy_types=["Egress"],
        egress=[_networking.NetworkPolicyEgressRuleArgs(to=peers, ports=ports)],
    )


def _selector(labels: Mapping[str, str]) -> kubernetes.meta.v1.LabelSelectorArgs:
    return (
        kubernetes.meta.v1.LabelSelectorArgs(match_labels=labels) if labels else kubernetes.meta.v1.LabelSelectorArgs()
    )


def _pods(*selected: Mapping[str, str]) -> list[_Peer]:
    return [_Peer(pod_selector=_selector(labels)) for labels in selected]


def _range(block: IPv4Network) -> _Peer:
    return _Peer(ip_block=_networking.IPBlockArgs(cidr=str(block)))


def _tcp(port: int) -> list[_Port]:
    return [_Port(protocol="TCP", port=port)]


def _gossip() -> list[_Port]:
    return [_Port(protocol=protocol, port=_GOSSIP_PORT) for protocol in ("TCP", "UDP")]

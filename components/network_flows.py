"""Network policies as pure functions: what a namespace's pods may ask, and who may ask them.

A NetworkPolicy names pods, namespaces and address ranges, no managed prefix lists and no domain names. The addresses of
S3's gateway endpoint are public and change without notice, so pods that call AWS may reach TCP 443 of every public
address; what they may do there is decided by their IAM role, and narrowing the way out is the business of the VPC.
Source of all fields: Kubernetes API reference, `networking.k8s.io/v1`, NetworkPolicy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi_kubernetes as kubernetes

from components.firewall import ANYWHERE, HTTPS
from components.labels import MONITORING_NAMESPACE, PROMETHEUS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network

DNS: Final = 53
SERVING: Final = 8080
"""Port on which the model server answers requests, health checks and `/metrics`."""
NOT_PUBLIC: Final = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
"""Private, shared and link-local ranges; 169.254.0.0/16 holds the services that give out credentials."""

_networking = kubernetes.networking.v1
_Spec = kubernetes.networking.v1.NetworkPolicySpecArgs
_Peer = kubernetes.networking.v1.NetworkPolicyPeerArgs
_EVERYBODY: Final = kubernetes.meta.v1.LabelSelectorArgs()


def deny_all() -> _Spec:
    """No pod talks to anybody, and nobody talks to it."""
    return _Spec(pod_selector=_EVERYBODY, policy_types=["Ingress", "Egress"])


def ask_dns() -> _Spec:
    """Every pod asks the cluster's DNS."""
    return _outwards([_pods("kube-system", {"k8s-app": "kube-dns"})], {DNS: ("UDP", "TCP")})


def call_aws(private_ranges: Sequence[str], labels: dict[str, str] | None = None) -> _Spec:
    """Pods call AWS: interface endpoints in private ranges, and public addresses.

    Args:
        private_ranges: Private subnets and peered VPCs, in which interface endpoints have their addresses.
        labels: Of the pods; None for every pod.
    """
    public = _networking.IPBlockArgs(cidr=ANYWHERE, except_=list(NOT_PUBLIC))
    return _outwards([*_ranges(private_ranges), _Peer(ip_block=public)], {HTTPS: ("TCP",)}, labels)


def take_requests(ranges: Sequence[str], port: int = SERVING) -> _Spec:
    """Whatever has an address in the given subnets, such as a load balancer, calls one port of every pod."""
    return _inwards(_ranges(ranges), {port: ("TCP",)})


def be_scraped(port: int = SERVING) -> _Spec:
    """Prometheus reads the metrics of every pod on one port."""
    return _inwards([_pods(MONITORING_NAMESPACE, PROMETHEUS)], {port: ("TCP",)})


def ask_pods(namespace: str, labels: dict[str, str], port: int) -> _Spec:
    """Every pod calls one port of some pods of another namespace, by their Service.

    Each of `labels` has to stand in the selector of that Service: the VPC CNI judges a packet before a Service address
    becomes a pod's, and lets the address through where the policy's labels match the selector
    (amazon-network-policy-controller-k8s, `pkg/resolvers/endpoints.go`, `getMatchingServiceClusterIPs`).
    """
    return _outwards([_pods(namespace, labels)], {port: ("TCP",)})


def be_asked(labels: dict[str, str], *, namespace: str, by: dict[str, str], port: int) -> _Spec:
    """Pods of another namespace, those with the labels `by`, call one port of the pods with `labels`."""
    rule = _networking.NetworkPolicyIngressRuleArgs(from_=[_pods(namespace, by)], ports=_ports({port: ("TCP",)}))
    selected = kubernetes.meta.v1.LabelSelectorArgs(match_labels=labels)
    return _Spec(pod_selector=selected, policy_types=["Ingress"], ingress=[rule])


def call_api_server(private_ranges: Sequence[str], service_range: IPv4Network) -> _Spec:
    """Every pod calls the API server.

    A packet may be judged before a service address becomes an endpoint's, or after it.

    Args:
        private_ranges: Private subnets, in which the control plane has its interfaces.
        service_range: Range of service addresses; its first one is the API server's (Kubernetes documentation,
            "Service ClusterIP allocation").
    """
    return _outwards(_ranges([f"{service_range.network_address + 1}/32", *private_ranges]), {HTTPS: ("TCP",)})


def talk_among_themselves() -> _Spec:
    """The pods of the namespace talk to one another, as the hosts of one distributed training do."""
    ourselves = [_Peer(pod_selector=_EVERYBODY)]
    return _Spec(
        pod_selector=_EVERYBODY,
        policy_types=["Ingress", "Egress"],
        ingress=[_networking.NetworkPolicyIngressRuleArgs(from_=ourselves)],
        egress=[_networking.NetworkPolicyEgressRuleArgs(to=ourselves)],
    )


def _pods(namespace: str, labels: dict[str, str]) -> _Peer:
    return _Peer(
        namespace_selector=kubernetes.meta.v1.LabelSelectorArgs(
            match_labels={"kubernetes.io/metadata.name": namespace}
        ),
        pod_selector=kubernetes.meta.v1.LabelSelectorArgs(match_labels=labels),
    )


def _ranges(ranges: Sequence[str]) -> list[_Peer]:
    return [_Peer(ip_block=_networking.IPBlockArgs(cidr=cidr)) for cidr in ranges]


def _ports(ports: dict[int, tuple[str, ...]]) -> list[kubernetes.networking.v1.NetworkPolicyPortArgs]:
    return [
        _networking.NetworkPolicyPortArgs(protocol=protocol, port=port)
        for port, protocols in ports.items()
        for protocol in protocols
    ]


def _outwards(peers: Sequence[_Peer], ports: dict[int, tuple[str, ...]], labels: dict[str, str] | None = None) -> _Spec:
    rule = _networking.NetworkPolicyEgressRuleArgs(to=list(peers), ports=_ports(ports))
    selected = kubernetes.meta.v1.LabelSelectorArgs(match_labels=labels) if labels else _EVERYBODY
    return _Spec(pod_selector=selected, policy_types=["Egress"], egress=[rule])


def _inwards(peers: Sequence[_Peer], ports: dict[int, tuple[str, ...]]) -> _Spec:
    rule = _networking.NetworkPolicyIngressRuleArgs(from_=list(peers), ports=_ports(ports))
    return _Spec(pod_selector=_EVERYBODY, policy_types=["Ingress"], ingress=[rule])

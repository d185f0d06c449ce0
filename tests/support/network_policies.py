"""What Kubernetes network policies let through, computed from the objects of a recording.

Rules of `networking.k8s.io/v1` ("Network Policies" of the Kubernetes documentation): a pod that some policy selects in
a direction takes only what a rule of one of these policies names; traffic between pods needs both ends to agree. Ranges
match pods too, because an enforcer may see a pod's address and nothing else: the answer errs towards letting through.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a connection: a pod, or with `namespace` None something outside of the cluster."""

    address: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Policies:
    """All policies of a cluster as the API server holds them."""

    objects: Sequence[Mapping[str, Any]]

    def permit(self, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection from `source` to a port of `target` is let through at both ends."""
        door = {"port": port, "protocol": protocol}
        out, into = self._rules("Egress", source), self._rules("Ingress", target)
        leaves = out is None or any(_opens(rule, door) and _any(rule.get("to"), source, target) for rule in out)
        enters = into is None or any(_opens(rule, door) and _any(rule.get("from"), target, source) for rule in into)
        return leaves and enters

    def _rules(self, direction: str, end: End) -> list[Mapping[str, Any]] | None:
        """Rules of the policies that govern a direction of `end`; none where no policy does."""
        governing = [
            item["spec"]
            for item in self.objects
            if item["metadata"]["namespace"] == end.namespace
            and direction in item["spec"]["policyTypes"]
            and _selects(item["spec"]["podSelector"], end.labels)
        ]
        if not governing:
            return None
        return [rule for spec in governing for rule in spec.get(direction.lower(), [])]


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, "the evaluator knows no other selectors"
    return selector.get("matchLabels", {}).items() <= labels.items()


def _opens(rule: Mapping[str, Any], door: Mapping[str, Any]) -> bool:
    return any(each.items() <= door.items() for each in rule.get("ports", [door]))


def _any(peers: Sequence[Mapping[str, Any]] | None, own: End, end: End) -> bool:
    return not peers or any(_names(peer, own, end) for peer in peers)


def _names(peer: Mapping[str, Any], own: End, end: End) -> bool:
    if "ipBlock" in peer:
        address, block = ipaddress.ip_address(end.address), peer["ipBlock"]
        return address in ipaddress.ip_network(block["cidr"]) and not any(
            address in ipaddress.ip_network(each) for each in block.get("except", [])
        )
    if end.namespace is None:
        return False
    here = end.namespace == own.namespace
    name = {"kubernetes.io/metadata.name": end.namespace}
    place = _selects(peer["namespaceSelector"], name) if "namespaceSelector" in peer else here
    return place and _selects(peer.get("podSelector", {}), end.labels)

"""Kubernetes network policies: namespaces are closed, and what opens them is narrow."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.documents import test
from guardrails.networks import Network, parse, public, reach_the_world
from guardrails.resources import Resource, Stack
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    StackRule,
    Undetermined,
    Violation,
)
from guardrails.view import Missing, Unknown, Value, all_of, any_of

_NAMESPACE = "kubernetes:core/v1:Namespace"
_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
_DIRECTIONS = {"ingress": "Ingress", "egress": "Egress"}
_DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """Which namespaces are left to the cluster and its agents."""

    infrastructure_namespaces: Annotated[tuple[str, ...], "Namespaces that need no closed door."] = (
        "kube-system",
        "kube-public",
        "kube-node-lease",
    )
    dns_namespace: Annotated[str, "Namespace in which the cluster's DNS runs."] = "kube-system"
    dns_app: Annotated[str, "Value of the label k8s-app of the DNS pods."] = "kube-dns"


def _everybody(selector: Value) -> bool | None:
    """Whether a selector is empty, and so selects all."""
    if isinstance(selector, Unknown):
        return None
    parts = [selector.child(name) for name in ("matchLabels", "matchExpressions")]
    if any(isinstance(part, Unknown) for part in parts):
        return None
    labels, expressions = parts
    return not labels.items() and not expressions.elements()


def _applies(policy: Resource, direction: str) -> bool | None:
    """Whether a policy governs a direction: named, or by default ingress always and egress when it has rules."""
    kinds = policy.get("spec.policyTypes")
    if isinstance(kinds, Missing):
        return direction == "ingress" or not isinstance(policy.get("spec.egress"), Missing)
    return any_of(test(kind, lambda text: text == _DIRECTIONS[direction]) for kind in kinds.elements())


def _in(policy: Resource, namespace: Resource) -> bool | None:
    """Whether a policy lives in a namespace, by name or by the edge."""
    edges = policy.dependencies.get("metadata", ())
    name, place = namespace.get("metadata.name").text(), policy.get("metadata.namespace")
    written = "default" if isinstance(place, Missing) else place.text()
    if written is not None and name is not None:
        return written == name
    if namespace.urn in edges:
        return True
    return False if edges else None


def _denies(policy: Resource, direction: str) -> bool | None:
    rules = policy.get(f"spec.{direction}")
    empty = None if isinstance(rules, Unknown) else not rules.elements()
    return all_of([_everybody(policy.get("spec.podSelector")), _applies(policy, direction), empty])


def _allows_dns(policy: Resource, protocol: str, facts: NamespaceFacts) -> bool | None:
    answers: list[bool | None] = []
    for rule in policy.select("spec.egress[*]"):
        port = any_of(
            None
            if isinstance(each, Unknown)
            else each.child("port").number() == _DNS_PORT and (each.child("protocol").text() or "TCP") == protocol
            for each in rule.select("ports[*]")
        )
        peer = any_of(
            any_of(
                [
                    test(
                        each.get('namespaceSelector.matchLabels["kubernetes.io/metadata.name"]'),
                        facts.dns_namespace.__eq__,
                    ),
                    test(each.get("podSelector.matchLabels.k8s-app"), facts.dns_app.__eq__),
                ]
            )
            for each in rule.select("to[*]")
        )
        answers.append(all_of([port, peer]))
    return all_of([_everybody(policy.get("spec.podSelector")), _applies(policy, "egress"), any_of(answers)])


def _judge(namespace: Resource, what: str, answers: list[bool | None]) -> Iterator[Finding]:
    answer = any_of(answers)
    if answer is None:
        yield Undetermined(
            path="metadata.name", why=f"whether it has {what} is known only after deployment", resource=namespace
        )
    elif not answer:
        yield Violation(path="metadata.name", found="none", wanted=what, resource=namespace)


def _check_namespaces(stack: Stack, facts: NamespaceFacts) -> Iterator[Finding]:
    policies = stack.objects(_POLICY)
    for namespace in stack.objects(_NAMESPACE):
        if namespace.get("metadata.name").text() in facts.infrastructure_namespaces:
            continue
        inside = [(policy, here) for policy in policies if (here := _in(policy, namespace)) is not False]
        for direction in _DIRECTIONS:
            what = f"a NetworkPolicy that denies all {direction}"
            yield from _judge(namespace, what, [all_of([here, _denies(each, direction)]) for each, here in inside])
        for protocol in ("UDP", "TCP"):
            what = f"a NetworkPolicy that lets every pod ask {facts.dns_app} by {protocol}"
            answers = [all_of([here, _allows_dns(each, protocol, facts)]) for each, here in inside]
            yield from _judge(namespace, what, answers)


NET_08 = StackRule(
    id="NET-08",
    name="ns-default-deny",
    title="Every namespace of ours denies all traffic by default, and lets pods ask the DNS",
    tokens=(_NAMESPACE,),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.3.2", "soc2:CC6.6"),
    why="in an open namespace one broken pod reaches every other pod and the internet",
    fix="add a NetworkPolicy with an empty podSelector and both policyTypes, and one for UDP and TCP 53 to kube-dns",
    facts=NamespaceFacts,
    check=_check_namespaces,
    traps=(
        "an empty rule list and no rule list deny; a list with one empty rule allows all",
        "a policy for some pods leaves the others open",
        "without policyTypes only egress that has rules is governed",
    ),
)


@dataclass(frozen=True, slots=True)
class MetadataFacts:
    """Which link-local services pods may call."""

    pod_identity: Annotated[bool, "Do pods get their AWS roles from the Pod Identity agent at 169.254.170.23?"] = False


_METADATA = ipaddress.ip_address("169.254.169.254")
_POD_IDENTITY = ipaddress.ip_address("169.254.170.23")
_WIDE = 8


def _metadata(network: Network, facts: MetadataFacts) -> bool:
    """Whether a block is there for the services that give out credentials."""
    guarded = (_METADATA,) if facts.pod_identity else (_METADATA, _POD_IDENTITY)
    return network.prefixlen > _WIDE and any(address in network for address in guarded)


def _holed(excepted: Value) -> bool:
    """Whether exceptions take something out that matters: private addresses, or the metadata service."""
    if isinstance(excepted, Unknown):
        return True
    holes = [hole for each in excepted.elements() if (hole := parse(each.text() or "")) is not None]
    unknown = any(isinstance(each, Unknown) for each in excepted.elements())
    return unknown or any(not public([hole]) or _METADATA in hole for hole in holes)


def _check_selectors(peer: Value) -> Iterator[Finding]:
    """A peer named by labels leaves somebody out."""
    selectors = peer.child("namespaceSelector"), peer.child("podSelector")
    if all(isinstance(each, Missing) for each in selectors):
        yield Violation(path=peer.path, found="a peer that says nothing", wanted="labels or a range")
    elif not isinstance(selectors[0], Missing):
        everywhere = all_of(map(_everybody, selectors))
        if everywhere:
            yield Violation(path=peer.path, found="every pod of every namespace", wanted="labels of namespaces")
        elif everywhere is None:
            yield Undetermined(path=peer.path)


def _check_peers(peers: Value, *, outward: bool, facts: MetadataFacts) -> Iterator[Finding]:
    bare: list[Network] = []
    for peer in peers.elements():
        cidr = peer.get("ipBlock.cidr")
        network = parse(cidr.text() or "")
        if isinstance(peer, Unknown) or isinstance(cidr, Unknown):
            yield Undetermined(path=peer.path)
        elif network is not None:
            bare += [] if _holed(peer.get("ipBlock.except")) else [network]
            if outward and _metadata(network, facts):
                wanted = "no way to the services that give out credentials"
                yield Violation(path=cidr.path, found=str(network), wanted=wanted)
        else:
            yield from _check_selectors(peer)
    if reach_the_world(bare):
        wanted = "the ranges that are needed, or except"
        yield Violation(path=peers.path, found="the whole world", wanted=wanted)


def _check_policy(policy: Resource, facts: MetadataFacts) -> Iterator[Finding]:
    for direction, side in (("ingress", "from"), ("egress", "to")):
        applies = _applies(policy, direction)
        for rule in policy.select(f"spec.{direction}[*]") if applies is not False else ():
            peers = rule.child(side)
            anybody = not isinstance(peers, Unknown) and not peers.elements()
            limited = direction == "egress" and bool(rule.child("ports").elements())
            if isinstance(rule, Unknown) or isinstance(peers, Unknown) or applies is None:
                yield Undetermined(path=rule.path)
            elif anybody and not limited:
                yield Violation(path=rule.path, found=f"{direction} without {side}, which is everybody", wanted=side)
            else:
                yield from _check_peers(peers, outward=direction == "egress", facts=facts)


NET_09 = ResourceRule(
    id="NET-09",
    name="netpol-no-allow-all",
    title="No network policy allows everything",
    tokens=(_POLICY,),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.3.2", "soc2:CC6.6"),
    why="policies add up: one that allows everything undoes all the others of the namespace",
    fix="name the pods, namespaces or ranges under from and to",
    facts=MetadataFacts,
    check=_check_policy,
    traps=(
        "ingress: [] and no ingress deny all; ingress: [{}] allows all",
        "a rule in a direction that policyTypes leaves out has no effect",
        "0.0.0.0/1 and 128.0.0.0/1 together are the world",
        "the metadata service and the Pod Identity agent give out credentials",
    ),
)

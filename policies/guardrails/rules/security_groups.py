"""Security groups: what the internet may reach."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.documents import test
from guardrails.networks import parse, reach_the_world
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, decide, show
from guardrails.view import Unknown, Value, all_of, any_of

_GROUP = "aws:ec2/securityGroup:SecurityGroup"
_DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
_INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
_WEB_PORTS = {80.0, 443.0}
_SOURCES = {
    _GROUP: ("cidrBlocks[*]", "ipv6CidrBlocks[*]"),
    _DEFAULT_GROUP: ("cidrBlocks[*]", "ipv6CidrBlocks[*]"),
    _RULE: ("cidrBlocks[*]", "ipv6CidrBlocks[*]"),
    _INGRESS_RULE: ("cidrIpv4", "cidrIpv6"),
}


@dataclass(frozen=True, slots=True)
class IngressFacts:
    """Which groups stand at the edge, where the world may ask for 80 and 443."""

    edge_tag: Annotated[str, "Tag of a group, or of one of its rules, that faces the internet."] = "Exposure"
    edge_value: Annotated[str, "Value of that tag."] = "edge"
    edge_urns: Annotated[
        tuple[str, ...], "Globs over the URNs of rules that cannot carry tags but belong to the edge."
    ] = ()


def _ingress(resource: Resource) -> tuple[Value, ...]:
    """The ingress rules that a resource declares."""
    if resource.token in {_GROUP, _DEFAULT_GROUP}:
        return resource.select("ingress[*]")
    egress = resource.token == _RULE and resource.get("type").text() == "egress"
    return () if egress else (resource.properties,)


def _is_web(rule: Value, token: str) -> bool | None:
    """Whether a rule opens exactly one of the web ports; unknown when its ports are."""
    protocol = rule.get("ipProtocol" if token == _INGRESS_RULE else "protocol")
    low, high = rule.get("fromPort"), rule.get("toPort")
    if any(isinstance(value, Unknown) for value in (protocol, low, high)):
        return None
    return protocol.text() in {"tcp", "6"} and low.number() == high.number() and low.number() in _WEB_PORTS


def _at_edge(resource: Resource, facts: IngressFacts) -> bool | None:
    tagged = test(resource.tag(facts.edge_tag), lambda text: text == facts.edge_value)
    return any_of([tagged, any(fnmatchcase(resource.urn, glob) for glob in facts.edge_urns)])


def _check(resource: Resource, facts: IngressFacts) -> Iterator[Finding]:
    if resource.token == _RULE and isinstance(resource.get("type"), Unknown):
        yield Undetermined(path="type")
        return
    for rule in _ingress(resource):
        sources = [value for path in _SOURCES[resource.token] for value in rule.select(path)]
        networks = [network for value in sources if (network := parse(value.text() or "")) is not None]
        unknown = next((value for value in sources if isinstance(value, Unknown)), None)
        if reach_the_world(networks):
            ports = f"{show(rule.get('fromPort'))}-{show(rule.get('toPort'))}"
            found = f"ports {ports} open to the world ({', '.join(show(value) for value in sources)})"
            yield from decide(
                all_of([_at_edge(resource, facts), _is_web(rule, resource.token)]),
                rule,
                found=found,
                wanted="sources that need it",
            )
        elif unknown is not None:
            yield Undetermined(path=unknown.path)


NET_02 = ResourceRule(
    id="NET-02",
    name="sg-no-world-ingress",
    title="Nothing but the web ports of edge groups is open to the world",
    tokens=tuple(_SOURCES),
    severity=Severity.CRITICAL,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:EC2.18", "fsbp:EC2.19", "soc2:CC6.6"),
    why="what is open to the world is found and tried within minutes",
    fix="name the group, prefix list or CIDR that needs the port; tag a public load balancer's group Exposure=edge",
    facts=IngressFacts,
    check=_check,
    traps=(
        "0.0.0.0/1 and 128.0.0.0/1 together are the world, and so is ::/0",
        "self, prefix lists and other groups as sources are fine",
        "rules stand in the group, or as either of two resources of their own",
    ),
)

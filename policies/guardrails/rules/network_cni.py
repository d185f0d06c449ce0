"""The CNI: network policies are enforced, not just stored."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import yaml

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
    require,
)
from guardrails.view import Missing, Unknown, Value, value_of

_ADDON = "aws:eks/addon:Addon"
_COMPONENT = "eks:index:Cluster"
_CLUSTER = "aws:eks/cluster:Cluster"
_COMPONENT_ADDON = "eks:index:VpcCniAddon"
_NAME = "vpc-cni"


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What enforces network policies."""

    other_engine: Annotated[
        str, "Name of another engine that enforces policies, such as cilium; empty for the CNI."
    ] = ""


def _parsed(values: Value) -> Value | None:
    """Configuration text, which may be JSON or YAML; `None` when it is neither."""
    text = values.text()
    if text is None:
        return values
    try:
        return value_of(yaml.safe_load(text), values.path)
    except yaml.YAMLError:
        return None


def _enforced(place: Value) -> Iterable[Finding]:
    return require(place, lambda value: value.flag() is True, 'the text "true"')


def _check(resource: Resource, facts: EngineFacts) -> Iterator[Finding]:
    if facts.other_engine or not resource.properties.items():
        return
    if resource.token == _ADDON:
        name = resource.get("addonName")
        values = _parsed(resource.get("configurationValues"))
        if isinstance(name, Unknown):
            yield Undetermined(path=name.path)
        elif name.text() == _NAME and values is None:
            yield Violation(path="configurationValues", found="neither JSON nor YAML", wanted="a configuration")
        elif name.text() == _NAME and values is not None:
            yield from _enforced(values.child("enableNetworkPolicy"))
    elif resource.token == _COMPONENT_ADDON:
        yield from _enforced(resource.get("enableNetworkPolicy"))
    elif resource.get("useDefaultVpcCni").flag() is not True:
        yield from _enforced(resource.get("vpcCniOptions.enableNetworkPolicy"))


NET_10 = ResourceRule(
    id="NET-10",
    name="cni-netpol-enforced",
    title="The CNI enforces network policies",
    tokens=(_ADDON, _COMPONENT_ADDON, _COMPONENT),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.3.1", "cis-eks:5.4.4", "soc2:CC6.6"),
    why="the API server stores policies that nobody enforces, and every test of their text passes",
    fix='give the add-on vpc-cni the configuration {"enableNetworkPolicy": "true"}',
    facts=EngineFacts,
    check=_check,
    traps=(
        "configuration_values is JSON or YAML as text, and true is text inside it",
        "a component with use_default_vpc_cni leaves the add-on to others",
    ),
)


def _check_stack(stack: Stack, facts: EngineFacts) -> Iterator[Finding]:
    if facts.other_engine or stack.of(_COMPONENT_ADDON):
        return
    names = [each.get("addonName") for each in stack.of(_ADDON)]
    if any(name.text() == _NAME for name in names):
        return
    managed = {each.urn for each in stack.of(_COMPONENT) if not isinstance(each.get("vpcCniOptions"), Missing)}
    for cluster in stack.of(_CLUSTER):
        if cluster.parent in managed:
            continue
        if any(isinstance(name, Unknown) for name in names):
            yield Undetermined(path="", why="the add-ons' names are not known yet", resource=cluster)
        else:
            wanted = "the add-on vpc-cni, with network policies on"
            yield Violation(path="", found="no CNI add-on", wanted=wanted, resource=cluster)


NET_10_STACK = StackRule(
    id="NET-10",
    name="cni-managed",
    title="The CNI of a cluster is an add-on of the stack",
    tokens=(_CLUSTER,),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.3.1", "soc2:CC6.6"),
    why="the CNI that a cluster brings along enforces no network policies and is updated by nobody",
    fix="add aws.eks.Addon with addon_name vpc-cni, or name the engine that replaces it in configuration",
    facts=EngineFacts,
    check=_check_stack,
    traps=("Cilium or Calico may enforce instead: configuration names them",),
)

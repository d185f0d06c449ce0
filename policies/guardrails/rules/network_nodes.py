"""Nodes: in private subnets, without public addresses."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.facts import NoFacts
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
from guardrails.view import Missing, Unknown, Value, any_of

_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
_GROUP = "aws:eks/nodeGroup:NodeGroup"
_MANAGED = "eks:index:ManagedNodeGroup"
_SELF_MANAGED = "eks:index:NodeGroupV2"
_SUBNET = "aws:ec2/subnet:Subnet"
_ELB = "kubernetes.io/role/elb"


@dataclass(frozen=True, slots=True)
class PublicFacts:
    """What may have public addresses."""

    public_load_balancer_subnets: Annotated[
        bool, "May subnets tagged for public load balancers give out public addresses?"
    ] = False


def _not_true(value: Value) -> bool:
    return value.flag() is not True


def _check_node_class(node_class: Resource) -> Iterator[Finding]:
    yield from require(node_class.get("spec.associatePublicIPAddress"), _not_true, "false")
    terms = node_class.get("spec.subnetSelectorTerms")
    if not isinstance(terms, Unknown) and not terms.elements():
        yield Violation(path=terms.path, found="no selector of subnets", wanted="tags of the private subnets")
    for term in terms.elements():
        named = [term.child("id"), *(value for _, value in term.child("tags").items())]
        named = [value for value in named if not isinstance(value, Missing)]
        unknown = [value for value in named if isinstance(value, Unknown)]
        if unknown or isinstance(term, Unknown):
            yield Undetermined(path=term.path)
        elif all(not (value.text() or "").strip("*") for value in named):
            yield Violation(path=term.path, found="a selector of every subnet", wanted="tags of the private subnets")


def _check(resource: Resource, facts: PublicFacts) -> Iterator[Finding]:
    if resource.token == _TEMPLATE:
        for interface in resource.select("networkInterfaces[*]"):
            yield from require(interface.child("associatePublicIpAddress"), _not_true, "false")
    elif resource.token == _NODE_CLASS:
        yield from _check_node_class(resource)
    elif resource.token == _SELF_MANAGED:
        public = resource.get("nodeAssociatePublicIpAddress")
        yield from require(public, lambda value: value.flag() is False, "false (the component assumes true)")
    elif resource.token == _SUBNET:
        edge = not isinstance(resource.tag(_ELB), Missing) and facts.public_load_balancer_subnets
        if not edge:
            yield from require(resource.get("mapPublicIpOnLaunch"), _not_true, "false")
    else:
        access = resource.get("remoteAccess")
        sources = access.child("sourceSecurityGroupIds")
        if not isinstance(access.child("ec2SshKey"), Missing):
            wanted = "the groups that may connect; without them port 22 is open to the world"
            yield from require(sources, lambda value: bool(value.elements()), wanted)


NET_04 = ResourceRule(
    id="NET-04",
    name="nodes-without-public-addresses",
    title="Nodes and their subnets give out no public addresses, and SSH names its sources",
    tokens=(_TEMPLATE, _NODE_CLASS, _GROUP, _MANAGED, _SELF_MANAGED, _SUBNET),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:5.4.3", "fsbp:EC2.15", "fsbp:EC2.25", "soc2:CC6.6"),
    why="a node with a public address can be tried by everybody, kubelet and all",
    fix="leave associate_public_ip_address and map_public_ip_on_launch false; reach nodes by Session Manager",
    facts=PublicFacts,
    check=_check,
    traps=(
        'launch templates spell booleans as text, and "false" is not true',
        "the pulumi-eks NodeGroupV2 gives public addresses unless told otherwise",
        "an SSH key without source groups opens port 22 to the world",
    ),
)

_TABLE = "aws:ec2/routeTable:RouteTable"
_ROUTE = "aws:ec2/route:Route"
_ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
_INTERNET = "aws:ec2/internetGateway:InternetGateway"
_NODES = {_GROUP: "subnetIds[*]", _MANAGED: "subnetIds[*]", _SELF_MANAGED: "nodeSubnetIds[*]"}


def _to_internet(stack: Stack, holder: Resource, gateway: Value) -> bool | None:
    """Whether a route's gateway is an internet gateway."""
    if (gateway.text() or "").startswith("igw-"):
        return True
    return any_of(stack.names(holder, gateway, each) for each in stack.of(_INTERNET))


def _public(stack: Stack, subnet: Resource) -> bool | None:
    """Whether a subnet's route table leads to an internet gateway, or the subnet gives out public addresses."""
    answers: list[bool | None] = [subnet.get("mapPublicIpOnLaunch").flag() is True]
    for table in stack.of(_TABLE):
        joined = any(
            stack.names(each, each.get("subnetId"), subnet) and stack.names(each, each.get("routeTableId"), table)
            for each in stack.of(_ASSOCIATION)
        )
        if joined:
            answers += [
                _to_internet(stack, table, gateway) for gateway in table.given("routes").select("[*].gatewayId")
            ]
            answers += [
                _to_internet(stack, route, route.given("gatewayId"))
                for route in stack.of(_ROUTE)
                if stack.names(route, route.get("routeTableId"), table)
            ]
    return any_of(answers)


def _check_stack(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    subnets = [(subnet, _public(stack, subnet)) for subnet in stack.of(_SUBNET)]
    for group in stack.of(*_NODES):
        for value in group.select(_NODES[group.token]):
            for subnet, public in subnets:
                answer = stack.names(group, value, subnet) if public is not False else False
                if answer and public:
                    found = f"{subnet.name}, a public subnet"
                    yield Violation(path=value.path, found=found, wanted="private subnets", resource=group)
                elif answer is not False:
                    yield Undetermined(path=value.path, resource=group)


NET_04_STACK = StackRule(
    id="NET-04",
    name="nodes-in-private-subnets",
    title="Node groups stand in subnets without a way in from the internet",
    tokens=tuple(_NODES),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:5.4.3", "fsbp:EC2.15", "soc2:CC6.6"),
    why="in a public subnet one wrong flag puts nodes on the internet",
    fix="give node groups the private subnets, whose route tables lead to a NAT gateway or nowhere",
    facts=NoFacts,
    check=_check_stack,
    traps=("a subnet is public by its route table, whatever it is called",),
)

"""Zones and replicas of what AWS runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.resources import Resource, Stack
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, StackRule, Undetermined, Violation, decide
from guardrails.view import Known, Missing, Unknown, Value, all_of, any_of

_ENDPOINT = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
_CLUSTER = "aws:eks/cluster:Cluster"
_COMPONENT = "eks:index:Cluster"
_GROUPS = ("aws:eks/nodeGroup:NodeGroup", "eks:index:ManagedNodeGroup")
_SUBNET = "aws:ec2/subnet:Subnet"
_GATEWAY = "aws:ec2/natGateway:NatGateway"
_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_PLACEMENT = "aws:ec2/placementGroup:PlacementGroup"
_SUBNETS = {
    _CLUSTER: ("vpcConfig.subnetIds",),
    _COMPONENT: ("subnetIds", "privateSubnetIds"),
    **dict.fromkeys(_GROUPS, ("subnetIds",)),
}


@dataclass(frozen=True, slots=True)
class ReplicaFacts:
    """How many instances answer."""

    fewest_instances: Annotated[int, "Instances that each variant of an endpoint at least has."] = 2


def _check_endpoint(config: Resource, facts: ReplicaFacts) -> Iterator[Finding]:
    if not isinstance(config.get("asyncInferenceConfig"), Missing):
        return
    for variant in config.select("productionVariants[*]"):
        if not isinstance(variant.child("serverlessConfig"), Missing):
            continue
        managed = variant.get("managedInstanceScaling")
        least = managed.child("minInstanceCount")
        scaled = isinstance(managed, Unknown) or managed.child("status").text() == "ENABLED"
        counts = (least,) if scaled else (variant.child("initialInstanceCount"),)
        enough = any_of(
            None if isinstance(each, Unknown) else (each.number() or 0) >= facts.fewest_instances for each in counts
        )
        wanted = f"{facts.fewest_instances} instances or more"
        yield from decide(enough, counts[0], found="fewer", wanted=wanted)


RES_02 = ResourceRule(
    id="RES-02",
    name="endpoint-redundancy",
    title="Endpoints have more than one instance behind each variant",
    tokens=(_ENDPOINT,),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.DISABLED, prod=Level.MANDATORY),
    frameworks=("fsbp:SageMaker.4", "soc2:A1.2"),
    why="SageMaker spreads instances over zones, which one instance cannot be",
    fix="set initial_instance_count 2, or managed_instance_scaling with min_instance_count 2",
    facts=ReplicaFacts,
    check=_check_endpoint,
    traps=("serverless variants and asynchronous endpoints have no instances to count, or a queue before them",),
)


@dataclass(frozen=True, slots=True)
class ZoneFacts:
    """How many zones there are."""

    zones: Annotated[int, "Zones that clusters and node groups spread over."] = 2
    gateway_per_zone: Annotated[bool, "Must every zone have a NAT gateway of its own?"] = True


def _subnets(stack: Stack, holder: Resource) -> tuple[Resource, ...]:
    """The subnets of the stack that a holder names, by id or by the dependency graph."""
    values = [each for path in _SUBNETS[holder.token] for each in holder.get(path).elements()]
    named = {text for each in values if (text := each.text()) is not None}
    roots = {path.partition(".")[0] for path in _SUBNETS[holder.token]}
    edges = {urn for name, urns in holder.dependencies.items() if name.partition(".")[0] in roots for urn in urns}
    known = (each for each in stack.of(_SUBNET) if each.get("id").text() in named or each.urn in edges)
    return tuple(known)


def _in_one_place(stack: Stack, group: Resource) -> bool | None:
    """Whether the launch template of a node group puts its nodes close together, which one zone alone allows."""
    named = group.get("launchTemplate")
    answers: list[bool | None] = []
    for template in stack.of(_TEMPLATE):
        joined = any_of(stack.names(group, named.child(name), template) for name in ("id", "name"))
        placement = template.get("placement.groupName")
        # A plan shows what a template has not been given as unknown, too: then nobody can say yet.
        packs = None if isinstance(template.get("placement"), Unknown) else _cluster(stack, placement)
        answers.append(False if isinstance(placement, Missing) else all_of([joined, packs]))
    return any_of(answers)


def _cluster(stack: Stack, placement: Value) -> bool:
    """Whether a placement group packs its nodes; one that the stack does not name is taken to."""
    named = [each for each in stack.of(_PLACEMENT) if placement.text() in {each.get("name").text(), each.name}]
    return all(each.get("strategy").text() == "cluster" for each in named)


def _check_spread(stack: Stack, holder: Resource, facts: ZoneFacts) -> Iterator[Finding]:
    values = [holder.get(path) for path in _SUBNETS[holder.token]]
    value = next((each for each in values if not isinstance(each, Missing)), values[-1])
    if holder.token == _COMPONENT and isinstance(value, Missing):
        return  # its inputs are not registered, or the component finds the default subnets
    subnets = _subnets(stack, holder)
    zones = {each.get("availabilityZone").text() or each.get("availabilityZoneId").text() for each in subnets}
    sure = zones - {None}
    named = value.elements()
    # A part of a list keeps the edges to all of it; in a plan, members that are not known yet may be left out.
    few = bool(named) and all(each.text() is not None for each in named) and len(named) < facts.zones
    packed = _in_one_place(stack, holder) if holder.token in _GROUPS else False
    elsewhere = isinstance(value, Unknown) or len(value.elements()) > len(subnets)
    if (len(sure) >= facts.zones and not few) or packed:
        return
    if (
        packed is None
        or None in zones
        or (elsewhere and (not isinstance(value, Known) or len(value.elements()) >= facts.zones))
    ):
        yield Undetermined(path=value.path, why="the zones of its subnets are not known", resource=holder)
    else:
        found = f"{min(len(sure) or len(named), len(named) or len(sure))}"
        yield Violation(path=value.path, found=found, wanted=f"subnets in {facts.zones} zones", resource=holder)


def _check_zones(stack: Stack, facts: ZoneFacts) -> Iterator[Finding]:
    for holder in stack.of(*_SUBNETS):
        yield from _check_spread(stack, holder, facts)
    gateways = stack.of(_GATEWAY)
    if facts.gateway_per_zone and gateways:
        zones = [each.get("availabilityZone") for each in stack.of(_SUBNET)]
        distinct = {each.text() for each in zones if isinstance(each, Known)}
        enough = len(gateways) >= len(distinct) or any(
            each.get("availabilityMode").text() == "regional" for each in gateways
        )
        answer = None if enough and any(isinstance(each, Unknown) for each in zones) else enough
        found = f"{len(gateways)} gateways for {len(distinct)} zones"
        yield from decide(answer, Missing(""), found=found, wanted="one in each zone", at=gateways[0])


RES_02_ZONES = StackRule(
    id="RES-02",
    name="zone-redundancy",
    title="Clusters and nodes spread over zones, and each zone has a way out of its own",
    tokens=(*_SUBNETS, _GATEWAY),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.DISABLED, prod=Level.MANDATORY),
    frameworks=("fsbp:Lambda.5", "soc2:A1.2", "gdpr:32-1-b"),
    why="a zone fails as a whole, and takes with it whatever others route through it",
    fix="give it subnets of more zones, and each zone a NAT gateway",
    facts=ZoneFacts,
    check=_check_zones,
    traps=(
        "two subnets of one zone are one zone",
        "subnets that other stacks made have zones that this one does not know",
        "a regional NAT gateway is in all zones",
        "nodes of a cluster placement group, which Elastic Fabric Adapters want, stand in one zone",
    ),
)

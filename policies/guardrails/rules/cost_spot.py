"""Spot capacity, and the on-demand floor below it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.machines import CAPACITY_TYPE, MANAGED_GROUPS, NODE_POOL, allowed, group_machines, has_taint, machine
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
    decide,
    require,
)
from guardrails.view import Known, Missing, Unknown, Value, all_of, any_of

_CAPACITIES = ("on-demand", "spot", "reserved")


@dataclass(frozen=True, slots=True)
class SpotFacts:
    """How much choice spot capacity needs."""

    fewest_types: Annotated[int, "Instance types that a spot node group must at least choose among."] = 3


def _diversified(group: Resource, fewest: int) -> Iterator[Finding]:
    types = group_machines(group.properties)
    place = group.get("instanceTypes")
    if any(isinstance(each, Unknown) for each in types):
        yield Undetermined(path=place.path)
        return
    names = {each.text() for each in types}
    if len(names) < fewest:
        yield Violation(path=place.path, found=f"{len(names)}", wanted=f"{fewest} instance types or more")
    shapes = {found.shape for each in names if (found := machine(each)) is not None}
    if len(shapes) > 1:
        found = ", ".join(sorted("/".join(each) for each in shapes))
        yield Violation(path=place.path, found=f"types of several shapes ({found})", wanted="types of one shape")


def _check_spot(resource: Resource, facts: SpotFacts) -> Iterator[Finding]:
    if resource.token == NODE_POOL:
        capacities = allowed(resource.properties, CAPACITY_TYPE, _CAPACITIES)
        place = resource.get("spec.template.spec.taints")
        written = any(each.child("key").text() == CAPACITY_TYPE for each in _requirements(resource))
        if capacities is None:
            yield Undetermined(path="spec.template.spec.requirements")
        elif written and "spot" in capacities and "on-demand" not in capacities:
            wanted = "a taint, or on-demand as well"
            yield from decide(has_taint(place), place, found="spot only, without a taint", wanted=wanted)
        return
    capacity = resource.get("capacityType")
    if isinstance(capacity, Unknown):
        yield Undetermined(path=capacity.path)
    elif capacity.text() == "SPOT":
        yield from _diversified(resource, facts.fewest_types)
        taints = resource.get("taints")
        yield from decide(has_taint(taints), taints, found="no taint", wanted="a taint that keeps other pods away")
        yield from require(resource.get("labels"), lambda value: bool(value.items()), "a label that pods can select")


def _requirements(pool: Resource) -> tuple[Value, ...]:
    return pool.select("spec.template.spec.requirements[*]")


COST_01 = ResourceRule(
    id="COST-01",
    name="spot-isolated-diversified",
    title="Spot nodes choose among several types of one shape and take only pods that accept an interruption",
    tokens=(*MANAGED_GROUPS, NODE_POOL),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:AutoScaling.6", "soc2:A1.1"),
    why="one spot market runs dry at once; a pod that nobody asked dies with two minutes' notice",
    fix="list three types or more of one shape, add a taint and a label; let a NodePool fall back to on-demand",
    facts=SpotFacts,
    check=_check_spot,
    traps=(
        "types of one shape have equal size and memory per processor, so the autoscaler's arithmetic holds",
        "a NodePool without the requirement uses on-demand capacity",
        "the same type twice is one type",
    ),
)

_CLUSTERS = ("aws:eks/cluster:Cluster", "eks:index:Cluster")
_QUEUE = "aws:sqs/queue:Queue"
_EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"
_EVENTS = (
    "EC2 Spot Instance Interruption Warning",
    "EC2 Instance Rebalance Recommendation",
    "EC2 Instance State-change Notification",
    "AWS Health Event",
)
"""What Karpenter must hear of (Karpenter documentation, "Interruption")."""


@dataclass(frozen=True, slots=True)
class BaselineFacts:
    """What add-ons may rely on."""

    smallest: Annotated[int, "Nodes that the on-demand group never falls below."] = 2
    zones: Annotated[int, "Subnets, one per zone, that the group spreads over."] = 2
    tolerated: Annotated[tuple[str, ...], "Keys of taints that cluster add-ons tolerate by default."] = (
        "CriticalAddonsOnly",
    )


def _spread(group: Resource, zones: int) -> bool | None:
    subnets = group.get("subnetIds")
    if isinstance(subnets, Unknown):
        return len(group.dependencies.get("subnetIds", ())) >= zones or None
    return len(subnets.elements()) >= zones


def _is_baseline(group: Resource, facts: BaselineFacts) -> bool | None:
    """Whether add-ons can always run on a group."""
    capacity, least = group.get("capacityType"), group.get("scalingConfig.minSize")
    keys = [each.child("key") for each in group.select("taints[*]")]
    return all_of(
        [
            None if isinstance(group.given("capacityType"), Unknown) else capacity.text() in {None, "ON_DEMAND"},
            *(None if isinstance(each, Unknown) else each.text() in facts.tolerated for each in keys),
            None if isinstance(least, Unknown) else (least.number() or 0) >= facts.smallest,
            _spread(group, facts.zones),
        ]
    )


def _announced(stack: Stack, event: str) -> bool | None:
    """Whether an event rule of the stack matches an event; nested patterns count by their text."""
    patterns = [each.get("eventPattern") for each in stack.of(_EVENT_RULE)]
    return any_of(None if isinstance(each, Unknown) else f'"{event}"' in (each.text() or "") for each in patterns)


def _check_interruptions(stack: Stack) -> Iterator[Finding]:
    for pool in stack.of(NODE_POOL):
        if not isinstance(pool.get("spec"), Known):
            yield Undetermined(path="spec", why="the provider has not shown it yet", resource=pool)
        written = any(each.child("key").text() == CAPACITY_TYPE for each in _requirements(pool))
        capacities = allowed(pool.properties, CAPACITY_TYPE, _CAPACITIES) or frozenset()
        if not written or "spot" not in capacities:
            continue
        if not stack.of(_QUEUE):
            yield Violation(path="", found="no interruption queue", wanted="an SQS queue for Karpenter", resource=pool)
        for event in _EVENTS:
            answer = _announced(stack, event)
            wanted = f"an EventRule for {event!r} whose target is Karpenter's queue"
            yield from decide(answer, Known("", event), found="nothing that listens", wanted=wanted, at=pool)
        return


def _check_floor(stack: Stack, facts: BaselineFacts) -> Iterator[Finding]:
    clusters = stack.of(_CLUSTERS[0]) or stack.of(_CLUSTERS[1])
    for cluster in clusters:
        groups = stack.of(*MANAGED_GROUPS)
        if len(clusters) > 1:
            sides = [stack.attached(cluster, token, "clusterName") for token in MANAGED_GROUPS]
            groups = tuple(each for side in sides for each in (*side.sure, *side.maybe))
        answer = any_of(_is_baseline(group, facts) for group in groups)
        found = f"{len(groups)} node groups, of which none will do" if groups else "no managed node group"
        wanted = (
            f"an ON_DEMAND group of {facts.smallest} nodes or more in {facts.zones} zones, which add-ons may run on"
        )
        yield from decide(answer, Missing("nodeGroups"), found=found, wanted=wanted, at=cluster)
    yield from _check_interruptions(stack)


COST_02 = StackRule(
    id="COST-02",
    name="on-demand-baseline",
    title="Cluster add-ons have on-demand nodes to run on, and Karpenter hears of interruptions",
    tokens=(*_CLUSTERS, NODE_POOL),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:A1.2", "gdpr:32-1-b"),
    why="DNS and the autoscaler itself must survive the moment in which all spot nodes go",
    fix="add a managed node group with capacity_type ON_DEMAND, min_size 2 and subnets of two zones",
    facts=BaselineFacts,
    check=_check_floor,
    traps=(
        "the taint CriticalAddonsOnly keeps workloads off, and CoreDNS and Karpenter on",
        "a group that states no capacity type is on-demand",
        "EKS itself drains the spot nodes of managed groups; only Karpenter needs a queue and rules",
    ),
)

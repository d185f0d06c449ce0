"""Accelerated nodes: kept for what needs them, and counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.machines import MANAGED_GROUPS, NODE_POOL, group_machines, has_taint, machine, wants_accelerators
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, decide, require
from guardrails.view import Unknown, any_of

_IMAGES = ("NVIDIA", "NEURON", "GPU")


@dataclass(frozen=True, slots=True)
class GpuNodeFacts:
    """How many accelerated nodes there may be."""

    most_nodes: Annotated[int, "The most nodes that one accelerated group may grow to."] = 10
    scale_to_zero: Annotated[bool, "Must accelerated groups be able to shrink to no node at all?"] = False


def _check_group(group: Resource, facts: GpuNodeFacts) -> Iterator[Finding]:
    taints = group.get("taints")
    tainted = has_taint(taints, "NO_SCHEDULE", "NO_EXECUTE")
    yield from decide(tainted, taints, found="no taint", wanted="a taint with effect NO_SCHEDULE")
    image = group.get("amiType")
    if image.text() != "CUSTOM":
        wanted = "an image type with drivers (…_NVIDIA, …_NEURON)"
        yield from require(image, lambda value: (value.text() or "").endswith(_IMAGES), wanted)
    most, least = group.get("scalingConfig.maxSize"), group.get("scalingConfig.minSize")
    bound = f"{facts.most_nodes} at most"
    yield from require(most, lambda value: (value.number() or float("inf")) <= facts.most_nodes, bound)
    if facts.scale_to_zero:
        yield from require(least, lambda value: value.number() == 0, "0")


def _check(resource: Resource, facts: GpuNodeFacts) -> Iterator[Finding]:
    if resource.token == NODE_POOL:
        answer = wants_accelerators(resource.properties)
        taints = resource.get("spec.template.spec.taints")
        if answer is None:
            yield Undetermined(path="spec.template.spec.requirements")
        elif answer:
            tainted = has_taint(taints, "NoSchedule", "NoExecute")
            yield from decide(tainted, taints, found="no taint", wanted="a taint with effect NoSchedule")
        return
    types = group_machines(resource.properties)
    answer = any_of(
        None if isinstance(each, Unknown) else (found := machine(each.text())) is not None and found.accelerated
        for each in types
    )
    if answer is None:
        yield Undetermined(path="instanceTypes")
    elif answer:
        yield from _check_group(resource, facts)


COST_03 = ResourceRule(
    id="COST-03",
    name="gpu-nodes-gated",
    title="Accelerated nodes take only pods that ask for them, have drivers, and are counted",
    tokens=(*MANAGED_GROUPS, NODE_POOL),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:A1.1",),
    why="an accelerated node costs tens of ordinary ones, and any pod without a taint to stop it keeps one alive",
    fix="add a NO_SCHEDULE taint, an image type with drivers, and a maxSize",
    facts=GpuNodeFacts,
    check=_check,
    traps=("PREFER_NO_SCHEDULE keeps nothing away", "a group with an image of its own (CUSTOM) brings its drivers"),
)

"""Karpenter's node pools: how far they may grow, and how long a node may live."""

from collections.abc import Iterator
from itertools import combinations

from guardrails.facts import NoFacts
from guardrails.machines import CAPACITY_TYPE, NODE_POOL, requirements, wants_accelerators
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
    show,
)
from guardrails.view import Missing, Unknown, Value

_NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
_GPU = "nvidia.com/gpu"
_NEEDED = (CAPACITY_TYPE, "kubernetes.io/arch")


def _check_budgets(budgets: Value) -> Iterator[Finding]:
    """A budget that at all times lets no node go, for whatever reason, keeps every node for ever."""
    for budget in budgets.elements():
        nodes = budget.child("nodes")
        always = all(isinstance(budget.child(name), Missing) for name in ("schedule", "reasons"))
        if always and (nodes.text() or "").rstrip("%") == "0":
            yield Violation(path=nodes.path, found="0 at any time", wanted="some nodes, or a schedule")


def _check_pool(pool: Resource, _: NoFacts) -> Iterator[Finding]:
    limits = pool.get("spec.limits")
    kinds = ["cpu", "memory", *([_GPU] if wants_accelerators(pool.properties) else [])]
    for kind in kinds:
        limit = limits.child(kind)
        if isinstance(limit, Missing):
            yield Violation(path=limit.path, found="nothing, which means no end", wanted=f"the most {kind}")
        elif isinstance(limits, Unknown):
            yield Undetermined(path=limit.path)
    for path in ("spec.template.spec.expireAfter", "spec.disruption.consolidateAfter"):
        yield from require(pool.get(path), lambda value: value.text() != "Never", "a time, such as 720h")
    budgets = pool.get("spec.disruption.budgets")
    yield from require(budgets, lambda value: bool(value.elements()), "how many nodes may go at once")
    yield from _check_budgets(budgets)
    listed = list(requirements(pool.properties))
    if any(isinstance(each.value, Unknown) or isinstance(each.value.child("key"), Unknown) for each in listed):
        yield Undetermined(path="spec.template.spec.requirements")
        return
    for key in _NEEDED:
        if key not in {each.key for each in listed}:
            wanted = f"a requirement for {key}"
            yield Violation(path="spec.template.spec.requirements", found=f"none for {key}", wanted=wanted)


COST_04 = ResourceRule(
    id="COST-04",
    name="karpenter-bounded",
    title="Node pools have limits, replace their nodes, and say what they choose",
    tokens=(NODE_POOL,),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("soc2:A1.1", "soc2:CC7.1"),
    why="a pool without limits turns one runaway job into a bill, and nodes that never expire are never patched",
    fix="set spec.limits.cpu and .memory, disruption.budgets, and requirements for capacity type and architecture",
    facts=NoFacts,
    check=_check_pool,
    traps=(
        "expireAfter that is not written is 720h, consolidation that is not written is on",
        "pools of GPU machines are limited in GPUs too",
    ),
)


_NOT_SHOWN = "the provider has not shown it yet"


def _hidden(pool: Resource) -> bool:
    """Whether a pool's outputs lack its spec, which previews of custom resources may leave out."""
    return isinstance(pool.get("spec"), Missing)


def _check_classes(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    classes = stack.of(_NODE_CLASS)
    names = {each.get("metadata.name").text() or each.name for each in classes}
    for pool in stack.of(NODE_POOL):
        if _hidden(pool):
            yield Undetermined(path="spec", why=_NOT_SHOWN, resource=pool)
            continue
        name = pool.get("spec.template.spec.nodeClassRef.name")
        edges = pool.dependencies.get("spec", ())
        if isinstance(name, Unknown):
            if not any(each.urn in edges for each in classes):
                yield Undetermined(path=name.path, resource=pool)
        elif name.text() not in names:
            unsure = any(isinstance(each.get("metadata.name"), Unknown) for each in classes)
            finding = Violation(path=name.path, found=show(name), wanted="an EC2NodeClass of the stack", resource=pool)
            yield Undetermined(path=name.path, resource=pool) if unsure else finding


COST_04_CLASS = StackRule(
    id="COST-04",
    name="karpenter-node-class-exists",
    title="Each node pool refers to a node class of the stack",
    tokens=(NODE_POOL,),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("soc2:A1.1",),
    why="a pool whose class does not exist makes no nodes, and says so only in its events",
    fix="set spec.template.spec.nodeClassRef.name to the EC2NodeClass",
    facts=NoFacts,
    check=_check_classes,
    traps=("a name that comes later is joined by the dependency",),
)


def _choice(pool: Resource) -> dict[str, frozenset[str]]:
    return {each.key or "": frozenset(each.names) for each in requirements(pool.properties) if each.operator == "In"}


def _overlap(one: Resource, other: Resource) -> bool:
    """Whether a pod could go to both pools: their lists meet for every key that both have, and so do their taints."""
    first, second = _choice(one), _choice(other)
    taints = [
        {each.child("key").text() for each in pool.select("spec.template.spec.taints[*]")} for pool in (one, other)
    ]
    return taints[0] == taints[1] and all(first[key] & second[key] for key in first.keys() & second.keys())


def _check_overlap(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    pools = stack.of(NODE_POOL)
    for pool in filter(_hidden, pools):
        yield Undetermined(path="spec", why=_NOT_SHOWN, resource=pool)
    for one, other in combinations([pool for pool in pools if not _hidden(pool)], 2):
        if any(isinstance(each.value, Unknown) or each.undecided for each in requirements(other.properties)):
            yield Undetermined(path="spec.template.spec.requirements", resource=other)
        elif _overlap(one, other) and one.get("spec.weight").number() == other.get("spec.weight").number():
            found = f"the same choice as {one.name}, with the same weight"
            yield Violation(path="spec.weight", found=found, wanted="another weight", resource=other)


COST_04_OVERLAP = StackRule(
    id="COST-04",
    name="karpenter-pools-overlap",
    title="Node pools exclude one another, or one comes first",
    tokens=(NODE_POOL,),
    severity=Severity.LOW,
    levels=Levels(dev=Level.ADVISORY, prod=Level.ADVISORY),
    frameworks=("soc2:A1.1",),
    why="between two pools that could both make a node Karpenter chooses at random",
    fix="set spec.weight, a taint, or requirements that exclude one another",
    facts=NoFacts,
    check=_check_overlap,
    traps=("pools with other taints take other pods",),
)

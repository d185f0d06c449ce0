"""Names of instance types, and the requirements by which Karpenter chooses among them.

https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html, https://karpenter.sh/docs/concepts/nodepools/
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from guardrails.view import Known, Missing, Unknown, Value

NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
MANAGED_GROUPS = ("aws:eks/nodeGroup:NodeGroup", "eks:index:ManagedNodeGroup")
CAPACITY_TYPE = "karpenter.sh/capacity-type"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
INSTANCE_FAMILY = "karpenter.k8s.aws/instance-family"
INSTANCE_CATEGORY = "karpenter.k8s.aws/instance-category"
_NAME = re.compile(r"(?:ml\.)?(?P<family>[a-z]+\d*[a-z0-9-]*)\.(?P<size>(?:metal-)?(?:\d+)?[a-z]+(?:-[a-z0-9]+)?)")
_ACCELERATED = re.compile(r"(p|g|gr|trn|inf|dl)\d")
_SMALL = ("nano", "micro", "small", "medium", "large", "xlarge")


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance type."""

    family: str
    """Such as `m6i`."""
    size: str
    """Such as `2xlarge`."""

    @property
    def accelerated(self) -> bool:
        """Whether it has GPUs or chips for machine learning."""
        return accelerated(self.family)

    @property
    def shape(self) -> tuple[str, str]:
        """Types of one shape have about as much memory per processor, and as many processors."""
        letters = re.match(r"[a-z]+", self.family)
        category = letters[0] if letters else self.family
        return {"t": "m", "gr": "r"}.get(category, category), self.size


def machine(name: str | None) -> Machine | None:
    """Read a name such as `m6i.xlarge` or `ml.g5.2xlarge`."""
    match = _NAME.fullmatch(name or "")
    return Machine(match["family"], match["size"]) if match else None


def accelerated(family: str) -> bool:
    """Whether a family, or a category such as `g`, has GPUs or chips for machine learning."""
    return _ACCELERATED.match(f"{family}0") is not None


def rank(size: str) -> float:
    """Order of sizes: `large` < `xlarge` < `2xlarge` < … < `metal`; what is no size comes last."""
    count = re.fullmatch(r"(\d+)xlarge", size)
    if count:
        return len(_SMALL) - 1 + int(count[1]) - 1
    return _SMALL.index(size) if size in _SMALL else float("inf")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement of a node pool."""

    value: Value
    key: str | None
    operator: str | None
    values: tuple[Value, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The known texts among the values."""
        return tuple(text for each in self.values if (text := each.text()) is not None)

    @property
    def undecided(self) -> bool:
        """Whether a value is not known yet."""
        return any(isinstance(each, Unknown) for each in self.values)


def requirements(pool: Value) -> Iterator[Requirement]:
    """The requirements of a NodePool's properties."""
    for each in pool.select("spec.template.spec.requirements[*]"):
        listed = each.child("values")
        operator = each.child("operator").text()
        yield Requirement(each, each.child("key").text(), operator, listed.elements())


def allowed(pool: Value, key: str, among: tuple[str, ...]) -> frozenset[str] | None:
    """Which of some values the requirements with a key let pass; `None` when one of them is not known yet."""
    found = frozenset(among)
    for each in requirements(pool):
        if isinstance(each.value, Unknown) or (each.key == key and each.undecided):
            return None
        if each.key == key and each.operator == "In":
            found &= frozenset(each.names)
        elif each.key == key and each.operator == "NotIn":
            found -= frozenset(each.names)
        elif each.key == key and each.operator == "DoesNotExist":
            found = frozenset[str]()
    return found


def wants_accelerators(pool: Value) -> bool | None:
    """Whether a NodePool chooses accelerated machines by type, family, category or GPU; `None` when not known yet."""
    answers: list[bool | None] = []
    for each in requirements(pool):
        if isinstance(each.value, Unknown):
            answers.append(None)
        elif each.operator == "In" and each.key in {INSTANCE_TYPE, INSTANCE_FAMILY, INSTANCE_CATEGORY}:
            answers += [None] if each.undecided else [any(accelerated(name.partition(".")[0]) for name in each.names)]
        elif (each.key or "").startswith("karpenter.k8s.aws/instance-gpu") and each.operator != "DoesNotExist":
            answers.append(True)
    return True if True in answers else None if None in answers else False


def group_machines(group: Value) -> tuple[Value, ...]:
    """The instance types of a managed node group."""
    types = group.get("instanceTypes")
    return types.elements() if isinstance(types, Known | Unknown) else ()


def has_taint(holder: Value, *effects: str) -> bool | None:
    """Whether a list of taints holds one, of an effect when some are named; `None` when not known yet."""
    if isinstance(holder, Missing):
        return False
    found = [each.child("effect") for each in holder.elements()]
    if isinstance(holder, Unknown):
        return None
    if not effects:
        return bool(found)
    return (
        True
        if any(each.text() in effects for each in found)
        else None
        if any(isinstance(each, Unknown) for each in found)
        else False
    )

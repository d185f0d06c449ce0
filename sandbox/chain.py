"""The longest chain of an update: what AWS itself makes wait, what we add to it, and how much every step could slip.

Steps are the resources of a deployment (`pulumi stack export`, version 3) with the creation times of the sandbox's
kinds. With unlimited parallelism an update takes as long as the longest path through the steps. Two graphs are
compared: all edges that the engine waits for, and those among them that nobody can drop:

- a value of the earlier resource is an input of the later one, or the earlier one is its provider;
- AWS or Kubernetes refuses or fails the later one without the earlier one (`IMPOSED`).

What the first graph takes longer than the second is the price of our own `depends_on`.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Final

from sandbox.providers.aws_kinds import KINDS
from sandbox.providers.kubernetes import usual_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandbox.wire import Json

_NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
_ADDON: Final = "aws:eks/addon:Addon"
_RELEASE: Final = "kubernetes:helm.sh/v3:Release"
_PROVIDER: Final = "pulumi:providers:kubernetes"
_BESIDE: Final = 12
"""Steps beside the chain that a report shows."""

IMPOSED: Final[Mapping[tuple[str, str], str]] = {
    (_NODE_GROUP, _ADDON): "without a CNI no node becomes ready, and the group fails",
    (_NODE_GROUP, "aws:ec2/route:Route"): "a node that pulls no image does not join",
    (
        _NODE_GROUP,
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
    ): "a node that pulls no image does not join",
    (_NODE_GROUP, "aws:iam/rolePolicyAttachment:RolePolicyAttachment"): "a node without rights does not join",
    (_ADDON, _NODE_GROUP): "an add-on that runs as a Deployment stays degraded without a node",
    (
        _ADDON,
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    ): "its pods would start without rights",
    (_ADDON, "aws:iam/rolePolicy:RolePolicy"): "its pods would start without rights",
    (_RELEASE, _NODE_GROUP): "a release waits for its pods, and is rolled back without a node",
    (_RELEASE, "aws:iam/rolePolicy:RolePolicy"): "a controller without rights is never ready",
    (_RELEASE, "aws:iam/rolePolicyAttachment:RolePolicyAttachment"): "a controller without rights is never ready",
    (_PROVIDER, "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"): "the API server refuses who has no access",
    ("kubernetes:*", _RELEASE): "a custom resource needs its definition, and its webhook",
}
"""Later type, earlier type → why the one cannot do without the other; `kubernetes:*` is any object."""


@dataclass(frozen=True, slots=True)
class Step:
    """One creation."""

    name: str
    """Type and logical name."""
    seconds: float
    """How long the creation takes."""
    waits_for: frozenset[str]
    """Every step that the engine finishes first."""
    imposed: frozenset[str]
    """Those among them that no program could start without."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When each step of an update ends if nothing but its edges holds it back."""

    ends: Mapping[str, float]
    """Seconds from the start of the update, by step."""
    chain: tuple[str, ...]
    """The longest chain, first step first."""
    slack: Mapping[str, float]
    """Seconds that a step could take longer without delaying the update."""

    @property
    def seconds(self) -> float:
        """Duration of the update."""
        return max(self.ends.values(), default=0.0)


def steps(resources: Iterable[Mapping[str, Json]]) -> dict[str, Step]:
    """Returns the steps of a deployment by URN.

    A remote component is finished when its children are: only then does its provider answer.
    """
    by_urn = {str(resource["urn"]): resource for resource in resources}
    children: dict[str, set[str]] = {}
    for urn, resource in by_urn.items():
        children.setdefault(str(resource.get("parent")), set()).add(urn)
    return {urn: _step(urn, by_urn, children.get(urn, set())) for urn in by_urn}


def _step(urn: str, by_urn: Mapping[str, Mapping[str, Json]], children: set[str]) -> Step:
    resource = by_urn[urn]
    kind = str(resource["type"])
    data = {earlier for urns in _mapping(resource.get("propertyDependencies")).values() for earlier in _texts(urns)}
    data.add(str(resource.get("provider") or "").rpartition("::")[0])
    waits = data | set(_texts(resource.get("dependencies")))
    if kind.startswith("eks:index:"):
        data |= children
        waits |= children
    waits &= by_urn.keys()
    imposed = {earlier for earlier in waits if earlier in data or _reason(kind, str(by_urn[earlier]["type"]))}
    return Step(
        name=urn.rpartition("$")[2].rpartition("slipway::")[2] or urn,
        seconds=_seconds(kind) if resource.get("custom") else 0.0,
        waits_for=frozenset(waits),
        imposed=frozenset(imposed),
    )


def _reason(later: str, earlier: str) -> str | None:
    family = "kubernetes:*" if later.startswith("kubernetes:") else later
    return IMPOSED.get((later, earlier)) or IMPOSED.get((family, earlier))


def _seconds(kind: str) -> float:
    if kind.startswith("pulumi:"):
        return 0.0
    return KINDS[kind].seconds if kind in KINDS else usual_seconds(kind)


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _texts(value: Json) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def schedule(steps_: Mapping[str, Step], *, imposed_only: bool = False) -> Schedule:
    """Returns the earliest possible schedule, over all edges or over those that AWS imposes.

    Raises:
        graphlib.CycleError: if the edges form a circle.
    """
    edges = {urn: step.imposed if imposed_only else step.waits_for for urn, step in steps_.items()}
    order = tuple(TopologicalSorter(edges).static_order())
    ends: dict[str, float] = {}
    for urn in order:
        ends[urn] = max((ends[earlier] for earlier in edges[urn]), default=0.0) + steps_[urn].seconds
    total = max(ends.values(), default=0.0)
    latest = dict.fromkeys(order, total)
    for urn in reversed(order):
        for earlier in edges[urn]:
            latest[earlier] = min(latest[earlier], latest[urn] - steps_[urn].seconds)
    return Schedule(ends, _chain(ends, edges), {urn: latest[urn] - ends[urn] for urn in order})


def _chain(ends: Mapping[str, float], edges: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    chain: list[str] = []
    urn = max(ends, key=lambda step: (ends[step], step), default=None)
    while urn is not None:
        chain.append(urn)
        urn = max(edges[urn], key=lambda step: (ends[step], step), default=None)
    return tuple(reversed(chain))


def report(steps_: Mapping[str, Step], ours: Schedule, theirs: Schedule) -> str:
    """Returns the chain with its times, what of it AWS does not impose, and the steps that could slip least."""
    more = ours.seconds / theirs.seconds - 1
    totals = f"longest chain {ours.seconds:.0f} s; the part that AWS imposes {theirs.seconds:.0f} s ({more:.1%} more)"
    lines = [totals, "", "   ends  takes  step"]
    for urn in ours.chain:
        step = steps_[urn]
        if step.seconds:
            lines.append(f"{ours.ends[urn]:7.0f}{step.seconds:7.0f}  {step.name}")
    lines += ["", "  slack  takes  longest steps beside the chain"]
    beside = [urn for urn in steps_ if urn not in ours.chain and steps_[urn].seconds > 1]
    for urn in sorted(beside, key=lambda each: (ours.slack[each], each))[:_BESIDE]:
        lines.append(f"{ours.slack[urn]:7.0f}{steps_[urn].seconds:7.0f}  {steps_[urn].name}")
    return "\n".join(lines)

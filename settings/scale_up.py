"""How long a burst waits for more pods: from the load to the first answer of a new one, from dated assumptions.

`make capacity` prints it for every model. What was measured is in the stack file, what a
program's own documentation says is named; the rest are assumptions of 2026-11-22 that an account has yet to prove.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from settings.model import Capacity, PoolRole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from settings.model import EksServingSpec, Settings

CEILING_SECONDS: Final = 60
"""Within it a pod that finds no node has to answer."""
GOAL_SECONDS: Final = 15
"""Within it a pod that takes the place of a placeholder should answer."""
IMAGE_MIB: Final = 160
"""Compressed size of the model image, an assumption from the sizes of its wheels; no registry was at hand."""
PULL_MIB_PER_SECOND: Final = 40
"""Download and unpacking from ECR in the same region, an assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One wait on the way of a pod."""

    name: str
    """What is waited for."""
    seconds: float
    """For how long at worst."""
    source: str
    """Where the number is from."""


NOTICED: Final = (
    Step(name="metrics are read", seconds=15, source="metrics-server, --metric-resolution, its chart's value"),
    Step(name="the autoscaler looks", seconds=15, source="kube-controller-manager, sync period, its default"),
)
"""Until more pods are asked for; before a pod is pending."""
PLACED: Final = Step(name="the scheduler places the pod", seconds=1, source="assumption; less than 1 s on kwok")
DISPLACED: Final = Step(name="a placeholder ends", seconds=2, source="assumption; its grace period is 0")
NODE: Final = (
    Step(name="Karpenter gathers pending pods", seconds=1, source="Karpenter, BATCH_IDLE_DURATION, its default"),
    Step(name="EC2 starts the node and it joins", seconds=40, source="assumption; AL2023, CNI from a managed add-on"),
)
PULLED: Final = Step(
    name="the image is pulled",
    seconds=IMAGE_MIB / PULL_MIB_PER_SECOND,
    source=f"assumption; {IMAGE_MIB} MiB at {PULL_MIB_PER_SECOND} MiB/s",
)
ASKED: Final = Step(name="the startup probe asks", seconds=1, source="components/serving_pods.py")


def steps(spec: EksServingSpec, *, headroom: bool) -> tuple[Step, ...]:
    """Return what a pending pod waits for until it answers.

    Args:
        spec: How the model is served.
        headroom: Whether placeholders keep room on a node that is there.
    """
    started = Step(name="the server starts", seconds=spec.pod.start_seconds, source="stack file, measured")
    before = (DISPLACED,) if headroom else NODE
    return (*before, PLACED, PULLED, started, ASKED)


def seconds(waits: Sequence[Step]) -> float:
    """Return how long steps one after the other take."""
    return sum(step.seconds for step in waits)


def has_headroom(settings: Settings, spec: EksServingSpec) -> bool:
    """Return whether placeholders keep room for at least one pod where the model's pods may run."""
    pools = {
        pool.name
        for pool in settings.karpenter.pools
        if pool.role is PoolRole.CPU and (Capacity.SPOT in pool.capacity) is (spec.capacity is Capacity.SPOT)
    }
    return any(
        room.pool in pools and room.cpu_millis >= spec.cpu_millis and room.memory_mib >= spec.memory_mib
        for room in settings.karpenter.headroom.pools
    )


def slowest_start(spec: EksServingSpec) -> int:
    """Return how many seconds the server may take to start, so that a pod on a new node answers in time."""
    others = seconds(steps(spec, headroom=False)) - spec.pod.start_seconds
    return int(CEILING_SECONDS - others)

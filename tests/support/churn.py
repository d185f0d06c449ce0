"""A day of a model's pods and of the nodes that come and go with them: the autoscaler, the scheduler, and Karpenter.

Values are those of the manifests. Nodes are all of one size and hold nothing else, which is the worst case: every node
is there for this model's sake. No node is replaced by a smaller one. Sources: `tests.support.autoscaler`; Kubernetes
1.35, `pkg/controller/controller_utils.go` (`ActivePodsWithRanks`: which pods a ReplicaSet ends first) and the
scheduler's `LeastAllocated`; Karpenter 1.14, "Disruption" (consolidation, `consolidateAfter`, budgets).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tests.support.autoscaler import SYNC_SECONDS, Autoscaler, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY: Final = 24 * 3600
TICKS: Final = DAY // SYNC_SECONDS
STEADY_SECONDS: Final = 15 * 60
"""After so long of the same load nothing may change any more."""
BUSIEST: Final = 2.0
"""The server is one thread, and half a processor is reserved for it."""
NOISE: Final = 0.03
"""Standard deviation of the load between two looks, as a share of it: the autoscaler bears a tenth."""
KINDS: Final = ("sine", "step", "noise", "outage")


@dataclass(frozen=True, slots=True)
class Day:
    """A load, and when nobody can read metrics."""

    requests: np.ndarray
    """Requests a second at each look of the autoscaler, as a multiple of what one pod takes at its target."""
    blind: np.ndarray
    """Whether metrics are missing then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the manifests and the settings say of pods and nodes."""

    autoscaler: Mapping[str, Any]
    """Specification of the HorizontalPodAutoscaler."""
    room: int
    """Pods on one node."""
    boot_seconds: float
    """Until a node that was asked for takes pods."""
    start_seconds: float
    """Until a pod that was placed is ready."""
    disruption: Mapping[str, Any]
    """`spec.disruption` of the NodePool."""

    @property
    def after_seconds(self) -> float:
        """How long nothing has to have come to a node, or left it, before it may go."""
        return 60 * float(self.disruption["consolidateAfter"].removesuffix("m"))

    @property
    def target(self) -> float:
        """Share of what a pod reserves."""
        return self.autoscaler["metrics"][0]["resource"]["target"]["averageUtilization"] / 100


def day(draw: np.random.Generator, kind: str, most: int) -> Day:
    """A load of one kind that `most` pods can take; from one level to the next it changes by a factor of 5 at most."""
    blind = np.zeros(TICKS, dtype=bool)
    levels = draw.uniform(0.2, 1.0, size=TICKS) * most
    if kind == "sine":
        hours = draw.uniform(1, 24)
        wave = np.sin(np.arange(TICKS) * SYNC_SECONDS * 2 * np.pi / (hours * 3600) + draw.uniform(0, 6))
        return Day(most * (0.6 + 0.4 * wave), blind)
    if kind == "noise":
        return Day(levels[0] * draw.normal(1, NOISE, size=TICKS), blind)
    lengths = draw.integers(3600 // SYNC_SECONDS, 4 * 3600 // SYNC_SECONDS, size=24)
    requests = np.repeat(levels[:24], lengths)[:TICKS]
    if kind == "outage":
        for begin in draw.integers(0, TICKS, size=4):
            blind[begin : begin + draw.integers(8, 120)] = True
    return Day(requests, blind)


@dataclass(slots=True)
class Node:
    """One node."""

    ready_at: float
    pods: int = 0
    touched: float = 0
    """When a pod last came or left."""
    leaving: bool = False


@dataclass(slots=True)
class Story:
    """What a day came to."""

    starts: int = 0
    """Nodes that were started."""
    changes: list[float] = field(default_factory=list[float])
    """When the number of pods changed, or a node was started."""
    shrunk_blind: int = 0
    """How often pods were taken away while metrics were missing."""
    pods: list[int] = field(default_factory=list[int])


class Cluster:
    """Pods of one model on nodes of one pool."""

    def __init__(self, place: Place) -> None:
        self.place, self.story = place, Story()
        self.nodes: list[Node] = []
        self.starting: list[float] = []
        self.autoscaler = Autoscaler(place.autoscaler)
        self._resize(0, place.autoscaler["minReplicas"])

    @property
    def pods(self) -> int:
        """All of them, ready or not."""
        return sum(node.pods for node in self.nodes)

    def live(self, day: Day) -> Story:
        """Live through a day."""
        for tick in range(TICKS):
            self._look(tick * SYNC_SECONDS, float(day.requests[tick]), blind=bool(day.blind[tick]))
        return self.story

    def _look(self, now: float, requests: float, *, blind: bool) -> None:
        self.starting = [ready_at for ready_at in self.starting if ready_at > now]
        before, unready = self.pods, len(self.starting)
        ready = before - unready
        use = min(self.place.target * requests / ready, BUSIEST) if ready else 0.0
        reading = None if blind else Reading(use=use, ready=ready, unready=unready)
        wanted = self.autoscaler.decide(now, before, reading)
        self._resize(now, wanted)
        self.story.shrunk_blind += blind and wanted < before
        if wanted != before:
            self.story.changes.append(now)
        self.story.pods.append(wanted)
        self._consolidate(now)

    def _resize(self, now: float, wanted: int) -> None:
        for _ in range(wanted - self.pods):
            self._place(now)
        for _ in range(self.pods - wanted):
            fullest = max(self.nodes, key=lambda node: node.pods)
            fullest.pods, fullest.touched = fullest.pods - 1, now

    def _place(self, now: float) -> None:
        """On the emptiest node with room, else on a new one."""
        free = [node for node in self.nodes if node.pods < self.place.room and not node.leaving]
        if free:
            node = min(free, key=lambda node: node.pods)
        else:
            node = Node(now + self.place.boot_seconds)
            self.nodes.append(node)
            self.story.starts += 1
            self.story.changes.append(now)
        node.pods, node.touched = node.pods + 1, now
        self.starting.append(max(node.ready_at, now) + self.place.start_seconds)

    def _consolidate(self, now: float) -> None:
        """Karpenter: nodes without pods go, and the one with the fewest whose pods find room elsewhere."""
        self._drain(now)
        idle = [
            node
            for node in self.nodes
            if now - max(node.touched, node.ready_at) >= self.place.after_seconds and not node.leaving
        ]
        if not idle:
            return
        empty = [node for node in idle if not node.pods][: self._allowed("Empty", now)]
        self.nodes = [node for node in self.nodes if node not in empty]
        if empty or any(node.leaving for node in self.nodes) or not self._allowed("Underutilized", now):
            return
        for node in sorted(idle, key=lambda node: node.pods):
            if node.pods <= sum(self.place.room - other.pods for other in self.nodes if other is not node):
                node.leaving = True
                return

    def _drain(self, now: float) -> None:
        """One pod at a time, as the PodDisruptionBudget says: the next one when the one before is ready elsewhere."""
        for node in [node for node in self.nodes if node.leaving]:
            if node.pods and not self.starting:
                node.pods -= 1
                self._place(now)
            if not node.pods:
                self.nodes.remove(node)

    def _allowed(self, reason: str, now: float) -> int:
        """Nodes that may go at once, by the strictest budget that holds now."""
        shares = [
            math.ceil(len(self.nodes) * int(budget["nodes"].removesuffix("%")) / 100)
            if budget["nodes"].endswith("%")
            else int(budget["nodes"])
            for budget in self.place.disruption["budgets"]
            if reason in (budget.get("reasons") or [reason]) and _holds(budget, now)
        ]
        return min(shares, default=len(self.nodes))


def _holds(budget: Mapping[str, Any], now: float) -> bool:
    """Whether a budget counts now; schedules of ours name a full hour of working days, and the day is one."""
    if budget.get("schedule") is None:
        return True
    began = now - 3600 * int(budget["schedule"].split()[1])
    return 0 <= began < 3600 * int(budget["duration"].removesuffix("h"))


def ideal_starts(place: Place, day: Day) -> int:
    """Starts of somebody who knows the day in advance, and gives a node up when it will not be needed for a while.

    The while is the time that the autoscaler and Karpenter wait themselves, and the load is its average over it,
    without noise; pods are as many as the target asks for.
    """
    scaler = place.autoscaler
    waits = place.after_seconds + scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
    patience = int(waits) // SYNC_SECONDS
    mean = np.convolve(np.pad(day.requests, (patience - 1, 0), mode="edge"), np.full(patience, 1 / patience), "valid")
    needed = np.ceil(np.clip(np.ceil(mean), scaler["minReplicas"], scaler["maxReplicas"]) / place.room)
    starts = 0
    for level in range(1, int(needed.max()) + 1):
        busy = np.flatnonzero(needed >= level)
        starts += 1 + int(np.count_nonzero(np.diff(busy) > patience))
    return starts


def late_changes(day: Day, story: Story) -> int:
    """How often something changed though the load had been the same, and known, for a quarter of an hour."""
    same = np.concatenate([[False], (np.diff(day.requests) == 0) & ~day.blind[1:] & ~day.blind[:-1]])
    last = np.maximum.accumulate(np.where(same, 0, np.arange(TICKS)))
    ticks = np.array(story.changes, dtype=int) // SYNC_SECONDS
    return int(np.count_nonzero((ticks - last[ticks]) * SYNC_SECONDS > STEADY_SECONDS)) if len(ticks) else 0

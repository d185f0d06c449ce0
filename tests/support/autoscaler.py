"""What kube-controller-manager decides from a HorizontalPodAutoscaler, as a function of readings and of its own past.

Source: Kubernetes 1.35, `pkg/controller/podautoscaler`: `replica_calculator.go` for the number that readings ask for,
`horizontal.go` for windows and rates (`stabilizeRecommendationWithBehaviors`,
`convertDesiredReplicasWithBehaviorRate`). `tests/kube/test_serving.py` asks the controller itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TOLERANCE: Final = 0.1
"""`--horizontal-pod-autoscaler-tolerance`, its default."""
SYNC_SECONDS: Final = 15
"""`--horizontal-pod-autoscaler-sync-period`, its default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is known of the pods at one moment."""

    use: float
    """Average of what ready pods with metrics use, as a share of what they reserve."""
    ready: int
    """Pods that are ready and have metrics."""
    unready: int = 0
    missing: int = 0
    """Pods that are ready and have none."""


def asked_for(current: int, reading: Reading, target: float) -> int | None:
    """How many pods a reading asks for; None where it says nothing.

    Pods that are not ready use nothing where more are needed; pods without metrics use nothing where more are needed,
    and all that they reserve where fewer would do.
    """
    if not reading.ready:
        return None
    ratio = reading.use / target
    late = reading.unready if ratio > 1 else 0
    pods, whole = reading.ready + late, reading.use * reading.ready
    if reading.missing and ratio != 1:
        pods += reading.missing
        whole += reading.missing * max(1.0, target) if ratio < 1 else 0
    new = whole / pods / target
    turned = (ratio - 1) * (new - 1) < 0
    if abs(new - 1) <= TOLERANCE or turned:
        return current
    wanted = math.ceil(new * pods)
    return current if (wanted - current) * (new - 1) < 0 else wanted


@dataclass(slots=True)
class Autoscaler:
    """One HorizontalPodAutoscaler with one metric of the pods, and what it remembers."""

    spec: Mapping[str, Any]
    """As in the manifest: bounds, target and behavior."""
    _asked: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    _changed: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])

    def decide(self, now: float, current: int, reading: Reading | None) -> int:
        """How many pods there are to be now; None stands for metrics that are missing altogether."""
        target = self.spec["metrics"][0]["resource"]["target"]["averageUtilization"] / 100
        wanted = None if reading is None else asked_for(current, reading, target)
        if wanted is None:
            return current
        wanted = self._rated(now, current, self._settled(now, current, wanted))
        if wanted != current:
            self._changed.append((now, wanted - current))
        return wanted

    def _settled(self, now: float, current: int, wanted: int) -> int:
        """Go up no further than to the least, and down no further than to the most, of what the windows asked for."""
        windows = {way: self._behavior(way)["stabilizationWindowSeconds"] for way in ("scaleUp", "scaleDown")}
        self._asked = [(when, pods) for when, pods in self._asked if when > now - max(windows.values())]
        self._asked.append((now, wanted))
        lowest = min(pods for when, pods in self._asked if when > now - windows["scaleUp"] or when == now)
        highest = max(pods for when, pods in self._asked if when > now - windows["scaleDown"] or when == now)
        return min(max(current, lowest), highest)

    def _rated(self, now: float, current: int, wanted: int) -> int:
        """Hold a change to the policies of its direction, and to the bounds."""
        if wanted > current:
            most = max(self._limit(now, current, policy, 1) for policy in self._behavior("scaleUp")["policies"])
            return min(wanted, max(most, current), self.spec["maxReplicas"])
        least = min(self._limit(now, current, policy, -1) for policy in self._behavior("scaleDown")["policies"])
        return max(wanted, min(least, current), self.spec["minReplicas"])

    def _limit(self, now: float, current: int, policy: Mapping[str, Any], way: int) -> int:
        """How far a policy lets the pods go from where they were when its period began."""
        began = current - sum(change for when, change in self._changed if when > now - policy["periodSeconds"])
        if policy["type"] == "Pods":
            return began + way * policy["value"]
        whole = began * (100 + way * policy["value"]) / 100
        return math.ceil(whole) if way > 0 else int(whole)

    def _behavior(self, way: str) -> Mapping[str, Any]:
        return self.spec["behavior"][way]

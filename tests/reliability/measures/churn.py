"""Figure 21: pods and nodes that come and go over simulated days, by the values of prod's own manifests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from components import karpenter_objects, serving_objects
from components.serving_pods import Workload
from settings.check import load_file
from settings.scale_up import seconds, steps
from settings.serving_capacity import supply
from tests.reliability.figures import Count, Run, measure
from tests.settings.stacks import stack_file
from tests.support.churn import KINDS, Cluster, Place, day, ideal_starts, late_changes

if TYPE_CHECKING:
    from settings.model import EksServingSpec, Settings

TIMES_IDEAL: Final = 2
FLEET: Final = 100
"""Most pods of every second day: the manifest's own ten fit two nodes."""


def served(settings: Settings) -> EksServingSpec:
    """How prod serves its first model."""
    serving = settings.models[0].serving
    if serving is None or serving.eks is None:
        raise LookupError("prod serves its first model by no pods")
    return serving.eks


def place(settings: Settings, most: int | None = None) -> Place:
    """Prod's values, with another upper bound of pods where one is given."""
    spec = served(settings)
    workload = Workload(model="m", spec=spec, version=1, image="")
    autoscaler: dict[str, Any] = serving_objects.autoscaler(workload)
    pool = next(each for each in settings.karpenter.pools if each.capacity == (spec.capacity,))
    waits = seconds(steps(spec, headroom=False)), seconds(steps(spec, headroom=True))
    return Place(
        autoscaler={**autoscaler, "maxReplicas": most or autoscaler["maxReplicas"]},
        room=next(nodes.pods for nodes in supply(settings, spec) if nodes.pool == pool.name),
        boot_seconds=waits[0] - waits[1],
        start_seconds=waits[1],
        disruption=karpenter_objects.node_pool(pool, profile=None, ami_alias=settings.karpenter.ami_alias)[
            "disruption"
        ],
    )


@measure(
    21,
    "pods and nodes that come and go, simulated",
    target="0 of 1,000 days with more than twice the ideal's node starts, a change 15 min after the load is steady, or "
    "fewer pods for want of metrics",
    floor=20,
    full=1_000,
)
def churn(run: Run) -> Count:
    """Days of a sine, of steps, of noise, and of steps with outages of metrics; each of three faults fails a day."""
    settings = load_file(stack_file("prod"))
    places, found, wrong = (place(settings), place(settings, FLEET)), Counter[str](), 0
    for number in range(run.size):
        draw = np.random.default_rng((run.seed, number))
        here = places[number // len(KINDS) % 2]
        lived = day(draw, KINDS[number % len(KINDS)], here.autoscaler["maxReplicas"])
        story = Cluster(here).live(lived)
        ideal = ideal_starts(here, lived)
        faults = {
            "too many starts": story.starts > TIMES_IDEAL * ideal,
            "late changes": late_changes(lived, story) > 0,
            "fewer pods for want of metrics": story.shrunk_blind > 0,
        }
        wrong += any(faults.values())
        found += Counter({**faults, "starts": story.starts, "ideal starts": ideal})
    counted = ", ".join(f"{count} {what}" for what, count in found.items())
    return Count(denominator=run.size, failures=wrong, detail=counted)

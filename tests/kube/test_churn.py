"""Three short traces of load on the real autoscaler, scheduler and Karpenter, with the manifests of the program.

`tests/reliability` plays whole days on a model of them (figure 21). What differs from the manifests here: the most
pods, so that nodes have to come; that the autoscaler looks every second; and, for the last trace, that it may shrink at
once, since its window of minutes would hide what missing metrics do. Nodes are of one size.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from components.serving_pods import account
from tests.kube.control_plane import Cluster
from tests.kube.definitions import definitions, install
from tests.kube.elastic import SERVING_NAMESPACE, Elastic, note, program_pool, zones
from tests.kube.serving import CONTROLLERS, METRICS, MODEL, POD_METRICS, PROGRAM, Served, program_objects
from tests.support.churn import BUSIEST, NOISE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kube.api import Object
    from tests.kube.control_plane import Etcd

pytestmark = pytest.mark.kube

POOL = "burst-cpu"
MOST = 36
"""Pods: six nodes of one size."""
ROOM = 7
"""Pods of half a processor on a node of four, beside what the simulated node keeps for itself."""
TIMES_IDEAL = 2
LOOK_SECONDS = 0.5
OBJECTS = ("ServiceAccount", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service")


def one_size() -> list[Object]:
    """Requirements of the pool, with its first size alone."""
    found = [dict(each) for each in program_pool(POOL)["spec"]["template"]["spec"]["requirements"]]
    for each in found:
        if each["key"].endswith("/instance-size"):
            each["values"] = each["values"][:1]
        each["key"] = each["key"].replace("karpenter.k8s.aws", "karpenter.kwok.sh")
    return found


@dataclass
class Stage:
    """A model under a load that the test says, and what came of it."""

    served: Served
    elastic: Elastic
    target: int
    """Percent of what a pod reserves."""
    started: set[str] = field(default_factory=set[str])
    """Names of all nodes that were ever asked for."""

    def look(self, load: float | None) -> int:
        """Let the pods use what a load needs, or nobody know what they use; how many are wanted now.

        Args:
            load: As a multiple of what one pod takes at its target; None where metrics are missing.
        """
        if load is None:
            for item in self.served.api.list(METRICS, "PodMetrics", SERVING_NAMESPACE):
                self.served.api.delete({"apiVersion": METRICS, "kind": "PodMetrics", **item})
        elif pods := len(self.served.pods()):
            self.served.use(round(min(self.target * load / pods, 100 * BUSIEST)))
        self.started |= {claim["metadata"]["name"] for claim in self.elastic.claims(POOL)}
        return self.served.held("Deployment")["spec"]["replicas"]

    def play(self, load: Callable[[], float | None], seconds: float) -> set[int]:
        """Keep up a load; the numbers of pods that were wanted meanwhile."""
        wanted, end = set[int](), time.monotonic() + seconds
        while time.monotonic() < end:
            wanted.add(self.look(load()))
            time.sleep(LOOK_SECONDS)
        return wanted

    def reach(self, load: float, pods: int) -> None:
        """Keep up a load until so many pods run."""
        self.elastic.until(
            lambda: self.look(load) == pods == len(self.served.pods()), f"{pods} pods run at a load of {load:g}", 240
        )


@pytest.fixture
def stage(etcd: Etcd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Cluster(tmp_path_factory.mktemp("churn"), etcd) as cluster:
        cluster.start_controllers(*CONTROLLERS)
        elastic, served = Elastic(cluster), Served(cluster, program_objects())
        elastic.start()
        install(cluster, [POD_METRICS, *definitions("monitoring.coreos.com")])
        elastic.open_pools(POOL, **{POOL.replace("-", "_"): {"template.spec.requirements": one_size()}})
        names = (MODEL, account(MODEL))
        for kind in OBJECTS:
            for item in served.objects:
                if item["kind"] == kind and item["metadata"]["name"] in names:
                    cluster.api.apply(item, manager=PROGRAM, force=False)
        scaler = served.held("HorizontalPodAutoscaler", "autoscaling/v2")["spec"]
        served.limit(MOST)
        yield Stage(served, elastic, scaler["metrics"][0]["resource"]["target"]["averageUtilization"])


def test_a_step_noise_and_an_outage_start_few_nodes_and_take_no_pod_away(stage: Stage) -> None:
    least = stage.served.held("HorizontalPodAutoscaler", "autoscaling/v2")["spec"]["minReplicas"]
    stage.reach(least, least)
    # Beyond what they can take: at their own load the autoscaler's tolerance lets it stop a tenth before.
    stage.reach(1.5 * MOST, MOST)
    ideal = max(-(-MOST // ROOM), len(zones()))
    note("nodes that were started for a step, and that somebody needs who knows it", f"{len(stage.started)}, {ideal}")
    assert len(stage.started) <= TIMES_IDEAL * ideal
    before = set(stage.started)

    draw = random.Random(21)  # noqa: S311 - repeatable, not secret
    assert stage.play(lambda: MOST * draw.gauss(1, NOISE), 30) == {MOST}
    assert stage.started == before, "noise starts no node"

    stage.served.shrink_after(0)
    assert stage.play(lambda: None, 30) == {MOST}, "nobody knows that there is nothing to do"
    active = stage.served.held("HorizontalPodAutoscaler", "autoscaling/v2")["status"]["conditions"]
    assert {each["type"]: each["status"] for each in active}["ScalingActive"] == "False"
    assert min(stage.play(lambda: least, 20)) < MOST, "with metrics it shrinks: the window is not what held it"
    assert len(stage.started) <= TIMES_IDEAL * ideal

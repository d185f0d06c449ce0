"""Who makes room when more pods come than the nodes take: headroom and priorities, on the real scheduler."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from components.headroom_objects import NAMESPACE
from components.labels import POOL_LABEL
from tests.kube.elastic import ZONE, Elastic, Watch, deployment, headroom, labelled, note, zones
from tests.kube.workloads import serving, training

if TYPE_CHECKING:
    from tests.kube.api import Object

pytestmark = pytest.mark.kube

BOOT_SECONDS = 8
"""How long a simulated node of these tests takes to come."""


def bound_at(elastic: Elastic, item: Object) -> datetime:
    """When the scheduler bound a pod, to the microsecond."""
    name = item["metadata"]["name"]
    (event,) = (
        event
        for event in elastic.api.list("v1", "Event", item["metadata"]["namespace"])
        if event["reason"] == "Scheduled" and event["involvedObject"]["name"] == name
    )
    return datetime.fromisoformat(event["eventTime"])


def born_at(item: Object) -> datetime:
    """When an object was created, to the second."""
    return datetime.fromisoformat(item["metadata"]["creationTimestamp"])


def test_a_burst_takes_the_place_of_headroom_before_a_node_comes_and_headroom_is_restored(elastic: Elastic) -> None:
    elastic.open_pools()
    (room,) = headroom()
    wanted = room["spec"]["replicas"]

    def placeholders() -> list[Object]:
        return [
            item
            for item in elastic.api.list("v1", "Pod", NAMESPACE)
            if item["status"]["phase"] == "Running" and "deletionTimestamp" not in item["metadata"]
        ]

    elastic.api.create(room)
    elastic.until(lambda: len(placeholders()) == wanted, "there is headroom")
    ready = {node["metadata"]["name"]: node for node in elastic.nodes("burst-cpu")}
    assert sorted(labelled(node, ZONE)[0] for node in ready.values()) == list(zones())

    elastic.register_after(BOOT_SECONDS)
    watch = Watch()
    elastic.api.create(deployment(serving("burst", "3"), wanted))
    elastic.until(lambda: len(elastic.pods("burst")) == wanted, "the burst runs")
    note("burst runs after, s", watch.seconds)
    burst = elastic.pods("burst")
    assert {item["spec"]["nodeName"] for item in burst} == set(ready)
    elastic.until(lambda: len(placeholders()) == wanted, "headroom is restored")
    note(f"headroom restored on nodes that take {BOOT_SECONDS} s after, s", watch.seconds)

    fresh = [node for node in elastic.nodes("burst-cpu") if node["metadata"]["name"] not in ready]
    assert {item["spec"]["nodeName"] for item in placeholders()} == {node["metadata"]["name"] for node in fresh}
    last, first = max(bound_at(elastic, item) for item in burst), min(born_at(node) for node in fresh)
    assert last < first
    note("last pod of the burst bound, first new node", (last.isoformat(), first.isoformat()))
    slowest = max((bound_at(elastic, item) - born_at(item)).total_seconds() for item in burst)
    note("slowest pod of the burst, created (whole seconds) to bound, s", slowest)


def test_without_headroom_the_same_burst_waits_for_nodes(elastic: Elastic) -> None:
    elastic.open_pools()
    elastic.register_after(BOOT_SECONDS)
    watch = Watch()
    elastic.api.create(deployment(serving("burst", "3"), 3))
    elastic.until(lambda: len(elastic.pods("burst")) == 3, "the burst runs")
    note(f"burst without headroom, nodes that take {BOOT_SECONDS} s, runs after, s", watch.seconds)
    first = min(born_at(node) for node in elastic.nodes("burst-cpu"))
    assert all(bound_at(elastic, item) > first for item in elastic.pods("burst"))


def test_serving_takes_the_place_of_training_and_training_never_that_of_serving(elastic: Elastic) -> None:
    full = {"limits.cpu": "4", "limits.memory": "16Gi"}
    elastic.open_pools("burst-cpu", burst_cpu=full)
    here = {POOL_LABEL: "burst-cpu"}
    low = deployment(training("training", "3", nodeSelector=here), 1)
    elastic.api.create(low)
    elastic.until(lambda: elastic.pods("training"), "training runs")
    (node,) = elastic.nodes()

    watch = Watch()
    (taken,) = elastic.place(serving("serving", "3"))
    note("serving runs in the place of training after, s", watch.seconds)
    assert taken["metadata"]["name"] == node["metadata"]["name"]
    elastic.until(lambda: elastic.pods("training", running=False), "training waits")
    (again,) = elastic.pods("training", running=False)
    elastic.until(lambda: elastic.said(again, "No preemption victims found"), "training finds nobody below it")
    assert len(elastic.nodes()) == 1
    assert len(elastic.pods("serving")) == 1

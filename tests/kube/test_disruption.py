"""When nodes go: the program's node pools on the real Karpenter, with the times that a test names shortened."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.kube.elastic import (
    ZONE,
    Elastic,
    Watch,
    budget,
    deployment,
    instance_types,
    labelled,
    note,
    program_pool,
    zones,
)
from tests.kube.workloads import gpu_training, job, processing, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from tests.kube.api import Object

pytestmark = pytest.mark.kube

SOON = {"disruption.consolidateAfter": "1s"}
"""Minutes of the program, shortened to a second."""
THREE = 3
"""Pods and nodes of a test, one per zone."""
TWO_ROUNDS = 21.0
"""Seconds in which Karpenter looks twice for nodes to take out."""
DISRUPTION_SECONDS = 90.0
"""Karpenter looks every ten seconds, and looks again after fifteen before it acts."""


def three_nodes(elastic: Elastic, *, grace: int = 30, **bound: int) -> Object:
    """Three serving pods that fill a node each, in a zone each, and their disruption budget."""
    template = serving("server", "3", terminationGracePeriodSeconds=grace)
    elastic.api.create(deployment(template, THREE))
    elastic.until(lambda: len(elastic.pods("server")) == THREE, "three pods run")
    guard = budget(template, **bound)
    elastic.api.create(guard)
    elastic.until(lambda: elastic.held(guard).get("status", {}).get("currentHealthy") == THREE, "the budget counts")
    return guard


def test_training_nodes_come_and_go_while_serving_is_not_moved_in_the_hours_of_its_budget(elastic: Elastic) -> None:
    always, hours = program_pool("burst-cpu")["spec"]["disruption"]["budgets"]
    # The hours begin anew every hour, so that it is always within them.
    now = {**hours, "schedule": "0 * * * *"}
    serves = {**SOON, "disruption.budgets": [always, now]}
    elastic.open_pools(burst_cpu=serves, batch_cpu=SOON, batch_gpu=SOON)
    assert elastic.nodes() == []
    fillers = [serving(f"filler-{number}", "3") for number in range(THREE)]
    for number in range(2):
        elastic.api.create(deployment(serving(f"small-{number}", "500m"), 1, topologySpreadConstraints=[]))
        elastic.place(fillers[number])
        elastic.until(lambda number=number: elastic.pods(f"small-{number}"), "the small pod runs")
    elastic.place(fillers[2])
    assert len(elastic.nodes("burst-cpu")) == THREE

    watch = Watch()
    trains = job(gpu_training("training"), 1)
    elastic.api.create(trains)
    batch = processing("batch", "3")
    (kept,) = elastic.place(batch)
    elastic.until(lambda: "completionTime" in elastic.held(trains)["status"], "the training is done")
    assert len(elastic.nodes("batch-gpu")) == 1
    note("training done after, s", watch.seconds)
    watch = Watch()
    for item in fillers:
        elastic.api.delete(item)
    elastic.until(lambda: not elastic.claims("batch-gpu"), "training is back at no node", DISRUPTION_SECONDS)
    note("node of the training gone after, s", watch.seconds)
    elastic.until(lambda: len(elastic.nodes("burst-cpu")) == 2, "the empty node of serving is gone", DISRUPTION_SECONDS)
    note("empty node of serving gone after, s", watch.seconds)
    pool = elastic.pool("burst-cpu")
    refusal = "No allowed disruptions for disruption reason Underutilized"
    elastic.until(lambda: elastic.said(pool, refusal), "Karpenter says that it may not move pods", DISRUPTION_SECONDS)
    assert len(elastic.nodes("burst-cpu")) == 2
    assert elastic.disrupted("burst-cpu") == []
    assert elastic.held(batch)["spec"]["nodeName"] == kept["metadata"]["name"]

    watch = Watch()
    elastic.api.merge(pool, {"spec": {"disruption": {"budgets": [always]}}})
    elastic.until(lambda: len(elastic.nodes("burst-cpu")) == 1, "both pods share a node", DISRUPTION_SECONDS)
    note("two nodes of serving made one after the hours, s", watch.seconds)


def test_drifted_nodes_go_one_at_a_time_and_only_as_the_pods_allow(elastic: Elastic) -> None:
    elastic.open_pools("burst-cpu")
    three_nodes(elastic, maxUnavailable=0)
    pool = elastic.pool("burst-cpu")
    elastic.api.merge(pool, {"spec": {"template": {"metadata": {"labels": {"slipway.dev/changed": "yes"}}}}})
    watch = Watch()
    elastic.until(lambda: elastic.disrupted("burst-cpu"), "the first node is taken out", DISRUPTION_SECONDS)
    note("first of three drifted nodes taken out after, s", watch.seconds)
    most, watch = 0, Watch()
    while watch.seconds < TWO_ROUNDS:
        most = max(most, len(elastic.disrupted("burst-cpu")))
        time.sleep(0.5)
    assert most == 1
    assert len(elastic.pods("server")) == THREE, "the first node waits for a pod that may not go"

    elastic.api.merge(pool, {"spec": {"disruption": {"budgets": [{"nodes": "100%"}]}}})
    elastic.until(lambda: len(elastic.disrupted("burst-cpu")) > 1, "without the budget others go", DISRUPTION_SECONDS)
    assert len(elastic.pods("server")) == THREE


def test_expired_nodes_go_all_at_once_whatever_the_budget_says_and_wait_for_their_pods_until_their_grace_is_over(
    elastic: Elastic,
) -> None:
    times = {"template.spec.expireAfter": "12s", "template.spec.terminationGracePeriod": "8s"}
    elastic.open_pools("burst-cpu", burst_cpu=times)
    # The node's grace has to hold that of its pods: they are told to end so much earlier.
    three_nodes(elastic, grace=1, maxUnavailable=0)
    first = {claim["metadata"]["name"] for claim in elastic.claims("burst-cpu")}
    ours = {item["metadata"]["name"] for item in elastic.pods("server")}

    def left() -> list[Object]:
        return [claim for claim in elastic.claims("burst-cpu") if claim["metadata"]["name"] in first]

    elastic.until(
        lambda: sum("deletionTimestamp" in claim["metadata"] for claim in left()) == THREE, "all are about to go"
    )
    watch = Watch()
    assert {item["metadata"]["name"] for item in elastic.pods("server")} == ours, "their pods may not go"
    elastic.until(lambda: not left(), "their grace is over")
    note("expired nodes with a grace of 8 s and a budget of no pod gone after, s", watch.seconds)


@pytest.fixture
def lost_zone(elastic: Elastic) -> Iterator[str]:
    """A zone that offers nothing any more, after a test has said so."""
    yield zones()[-1]
    elastic.restart_karpenter(instance_types())


def test_the_loss_of_a_zone_leaves_the_pods_that_the_budget_wants_and_the_others_come_back(
    elastic: Elastic, lost_zone: str
) -> None:
    elastic.open_pools("burst-cpu")
    guard = three_nodes(elastic, minAvailable=2)
    assert sorted(labelled(node, ZONE)[0] for node in elastic.nodes("burst-cpu")) == list(zones())

    elastic.restart_karpenter(instance_types(without_zones=[lost_zone]))
    watch = Watch()
    lose(elastic, lost_zone)
    survivors = len(elastic.pods("server"))
    assert survivors == elastic.held(guard)["spec"]["minAvailable"]
    elastic.until(lambda: len(elastic.pods("server")) == THREE, "three pods run again")
    note("back to three serving pods after the loss of a zone, s", watch.seconds)
    where = {labelled(node, ZONE)[0] for node in elastic.nodes("burst-cpu")}
    assert where == set(zones()) - {lost_zone}


def lose(elastic: Elastic, zone: str) -> None:
    """Take away a zone's nodes at once, without a drain, and with them what the cluster still holds of them.

    What is cleared up here in one step, the cluster clears up by itself within minutes: pods of a node that is gone
    by the garbage collector, its claim by Karpenter.
    """
    lost = [node for node in elastic.nodes() if labelled(node, ZONE) == (zone,)]
    assert lost
    names = {node["metadata"]["name"] for node in lost}
    for claim in elastic.api.list("karpenter.sh/v1", "NodeClaim"):
        if claim["status"].get("nodeName") in names:
            elastic.remove_at_once(claim)
    for node in lost:
        elastic.remove_at_once(node)
    for item in elastic.api.list("v1", "Pod"):
        if item["spec"].get("nodeName") in names:
            elastic.remove_at_once(item)


@pytest.mark.parametrize("propagation", ["Foreground", "Background"])
def test_a_deleted_pool_stays_until_its_nodes_are_gone_only_if_deleted_in_the_foreground(
    elastic: Elastic, propagation: Literal["Foreground", "Background"]
) -> None:
    waits = propagation == "Foreground"
    elastic.open_pools("burst-cpu")
    guard = three_nodes(elastic, maxUnavailable=0)
    pool = elastic.pool("burst-cpu")
    elastic.api.delete(pool, propagation=propagation)
    elastic.until(
        lambda: sum("deletionTimestamp" in claim["metadata"] for claim in elastic.claims("burst-cpu")) == THREE,
        "its nodes are about to go",
    )
    if not waits:
        elastic.until(lambda: not elastic.exists(pool), "the pool is gone")
    assert elastic.exists(pool) is waits
    assert len(elastic.nodes("burst-cpu")) == THREE, "their pods may not go yet"

    watch = Watch()
    elastic.api.delete(guard)
    left = (lambda: elastic.exists(pool)) if waits else (lambda: elastic.nodes() or elastic.claims("burst-cpu"))
    elastic.until(lambda: not left(), "all is gone")
    note(f"{propagation}: three nodes gone after their pods may go, s", watch.seconds)
    assert elastic.nodes() == elastic.claims("burst-cpu") == []

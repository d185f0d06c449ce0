"""Which node a pod gets: the program's node pools on the real Karpenter and the real scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from components.gpu_pods import affinity, neuron_resources, tolerations
from components.labels import CAPACITY_LABEL, POOL_LABEL, ROLE_LABEL
from components.nodes import GPU_RESOURCE, NEURON_RESOURCE
from components.priority_levels import SERVING
from settings.model import Capacity
from tests.kube.elastic import (
    CAPACITY_TYPE,
    SERVING_NAMESPACE,
    TRAINING_NAMESPACE,
    Elastic,
    Watch,
    app_pod,
    deployment,
    instance_types,
    labelled,
    note,
    simulated,
)
from tests.kube.quotas import quantity
from tests.kube.workloads import gpu_serving, gpu_training, job, processing, serving, training
from tests.support.changes import record_changed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kube.api import Object

pytestmark = pytest.mark.kube


def where(node: Object) -> tuple[str, ...]:
    """Pool and purchase option of a node."""
    return labelled(node, POOL_LABEL, CAPACITY_TYPE)


def amount(nodes: list[Object], resource: str) -> int:
    """What nodes have of a resource, all together."""
    return int(sum(quantity(node["status"]["capacity"].get(resource, "0")) for node in nodes))


def test_a_gpu_pod_gets_a_gpu_node_which_takes_no_other_pod(elastic: Elastic) -> None:
    elastic.open_pools()
    watch = Watch()
    (on_demand,) = elastic.place(gpu_serving("gpu-serving"))
    note("gpu pod pending to running, s", watch.seconds)
    (spot,) = elastic.place(gpu_training("gpu-training"))
    assert where(on_demand) == ("burst-gpu", "on-demand")
    assert where(spot) == ("batch-gpu", "spot")
    assert all(amount([node], GPU_RESOURCE) == 1 for node in (on_demand, spot))

    # Both have room for one processor more: only the taint keeps these away.
    cpu = elastic.place(serving("cpu-serving"), training("cpu-training"))
    # Training bears spot but does not ask for it: it may find room beside serving.
    assert {where(node)[0] for node in cpu} <= {"burst-cpu", "batch-cpu"}
    assert not any(amount([node], GPU_RESOURCE) for node in cpu)
    tolerant = serving("tolerant", tolerations=tolerations(may_be_spot=False), nodeSelector={POOL_LABEL: "burst-gpu"})
    assert elastic.place(tolerant)[0]["metadata"]["name"] == on_demand["metadata"]["name"]


def test_a_gpu_pod_without_the_toleration_gets_no_node(elastic: Elastic) -> None:
    elastic.open_pools()
    intolerant = gpu_serving("intolerant")
    intolerant["spec"]["tolerations"] = []
    elastic.api.create(intolerant)
    elastic.until(lambda: elastic.said(intolerant, "did not tolerate"), "Karpenter says what is missing")
    assert elastic.claims("burst-gpu") == elastic.nodes() == []


def test_pods_share_a_gpu_once_the_device_plugin_has_reported_its_parts(elastic: Elastic) -> None:
    elastic.open_pools("burst-gpu")
    (node,) = elastic.place(gpu_serving("first"))
    assert amount([node], GPU_RESOURCE) == 1
    # Without an overlay Karpenter plans with the GPU that EC2 counts; the plugin's configuration makes four of it.
    parts = {GPU_RESOURCE: "4"}
    elastic.api.merge(node, {"status": {"capacity": parts, "allocatable": parts}}, subresource="status")
    nodes = elastic.place(*(gpu_serving(name) for name in ("second", "third", "fourth")))
    assert {item["metadata"]["name"] for item in nodes} == {node["metadata"]["name"]}
    (fifth,) = elastic.place(gpu_serving("fifth"))
    assert fifth["metadata"]["name"] != node["metadata"]["name"]
    note("nodes for five GPU pods in quarters", len(elastic.nodes()))


@pytest.fixture
def neuron(elastic: Elastic) -> Iterator[Elastic]:
    """EC2 offers Inferentia2 as well: 4 processors, 16 GiB and one device (EC2 guide, "Instance types")."""
    general = next(item for item in instance_types() if item["name"] == "m6i.xlarge")
    resources = {**general["resources"], NEURON_RESOURCE: "1"}
    elastic.restart_karpenter([*instance_types(), {**general, "name": "inf2.xlarge", "resources": resources}])
    yield elastic
    elastic.restart_karpenter(instance_types())


def test_a_neuron_pod_gets_a_neuron_node_which_takes_no_other_pod(neuron: Elastic) -> None:
    neuron.open_pools("burst-gpu", "batch-cpu")
    neuron.api.create(simulated(neuron_pool(), {}))
    device = app_pod(
        SERVING_NAMESPACE,
        "device",
        SERVING.name,
        {"cpu": "500m", "memory": "1Gi", **neuron_resources()},
        tolerations=tolerations(NEURON_RESOURCE, may_be_spot=False),
    )
    watch = Watch()
    (node,) = neuron.place(device)
    note("Neuron pod pending to running, s", watch.seconds)
    assert where(node) == ("burst-cpu", "on-demand")
    assert labelled(node, ROLE_LABEL) == ("neuron",)
    assert amount([node], NEURON_RESOURCE) == 1

    # It has room for a processor more: only the taint keeps these away.
    others = neuron.place(processing("processing"), gpu_serving("gpu-serving"))
    assert [where(other)[0] for other in others] == ["batch-cpu", "burst-gpu"]


def neuron_pool() -> Object:
    """What the program makes of prod's first pool when the stack file gives it Neuron devices."""
    edits = {
        "charts.neuron": {"repository": "oci://public.ecr.aws/neuron", "version": "1.10.0"},
        "karpenter.pools.0.role": "neuron",
        "karpenter.pools.0.instanceFamilies": ["inf2"],
        "karpenter.pools.0.instanceSizes": ["xlarge"],
    }
    return record_changed(edits).one("kubernetes:karpenter.sh/v1:NodePool", "karpenter-burst-cpu").inputs


def test_real_time_serving_gets_on_demand_nodes_although_spot_nodes_have_room(elastic: Elastic) -> None:
    elastic.open_pools()
    (spot,) = elastic.place(processing("processing", "2"))
    assert where(spot) == ("batch-cpu", "spot")
    watch = Watch()
    (node,) = elastic.place(serving("serving"))
    note("serving pod pending to running, s", watch.seconds)
    assert where(node) == ("burst-cpu", "on-demand")
    # The room was there: a pod that bears an interruption takes it.
    (filled,) = elastic.place(processing("more", nodeSelector={CAPACITY_TYPE: "spot"}))
    assert filled["metadata"]["name"] == spot["metadata"]["name"]


def test_the_pool_with_the_higher_weight_goes_first_where_a_pod_fits_both(elastic: Elastic) -> None:
    elastic.open_pools()
    assert where(elastic.place(processing("weighted"))[0])[0] == "batch-cpu"
    elastic.clear()
    elastic.open_pools(burst_cpu={"weight": 60})
    assert where(elastic.place(processing("otherwise"))[0])[0] == "burst-cpu"


def test_training_that_names_spot_stays_off_the_nodes_of_serving(elastic: Elastic) -> None:
    elastic.open_pools()
    (inference,) = elastic.place(serving("serving"))
    (apart,) = elastic.place(training("apart", nodeSelector={CAPACITY_LABEL: Capacity.SPOT.value}))
    assert where(apart)[0] == "batch-cpu"
    (beside,) = elastic.place(training("beside", nodeSelector={POOL_LABEL: "burst-cpu"}))
    assert beside["metadata"]["name"] == inference["metadata"]["name"], "there was room for it"


@pytest.fixture
def no_spot(elastic: Elastic) -> Iterator[Elastic]:
    """EC2 has no spot capacity, as Karpenter sees it."""
    elastic.restart_karpenter(instance_types(capacities=[Capacity.ON_DEMAND]))
    yield elastic
    elastic.restart_karpenter(instance_types())


def test_batch_and_training_fall_back_to_on_demand_where_there_is_no_spot(no_spot: Elastic) -> None:
    no_spot.open_pools()
    watch = Watch()
    nodes = no_spot.place(processing("processing"), gpu_training("gpu-training"))
    note("fallback pending to running, s", watch.seconds)
    assert [where(node) for node in nodes] == [("batch-cpu", "on-demand"), ("batch-gpu", "on-demand")]


def test_pods_beyond_a_pools_limits_wait_and_training_does_not_go_on_to_the_gpus_of_serving(elastic: Elastic) -> None:
    elastic.open_pools()
    limits = {name: elastic.pool(name)["spec"]["limits"] for name in ("burst-cpu", "batch-gpu")}
    # 24 x 7 processors and 10 GPUs are more than 160 and 8.
    counts = {"many": 24, "gpus": 10}
    apart = gpu_training("gpus", affinity=affinity(may_be_spot=True))
    watch = Watch()
    elastic.api.create(deployment(serving("many", "7"), counts["many"], topologySpreadConstraints=[]))
    elastic.api.create(deployment(apart, counts["gpus"], topologySpreadConstraints=[]))

    def settled(app: str) -> bool:
        waiting = elastic.pods(app, running=False)
        refused = all(elastic.said(item, "Failed to schedule pod") for item in waiting)
        return bool(waiting) and refused and len(waiting) + len(elastic.pods(app)) == counts[app]

    for app in counts:
        elastic.until(lambda app=app: settled(app), f"each pod of {app} runs, or Karpenter says that it cannot")
    # A pod that Karpenter refused may still take the node that was made for another one.
    elastic.until(
        lambda: len(elastic.pods("gpus")) == amount(elastic.nodes("batch-gpu"), GPU_RESOURCE), "no GPU is left idle"
    )
    cpu, gpu = elastic.nodes("burst-cpu"), elastic.nodes("batch-gpu")
    running = {app: len(elastic.pods(app)) for app in counts}
    note("limits reached after, s", watch.seconds)
    note(
        "pods that run, nodes and processors of burst-cpu, nodes of batch-gpu",
        (running, len(cpu), amount(cpu, "cpu"), len(gpu)),
    )
    # The simulated provider reports as a node's processors those that its first pods asked for.
    assert quantity(limits["burst-cpu"]["cpu"]) - 16 < amount(cpu, "cpu") <= quantity(limits["burst-cpu"]["cpu"])
    assert amount(gpu, GPU_RESOURCE) == running["gpus"] == quantity(limits["batch-gpu"][GPU_RESOURCE])
    assert elastic.nodes("burst-gpu") == []

    # It was the limit, and nothing else, that they waited for.
    elastic.api.merge(elastic.pool("burst-cpu"), {"spec": {"limits": {"cpu": "320", "memory": "1280Gi"}}})
    elastic.until(lambda: len(elastic.pods("many")) == counts["many"], "with a higher limit all run")
    # A training that does not say where it belongs goes on to what serving may need.
    elastic.api.create(stray := gpu_training("stray"))
    assert where(elastic.node_of(stray))[0] == "burst-gpu"


def test_the_sample_workloads_run_side_by_side_within_the_quotas(elastic: Elastic) -> None:
    elastic.open_pools()
    watch = Watch()
    elastic.api.create(deployment(serving("inference"), 3))
    train, process = gpu_training("training"), job(processing("processing", "3"), 4)
    nodes = [*elastic.place(train)]
    elastic.api.create(process)
    elastic.until(lambda: elastic.held(process)["status"].get("succeeded") == 4, "the data is processed")
    elastic.until(lambda: len(elastic.pods("inference")) == 3, "serving runs")
    note("three workloads run after, s", watch.seconds)
    note("nodes by pool", {pool: len(elastic.nodes(pool)) for pool in ("burst-cpu", "batch-cpu", "batch-gpu")})
    assert where(nodes[0]) == ("batch-gpu", "spot")
    quotas = elastic.api.list("v1", "ResourceQuota")
    for quota in quotas:
        used = {key: quantity(text) for key, text in quota["status"]["used"].items()}
        assert all(value <= quantity(quota["spec"]["hard"][key]) for key, value in used.items()), quota
    counted = {quota["metadata"]["namespace"] for quota in quotas if quantity(quota["status"]["used"]["pods"])}
    assert counted >= {SERVING_NAMESPACE, TRAINING_NAMESPACE}

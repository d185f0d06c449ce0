"""Models behave on a real control plane as the program says: placed, scaled, rolled, drained, released."""

from __future__ import annotations

import copy
import functools
import http
from typing import TYPE_CHECKING, Any

import pytest

from components.serving_pods import CHANGED_BY_RELEASES
from tests.kube.api import Refused
from tests.kube.elastic import SERVING_NAMESPACE, note, zones
from tests.kube.serving import CONTROLLERS, MODEL, PROGRAM, Served
from tests.support.rolled_out import rolled_out
from tests.support.served import FRONT_ENDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kube.api import Object
    from tests.kube.control_plane import Etcd

from tests.kube.control_plane import Cluster

pytestmark = pytest.mark.kube

RELEASE = "slipway-release"
NEW = "777788889999.dkr.ecr.us-east-1.amazonaws.com/slipway-prod/flight-delay@sha256:" + "8" * 64


@pytest.fixture(scope="module")
def served(etcd: Etcd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Cluster(tmp_path_factory.mktemp("serving"), etcd) as cluster:
        cluster.start_controllers(*CONTROLLERS)
        yield Served.start(cluster)


def registered(served: Served, kind: str, model: str = MODEL) -> Object:
    return next(
        copy.deepcopy(item) for item in served.objects if item["kind"] == kind and item["metadata"]["name"] == model
    )


def place(item: Object, path: str) -> Any:
    return functools.reduce(lambda held, step: held[step], path.split("."), item)


def released(image: str, version: str) -> Object:
    """What a release applies: image and version, nothing else."""
    labels = {"slipway.dev/version": version}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "server", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": MODEL, "namespace": SERVING_NAMESPACE, "labels": labels},
        "spec": {"template": template},
    }


def updated(served: Served, item: Object) -> Object:
    """What the provider sends for a changed resource: ignored paths as the live object has them."""
    live, sent = served.held("Deployment"), copy.deepcopy(item)
    for path in CHANGED_BY_RELEASES:
        parent, _, last = path.rpartition(".")
        place(sent, parent)[last] = place(live, path)
    return sent


def test_four_models_run_with_one_pod_in_each_zone_and_every_object_accepted(served: Served) -> None:
    for model in (MODEL, *FRONT_ENDS):
        served.cluster.until(
            lambda model=model: served.spread(model) == dict.fromkeys(zones(), 1), f"{model} has a pod in each zone"
        )
    quota = served.api.get("v1", "ResourceQuota", "quota", SERVING_NAMESPACE)["status"]["used"]
    assert (quota["services.loadbalancers"], quota["services.nodeports"]) == ("1", "0")
    assert quota["count/ingresses.networking.k8s.io"] == "2"


def test_the_autoscaler_keeps_doubles_stops_at_the_bounds_and_shrinks_only_after_its_window(served: Served) -> None:
    wanted = registered(served, "HorizontalPodAutoscaler")["spec"]
    least, most = wanted["minReplicas"], wanted["maxReplicas"]
    target = wanted["metrics"][0]["resource"]["target"]["averageUtilization"]
    assert served.settle(target, least) == [least]
    # Longer than the period of the policies, in which the first pods came.
    assert served.asked_during(target, 16) == {least}
    # The use of all pods becomes known at once.
    served.limit(least)
    assert served.asked_during(2 * target, 2) == {least}
    served.limit(most)
    grown = served.settle(2 * target, most)
    note("pods asked for at twice the target", grown)
    assert grown[:2] == [least, 2 * least]
    assert served.asked_during(10 * target, 3) == {most}
    conditions = {
        item["type"]: item["status"]
        for item in served.held("HorizontalPodAutoscaler", "autoscaling/v2")["status"]["conditions"]
    }
    assert (conditions["ScalingActive"], conditions["ScalingLimited"]) == ("True", "True")
    # Less load within the window takes nothing away; without it the floor holds.
    assert served.asked_during(1, 5) == {most}
    served.shrink_after(0)
    shrunk = served.asked_during(1, 4)
    note("pods asked for without load and without the window", sorted(shrunk, reverse=True))
    assert shrunk != {most}
    assert min(shrunk) >= least
    served.limit(least)
    served.settle(target, least)


def test_an_autoscaler_that_counts_requests_too_is_taken_whole(served: Served) -> None:
    """That of prod's own model, with everything on."""
    wanted = rolled_out().one("kubernetes:autoscaling/v2:HorizontalPodAutoscaler", f"serving-{MODEL}").inputs
    names = [metric["type"] for metric in wanted["spec"]["metrics"]]
    held = served.api.apply(wanted, manager=PROGRAM, dry_run=True)
    assert names == ["Resource", "Pods"]
    assert held["spec"]["metrics"] == wanted["spec"]["metrics"]
    for field, value, said in (("metric", {}, "must specify a metric name"), ("target", {"type": "Value"}, "positive")):
        broken = copy.deepcopy(wanted)
        broken["spec"]["metrics"][1]["pods"][field] = value
        with pytest.raises(Refused) as refused:
            served.api.apply(broken, manager=PROGRAM, dry_run=True)
        assert said in refused.value.message


def test_a_release_rolls_pod_by_pod_and_the_program_neither_undoes_nor_fails_on_it(served: Served) -> None:
    program = registered(served, "Deployment")
    before = registered(served, "HorizontalPodAutoscaler")["spec"]["minReplicas"]
    served.cluster.until(lambda: served.available() == before, "as many pods answer as the load asks for")
    served.api.apply(released(NEW, "8"), manager=RELEASE)
    lowest = before

    def rolled() -> bool:
        nonlocal lowest
        held = served.held("Deployment")
        status = held["status"]
        lowest = min(lowest, status.get("availableReplicas", 0))
        seen = status["observedGeneration"] == held["metadata"]["generation"]
        return seen and status.get("updatedReplicas") == status["replicas"] == status.get("availableReplicas") == before

    served.cluster.until(rolled, "every pod has the new image", 150)
    note("fewest pods that answered during a rollout", f"{lowest} of {before}")
    assert lowest == before
    # Somebody changes what the program owns; its next update leaves the release's version where it is.
    program["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 40
    served.api.apply(updated(served, program), manager=PROGRAM, force=False)
    live = served.held("Deployment")["spec"]["template"]
    assert live["spec"]["terminationGracePeriodSeconds"] == 40
    assert [item["image"] for item in live["spec"]["containers"]] == [NEW]
    assert live["metadata"]["labels"]["slipway.dev/version"] == "8"
    # And the next release takes over again.
    served.api.apply(released(NEW.replace("8" * 64, "9" * 64), "9"), manager=RELEASE)
    # With the image of the first version among what it sends, as an ignored element of a list would be, it fails.
    with pytest.raises(Refused) as refused:
        served.api.apply(program, manager=PROGRAM, force=False)
    assert refused.value.status == http.HTTPStatus.CONFLICT
    assert 'containers[name="server"].image' in refused.value.message


def test_a_drain_takes_one_pod_at_a_time(served: Served) -> None:
    model = "by-alb"
    served.cluster.until(lambda: served.available(model) == len(zones()), f"{model} answers")
    first, second, *_ = served.pods(model)
    # With no node to go to, the first pod is not replaced before the second is asked to go.
    cordon(served, closed=True)
    evict(served, first)
    with pytest.raises(Refused) as refused:
        evict(served, second)
    assert refused.value.status == http.HTTPStatus.TOO_MANY_REQUESTS
    cordon(served, closed=False)
    served.cluster.until(lambda: served.available(model) == len(zones()), "the pod is replaced")
    evict(served, second)


def test_the_loss_of_a_zone_leaves_the_others_and_its_pods_come_back_elsewhere(served: Served) -> None:
    model, lost = "inside", zones()[0]
    served.cluster.until(lambda: served.available(model) == len(zones()), f"{model} answers")
    for item in served.api.list("v1", "Node"):
        if item["metadata"]["name"].startswith(lost):
            served.api.delete(item)
    left = served.spread(model)
    assert sum(count for zone, count in left.items() if zone != lost) == len(zones()) - 1
    for item in served.pods(model):
        if item["spec"]["nodeName"].startswith(lost):
            # The garbage collector does so within a minute.
            served.api.delete(item, grace=0)
    served.cluster.until(
        lambda: sorted(served.spread(model).values()) == [0, 1, 2], "the pod of the lost zone runs in another"
    )


def cordon(served: Served, *, closed: bool) -> None:
    for node in served.nodes():
        served.api.merge(node, {"spec": {"unschedulable": closed}})


def evict(served: Served, pod: Object) -> None:
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    served.api.call("POST", f"{served.api.path('v1', 'Pod', SERVING_NAMESPACE, name)}/eviction", eviction)

"""Quotas and limit ranges hold on the real API server: the program's, and some of the tests' own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.kube.api import Refused
from tests.kube.pods import container, pod
from tests.kube.quotas import claim, excesses, most_per_container, quantity, written

if TYPE_CHECKING:
    from tests.kube.admitted import Admitted
    from tests.kube.api import Api, Object

pytestmark = pytest.mark.kube

NAMESPACE = "bounded"


def bounds(kind: str, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": f"own-{kind.lower()}", "namespace": NAMESPACE},
        "spec": spec,
    }


QUOTA = bounds(
    "ResourceQuota",
    hard={
        "pods": "1",
        "requests.cpu": "2",
        "requests.memory": "1Gi",
        "limits.memory": "1Gi",
        "requests.nvidia.com/gpu": "1",
        "requests.storage": "10Gi",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
        "count/ingresses.networking.k8s.io": "0",
    },
)
LIMITS = bounds(
    "LimitRange",
    limits=[
        {
            "type": "Container",
            "max": {"cpu": "1", "memory": "512Mi"},
            "default": {"cpu": "500m", "memory": "64Mi"},
            "defaultRequest": {"cpu": "100m", "memory": "64Mi"},
        }
    ],
)


@pytest.fixture(scope="module")
def bounded(admitted: Admitted) -> Admitted:
    """A stack's cluster with a namespace of the tests' own beside it."""
    admitted.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for item in (QUOTA, LIMITS):
        admitted.api.create(item)
    for quota in [QUOTA, *admitted.of_kind("ResourceQuota")]:
        admitted.cluster.until(lambda quota=quota: counted(admitted.api, quota), f"{quota['metadata']} is counted")
    return admitted


def counted(api: Api, quota: Object) -> bool:
    """Whether the controller has counted what there is: before, a quota refuses everything."""
    metadata = quota["metadata"]
    held = api.get("v1", "ResourceQuota", metadata["name"], metadata["namespace"])
    return held.get("status", {}).get("hard", {}).keys() == quota["spec"]["hard"].keys()


def pods_counted(api: Api, quota: Object) -> int:
    """Pods that take from a quota, as far as its controller has seen."""
    metadata = quota["metadata"]
    return int(api.get("v1", "ResourceQuota", metadata["name"], metadata["namespace"])["status"]["used"]["pods"])


def limits_of(admitted: Admitted, namespace: str) -> list[Object]:
    """LimitRanges of a namespace."""
    return [item for item in [LIMITS, *admitted.of_kind("LimitRange")] if item["metadata"]["namespace"] == namespace]


def test_what_a_quota_has_not_is_refused_and_a_small_pod_is_admitted(bounded: Admitted) -> None:
    for quota in [QUOTA, *bounded.of_kind("ResourceQuota")]:
        name, namespace = quota["metadata"]["name"], quota["metadata"]["namespace"]
        if bounded.takes_pods(namespace):
            bounded.api.create(pod(namespace), dry_run=True)
        broken = list(excesses(quota, limits_of(bounded, namespace)))
        assert broken, name
        for excess in broken:
            with pytest.raises(Refused, match=f"exceeded quota: {name}") as refused:
                bounded.api.create(excess.object, dry_run=True)
            assert f"{excess.resource}=" in refused.value.message


def test_every_entry_of_the_own_quota_is_broken_by_an_object_but_the_count(bounded: Admitted) -> None:
    assert {excess.resource for excess in excesses(QUOTA, [LIMITS])} == QUOTA["spec"]["hard"].keys() - {"pods"}
    bounded.api.create(pod(NAMESPACE, name="first"))
    with pytest.raises(Refused, match=r"exceeded quota: own-resourcequota.*pods=1, used: pods=1, limited: pods=1"):
        bounded.api.create(pod(NAMESPACE, name="second"), dry_run=True)
    bounded.api.delete(pod(NAMESPACE, name="first"))
    bounded.cluster.until(lambda: not pods_counted(bounded.api, QUOTA), "what the pod took is given back")


def test_what_fits_is_admitted(bounded: Admitted) -> None:
    bounded.api.create(claim(NAMESPACE, "10Gi"), dry_run=True)
    bounded.api.create(pod(NAMESPACE, [container({"cpu": "1", "memory": "512Mi"}, name=n) for n in "ab"]), dry_run=True)


def test_a_container_beyond_its_limit_range_is_refused(bounded: Admitted) -> None:
    for limits in [LIMITS, *bounded.of_kind("LimitRange")]:
        namespace = limits["metadata"]["namespace"]
        for resource, most in most_per_container([limits]).items():
            more = written(resource, most + 1)
            with pytest.raises(Refused, match=f"maximum {resource} usage per Container is"):
                bounded.api.create(pod(namespace, [container({resource: more})]), dry_run=True)


def test_a_container_that_says_nothing_gets_the_limit_ranges_defaults(bounded: Admitted) -> None:
    for limits in [LIMITS, *bounded.of_kind("LimitRange")]:
        namespace = limits["metadata"]["namespace"]
        if not bounded.takes_pods(namespace):
            continue
        given = bounded.api.create(pod(namespace, [container(None)]), dry_run=True)["spec"]["containers"][0][
            "resources"
        ]
        for entry in (item for item in limits["spec"]["limits"] if item["type"] == "Container"):
            for mine, theirs in (("requests", "defaultRequest"), ("limits", "default")):
                wanted = {resource: quantity(text) for resource, text in entry.get(theirs, {}).items()}
                assert wanted == {resource: quantity(given[mine][resource]) for resource in wanted}

"""The parts of the control plane work together: the ground that tests of scheduling and scaling stand on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.kube.api import Refused
from tests.kube.control_plane import Cluster, NotReadyError
from tests.kube.definitions import install, karpenter_definitions, simulation
from tools.go_programs import required_version
from tools.kube_programs import KUBE_MODULE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.kube.api import Object
    from tests.kube.control_plane import Etcd

pytestmark = pytest.mark.kube

SPOT_POOL: Object = {
    "apiVersion": "karpenter.sh/v1",
    "kind": "NodePool",
    "metadata": {"name": "spot"},
    "spec": {
        "template": {
            "spec": {
                "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"},
                "requirements": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]}],
            }
        }
    },
}


@pytest.fixture(scope="module")
def elastic(open_cluster: Callable[[], AbstractContextManager[Cluster]]) -> Iterator[Cluster]:
    with open_cluster() as cluster:
        install(cluster, [*karpenter_definitions(), *simulation()])
        cluster.start_scheduler()
        cluster.start_simulated_nodes()
        cluster.start_karpenter()
        cluster.api.create(
            {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "default"}}
        )
        yield cluster


def pod(name: str) -> Object:
    asks = {"requests": {"cpu": "1", "memory": "64Mi"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "main", "image": "example.com/none", "resources": asks}]},
    }


def test_a_pod_that_no_node_can_take_gets_a_node_from_karpenter_and_runs(elastic: Cluster) -> None:
    api = elastic.api
    api.create(pod("first"))

    def unschedulable() -> bool:
        conditions = api.get("v1", "Pod", "first", "default")["status"].get("conditions", [])
        return any(condition.get("reason") == "Unschedulable" for condition in conditions)

    elastic.until(unschedulable, "the scheduler finds no node")
    assert api.list("v1", "Node") == []

    api.create(SPOT_POOL)
    elastic.until(lambda: api.get("v1", "Pod", "first", "default")["status"]["phase"] == "Running", "the pod runs")
    (node,) = api.list("v1", "Node")
    assert api.get("v1", "Pod", "first", "default")["spec"]["nodeName"] == node["metadata"]["name"]
    assert node["metadata"]["labels"]["karpenter.sh/nodepool"] == "spot"
    assert node["metadata"]["labels"]["karpenter.sh/capacity-type"] == "spot"


def test_the_server_is_the_pinned_release(elastic: Cluster) -> None:
    pinned = required_version(KUBE_MODULE, "k8s.io/kubernetes")
    assert json.loads(elastic.api.text("GET", "/version"))["gitVersion"] == f"v{pinned}"


def test_a_cluster_starts_empty_whatever_others_hold(
    elastic: Cluster, open_cluster: Callable[[], AbstractContextManager[Cluster]]
) -> None:
    assert elastic.exists("v1", "Namespace", "kube-system")
    with open_cluster() as other:
        assert other.api.list("apiextensions.k8s.io/v1", "CustomResourceDefinition") == []
        with pytest.raises(LookupError):
            other.api.kind("karpenter.sh/v1", "NodePool")


def test_nobody_without_a_token_is_answered(elastic: Cluster) -> None:
    assert elastic.api.list("v1", "Node") is not None
    with pytest.raises(Refused, match="401"):
        elastic.api.with_token("unknown").list("v1", "Node")


def test_a_part_that_ends_is_reported_with_the_end_of_its_log(tmp_path: Path, etcd: Etcd) -> None:
    with Cluster(tmp_path, etcd) as cluster:
        cluster.daemons.start("kube-scheduler", "--no-such-flag")
        with pytest.raises(NotReadyError, match=r"(?s)kube-scheduler ended with exit code 1.*no-such-flag"):
            cluster.until(lambda: None, "never", seconds=20)

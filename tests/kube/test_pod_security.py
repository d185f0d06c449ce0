"""Which pods the API server admits in the program's namespaces (Pod Security Standards)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kube.api import Refused
from tests.kube.pods import container, pod

if TYPE_CHECKING:
    from tests.kube.admitted import Admitted
    from tests.kube.api import Object

pytestmark = pytest.mark.kube

HOST_FOLDER = [{"name": "host", "hostPath": {"path": "/"}}]
LESS_THAN_RESTRICTED = {
    "accelerators": "the device plugin and the GPU exporter reach devices of their node",
    "amazon-cloudwatch": "Fluent Bit and the CloudWatch agent read logs and counters of their node",
    "monitoring-nodes": "the node exporter reads /proc and /sys of its node",
}
"""Namespaces of the program that admit more, each with the reason."""


def breaches(namespace: str) -> dict[str, Object]:
    """Pods that get at their node or at more rights, by what the server says of them."""
    return {
        "runAsNonRoot != true": pod(namespace, [container(runAsNonRoot=False)]),
        "runAsUser=0": pod(namespace, [container(runAsUser=0)]),
        "privileged": pod(namespace, [container(privileged=True, allowPrivilegeEscalation=True)]),
        "allowPrivilegeEscalation != false": pod(namespace, [container(allowPrivilegeEscalation=True)]),
        "unrestricted capabilities": pod(namespace, [container(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]})]),
        "seccompProfile": pod(namespace, [container(seccompProfile={"type": "Unconfined"})]),
        "restricted volume types": pod(namespace, volumes=HOST_FOLDER),
        "host namespaces": pod(namespace, hostNetwork=True),
        "hostPort": pod(namespace, [{**container(), "ports": [{"containerPort": 80, "hostPort": 80}]}]),
    }


def test_workload_namespaces_admit_a_restricted_pod_and_refuse_what_gets_at_the_node(admitted: Admitted) -> None:
    namespaces = admitted.namespaces("restricted")
    assert len([namespace for namespace in namespaces if admitted.takes_pods(namespace)]) >= 2
    for namespace in namespaces:
        if admitted.takes_pods(namespace):
            admitted.api.create(pod(namespace), dry_run=True)
        for said, breach in breaches(namespace).items():
            with pytest.raises(Refused, match='violates PodSecurity "restricted:') as refused:
                admitted.api.create(breach, dry_run=True)
            assert refused.value.status == 403
            assert said in refused.value.message


def test_the_same_pods_are_admitted_where_no_level_is_enforced(admitted: Admitted) -> None:
    for breach in breaches("default").values():
        admitted.api.create(breach, dry_run=True)


def test_every_namespace_enforces_a_level_and_less_than_restricted_has_a_reason(admitted: Admitted) -> None:
    everyone = {item["metadata"]["name"] for item in admitted.of_kind("Namespace")}
    restricted = set(admitted.namespaces("restricted"))
    assert everyone - restricted <= LESS_THAN_RESTRICTED.keys()
    assert everyone - restricted == {*admitted.namespaces("privileged"), *admitted.namespaces("baseline")}

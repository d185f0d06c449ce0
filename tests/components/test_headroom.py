"""Headroom as it is registered: placeholders that keep room, and that every other pod displaces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components import headroom_objects
from settings.model import ElasticPoolSpec, HeadroomPoolSpec
from tests.settings.stacks import decoded, settings_of
from tests.support.recorded import STACKS, Recorded, record_program, stack_section

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
PRIORITY = "kubernetes:scheduling.k8s.io/v1:PriorityClass"


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def placeholders(recorded: Recorded) -> dict[str, dict[str, Any]]:
    """Specifications of the placeholders by pool."""
    return {
        item.name.removeprefix("headroom-"): item.inputs["spec"]
        for item in recorded.resources
        if item.type == DEPLOYMENT and item.name.startswith("headroom-")
    }


def on(pool: str, gpus: int) -> Any:
    """The pod of a placeholder on one of prod's pools."""
    pools = settings_of(decoded()).karpenter.pools
    spec: ElasticPoolSpec = next(each for each in pools if each.name == pool)
    room = {"pool": pool, "replicas": 2, "cpuMillis": 500, "memoryMib": 64, "gpus": gpus}
    parsed = HeadroomPoolSpec.model_validate_json(json.dumps(room))
    deployment: Any = headroom_objects.deployment(parsed, spec, "registry.k8s.io/pause@sha256:0")
    return deployment.template.spec


def test_every_pool_of_the_settings_has_its_placeholders_and_no_other(stack: str) -> None:
    wanted = {room["pool"]: room for room in stack_section(stack, "karpenter")["headroom"]["pools"]}
    found = placeholders(record_program(stack))
    assert found.keys() == wanted.keys()
    for pool, spec in found.items():
        assert spec["replicas"] == wanted[pool]["replicas"]
        (container,) = spec["template"]["spec"]["containers"]
        assert container["image"] == stack_section(stack, "karpenter")["headroom"]["image"]
        requests = container["resources"]["requests"]
        assert requests == {"cpu": f"{wanted[pool]['cpuMillis']}m", "memory": f"{wanted[pool]['memoryMib']}Mi"}
        assert container["resources"]["limits"] == {"memory": requests["memory"]}


def test_a_placeholder_runs_on_nodes_of_its_pool_alone_and_below_every_other_pod() -> None:
    prod = record_program("prod")
    labels = {
        item.inputs["metadata"]["name"]: item.inputs["spec"]["template"]["metadata"]["labels"]
        for item in prod.of_type("kubernetes:karpenter.sh/v1:NodePool")
    }
    priorities = {item.inputs["metadata"]["name"]: item.inputs for item in prod.of_type(PRIORITY)}
    for pool, spec in placeholders(prod).items():
        pod = spec["template"]["spec"]
        assert [name for name, each in labels.items() if pod["nodeSelector"].items() <= each.items()] == [pool]
        own = priorities[pod["priorityClassName"]]
        assert own["value"] == min(each["value"] for each in priorities.values())
        assert own["preemptionPolicy"] == "Never"
        assert pod["terminationGracePeriodSeconds"] == 0


@pytest.mark.parametrize(("pool", "gpus"), [("burst-cpu", 0), ("batch-cpu", 0), ("burst-gpu", 1), ("batch-gpu", 1)])
def test_a_placeholder_bears_the_taints_of_its_pool_and_asks_for_a_gpu_exactly_on_gpu_nodes(
    pool: str, gpus: int
) -> None:
    node = next(
        item.inputs["spec"]["template"]["spec"]
        for item in record_program("prod").of_type("kubernetes:karpenter.sh/v1:NodePool")
        if item.inputs["metadata"]["name"] == pool
    )
    pod = on(pool, gpus)
    tolerated = [(each.key, each.value, each.effect, each.operator) for each in pod.tolerations]
    assert tolerated == [(each["key"], each["value"], each["effect"], "Equal") for each in node["taints"]]
    (container,) = pod.containers
    assert container.resources.limits.get("nvidia.com/gpu") == ("1" if gpus else None)
    assert ("nvidia.com/gpu.present" in pod.node_selector) is bool(gpus)


def test_the_pods_are_restricted_and_hold_no_token(stack: str) -> None:
    for spec in placeholders(record_program(stack)).values():
        pod = spec["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] == "placeholder"
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_the_quota_holds_the_placeholders_and_nothing_beside_them(stack: str) -> None:
    rooms = stack_section(stack, "karpenter")["headroom"]["pools"]
    hard = record_program(stack).one("kubernetes:core/v1:ResourceQuota", "headroom-quota").inputs["spec"]["hard"]
    memory = f"{sum(room['replicas'] * room['memoryMib'] for room in rooms)}Mi"
    assert hard == {
        "pods": str(sum(room["replicas"] for room in rooms)),
        "requests.cpu": f"{sum(room['replicas'] * room['cpuMillis'] for room in rooms)}m",
        "requests.memory": memory,
        "limits.memory": memory,
        "requests.nvidia.com/gpu": "0",
    }


def test_nobody_waits_for_a_placeholder_to_run_and_new_ones_never_stand_beside_old_ones() -> None:
    (item,) = (each for each in record_program("prod").of_type(DEPLOYMENT) if each.name == "headroom-burst-cpu")
    assert item.inputs["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
    assert item.inputs["spec"]["strategy"] == {"type": "Recreate"}
    assert [each.urn for each in record_program("prod").resources if item.urn in each.dependencies] == []

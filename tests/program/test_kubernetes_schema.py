"""The program's built-in Kubernetes objects fit the published schemas; a running server is asked in `tests/kube`."""

from __future__ import annotations

import copy

import pytest

from tests.support.objects import Object, program_objects
from tests.support.recorded import STACKS, stack_section
from tests.support.schemas import misfit

CUSTOM = frozenset({"karpenter.sh", "karpenter.k8s.aws", "elbv2.k8s.aws", "monitoring.coreos.com"})
"""API groups of custom resources, of which only the server knows the schemas."""


def built_in(stack: str) -> list[Object]:
    found = [item.object for item in program_objects(stack)]
    return [item for item in found if item["apiVersion"].partition("/")[0] not in CUSTOM]


def version(stack: str) -> str:
    return stack_section(stack, "cluster")["version"]


@pytest.mark.parametrize("stack", STACKS)
def test_every_built_in_object_fits_the_schema_of_its_clusters_version(stack: str) -> None:
    objects = built_in(stack)
    assert {"Namespace", "NetworkPolicy"} <= {item["kind"] for item in objects}
    assert [problem for item in objects if (problem := misfit(item, version(stack)))] == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("spec", "policyTypes"), "Ingress", "$.spec.policyTypes: 'Ingress' is not of type"),
        (("spec", "probe"), 1, "$.spec: Additional properties are not allowed ('probe' was unexpected)"),
        (("metadata", "labels"), {"a": 1}, "$.metadata.labels.a: 1 is not of type"),
    ],
)
def test_a_wrong_type_and_an_unknown_field_do_not_fit(path: tuple[str, str], value: object, said: str) -> None:
    policy = next(item for item in built_in("prod") if item["kind"] == "NetworkPolicy")
    broken = copy.deepcopy(policy)
    broken[path[0]][path[1]] = value
    assert misfit(policy, "1.35") is None
    assert (misfit(broken, "1.35") or "").startswith(said)


def test_a_kind_that_the_version_does_not_have_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        misfit({"apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "metadata": {"name": "x"}}, "1.35")

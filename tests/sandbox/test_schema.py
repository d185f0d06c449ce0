"""What the sandbox refuses by itself: the SDK's shapes and the service models' constraints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.providers.constraints import service_failures
from sandbox.schema import Failure, UnknownTypeError, resource_schema
from sandbox.wire import UNKNOWN, Json, Properties, has_unknown, to_python, to_struct

NODE_GROUP: Properties = {
    "clusterName": "c",
    "nodeRoleArn": "arn:aws:iam::123456789012:role/nodes",
    "subnetIds": ["subnet-1"],
    "scalingConfig": {"desiredSize": 1, "maxSize": 2, "minSize": 1},
}


def refusals(token: str, properties: Properties) -> dict[str, str]:
    return {failure.path: failure.reason for failure in resource_schema(token).failures(properties)}


def test_complete_inputs_pass() -> None:
    assert refusals("aws:eks/nodeGroup:NodeGroup", NODE_GROUP) == {}


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        ({"diskSise": 20}, "diskSise", "unknown property"),
        ({"clusterName": None}, "clusterName", "missing required property"),
        ({"subnetIds": "subnet-1"}, "subnetIds", "expected a list, got 'subnet-1'"),
        ({"subnetIds": ["a", 1]}, "subnetIds[1]", "expected a string, got 1"),
        ({"labels": {"a": 1}}, "labels.a", "expected a string, got 1"),
        ({"labels": ["a"]}, "labels", "expected a map, got a list"),
        ({"scalingConfig": "big"}, "scalingConfig", "expected an object, got 'big'"),
        ({"diskSize": "20"}, "diskSize", "expected a whole number, got '20'"),
        ({"diskSize": True}, "diskSize", "expected a whole number, got True"),
        ({"forceUpdateVersion": "yes"}, "forceUpdateVersion", "expected true or false, got 'yes'"),
        ({"taints": [{"key": "k", "efect": "x"}]}, "taints[0].efect", "unknown property"),
        ({"taints": [{"key": "k"}]}, "taints[0].effect", "missing required property"),
    ],
)
def test_a_wrong_property_is_refused_with_its_path(change: Properties, path: str, reason: str) -> None:
    assert refusals("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, **change})[path] == reason


def test_every_wrong_property_is_reported_at_once() -> None:
    wrong: Properties = {**NODE_GROUP, "diskSise": 1, "labels": 3, "clusterName": None}
    assert set(refusals("aws:eks/nodeGroup:NodeGroup", wrong)) == {"diskSise", "labels", "clusterName"}


@given(name=st.sampled_from(sorted(NODE_GROUP)))
def test_an_unknown_value_passes_in_any_place(name: str) -> None:
    assert refusals("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, name: UNKNOWN}) == {}


def test_a_property_with_several_shapes_takes_each_of_them_and_no_other() -> None:
    bucket_policy = "aws:s3/bucketPolicy:BucketPolicy"
    policy: Properties = {"Version": "2012-10-17", "Statement": []}
    assert refusals(bucket_policy, {"bucket": "b", "policy": "{}"}) == {}
    assert refusals(bucket_policy, {"bucket": "b", "policy": policy}) == {}
    assert "policy" in refusals(bucket_policy, {"bucket": "b", "policy": 7})


def test_kubernetes_objects_are_held_to_their_kind() -> None:
    wrong: Properties = {"metadata": {"name": "a", "labls": {}}, "kind": "Pod"}
    found = refusals("kubernetes:core/v1:Namespace", wrong)
    assert found == {"metadata.labls": "unknown property", "kind": "expected one of Namespace, got 'Pod'"}


def test_a_custom_resource_has_kind_metadata_and_any_specification() -> None:
    pool: Properties = {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "a"}}
    kind = "kubernetes:karpenter.sh/v1:NodePool"
    assert refusals(kind, {**pool, "spec": {"limits": {"cpu": "1"}, "list": [1]}}) == {}
    wrong: Properties = {**pool, "metadata": {"labls": {}}, "kind": None, "specs": {}, "spec": 3}
    assert set(refusals(kind, wrong)) == {"metadata.labls", "kind", "specs", "spec"}


def test_a_kind_that_the_sdk_lacks_in_a_group_that_it_has_is_no_custom_resource() -> None:
    with pytest.raises(UnknownTypeError, match="NetworkPolice"):
        resource_schema("kubernetes:networking.k8s.io/v1:NetworkPolice")


def test_a_type_of_no_sdk_is_unknown() -> None:
    with pytest.raises(UnknownTypeError, match="aws:ec2/vpc:Vcp"):
        resource_schema("aws:ec2/vpc:Vcp")


@pytest.mark.parametrize(
    ("api", "inputs", "failure"),
    [
        (
            ("eks", "CreateNodegroup", ""),
            {"capacityType": "SPOTS"},
            Failure("capacityType", "expected one of ON_DEMAND, SPOT, CAPACITY_BLOCK; got 'SPOTS'"),
        ),
        (("iam", "CreateRole", ""), {"name": "x" * 65}, None),
        (
            ("ec2", "CreateLaunchTemplate", "LaunchTemplateData"),
            {"metadataOptions": {"httpTokens": "off"}},
            Failure("metadataOptions.httpTokens", "expected one of optional, required; got 'off'"),
        ),
        (
            ("sagemaker", "CreateModelPackageGroup", ""),
            {"modelPackageGroupName": "under_score"},
            Failure("modelPackageGroupName", "'under_score' does not match [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"),
        ),
        (("ecr", "CreateRepository", ""), {"imageTagMutability": "IMMUTABLE"}, None),
        (("eks", "CreateNodegroup", ""), {"capacityType": UNKNOWN}, None),
    ],
)
def test_the_service_models_constraints_apply(
    api: tuple[str, str, str], inputs: Properties, failure: Failure | None
) -> None:
    assert service_failures(api, inputs) == ([failure] if failure else [])


JSON: st.SearchStrategy[Json] = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(properties=st.dictionaries(st.text(max_size=6), JSON, max_size=4))
def test_property_values_survive_the_wire(properties: Properties) -> None:
    assert to_python(to_struct(properties)) == properties


def test_an_unknown_value_is_found_at_any_depth() -> None:
    assert has_unknown({"a": [{"b": UNKNOWN}]})
    assert not has_unknown({"a": [{"b": "known"}]})

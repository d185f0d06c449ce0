"""Pods that ask endpoints of SageMaker: which ones, and from where."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from tests.support.iam_evaluator import may
from tests.support.recorded import STACKS, Recorded, record_program, stack_section
from tests.support.targets import all_served

ROLE = "slipway-prod-team-ml-inference"
ENDPOINT = "arn:aws:sagemaker:us-east-1:777788889999:endpoint/"
INVOKE, INVOKE_LATER = "sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync"
ASKED = ("at-once", "queue")


@functools.cache
def recorded() -> Recorded:
    """Prod with every kind of endpoint, of which pods of one namespace may ask two."""
    teams = stack_section("prod", "teams")
    teams[0]["namespaces"][1]["invokes"] = list(ASKED)
    return record_program("prod", overrides=json.dumps({**json.loads(all_served()), "teams": teams}))


def endpoints() -> dict[str, str]:
    names: dict[str, str] = recorded().exports["endpointNames"]
    return names


@pytest.mark.parametrize("stack", STACKS)
def test_no_environment_lets_pods_ask_endpoints_by_itself(stack: str) -> None:
    policies = [item.inputs["policy"] for item in record_program(stack).of_type("aws:iam/rolePolicy:RolePolicy")]
    assert not [policy for policy in policies if "InvokeEndpoint" in str(policy)]


def test_pods_ask_the_named_endpoints_each_in_its_way_and_no_other() -> None:
    allowed = {
        (model, action)
        for model, name in endpoints().items()
        for action in (INVOKE, INVOKE_LATER)
        if may(recorded(), ROLE, action, f"{ENDPOINT}{name}", {})
    }
    assert allowed == {("at-once", INVOKE), ("queue", INVOKE_LATER)}
    assert not may(recorded(), ROLE, INVOKE, f"{ENDPOINT}another", {})
    for action in ("sagemaker:CreateEndpoint", "sagemaker:DescribeEndpoint", "s3:GetObject"):
        assert not may(recorded(), ROLE, action, f"{ENDPOINT}{endpoints()['at-once']}", {})


def test_the_pods_get_the_role_by_their_account_and_reach_aws() -> None:
    account = recorded().one("kubernetes:core/v1:ServiceAccount", "tenancy-ml-inference-workload")
    assert account.inputs["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].endswith(f":role/{ROLE}")
    (flow,) = _policies("allow-aws", "ml-inference")
    assert flow["egress"][0]["ports"] == [{"port": 443, "protocol": "TCP"}]


def _policies(name: str, namespace: str) -> list[dict[str, Any]]:
    return [
        item.inputs["spec"]
        for item in recorded().of_type("kubernetes:networking.k8s.io/v1:NetworkPolicy")
        if item.inputs["metadata"]["name"] == name and item.inputs["metadata"]["namespace"] == namespace
    ]

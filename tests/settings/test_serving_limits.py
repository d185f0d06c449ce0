"""The numbers of serving targets are those of the SDK, and the page shows them."""

from __future__ import annotations

import functools
import json
from typing import Any

import botocore.session
import jmespath
import pytest

from settings import serving_limits as limits
from settings import serving_page
from settings.model import Target
from settings.serving_limits import TARGETS, Limit, fitting, shifting_seconds

MEBIBYTE = 1024 * 1024


@functools.cache
def service(name: str) -> Any:
    return botocore.session.get_session().get_service_model(name)


@pytest.mark.parametrize(
    ("limit", "shape"),
    [
        (limits.SERVERLESS_MEMORY, "ServerlessMemorySizeInMB"),
        (limits.SERVERLESS_CONCURRENCY, "ServerlessMaxConcurrency"),
        (limits.SERVERLESS_CONCURRENCY, "ServerlessProvisionedConcurrency"),
        (limits.ASYNCHRONOUS_CONCURRENCY, "MaxConcurrentInvocationsPerInstance"),
        (limits.BATCH_SECONDS, "InvocationsTimeoutInSeconds"),
        (limits.BATCH_RETRIES, "InvocationsMaxRetries"),
        (limits.WAIT, "WaitIntervalInSeconds"),
        (limits.TERMINATION, "TerminationWaitInSeconds"),
        (limits.DEPLOYMENT, "MaximumExecutionTimeoutInSeconds"),
        (limits.CAPTURE, "SamplingPercentage"),
    ],
)
def test_a_bound_is_the_one_that_the_sdk_checks(limit: Limit, shape: str) -> None:
    metadata = service("sagemaker").shape_for(shape).metadata
    assert (limit.least, limit.most) == (metadata["min"], metadata["max"])


@pytest.mark.parametrize(
    ("shape", "member", "sentence"),
    [
        ("TrafficRoutingConfig", "CanarySize", "less than or equal to 50%"),
        ("TrafficRoutingConfig", "LinearStepSize", "must be 10-50%"),
        ("CreateTransformJobRequest", "MaxPayloadInMB", "cannot be greater than 100 MB"),
        ("TransformResources", "InstanceCount", "the maximum is <code>100</code>"),
    ],
)
def test_a_bound_that_the_sdk_does_not_check_stands_in_its_documentation(
    shape: str, member: str, sentence: str
) -> None:
    assert sentence in service("sagemaker").shape_for(shape).members[member].documentation


def test_requests_are_as_large_and_as_long_as_the_runtime_takes() -> None:
    runtime = service("sagemaker-runtime")
    body = runtime.operation_model("InvokeEndpoint").input_shape.members["Body"].metadata["max"]
    assert TARGETS["real-time"].payload_mb * MEBIBYTE == body
    longest = runtime.operation_model("InvokeEndpointAsync").input_shape.members["InvocationTimeoutSeconds"].metadata
    assert TARGETS["asynchronous"].seconds == longest["max"]


def test_every_target_but_the_cluster_has_its_row() -> None:
    assert [*TARGETS] == [target.value for target in Target if target is not Target.EKS]


@pytest.mark.parametrize(
    ("payload_mb", "seconds", "immediate", "cold_starts", "expected"),
    [
        (4, 60, True, True, ["real-time", "serverless"]),
        (4, 60, True, False, ["real-time"]),
        (4.1, 60, True, True, ["real-time"]),
        (6.1, 60, True, True, []),
        (6.1, 60, False, True, ["asynchronous", "batch"]),
        (100.1, 3600, False, True, ["asynchronous"]),
        (1, 3601, False, True, []),
    ],
)
def test_the_targets_that_are_offered_take_the_requests(
    payload_mb: float, seconds: float, *, immediate: bool, cold_starts: bool, expected: list[str]
) -> None:
    assert fitting(payload_mb, seconds, immediate=immediate, cold_starts=cold_starts) == expected


@pytest.mark.parametrize(
    ("step", "linear", "waits"), [(None, False, 300), (10, False, 600), (10, True, 3000), (30, True, 1200)]
)
def test_a_deployment_waits_after_each_of_its_steps(step: int | None, waits: int, *, linear: bool) -> None:
    assert shifting_seconds(step, 300, 0, linear=linear) == waits
    assert shifting_seconds(step, 300, 60, linear=linear) == waits + 60


@pytest.mark.parametrize("call", serving_page.CALLS, ids=lambda call: call.what[:20])
def test_an_example_asks_what_the_runtime_knows_and_all_that_it_needs(call: serving_page.Call) -> None:
    _, _, operation, *words = call.command.splitlines()[-1].split()
    shape = service("sagemaker-runtime").operation_model("".join(map(str.title, operation.split("-")))).input_shape
    given = {"".join(map(str.title, word[2:].split("-"))) for word in words if word.startswith("--")}
    assert given <= shape.members.keys()
    assert set(shape.required_members) <= given


@pytest.mark.parametrize(("status", "address"), [("Approved", "s3://b/m"), ("PendingManualApproval", False)])
def test_an_archive_of_a_fleet_is_the_artefact_of_an_approved_version(status: str, address: str | bool) -> None:
    shape = service("sagemaker").operation_model("DescribeModelPackage").output_shape
    given = {"ModelApprovalStatus": status, "InferenceSpecification": {"Containers": [{"ModelDataUrl": "s3://b/m"}]}}
    assert given.keys() <= shape.members.keys()
    assert jmespath.search(serving_page.ARTEFACT, given) == address
    copied = [line for call in serving_page.CALLS for line in call.command.splitlines() if "/fleet/" in line]
    assert copied == ['aws s3 cp "$DATA" s3://BUCKET/MODEL/fleet/berlin.tar.gz']


def test_a_fleet_a_row_and_a_queue_have_an_example() -> None:
    asked = " ".join(call.command for call in serving_page.CALLS)
    for word in ("--target-model", "--target-container-hostname", "invoke-endpoint-async"):
        assert word in asked


def test_the_page_is_up_to_date() -> None:
    assert serving_page.main(["--check"]) == 0
    assert all(json.dumps(name)[1:-1] in serving_page.page() for name in TARGETS)

"""Executions of a pipeline: one for each definition, data and image, however often they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.stub import Stubber

from lifecycle import pipelines
from tests.functions.test_steps import make_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sagemaker import SageMakerClient

ARN = "arn:aws:sagemaker:eu-central-1:123456789012:pipeline/p/execution/aaaaaaaaaaa"
PARAMETERS = {"ImageDigest": "sha256:0", "DataVersion": "1"}


@pytest.fixture
def client() -> SageMakerClient:
    return cast("SageMakerClient", make_client("sagemaker"))


@pytest.fixture
def stub(client: SageMakerClient) -> Iterator[Stubber]:
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def looks(stub: Stubber, *known: str) -> None:
    """What is asked before an execution is started."""
    stub.add_response("describe_pipeline", {"PipelineDefinition": "{}"}, {"PipelineName": "p"})
    stub.add_response(
        "list_pipeline_executions", {"PipelineExecutionSummaries": [{"PipelineExecutionArn": a} for a in known]}
    )


def starts(stub: Stubber, number: int, status: str, **more: Any) -> None:
    """One attempt: the request with its token, and how its execution stands."""
    request = {
        "PipelineName": "p",
        "PipelineParameters": [{"Name": "DataVersion", "Value": "1"}, {"Name": "ImageDigest", "Value": "sha256:0"}],
        "ClientRequestToken": pipelines.token("p", "{}", PARAMETERS, number),
    }
    stub.add_response("start_pipeline_execution", {"PipelineExecutionArn": f"{ARN}{number}"}, request)
    answer = {"PipelineExecutionArn": f"{ARN}{number}", "PipelineExecutionStatus": status, **more}
    stub.add_response("describe_pipeline_execution", answer, {"PipelineExecutionArn": f"{ARN}{number}"})


def test_a_new_request_starts_an_execution(client: SageMakerClient, stub: Stubber) -> None:
    looks(stub)
    starts(stub, 1, "Executing")
    assert pipelines.start_or_adopt(client, "p", PARAMETERS, max_attempts=3) == pipelines.Execution(
        f"{ARN}1", created=True
    )


@pytest.mark.parametrize("status", ["Executing", "Stopping", "Succeeded"])
def test_the_same_request_again_finds_the_execution(client: SageMakerClient, stub: Stubber, status: str) -> None:
    looks(stub, f"{ARN}1")
    starts(stub, 1, status)
    assert not pipelines.start_or_adopt(client, "p", PARAMETERS, max_attempts=3).created


def test_a_failed_execution_is_followed_by_the_next_attempt(client: SageMakerClient, stub: Stubber) -> None:
    looks(stub, f"{ARN}1")
    starts(stub, 1, "Failed", FailureReason="no capacity")
    starts(stub, 2, "Executing")
    assert pipelines.start_or_adopt(client, "p", PARAMETERS, max_attempts=3).arn == f"{ARN}2"


def test_there_is_an_end_to_attempts(client: SageMakerClient, stub: Stubber) -> None:
    looks(stub, f"{ARN}1")
    starts(stub, 1, "Failed", FailureReason="the data is bad")
    with pytest.raises(pipelines.PipelineFailedError, match="the data is bad"):
        pipelines.start_or_adopt(client, "p", PARAMETERS, max_attempts=1)


def test_a_token_stands_for_pipeline_definition_parameters_and_attempt() -> None:
    tokens = {
        pipelines.token("p", "{}", PARAMETERS, 1),
        pipelines.token("q", "{}", PARAMETERS, 1),
        pipelines.token("p", "{1}", PARAMETERS, 1),
        pipelines.token("p", "{}", {**PARAMETERS, "DataVersion": "2"}, 1),
        pipelines.token("p", "{}", PARAMETERS, 2),
    }
    assert len(tokens) == 5
    assert pipelines.token("p", "{}", dict(reversed(PARAMETERS.items())), 1) in tokens
    assert {len(token) for token in tokens} == {64}, "between the 32 and 128 characters that SageMaker takes"

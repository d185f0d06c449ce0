"""Batch transform jobs: one for each model and data, however often they are asked for."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import pytest
from botocore.exceptions import ParamValidationError
from botocore.stub import Stubber
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sagemaker.models import sagemaker_backends

from lifecycle import transforms
from lifecycle.steps import LifecycleError
from tests.functions.test_steps import REGION, make_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

PLAN = transforms.Plan(
    job_prefix="slipway-dev-m-0a1b2c3d",
    output="s3://models-bucket/m/batches",
    request={
        "ModelName": "slipway-dev-m-v1",
        "MaxPayloadInMB": 6,
        "MaxConcurrentTransforms": 4,
        "BatchStrategy": "MultiRecord",
        "TransformInput": {"ContentType": "text/csv", "SplitType": "Line", "CompressionType": "None"},
        "TransformOutput": {"Accept": "text/csv", "AssembleWith": "Line", "KmsKeyId": "key"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    },
)
SOURCE = "s3://data-bucket/m/"
VERSION = "0a1b2c"
KNOWN: dict[str, Any] = {
    "TransformJobArn": "arn:aws:sagemaker:eu-central-1:123456789012:transform-job/j",
    "ModelName": "slipway-dev-m-v1",
    "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": SOURCE}}},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    "CreationTime": 0,
}
"""What a description of a job always holds."""


@pytest.fixture
def s3() -> Iterator[S3Client]:
    with mock.patch.dict(os.environ, {"HOME": "/nonexistent"}, clear=True), mock_aws():
        client = cast("S3Client", make_client("s3"))
        client.create_bucket(Bucket="data-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
        client.put_object(Bucket="data-bucket", Key="m/1.csv", Body=b"1,2\n")
        yield client


@pytest.fixture
def sagemaker(s3: S3Client) -> SageMakerClient:
    assert s3.meta.region_name == REGION
    return cast("SageMakerClient", make_client("sagemaker"))


def start(s3: S3Client, sagemaker: SageMakerClient, attempts: int = 2) -> transforms.Transform:
    return transforms.start_or_adopt(sagemaker, s3, PLAN, SOURCE, max_attempts=attempts)


def ended(name: str, status: str, reason: str = "") -> None:
    """What moto, which calls every job completed, is told of a job."""
    record = sagemaker_backends[DEFAULT_ACCOUNT_ID][REGION].transform_jobs[name]
    record.transform_job_status, record.failure_reason = status, reason


def wait(sagemaker: SageMakerClient, name: str, seen: list[str]) -> None:
    transforms.wait_for_transform(sagemaker, name, on_progress=seen.append, poll_seconds=0, timeout_seconds=0)


def known_version(_s3: S3Client, _uris: list[str]) -> str:
    return VERSION


def finds(stub: Stubber, attempt: int, status: str, **more: str) -> str:
    """A job of that attempt is there already: SageMaker refuses its name, and tells how it stands."""
    request = transforms.transform_request(PLAN, SOURCE, VERSION, attempt)
    stub.add_client_error("create_transform_job", "ResourceInUse", expected_params=dict(request))
    name = request["TransformJobName"]
    answer = {"TransformJobName": name, "TransformJobStatus": status, **KNOWN, **more}
    stub.add_response("describe_transform_job", answer, {"TransformJobName": name})
    return name


def test_other_data_start_another_job_with_answers_of_their_own(s3: S3Client, sagemaker: SageMakerClient) -> None:
    first = start(s3, sagemaker)
    s3.put_object(Bucket="data-bucket", Key="m/1.csv", Body=b"1,3\n")
    other = start(s3, sagemaker)
    assert first.created
    assert other.created
    assert other.name != first.name
    assert other.output_uri != first.output_uri


@pytest.mark.parametrize("status", ["InProgress", "Stopping", "Completed"])
def test_the_same_data_asked_for_again_finds_the_job(
    s3: S3Client, sagemaker: SageMakerClient, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(transforms, "data_version", known_version)
    with Stubber(sagemaker) as stub:
        name = finds(stub, 1, status)
        found = start(s3, sagemaker)
    assert (found.name, found.created) == (name, False)


def test_a_failed_job_is_followed_by_the_next_attempt_until_there_is_none(
    s3: S3Client, sagemaker: SageMakerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transforms, "data_version", known_version)
    with Stubber(sagemaker) as stub:
        finds(stub, 1, "Failed", FailureReason="no memory")
        finds(stub, 2, "Stopped")
        with pytest.raises(transforms.TransformFailedError, match=r"all 2 attempts failed.*\nStopped"):
            start(s3, sagemaker)
        finds(stub, 1, "Failed", FailureReason="no memory")
        stub.add_response("create_transform_job", {"TransformJobArn": KNOWN["TransformJobArn"]})
        assert start(s3, sagemaker).created


def test_another_model_is_another_job() -> None:
    changed = replace(PLAN, request={**PLAN.request, "ModelName": "slipway-dev-m-v2"})
    names = {transforms.transform_request(plan, SOURCE, "1", 1)["TransformJobName"] for plan in (PLAN, changed)}
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


def test_waiting_ends_with_the_job(s3: S3Client, sagemaker: SageMakerClient) -> None:
    name, seen = start(s3, sagemaker).name, list[str]()
    wait(sagemaker, name, seen)
    assert seen == ["Completed"]
    ended(name, "Failed", "a record of 9 bytes")
    with pytest.raises(transforms.TransformFailedError, match="a record of 9 bytes"):
        wait(sagemaker, name, seen)
    ended(name, "InProgress")
    with pytest.raises(LifecycleError, match="is still InProgress after 0 s"):
        wait(sagemaker, name, seen)


def test_a_prefix_without_data_starts_nothing(s3: S3Client, sagemaker: SageMakerClient) -> None:
    s3.delete_object(Bucket="data-bucket", Key="m/1.csv")
    with pytest.raises(LifecycleError, match="no object under"):
        start(s3, sagemaker)
    assert sagemaker.list_transform_jobs()["TransformJobSummaries"] == []


@pytest.mark.parametrize("change", [{"MaxPayloadInMB": "6"}, {"BatchStrategy": 1}, {"MaxPayload": 6}])
def test_a_plan_that_sagemaker_does_not_understand_is_refused_before_it_is_sent(
    s3: S3Client, sagemaker: SageMakerClient, change: dict[str, Any]
) -> None:
    plan = replace(PLAN, request={**PLAN.request, **change})
    with pytest.raises(ParamValidationError):
        transforms.start_or_adopt(sagemaker, s3, plan, SOURCE, max_attempts=1)

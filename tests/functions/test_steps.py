from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast
from unittest import mock

import pytest
from moto import mock_aws

from lifecycle import steps
from sandbox.loop.loopback import ACCESS_KEY, loopback_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.literals import ModelApprovalStatusType

REGION = "eu-central-1"


def make_client(service: str) -> object:
    session = loopback_session()
    return session.create_client(service, REGION, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=ACCESS_KEY)


@pytest.fixture
def s3() -> Iterator[S3Client]:
    with mock.patch.dict(os.environ, {"HOME": "/nonexistent"}, clear=True), mock_aws():
        client = cast("S3Client", make_client("s3"))
        for bucket in ("data-bucket", "models-bucket"):
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client


@pytest.fixture
def sagemaker(s3: S3Client) -> SageMakerClient:
    assert s3.meta.region_name == REGION
    client = cast("SageMakerClient", make_client("sagemaker"))
    client.create_model_package_group(ModelPackageGroupName="group")
    return client


def test_the_data_version_changes_with_every_change_of_an_object_and_with_nothing_else(s3: S3Client) -> None:
    uris = ["s3://data-bucket/m/train/", "s3://data-bucket/m/validation/"]
    for use in ("train", "validation"):
        s3.put_object(Bucket="data-bucket", Key=f"m/{use}/1.csv", Body=b"1")
    first = steps.data_version(s3, uris)
    s3.put_object(Bucket="data-bucket", Key="elsewhere/1.csv", Body=b"2")
    s3.put_object(Bucket="data-bucket", Key="m/train/1.csv", Body=b"1")

    assert steps.data_version(s3, reversed(uris)) == first
    s3.put_object(Bucket="data-bucket", Key="m/train/2.csv", Body=b"")
    added = steps.data_version(s3, uris)
    s3.put_object(Bucket="data-bucket", Key="m/train/2.csv", Body=b"x")
    changed = steps.data_version(s3, uris)
    s3.delete_object(Bucket="data-bucket", Key="m/train/2.csv")
    assert len({first, added, changed}) == 3
    assert steps.data_version(s3, uris) == first


def test_a_prefix_without_data_is_an_error_that_names_it(s3: S3Client) -> None:
    with pytest.raises(steps.LifecycleError, match=r"no object under s3://data-bucket/none/: upload data"):
        steps.data_version(s3, ["s3://data-bucket/none/"])


def test_the_newest_version_that_is_wanted_is_found_with_what_the_registry_holds_of_it(
    sagemaker: SageMakerClient,
) -> None:
    statuses: dict[str, ModelApprovalStatusType] = {"one": "Approved", "two": "PendingManualApproval"}
    for job, status in statuses.items():
        sagemaker.create_model_package(
            ModelPackageGroupName="group",
            ModelApprovalStatus=status,
            InferenceSpecification={
                "Containers": [{"Image": "r@sha256:0", "ModelDataUrl": f"s3://models-bucket/{job}/model.tar.gz"}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            ModelMetrics={
                "ModelQuality": {
                    "Statistics": {"ContentType": "application/json", "S3Uri": f"s3://models-bucket/{job}.json"}
                }
            },
            CustomerMetadataProperties={steps.TRAINING_JOB_PROPERTY: job},
        )

    newest = steps.find_package(sagemaker, "group", lambda _: True)
    approved = steps.find_package(sagemaker, "group", lambda package: package.status == "Approved")
    assert newest is not None
    assert approved is not None
    assert (newest.version, newest.properties) == (2, {steps.TRAINING_JOB_PROPERTY: "two"})
    assert (approved.version, approved.artefact_uri) == (1, "s3://models-bucket/one/model.tar.gz")
    assert approved.evaluation_uri == "s3://models-bucket/one.json"
    assert steps.find_package(sagemaker, "group", lambda _: False) is None

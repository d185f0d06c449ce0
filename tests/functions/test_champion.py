"""The champion of a model, whoever finishes first and whatever comes in between."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from itertools import permutations
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import pytest
from moto import mock_aws

from lifecycle import steps
from lifecycle.steps import LifecycleError, Package
from packager.champion import ATTEMPTS, Champion
from sandbox.loop.loopback import ACCESS_KEY, loopback_session

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

REGION = "eu-central-1"
VERSIONS = (1, 2, 3)


@pytest.fixture(scope="module")
def account() -> Iterator[tuple[Any, Any]]:
    """Clients of S3 and SageMaker; they take a while to make."""
    with mock.patch.dict(os.environ, {"HOME": "/nonexistent"}, clear=True), mock_aws():
        keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": ACCESS_KEY}
        session = cast("Any", loopback_session())
        s3, sagemaker = (session.create_client(service, REGION, **keys) for service in ("s3", "sagemaker"))
        s3.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
        yield s3, sagemaker


@pytest.fixture
def champion(account: tuple[Any, Any], request: pytest.FixtureRequest) -> Champion:
    """A model with three approved versions, of which none is the champion yet."""
    s3, sagemaker = account
    name = f"m{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}"
    found = Champion(s3=s3, sagemaker=sagemaker, bucket="models", model=name, group=name)
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    for version in VERSIONS:
        register(found, version)
    return found


def register(champion: Champion, version: int) -> None:
    key = f"{champion.model}/jobs/{version}/model.tar.gz"
    champion.s3.put_object(Bucket="models", Key=key, Body=f"model {version}".encode())
    champion.sagemaker.create_model_package(
        ModelPackageGroupName=champion.group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": "r@sha256:0", "ModelDataUrl": f"s3://models/{key}"}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )


def package(champion: Champion, version: int) -> Package:
    found = steps.find_package(champion.sagemaker, champion.group, lambda each: each.version == version)
    assert found is not None
    return found


def present(champion: Champion) -> str:
    return champion.s3.get_object(Bucket="models", Key=champion.key)["Body"].read().decode()


@pytest.mark.parametrize("order", list(permutations(VERSIONS)))
def test_in_whatever_order_builds_end_the_newest_approved_version_is_the_champion(
    champion: Champion, order: tuple[int, ...]
) -> None:
    for version in order:
        champion.replace(package(champion, version))
    assert present(champion) == "model 3"


def test_a_version_that_was_rejected_afterwards_makes_room_for_an_older_one(champion: Champion) -> None:
    assert champion.replace(package(champion, 3))
    champion.sagemaker.update_model_package(ModelPackageArn=package(champion, 3).arn, ModelApprovalStatus="Rejected")
    assert champion.replace(package(champion, 2))
    assert present(champion) == "model 2"


def test_the_same_version_again_writes_nothing(champion: Champion) -> None:
    before = champion.replace(package(champion, 1)), champion.s3.head_object(Bucket="models", Key=champion.key)
    assert before[0]
    assert not champion.replace(package(champion, 1))
    again = champion.s3.head_object(Bucket="models", Key=champion.key)
    assert again["LastModified"] == before[1]["LastModified"]


@contextmanager
def meddling(champion: Champion, *versions: int) -> Generator[list[int]]:
    """Let another build end between the look and the write, once for each version; which ones it was is told."""
    seen: list[int] = []

    def before(**_: object) -> None:
        if len(seen) < len(versions):
            seen.append(versions[len(seen)])
            other = package(champion, seen[-1])
            champion.s3.meta.events.unregister("before-call.s3.PutObject", before)
            champion.s3.delete_object(Bucket="models", Key=champion.key)
            champion.s3.put_object(
                Bucket="models", Key=champion.key, Body=str(len(seen)).encode(), Metadata={"model-package": other.arn}
            )
            champion.s3.meta.events.register("before-call.s3.PutObject", before)

    champion.s3.meta.events.register("before-call.s3.PutObject", before)
    yield seen
    champion.s3.meta.events.unregister("before-call.s3.PutObject", before)


@pytest.mark.parametrize(("between", "kept"), [(3, True), (1, False)], ids=["newer", "older"])
@pytest.mark.parametrize("first", [True, False], ids=["the first champion", "a later one"])
def test_a_build_that_ends_between_the_look_and_the_write_is_looked_at_again(
    champion: Champion, between: int, *, kept: bool, first: bool
) -> None:
    if not first:
        champion.replace(package(champion, 1))
    with meddling(champion, between) as seen:
        assert champion.replace(package(champion, 2)) is not kept
    assert seen == [between]
    assert present(champion) == ("1" if kept else "model 2")


def test_a_build_that_is_overtaken_every_time_says_so(champion: Champion) -> None:
    message = rf"champion/model\.tar\.gz was replaced by others {ATTEMPTS} times"
    with meddling(champion, *[1] * ATTEMPTS), pytest.raises(LifecycleError, match=message):
        champion.replace(package(champion, 2))

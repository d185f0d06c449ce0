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
from lifecycle.steps import MODEL_DIGEST_PROPERTY, LifecycleError, Package
from packager.build import STEPS, Build, Order
from packager.champion import ATTEMPTS, IMAGE_PROPERTY, Champion
from release import registry
from release.record import Record, Version
from rollout.plan import Phase, State
from sandbox.loop.loopback import ACCESS_KEY, loopback_session

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from mypy_boto3_sagemaker.literals import ModelApprovalStatusType

REGION = "eu-central-1"
VERSIONS = (1, 2, 3)
ANNOUNCED = {IMAGE_PROPERTY: "sha256:0", MODEL_DIGEST_PROPERTY: "0"}
"""Metadata of a version whose image was made and announced."""


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


def tell(
    champion: Champion, version: int, status: ModelApprovalStatusType, properties: Mapping[str, str] | None = None
) -> None:
    """What builds, releases and people write down with a version."""
    champion.sagemaker.update_model_package(
        ModelPackageArn=package(champion, version).arn,
        ModelApprovalStatus=status,
        CustomerMetadataProperties={**package(champion, version).properties, **(properties or {})},
    )


def released(champion: Champion, version: int, phase: Phase) -> None:
    """What the release step writes down with a version at its end."""
    image = Version(image=f"r@sha256:{version:064x}", name=str(version))
    record = Record(wanted=image, previous=None, begun=0.0, state=State(phase, 0, 0.0))
    name, status = registry.PROPERTY.format(where="prod"), "Approved" if phase is Phase.PROMOTED else "Rejected"
    tell(champion, version, status, {name: registry.summary(record)})


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


def test_what_a_release_takes_back_leaves_its_place_to_the_newest_version_that_serves(champion: Champion) -> None:
    for version in VERSIONS:
        tell(champion, version, "Approved", ANNOUNCED)
        champion.replace(package(champion, version))
    released(champion, 1, Phase.PROMOTED)
    assert not champion.settle(), "3 is approved and may be under way"
    released(champion, 3, Phase.ROLLED_BACK)
    assert champion.settle()
    assert present(champion) == "model 1", "nobody has judged 2"
    assert not champion.settle()


def test_where_no_release_has_told_the_newest_approved_version_with_an_image_is_the_champion(
    champion: Champion,
) -> None:
    champion.replace(package(champion, 3))
    tell(champion, 3, "Rejected", ANNOUNCED)
    assert not champion.settle(), "no other version is ready"
    tell(champion, 1, "Approved", ANNOUNCED)
    assert champion.settle()
    assert present(champion) == "model 1"


def build(champion: Champion, version: int, folder: Path) -> Build:
    """A build that the registry's event about a version starts, once its image was announced."""
    order = Order(
        model=champion.model,
        group=champion.group,
        repository="r/m",
        package=package(champion, version).arn,
        reason="approval",
        bucket="models",
        bus="bus",
        base_image="base:1",
        blocked=(),
        wait_seconds=0,
        signing_profile="",
        max_age_days=1,
    )

    class Images:
        def digest(self, _tag: str) -> str:
            return "sha256:0"

    nobody: Any = None
    return Build(
        order=order,
        work=folder,
        sagemaker=champion.sagemaker,
        s3=champion.s3,
        events=nobody,
        images=cast("Any", Images()),
        crane=nobody,
    )


def test_the_build_of_a_rejection_or_of_a_second_approval_makes_no_image_and_sees_to_the_champion(
    champion: Champion, tmp_path: Path
) -> None:
    for version in VERSIONS:
        tell(champion, version, "Approved", ANNOUNCED)
        champion.replace(package(champion, version))

    def run(version: int) -> str:
        made = build(champion, version, tmp_path)
        return [STEPS[name](made) for name in STEPS][-1]

    assert run(3) == "nothing to do"
    tell(champion, 3, "Rejected")
    assert (run(3), present(champion)) == ("nothing to do, but another champion", "model 2")
    tell(champion, 3, "Approved")
    assert (run(3), present(champion)) == ("nothing to do, but another champion", "model 3")
    assert run(3) == "nothing to do"


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

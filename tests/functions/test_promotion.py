"""Promotion between environments: the same bytes, the same lineage, once."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import pytest
from moto import mock_aws

from lifecycle.promotion import Destination, Registry, promote
from lifecycle.soak import SOAK_PROPERTY, Soak
from lifecycle.steps import ORIGIN_PROPERTY, LifecycleError
from sandbox.loop.loopback import ACCESS_KEY, loopback_session

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-central-1"
MODEL = b"the model"
DIGEST = f"sha256:{'ab' * 32}"
SOURCE = f"111122223333.dkr.ecr.{REGION}.amazonaws.com/slipway-staging/m"
TARGET = f"444455556666.dkr.ecr.{REGION}.amazonaws.com/slipway-prod/m"


@dataclass
class Images:
    """Copies images as a registry does: what arrives has the digest of what was sent."""

    copied: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    answer: str = DIGEST

    def __call__(self, source: str, target: str) -> str:
        self.copied.append((source, target))
        return self.answer


@dataclass
class Environments:
    """Two environments whose clients are moto's."""

    origin: Registry
    target: Destination
    images: Images

    def register(self, status: str = "Approved", **changes: Any) -> str:
        s3, sagemaker = self.origin.s3, self.origin.sagemaker
        for key, content in (("j/model.tar.gz", MODEL), ("j/evaluation.json", b"{}")):
            s3.put_object(Bucket="staging-models", Key=key, Body=content)
        request: dict[str, Any] = {
            "ModelPackageGroupName": "slipway-staging-m",
            "InferenceSpecification": {
                "Containers": [{"Image": f"{SOURCE}@{DIGEST}", "ModelDataUrl": "s3://staging-models/j/model.tar.gz"}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            "ModelMetrics": {
                "ModelQuality": {
                    "Statistics": {"ContentType": "application/json", "S3Uri": "s3://staging-models/j/evaluation.json"}
                }
            },
            "CustomerMetadataProperties": {"data-version": "v1", "model-sha256": hashlib.sha256(MODEL).hexdigest()},
            **changes,
        }
        return sagemaker.create_model_package(**request, ModelApprovalStatus=cast("Any", status))["ModelPackageArn"]

    def promote(self, version: int | None = None, soak: Soak | None = None) -> Any:
        return promote(self.origin, self.target, version, self.images, soak)

    def here(self) -> list[str]:
        found = self.target.sagemaker.list_model_packages(ModelPackageGroupName="slipway-prod-m")
        return [each["ModelPackageArn"] for each in found["ModelPackageSummaryList"]]


@pytest.fixture
def both() -> Iterator[Environments]:
    with mock.patch.dict(os.environ, {"HOME": "/nonexistent"}, clear=True), mock_aws():
        keys: Any = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": ACCESS_KEY}
        session = loopback_session()
        s3, sagemaker = (cast("Any", session.create_client(name, REGION, **keys)) for name in ("s3", "sagemaker"))
        for stack in ("staging", "prod"):
            s3.create_bucket(Bucket=f"{stack}-models", CreateBucketConfiguration={"LocationConstraint": REGION})
            sagemaker.create_model_package_group(ModelPackageGroupName=f"slipway-{stack}-m")
        common: dict[str, Any] = {"sagemaker": sagemaker, "s3": s3}
        origin = Registry(**common, group="slipway-staging-m", repository=SOURCE)
        target = Destination(
            **common,
            group="slipway-prod-m",
            repository=TARGET,
            prefix="s3://prod-models/m/promoted/",
            status="PendingManualApproval",
        )
        yield Environments(origin, target, Images())


def test_a_promoted_version_has_the_same_bytes_and_lineage_and_waits_for_approval(both: Environments) -> None:
    source = both.register()
    package = both.promote().package
    assert package.status == "PendingManualApproval"
    assert package.image_uri == f"{TARGET}@{DIGEST}"
    assert both.images.copied == [(f"{SOURCE}@{DIGEST}", f"{TARGET}:source-{'ab' * 6}")]
    bucket, _, key = package.artefact_uri.removeprefix("s3://").partition("/")
    assert bucket == "prod-models"
    assert both.target.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == MODEL
    assert package.evaluation_uri.startswith("s3://prod-models/m/promoted/")
    assert package.properties == {
        "data-version": "v1",
        "model-sha256": hashlib.sha256(MODEL).hexdigest(),
        ORIGIN_PROPERTY: source,
    }


def test_what_is_promoted_twice_is_registered_once_and_copied_once(both: Environments) -> None:
    both.register()
    first, second = both.promote(), both.promote(1)
    assert first.created
    assert not second.created
    assert second.package.arn == first.package.arn
    assert len(both.here()) == len(both.images.copied) == 1


def test_the_newest_approved_version_is_taken_and_any_other_only_by_its_number(both: Environments) -> None:
    first, second = both.register(), both.register()
    both.register("Rejected")
    assert both.promote().package.properties[ORIGIN_PROPERTY] == second
    assert both.promote(1).package.properties[ORIGIN_PROPERTY] == first
    with pytest.raises(LifecycleError, match=r"version 3 of slipway-staging-m is Rejected; only approved versions"):
        both.promote(3)
    with pytest.raises(LifecycleError, match=r"slipway-staging-m has no version 4$"):
        both.promote(4)


def test_nothing_is_registered_when_what_arrives_is_not_what_was_registered(both: Environments) -> None:
    both.register(CustomerMetadataProperties={"model-sha256": "0" * 64})
    with pytest.raises(LifecycleError, match="it was altered"):
        both.promote()
    both.images.answer = f"sha256:{'cd' * 32}"
    both.register()
    with pytest.raises(LifecycleError, match=f"has digest sha256:{'cd' * 32}"):
        both.promote()
    assert both.here() == []


def test_a_version_without_digests_is_not_promoted(both: Environments) -> None:
    both.register(CustomerMetadataProperties={})
    with pytest.raises(LifecycleError, match="names no digest of its model or its image"):
        both.promote()


def test_a_promotion_that_ended_between_copy_and_registration_is_completed_by_the_next(both: Environments) -> None:
    both.register()
    killed = mock.patch.object(both.target.sagemaker, "create_model_package", side_effect=KeyboardInterrupt)
    with killed, pytest.raises(KeyboardInterrupt):
        both.promote()
    assert both.here() == []
    assert both.promote().created
    assert both.promote().created is False


@pytest.mark.parametrize(("status", "card"), [("PendingManualApproval", "PendingReview"), ("Approved", "Approved")])
def test_a_promoted_version_keeps_its_model_card_which_waits_where_the_version_waits(
    both: Environments, status: Any, card: str
) -> None:
    both.register()
    both.target = replace(both.target, status=status)
    describe = both.origin.sagemaker.describe_model_package

    def with_card(**request: Any) -> Any:  # moto forgets cards
        return {**describe(**request), "ModelCard": {"ModelCardContent": "{}", "ModelCardStatus": "Archived"}}

    create = both.target.sagemaker.create_model_package
    described = mock.patch.object(both.origin.sagemaker, "describe_model_package", with_card)
    with described, mock.patch.object(both.target.sagemaker, "create_model_package", side_effect=create) as created:
        both.promote()
    assert created.call_args.kwargs["ModelCard"] == {"ModelCardContent": "{}", "ModelCardStatus": card}


def test_a_promotion_to_an_environment_that_approves_by_itself_is_approved(both: Environments) -> None:
    both.register()
    both.target = replace(both.target, status="Approved")
    assert both.promote().package.status == "Approved"


RELEASED = {"release-slipway-staging": f"promoted {DIGEST} at 1970-01-01T00:00:00+00:00", "packaged-image": DIGEST}
SOAK = Soak(where="slipway-staging", seconds=3600, now=3600)


def lineage() -> dict[str, str]:
    return {"model-sha256": hashlib.sha256(MODEL).hexdigest()}


def test_a_version_that_served_long_enough_travels_without_what_became_of_it_there(both: Environments) -> None:
    source = both.register(CustomerMetadataProperties=lineage() | RELEASED)
    assert both.promote(soak=SOAK).package.properties == lineage() | {
        ORIGIN_PROPERTY: source,
        SOAK_PROPERTY: "version 1 serves at slipway-staging since 1970-01-01T00:00:00+00:00. 1 h are asked for",
    }


def test_a_version_that_has_not_served_for_long_enough_stays_and_nothing_is_copied(both: Environments) -> None:
    both.register(CustomerMetadataProperties=lineage() | RELEASED)
    with pytest.raises(LifecycleError, match=r"it may be promoted from 1970-01-01T01:00:00\+00:00 on$"):
        both.promote(soak=replace(SOAK, now=3599))
    both.register()
    with pytest.raises(LifecycleError, match=r"^version 2 has to have served at slipway-staging for 1 h"):
        both.promote(soak=SOAK)
    assert both.images.copied == both.here() == []
    assert both.promote(1, SOAK).created, "the one before served until now"


def test_who_waives_the_service_is_told_of_with_the_version(both: Environments) -> None:
    both.register()
    found = both.promote(soak=replace(SOAK, waived="the old one is wrong")).package.properties[SOAK_PROPERTY]
    assert found.startswith("waived: the old one is wrong: version 1 has to have served at slipway-staging for 1 h")


def test_what_was_promoted_before_is_found_however_little_it_served(both: Environments) -> None:
    both.register()
    both.promote()
    assert both.promote(soak=SOAK).created is False

"""Promotion: an approved version of one environment becomes a version of the next, without another training.

The artefact is copied by its registered digest, the image by its own; the new version carries the lineage of the old
one and where it comes from. What is asked for twice is done once.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from lifecycle import steps
from lifecycle.soak import SOAK_PROPERTY, judge, note
from lifecycle.steps import MODEL_DIGEST_PROPERTY, ORIGIN_PROPERTY, LifecycleError, Package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import CreateModelPackageInputTypeDef, DescribeModelPackageOutputTypeDef

    from lifecycle.soak import Soak

CARD_STATUS: Final = {"Approved": "Approved", "PendingManualApproval": "PendingReview"}
"""Approval status of a version → status of its model card."""
STAYS: Final = ("release-", "followed-", "packaged-image", SOAK_PROPERTY)
"""Begins of the names of customer metadata that say what became of a version in one environment, and no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """One environment's side of a promotion."""

    sagemaker: SageMakerClient
    s3: S3Client
    group: str
    """Model package group: its name, or its ARN where it is in another account."""
    repository: str
    """Image repository of the model, with its registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination(Registry):
    """Where a version goes."""

    prefix: str
    """Address in S3 below which artefacts of other environments are kept, with a slash at its end."""
    status: Literal["Approved", "PendingManualApproval"]
    """Approval status of the new version."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A version that is registered here."""

    package: Package
    """The version here."""
    created: bool
    """False when it had been promoted before."""


def promote(
    origin: Registry,
    target: Destination,
    version: int | None,
    copy_image: Callable[[str, str], str],
    soak: Soak | None = None,
) -> Promotion:
    """Register an approved version of `origin` in `target`, or find it there.

    Args:
        origin: Where the version was trained, or promoted to.
        target: Where it goes.
        version: Its number; None takes the newest approved one.
        copy_image: Copies an image from one reference to another; gives the digest of the copy.
        soak: How long it has to have served where it comes from; None asks for nothing.

    Raises:
        LifecycleError: There is no such version, it is not approved, it has not served for long enough, it does not say
            what was registered, or what arrived is not what was registered. Nothing has been registered then.
    """
    source = _approved(origin, version)
    done = steps.find_package(target.sagemaker, target.group, lambda here: _origin(here) == source.arn)
    if done is not None:
        return Promotion(done, created=False)
    told = _soaked(origin, source, soak)
    described = origin.sagemaker.describe_model_package(ModelPackageName=source.arn)
    digest = source.properties[MODEL_DIGEST_PROPERTY]
    place = f"{target.prefix}{digest}/"
    image = _copy_image(source, target.repository, copy_image)
    artefact = _copy_object(origin.s3, target.s3, source.artefact_uri, place, sha256=digest)
    metrics = {
        name: _relocated(report, origin.s3, target.s3, place)
        for name, report in described.get("ModelMetrics", {}).items()
    }
    request = _request(described, target, image=image, artefact=artefact, metrics=metrics, told=told)
    arn = target.sagemaker.create_model_package(**request)["ModelPackageArn"]
    return Promotion(steps.describe_package(target.sagemaker, arn), created=True)


def _soaked(origin: Registry, source: Package, soak: Soak | None) -> dict[str, str]:
    """What the new version says of the service of the old one.

    Raises:
        LifecycleError: It has not served for long enough, and nobody has waived that.
    """
    if soak is None or not soak.seconds:
        return {}
    served = judge(source, steps.packages(origin.sagemaker, origin.group), soak)
    if not served.enough and not soak.waived:
        raise LifecycleError(served.told)
    return {SOAK_PROPERTY: note(served, soak)}


def _origin(package: Package) -> str:
    return package.properties.get(ORIGIN_PROPERTY, "")


def _approved(origin: Registry, version: int | None) -> Package:
    found = steps.find_package(
        origin.sagemaker,
        origin.group,
        lambda package: package.status == "Approved" if version is None else package.version == version,
    )
    name = origin.group.rpartition("/")[2]
    if found is None:
        raise LifecycleError(f"{name} has no {'approved version' if version is None else f'version {version}'}")
    if found.status != "Approved":
        raise LifecycleError(
            f"version {found.version} of {name} is {found.status}; only approved versions are promoted"
        )
    if MODEL_DIGEST_PROPERTY not in found.properties or "@sha256:" not in found.image_uri:
        raise LifecycleError(f"version {found.version} of {name} names no digest of its model or its image")
    return found


def _copy_image(source: Package, repository: str, copy_image: Callable[[str, str], str]) -> str:
    wanted = source.image_uri.rpartition("@")[2]
    found = copy_image(source.image_uri, f"{repository}:source-{wanted.removeprefix('sha256:')[:12]}")
    if found != wanted:
        raise LifecycleError(f"the copy of {source.image_uri} has digest {found}")
    return f"{repository}@{wanted}"


def _copy_object(origin: S3Client, target: S3Client, uri: str, place: str, *, sha256: str | None = None) -> str:
    """Copy one object; S3 refuses what does not have the checksum that is sent along (API reference, `PutObject`)."""
    content = steps.fetch(origin, uri)
    found = hashlib.sha256(content)
    if sha256 is not None and found.hexdigest() != sha256:
        raise LifecycleError(f"{uri} has SHA-256 {found.hexdigest()}; {sha256} was registered: it was altered")
    copy = f"{place}{uri.rpartition('/')[2]}"
    bucket, key = steps.split_uri(copy)
    target.put_object(Bucket=bucket, Key=key, Body=content, ChecksumSHA256=base64.b64encode(found.digest()).decode())
    return copy


def _relocated(report: object, origin: S3Client, target: S3Client, place: str) -> object:
    """The same reports at their new addresses."""
    values = cast("dict[str, object]", report)
    if "S3Uri" in values:
        return values | {"S3Uri": _copy_object(origin, target, str(values["S3Uri"]), place)}
    return {name: _relocated(value, origin, target, place) for name, value in values.items()}


def _request(
    described: DescribeModelPackageOutputTypeDef,
    target: Destination,
    *,
    image: str,
    artefact: str,
    metrics: dict[str, object],
    told: dict[str, str],
) -> CreateModelPackageInputTypeDef:
    """The version as it was registered, with its parts at their new addresses.

    The token makes SageMaker answer a repeated request with the version that it made (API reference, `ClientToken`).
    """
    inference = dict(described["InferenceSpecification"])
    container = {"Image": image, "ModelDataUrl": artefact}
    kept: dict[str, object] = {
        name: described[name] for name in ("ModelPackageDescription", "MetadataProperties") if described.get(name)
    }
    if card := described.get("ModelCard"):
        kept["ModelCard"] = {**card, "ModelCardStatus": CARD_STATUS[target.status]}
    request = {
        **kept,
        "ModelPackageGroupName": target.group,
        "InferenceSpecification": {**inference, "Containers": [container]},
        "ModelMetrics": metrics,
        "ModelApprovalStatus": target.status,
        "CustomerMetadataProperties": {
            **_lineage(described.get("CustomerMetadataProperties", {})),
            **told,
            ORIGIN_PROPERTY: described["ModelPackageArn"],
        },
        "ClientToken": hashlib.sha256(described["ModelPackageArn"].encode()).hexdigest()[:36],
    }
    return cast("CreateModelPackageInputTypeDef", request)


def _lineage(properties: Mapping[str, str]) -> dict[str, str]:
    """What is true of a version wherever it is: here it has no image with the model yet, and no release."""
    return {name: value for name, value in properties.items() if not name.startswith(STAYS)}

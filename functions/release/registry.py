"""What the model registry is told of a release: SageMaker's record of the version, where people look first."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rollout.plan import Phase

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

    from release.record import Record

PROPERTY: Final = "release-{where}"
"""Customer metadata of the version, one for each place that it is released to."""
MOST: Final = 256
"""Longest value (SageMaker API reference, `UpdateModelPackage`, `CustomerMetadataProperties`)."""
TAKEN_BACK: Final = re.compile(rf"{Phase.ROLLED_BACK} \S+ at (\S+)")
"""Begins the value of a version that was taken back; the group says when."""
_STRANGE: Final = re.compile(r"[^\w\s.:/=+\-@]")
"""What a value may not hold, by the same reference."""


def report(sagemaker: SageMakerClient, package_arn: str, where: str, record: Record) -> None:
    """Say how a release ended; a version that was taken back is no longer approved, so that nothing releases it again.

    Args:
        sagemaker: Client of the registry's region.
        package_arn: The version.
        where: The place it was released to, such as a cluster's name.
        record: How the release ended.
    """
    digest = record.wanted.image.rpartition("@")[2]
    at = datetime.fromtimestamp(record.state.since, UTC).isoformat(timespec="seconds")
    text = _STRANGE.sub(" ", f"{record.state.phase} {digest} at {at} {record.state.reason}").strip()[:MOST]
    sagemaker.update_model_package(
        ModelPackageArn=package_arn, CustomerMetadataProperties={PROPERTY.format(where=where): text}
    )
    if record.state.phase is Phase.ROLLED_BACK:
        sagemaker.update_model_package(
            ModelPackageArn=package_arn, ModelApprovalStatus="Rejected", ApprovalDescription=text
        )


def report_return(sagemaker: SageMakerClient, packages: str, where: str, record: Record) -> None:
    """Say of a way back which version has gone, and which one serves again.

    Args:
        sagemaker: Client of the registry's region.
        packages: ARN of the model's versions up to their number, with the slash.
        where: The place, as for `report`.
        record: The release that was taken back.
    """
    report(sagemaker, f"{packages}{record.wanted.name}", where, record)
    if record.previous is not None:
        state = replace(record.state, phase=Phase.PROMOTED, reason=f"again in place of {record.wanted.name}")
        again = replace(record, wanted=record.previous, previous=None, state=state)
        report(sagemaker, f"{packages}{record.previous.name}", where, again)

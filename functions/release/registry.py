"""What the model registry is told of a release: SageMaker's record of the version, where people look first."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from release.record import ReleaseError
from rollout.plan import Phase

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

    from release.record import Record, Version

PROPERTY: Final = "release-{where}"
"""Customer metadata of the version, one for each place that it is released to."""
FOLLOWED: Final = "followed-{where}"
"""Customer metadata of a version that another one took over from there: which one, and when."""
MOST: Final = 256
"""Longest value (SageMaker API reference, `UpdateModelPackage`, `CustomerMetadataProperties`)."""
NOT_BACK: Final = "not-back"
"""Begins the value of a version that was to be taken back while the one before it is not known to serve."""
TAKEN_BACK: Final = re.compile(rf"{Phase.ROLLED_BACK} \S+ at (\S+)")
"""Begins the value of a version that was taken back; the group says when."""
SERVES: Final = re.compile(rf"{Phase.PROMOTED} (?P<image>\S+) at (?P<since>\S+)")
"""Begins the value of a version that was promoted, or that serves again; the groups say by which image, since when."""
ENDED: Final = re.compile(r"by \S+ at (\S+)")
"""Value of `FOLLOWED`; the group says when."""
_STRANGE: Final = re.compile(r"[^\w\s.:/=+\-@]")
"""What a value may not hold, by the same reference."""


def fit(text: str) -> str:
    """A text as a value of customer metadata may be."""
    return _STRANGE.sub(" ", text).strip()[:MOST]


def require_approval(sagemaker: SageMakerClient, package_arn: str) -> None:
    """Refuse a version that nobody has approved since it was taken back.

    Raises:
        ReleaseError: It is not approved.
    """
    status = approval(sagemaker, package_arn)
    if status != "Approved":
        how = f"aws sagemaker update-model-package --model-approval-status Approved --model-package-arn {package_arn}"
        raise ReleaseError(f"{package_arn} is {status}. Whoever may approve it does so first: {how}")


def approval(sagemaker: SageMakerClient, package_arn: str) -> str:
    """Approval status of a version."""
    return sagemaker.describe_model_package(ModelPackageName=package_arn)["ModelApprovalStatus"]


def summary(record: Record, not_back: str = "") -> str:
    """What is said with a version of how its release ended.

    A version whose image on another base was taken back serves on with the one before, and says that.

    Args:
        record: How the release ended.
        not_back: Why what served before does not serve again, where that is so.
    """
    if not_back:
        return _text(NOT_BACK, record, not_back)
    told = _again(record, f"{_digest(record.wanted)[:19]}: {record.state.reason}") if _keeps(record) else record
    return _text(told.state.phase, told, told.state.reason)


def report(sagemaker: SageMakerClient, package_arn: str, where: str, record: Record, not_back: str = "") -> None:
    """Say how a release ended; a version that was taken back is no longer approved, so that nothing releases it again.

    The version that it took over from is told first: whoever reads that one serves may take it that all has been said.

    Args:
        sagemaker: Client of the registry's region.
        package_arn: The version.
        where: The place it was released to, such as a cluster's name.
        record: How the release ended.
        not_back: As for `summary`.
    """
    follows = record.state.phase is Phase.PROMOTED and record.previous is not None and not not_back
    if follows and record.previous is not None and record.previous.name not in ("", record.wanted.name):
        before = f"{package_arn.rpartition('/')[0]}/{record.previous.name}"
        _add(sagemaker, before, FOLLOWED.format(where=where), f"by {record.wanted.name} at {_time(record)}")
    text = summary(record, not_back)
    rejected: dict[str, Any] = {"ModelApprovalStatus": "Rejected", "ApprovalDescription": text}
    gone = record.state.phase is Phase.ROLLED_BACK and not _keeps(record)
    _add(sagemaker, package_arn, PROPERTY.format(where=where), text, rejected if gone else None)


def _add(
    sagemaker: SageMakerClient, package_arn: str, name: str, text: str, also: dict[str, Any] | None = None
) -> None:
    """Add a property to those of a version.

    All are sent: the API reference does not say what becomes of properties that an update leaves out.
    """
    known = sagemaker.describe_model_package(ModelPackageName=package_arn).get("CustomerMetadataProperties", {})
    sagemaker.update_model_package(
        ModelPackageArn=package_arn, CustomerMetadataProperties={**known, name: text}, **(also or {})
    )


def report_return(sagemaker: SageMakerClient, packages: str, where: str, record: Record, not_back: str = "") -> None:
    """Say of a way back which version has gone, and which one serves again.

    Args:
        sagemaker: Client of the registry's region.
        packages: ARN of the model's versions up to their number, with the slash.
        where: The place, as for `report`.
        record: The release that was taken back.
        not_back: As for `summary`.
    """
    if record.previous is not None and not not_back and not _keeps(record):
        report(sagemaker, f"{packages}{record.previous.name}", where, _again(record, record.wanted.name))
    # Last: whoever reads that the version has gone may take it that all has been said.
    report(sagemaker, f"{packages}{record.wanted.name}", where, record, not_back)


def _keeps(record: Record) -> bool:
    """Whether the version serves on, with another image of its own, though this release was taken back."""
    back = record.state.phase is Phase.ROLLED_BACK
    return back and record.previous is not None and record.previous.name == record.wanted.name


def _again(record: Record, instead: str) -> Record:
    """As the version before sees a way back."""
    state = replace(record.state, phase=Phase.PROMOTED, reason=f"again in place of {instead}")
    return replace(record, wanted=record.serving, previous=None, state=state)


def _text(end: str, record: Record, reason: str) -> str:
    return fit(f"{end} {_digest(record.wanted)} at {_time(record)} {reason}")


def _time(record: Record) -> str:
    return datetime.fromtimestamp(record.state.since, UTC).isoformat(timespec="seconds")


def _digest(version: Version) -> str:
    return version.image.rpartition("@")[2]

"""Takes a promoted version back when the drift job finds it worse: thin over `rollout.recall`, which decides.

What served and serves stands on the Deployment, who is approved and when one was last taken back in the registry, and
what became of predictions in the drift job's reports. Nothing is kept here: a step that is killed is asked again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from release import record as records
from release.registry import PROPERTY, TAKEN_BACK, approval, summary
from rollout.plan import Phase
from rollout.recall import Look, Service, decide

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

    from release.record import Record
    from release.step import Release
    from rollout.recall import Limits

REPORT: Final = "/drift.json"
"""Ends of the keys of reports (`model_image/processing/monitoring.py`)."""
NEWEST: Final = 200
"""Reports that are read at most, those that were written last."""
VERSIONS: Final = 50
"""Newest versions among which one that was taken back is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The model's versions as seen from one place."""

    sagemaker: SageMakerClient
    group: str
    """Name of the package group."""
    packages: str
    """ARN of its versions up to their number, with the slash."""
    where: str
    """The place, as in `release.registry`."""

    @classmethod
    def at(cls, sagemaker: SageMakerClient, packages: str, where: str) -> Registry:
        """The group that the ARN names."""
        return cls(sagemaker=sagemaker, group=packages.split("/")[-2], packages=packages, where=where)

    def approved(self, version: str) -> bool:
        """Whether a version is approved."""
        return approval(self.sagemaker, self.packages + version) == "Approved"

    def told(self, record: Record) -> bool:
        """Whether it says of a version how this release ended."""
        return self._said(self.packages + record.wanted.name) == summary(record)

    def last_recall(self) -> float | None:
        """When a version was last taken back here, in seconds since the epoch."""
        newest = self.sagemaker.list_model_packages(
            ModelPackageGroupName=self.group, SortBy="CreationTime", SortOrder="Descending", MaxResults=VERSIONS
        )["ModelPackageSummaryList"]
        times = [self.taken_back(each["ModelPackageArn"]) for each in newest]
        return max((at for at in times if at is not None), default=None)

    def taken_back(self, arn: str) -> float | None:
        """When one version was taken back here, if it ever was."""
        match = TAKEN_BACK.match(self._said(arn))
        return None if match is None else datetime.fromisoformat(match[1]).timestamp()

    def _said(self, arn: str) -> str:
        found = self.sagemaker.describe_model_package(ModelPackageName=arn)
        return found.get("CustomerMetadataProperties", {}).get(PROPERTY.format(where=self.where), "")


def looks(s3: S3Client, bucket: str, prefix: str) -> list[Look]:
    """What the drift job has found, from its newest reports below a prefix; what is no report says nothing."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    items = [item for page in pages for item in page.get("Contents", []) if item.get("Key", "").endswith(REPORT)]
    newest = sorted(items, key=lambda item: str(item.get("LastModified")))[-NEWEST:]
    found = (_look(s3.get_object(Bucket=bucket, Key=item.get("Key", ""))["Body"].read()) for item in newest)
    return [look for look in found if look is not None]


def _look(text: bytes) -> Look | None:
    try:
        report: dict[str, Any] = json.loads(text)
        return Look(
            version=report["version"],
            at=datetime.fromisoformat(report["window"]["start"]).timestamp(),
            labels=report["labels"],
            worse=report["raised"]["quality"],
        )
    except (KeyError, TypeError, ValueError):
        return None


def recall(release: Release, registry: Registry, found: list[Look], limits: Limits) -> Record | None:
    """Take the version in service back if it has to go.

    Returns:
        The release that was taken back and that the registry has to hear of; None where there is none.

    Raises:
        ReleaseError: The version before it does not come back in time.
    """
    served = records.read(release.workload.read())
    if served is not None and served.state.phase is Phase.ROLLED_BACK:
        return None if registry.told(served) else release.roll_back()
    if served is None or served.state.phase is not Phase.PROMOTED:
        release.tell("it stays: no release has ended here")
        return None
    # The same version on another base is no worse and no better by what became of its answers.
    other = served.previous is not None and served.previous.name != served.wanted.name
    previous = served.previous.name if served.previous is not None and other else ""
    service = Service(
        version=served.wanted.name,
        since=served.state.since,
        previous=previous,
        previous_approved=bool(previous) and registry.approved(previous),
        last_recall=registry.last_recall(),
    )
    decision = decide(service, found, limits, release.clock())
    if not decision.back:
        release.tell(f"{service.version} stays: {decision.reason}")
        return None
    return release.roll_back(decision.reason)

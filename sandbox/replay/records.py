"""What the registry is told of releases of the loop, by the code that tells it of releases in a cluster."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle import steps
from looking.service import Version as Looked
from looking.service import choose
from release.record import Record, Version
from release.registry import FOLLOWED, PROPERTY, report, report_return
from rollout.plan import Phase, State
from rollout.recall import Look

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

    from lifecycle.steps import Package

WHERE: Final = "local"


class Records:
    """The versions of one model, and which of them served when."""

    def __init__(self, sagemaker: SageMakerClient) -> None:
        """Prepare."""
        self._sagemaker = sagemaker

    def promoted(self, package: Package, before: Package | None, at: float) -> None:
        """Say that a version has taken over."""
        report(self._sagemaker, package.arn, WHERE, _record(package, before, Phase.PROMOTED, at, "judged good"))

    def taken_back(self, package: Package, before: Package, at: float, reason: str) -> str:
        """Say that a version has gone and the one before it serves again; what the registry says of both then."""
        packages = f"{package.arn.rpartition('/')[0]}/"
        report_return(
            self._sagemaker, packages, WHERE, _record(package, before, Phase.ROLLED_BACK, at, reason), not_back=""
        )
        told = (f"{each.version}: {self._said(each)}" for each in (package, before))
        return f"version {package.version} taken back, {reason}; the registry says of version {'; of '.join(told)}"

    def looked_at(self, first: Package) -> Package:
        """The version that a look for drift is at, as the function chooses that starts looks.

        Args:
            first: What would be in the stack file.
        """
        known = list(steps.packages(self._sagemaker, first.arn.split("/")[-2]))
        approved = Looked(image=_digest(first), artefact=first.artefact_uri, number=str(first.version))
        number = choose(known, WHERE, approved).version.number
        return next(each for each in known if str(each.version) == number)

    def _said(self, package: Package) -> str:
        found = steps.describe_package(self._sagemaker, package.arn).properties
        names = (PROPERTY.format(where=WHERE), FOLLOWED.format(where=WHERE))
        return ", followed ".join(found[name] for name in names if name in found)

    @staticmethod
    def look(summary: dict[str, Any]) -> Look:
        """A report of the drift job, as the decision reads it."""
        return Look(
            version=summary["version"],
            at=datetime.fromisoformat(summary["window"]["start"]).timestamp(),
            labels=summary["labels"],
            worse=summary["raised"]["quality"],
        )


def _record(package: Package, before: Package | None, phase: Phase, at: float, reason: str) -> Record:
    return Record(
        wanted=_version(package),
        previous=None if before is None else _version(before),
        begun=at,
        state=State(phase, 0, at, reason),
    )


def _digest(package: Package) -> str:
    return package.image_uri.rpartition("@")[2]


def _version(package: Package) -> Version:
    return Version(image=package.image_uri, name=str(package.version))

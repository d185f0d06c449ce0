"""Which version of a model is looked at: a pure function of what the registry says of releases.

A release leaves its end with its version (`release.registry`), and a way back with both. So of the versions that say
that they serve at a place the last one to begin does; a version that was taken back says something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

from lifecycle.steps import LifecycleError
from release.registry import PROPERTY, SERVES, TAKEN_BACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lifecycle.steps import Package

IMAGE, ARTEFACT, NUMBER = "ImageDigest", "ModelData", "ModelVersion"
"""Parameters of the pipeline that looks for drift."""
APPROVED: Final = "Approved"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a look is at."""

    image: str
    """Digest of the image with the model, in the model's repository."""
    artefact: str
    """Address of `model.tar.gz`."""
    number: str
    """Of the model package."""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Self:
        """From parameters of the pipeline."""
        return cls(image=given[IMAGE], artefact=given[ARTEFACT], number=given[NUMBER])

    def parameters(self) -> dict[str, str]:
        """What the pipeline is given."""
        return {IMAGE: self.image, ARTEFACT: self.artefact, NUMBER: self.number}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is looked at, and why."""

    version: Version
    why: str
    """For people."""


@dataclass(frozen=True, slots=True)
class _Service:
    since: datetime
    version: Version


def choose(packages: Iterable[Package], where: str, approved: Version) -> Choice:
    """Choose what is looked at.

    Args:
        packages: All versions of the model, in any order; none is asked for where nothing is released.
        where: The place, as in `release.registry`; empty where the program itself moves what serves.
        approved: The version in the stack file, with which a place begins.

    Raises:
        LifecycleError: A version says of its service what nobody can read, or nothing is known to serve.
    """
    if not where:
        return Choice(approved, "the stack file decides what serves")
    known = list(packages)
    found = [service for each in known if (service := _service(each, where)) is not None]
    if not found:
        _refuse_taken_back(known, where, approved)
        return Choice(approved, f"no approved version is said to have been promoted at {where}: that of the stack file")
    last = max(found, key=lambda each: (each.since, int(each.version.number)))
    return Choice(last.version, f"serves at {where} since {last.since.isoformat(timespec='seconds')}")


def _refuse_taken_back(packages: Iterable[Package], where: str, approved: Version) -> None:
    said = {str(each.version): each.properties.get(PROPERTY.format(where=where), "") for each in packages}
    if TAKEN_BACK.match(said.get(approved.number, "")):
        raise LifecycleError(
            f"version {approved.number} of the stack file was taken back at {where}, and no approved version is said to"
            " serve there; allowed: a version that serves · name it under approved, or release one"
        )


def _service(package: Package, where: str) -> _Service | None:
    """The service that a version says it is in; None where it says of none, or is not approved any more."""
    name = PROPERTY.format(where=where)
    said = package.properties.get(name, "")
    match = SERVES.match(said) if package.status == APPROVED else None
    if match is None:
        return None
    version = Version(image=match["image"], artefact=package.artefact_uri, number=str(package.version))
    try:
        since = datetime.fromisoformat(match["since"])
    except ValueError:
        since = None
    if since is None or since.tzinfo is None or not _DIGEST.fullmatch(version.image):
        raise LifecycleError(
            f"{name} of {package.arn} says {said!r}; allowed: promoted sha256:<64 hexadecimal digits> at <time with its"
            " zone> · release the version again, which writes it anew, or reject it"
        )
    return _Service(since, version)

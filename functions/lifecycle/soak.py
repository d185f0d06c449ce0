"""Whether a version has proved itself where it comes from: what releases there have said of it in the registry.

A release that ends leaves with its version how and when (`release.registry`), and a way back with both versions. So
the versions of a group together say which one served when, and no cluster has to be asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from release.registry import ENDED, FOLLOWED, NOT_BACK, PROPERTY, SERVES, fit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.steps import Package

SOAK_PROPERTY: Final = "soak"
"""Customer metadata of a promoted version: where it had served, or why it travelled without, and what was missing."""
HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """What a version has to have done before it travels on."""

    where: str
    """The place, as releases name it: the cluster of the environment that it comes from."""
    seconds: float
    """How long it has to have served there without a break; 0 asks for nothing."""
    now: float
    """Seconds since the epoch."""
    waived: str = ""
    """Why a person lets it travel all the same; empty where nobody does."""


@dataclass(frozen=True, slots=True)
class Served:
    """What is known of a version's service."""

    enough: bool
    told: str
    """For people: what it did, or what is missing and what would help."""


def judge(package: Package, versions: Iterable[Package], soak: Soak) -> Served:
    """Say whether a version has served for long enough.

    Args:
        package: The version.
        versions: All of its group; the version itself may be among them.
        soak: What is asked for.
    """
    name, hours = f"version {package.version}", soak.seconds / HOUR
    said, since = _said(package, soak.where), _since(package, soak.where)
    if since is None:
        found = f"says of its release there: {said}" if said else "has not been released there, as far as it is known"
        missing = f"{name} has to have served at {soak.where} for {hours:g} h, and {found}"
        return Served(enough=False, told=f"{missing}; release it there and promote it {hours:g} h later")
    others = [each for each in versions if each.arn != package.arn]
    for other in others:
        if _said(other, soak.where).startswith(f"{NOT_BACK} "):
            what = f"version {other.version} was to be taken back at {soak.where} and is not known to have gone"
            return Served(enough=False, told=f"{what}: start its way back again, and then promote {name}")
    # Each end of a service is said with the version itself; the beginnings of others are there for what was not said.
    known = [_followed(package, soak.where), *(_since(each, soak.where) for each in others)]
    ends = [at for at in known if at is not None and at >= since]
    seconds = min(ends, default=soak.now) - since
    # Without the time of the question: a repeated request has to be the same request.
    told = f"{name} serves at {soak.where} since {_time(since)}"
    if ends:
        told = f"{name} served at {soak.where} from {_time(since)} to {_time(min(ends))}"
    told = f"{told}. {hours:g} h are asked for"
    if seconds >= soak.seconds:
        return Served(enough=True, told=told)
    if ends:
        help_ = "another one took over. Release it there again, or promote the other one when its time has come"
    else:
        help_ = f"it may be promoted from {_time(since + soak.seconds)} on"
    return Served(enough=False, told=f"{told}: {help_}")


def note(served: Served, soak: Soak) -> str:
    """What is kept with the promoted version; only what a person waived says so."""
    return fit(served.told if served.enough else f"waived: {soak.waived}: {served.told}")


def _said(package: Package, where: str) -> str:
    return package.properties.get(PROPERTY.format(where=where), "")


def _since(package: Package, where: str) -> float | None:
    """When the release ended that a version serves by, in seconds since the epoch; None if it does not."""
    match = SERVES.match(_said(package, where))
    return None if match is None else datetime.fromisoformat(match["since"]).timestamp()


def _followed(package: Package, where: str) -> float | None:
    """When another version last took over; before the version's own release, that is of an earlier service."""
    match = ENDED.match(package.properties.get(FOLLOWED.format(where=where), ""))
    return None if match is None else datetime.fromisoformat(match[1]).timestamp()


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")

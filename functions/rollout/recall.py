"""Whether a version that was promoted is taken back for what is known of it since: a pure function.

The judgement beside the old version ends with the promotion; truth arrives later. It may take a version back, to the
one before it and to no other: what was itself taken back is not brought back, one window sees one way back at most, and
what has served for long is not taken back because the world has changed, which a training answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What it takes."""

    minimum_labels: int
    """Rows with their truth below which a look says nothing."""
    looks: int
    """Looks in a row that have to find a version worse."""
    trial_seconds: float
    """For how long after its promotion a version may be taken back."""
    window_seconds: float
    """Time in which one version is taken back at most."""

    def __post_init__(self) -> None:
        """Refuse what would take versions back for nothing."""
        if self.looks < 1 or self.minimum_labels < 1:
            raise ValueError("at least one look at one label is needed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one run of the drift job found."""

    version: str
    """Whose requests it looked at."""
    at: float
    """Begin of its window, in seconds since the epoch."""
    labels: int
    """Rows whose truth was known."""
    worse: bool
    """Whether the quality has fallen too far below that of the evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What serves, and what served before."""

    version: str
    since: float
    """When it was promoted, in seconds since the epoch."""
    previous: str
    """What served before; empty where nothing did."""
    previous_approved: bool
    """Whether that is still approved: what was taken back is not."""
    last_recall: float | None
    """When a version was last taken back here."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the version goes."""

    back: bool
    reason: str
    """For people."""


def decide(service: Service, looks: Sequence[Look], limits: Limits, now: float) -> Decision:
    """Decide about the version in service.

    Args:
        service: What serves.
        looks: All that is known, in any order; those at other versions say nothing of this one.
        limits: What it takes.
        now: Seconds since the epoch.
    """
    if against := _against(service, limits, now):
        return Decision(back=False, reason=against)
    told = [look for look in looks if look.version == service.version and look.labels >= limits.minimum_labels]
    newest = sorted(told, key=lambda look: look.at)[-limits.looks :]
    if len(newest) < limits.looks:
        return Decision(back=False, reason=f"{len(newest)} of {limits.looks} looks with enough truth")
    if not all(look.worse for look in newest):
        return Decision(back=False, reason=f"not worse in each of the last {limits.looks} looks")
    labels = sum(look.labels for look in newest)
    reason = f"worse than its evaluation in {limits.looks} looks with {labels} labels"
    return Decision(back=True, reason=reason)


def _against(service: Service, limits: Limits, now: float) -> str:
    """Why nothing may be taken back now, whatever is known; empty if it may."""
    if not service.previous:
        return "no version is known to have served before"
    if not service.previous_approved:
        return f"{service.previous}, which served before, is not approved any more"
    if now - service.since > limits.trial_seconds:
        return f"in service for longer than {limits.trial_seconds:g} s: a training answers what has changed since"
    if service.last_recall is not None and abs(now - service.last_recall) < limits.window_seconds:
        return f"a version was taken back less than {limits.window_seconds:g} s ago: a person has to look"
    return ""

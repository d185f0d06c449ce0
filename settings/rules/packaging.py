"""Builds of images: there is time for what a build waits for."""

from collections.abc import Iterator
from typing import Final

from settings.model import Settings
from settings.problems import Finding, repeated
from settings.rules.environment import Rule

WORK_MINUTES: Final = 5
"""What a build needs beside its waits: a host, crane, and the push of a layer."""


def a_build_has_time_to_wait(settings: Settings) -> Iterator[Finding]:
    """A build that CodeBuild stops while it waits says nothing about the image."""
    spec = settings.packaging
    least = spec.wait_minutes * (2 if spec.signing else 1) + WORK_MINUTES
    if spec.timeout_minutes < least:
        yield Finding(
            path=("packaging", "timeoutMinutes"),
            found=str(spec.timeout_minutes),
            allowed=f"at least {least}: what waitMinutes and signing ask for, and {WORK_MINUTES} minutes of work",
            remedy=f"write {least} or more, or lower waitMinutes",
        )


def severities_differ(settings: Settings) -> Iterator[Finding]:
    """The same severity twice is a slip for another one."""
    severities = settings.packaging.blocked_severities
    for index in repeated(severities):
        yield Finding(
            path=("packaging", "blockedSeverities", index),
            found=severities[index],
            allowed="each severity once",
            remedy="remove it, or write the one that was meant",
        )


RULES: Final[tuple[Rule, ...]] = (a_build_has_time_to_wait, severities_differ)
"""Every rule of this module."""

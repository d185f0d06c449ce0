"""What a test of a new version says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The three answers of a test that may be asked again when there is more to see."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"
    """Too little was seen to tell."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One test's answer."""

    test: str
    verdict: Verdict
    detail: str
    """What was seen, for people."""

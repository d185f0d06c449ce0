"""Trouble on demand: the n-th call fails, every call takes its published time.

A file `chaos.json` in the sandbox's folder asks for it; providers read it when they start.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "chaos.json"


class InjectedError(Exception):
    """The call that was to fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chaos:
    """What goes wrong, and how slowly everything goes."""

    fail_call: int | None = None
    """Number of the call that fails, counted over creates, updates and deletes from the first."""
    error: str = "ThrottlingException: Rate exceeded"
    """Text of the failure."""
    time_scale: float = 0.0
    """Factor on the published creation times; 0 answers at once."""
    seconds_per_creation: float = 0.0
    """Added to the scaled time of every creation."""

    @classmethod
    def load(cls, folder: Path) -> Chaos:
        """Returns what the folder's file asks for, or peace where there is none."""
        file = folder / FILE
        return cls(**json.loads(file.read_text())) if file.exists() else cls()

    def save(self, folder: Path) -> None:
        """Writes the folder's file."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(asdict(self)))

    def fail(self, call: int) -> None:
        """Fails the call whose number has come.

        Raises:
            InjectedError: this is the call that was to fail.
        """
        if call == self.fail_call:
            raise InjectedError(self.error)

    def wait(self, seconds: float) -> None:
        """Waits as long as a creation takes, given its published time."""
        time.sleep(seconds * self.time_scale + self.seconds_per_creation)

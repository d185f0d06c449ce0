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
    fail_after_effect: bool = False
    """Whether the failing call has done its work already, as with an answer that is lost on the way."""
    error: str = "ThrottlingException: Rate exceeded"
    """Text of the failure."""
    time_scale: float = 0.0
    """Factor on the published creation times; 0 answers at once."""

    @classmethod
    def load(cls, folder: Path) -> Chaos:
        """Returns what the folder's file asks for, or peace where there is none."""
        file = folder / FILE
        return cls(**json.loads(file.read_text())) if file.exists() else cls()

    def save(self, folder: Path) -> None:
        """Writes the folder's file."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(asdict(self)))

    def before(self, call: int, seconds: float) -> None:
        """Waits for the call's scaled time, and fails it when its number has come.

        Raises:
            InjectedError: this is the call that was to fail before it did anything.
        """
        if call == self.fail_call and not self.fail_after_effect:
            raise InjectedError(self.error)
        time.sleep(seconds * self.time_scale)

    def after(self, call: int) -> None:
        """Fails a call that has already had its effect.

        Raises:
            InjectedError: this is the call that was to fail after its effect.
        """
        if call == self.fail_call and self.fail_after_effect:
            raise InjectedError(self.error)

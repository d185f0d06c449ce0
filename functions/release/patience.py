"""Asks again what may be asked twice: after waits that grow, that differ from one asker to the next, and that end.

Source: AWS Builders' Library, "Timeouts, retries, and backoff with jitter"; RFC 9110, section 10.2.3 (`Retry-After`).
"""

from __future__ import annotations

import http.client
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from botocore.exceptions import BotoCoreError

from release.record import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 20.0
_DRAW: Final = secrets.SystemRandom()

T = TypeVar("T")


class BusyError(Exception):
    """The server cannot answer now."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after
        """Seconds after which it wants to be asked again at the earliest."""


class UnreachableError(ReleaseError):
    """The server has not answered for as long as is borne; nothing is wrong with what it was asked for."""


TRANSIENT: Final = (BusyError, OSError, http.client.HTTPException, BotoCoreError)
"""What goes by: an answer that says so, none, half of one, and credentials that cannot be had for a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one question is asked again."""

    seconds: float = 300.0
    """Longer than an EKS control plane takes to replace one of its API servers."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def ask(self, once: Callable[[], T]) -> T:
        """The answer.

        Args:
            once: Asks; may be called again after an answer that was lost.

        Raises:
            UnreachableError: There is none in time.
        """
        end, longest = self.clock() + self.seconds, FIRST_SECONDS
        while True:
            try:
                return once()
            except TRANSIENT as error:
                wait = _DRAW.uniform(longest / 2, longest)
                if isinstance(error, BusyError):
                    wait += error.after
                if self.clock() + wait > end:
                    said = f"no answer for {self.seconds:g} s, at last {type(error).__name__}: {error}"
                    raise UnreachableError(said) from error
            self.sleep(wait)
            longest = min(2 * longest, LONGEST_SECONDS)

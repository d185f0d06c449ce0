"""The shipper's loop: puts finished files into a bucket, one after the other, and removes what has arrived.

An object is named after its file, whose name is unique, and is only created, never replaced: whoever is killed between
the two steps finds it there the next time. A failure leaves all files where they are until the next attempt.
Source: Amazon S3 User Guide, "Conditional writes".
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from shipping import folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from threading import Event

LOOK_SECONDS: Final = 2.0
"""Time between two looks at the folder."""
LONGEST_WAIT_SECONDS: Final = 60.0
"""Longest time between two attempts while S3 refuses."""
LAST_WAIT_SECONDS: Final = 1.0
"""The same at the end, when there is no time to lose."""
THERE: Final = "PreconditionFailed"
"""S3's answer to the creation of an object that exists."""

logger = logging.getLogger(__name__)


class Bucket(Protocol):
    """The one call of S3 that is made."""

    def put_object(self, **request: Any) -> Any:  # noqa: ANN401 - botocore makes clients at run time
        """Create an object."""
        ...


@dataclass(slots=True, kw_only=True)
class Shipper:
    """Takes files from a folder to a prefix."""

    source: Path
    s3: Bucket
    bucket: str
    prefix: str
    chance: Callable[[], float] = random.random
    """Uniform over [0, 1)."""
    shipped: int = 0
    """Files that have arrived."""
    failures: int = 0
    """Attempts in a row that failed."""

    def run(self, stop: Event, last_seconds: float) -> int:
        """Ship until `stop` is set, then what is left.

        Args:
            stop: Set when the pod ends; by then the server has ended.
            last_seconds: How long the rest may take.

        Returns:
            Files that had to stay.
        """
        while not stop.is_set():
            self.ship(at_end=False)
            stop.wait(self._pause(LONGEST_WAIT_SECONDS) if self.failures else LOOK_SECONDS)
        deadline = time.monotonic() + last_seconds
        while not self.ship(at_end=True) and time.monotonic() < deadline:
            time.sleep(self._pause(LAST_WAIT_SECONDS))
        left = len(folder.finished(self.source))
        logger.log(logging.ERROR if left else logging.INFO, "%d files shipped, %d lost", self.shipped, left)
        return left

    def ship(self, *, at_end: bool) -> bool:
        """Ship what is there until a file fails; whether none did."""
        for name in folder.finish_left(self.source, at_once=at_end):
            logger.warning("%s was left by a server that was killed", name.name)
        for path in folder.finished(self.source):
            try:
                self._put(path)
            except (BotoCoreError, ClientError, OSError) as error:
                self.failures += 1
                logger.warning("%s stays, attempt %d: %s", path.name, self.failures, error)
                return False
            path.unlink()
            self.failures = 0
            self.shipped += 1
        return True

    def _put(self, path: Path) -> None:
        key = f"{self.prefix}{path.relative_to(self.source).as_posix()}"
        with path.open("rb") as body:
            try:
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, IfNoneMatch="*")
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != THERE:
                    raise

    def _pause(self, longest: float) -> float:
        """Seconds until the next attempt: twice as long each time, and never the same for all pods of a model."""
        return (0.5 + self.chance() / 2) * min(2.0 ** min(self.failures, 10), longest)

"""How much of the disk captures may take: what waits to be taken away is counted, and more than that is not written.

A volume of a pod has a size, and the kubelet evicts a pod that exceeds it: the server stops capturing before.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNT_SECONDS: Final = 15.0
"""Time after which files are counted again: somebody takes them away."""
FULL_SECONDS: Final = 1.0
"""The same while there is no room."""


class Space:
    """The bytes below a folder; one instance per folder and writer."""

    def __init__(self, folder: Path, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Count what is there.

        Args:
            folder: It need not exist yet.
            most: Bytes that it may hold.
            clock: Seconds; any origin.
        """
        self._folder, self._most, self._clock = folder, most, clock
        self.used = 0
        """Bytes below the folder, as far as they were counted."""
        self._counted = 0.0
        self.count()

    def count(self) -> None:
        """Look at the files."""
        self._counted = self._clock()
        self.used = sum(_size(path) for path in self._folder.rglob("*.jsonl*"))

    def take(self, size: int) -> bool:
        """Whether so many bytes may be written; they count from now on."""
        age = self._clock() - self._counted
        if age >= COUNT_SECONDS or (self.used + size > self._most and age >= FULL_SECONDS):
            self.count()
        if self.used + size > self._most:
            return False
        self.used += size
        return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # taken away meanwhile

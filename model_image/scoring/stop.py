"""SIGTERM during training: SageMaker sends it before it takes a spot instance, or when someone stops the job.

Source: Amazon SageMaker API Reference, ``StopTrainingJob``: 120 seconds lie between SIGTERM and SIGKILL.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scoring.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Generator


class StopSignal:
    """Ends the run at once, or, while it is deferred, when the run asks."""

    def __init__(self) -> None:
        """Start without having been asked."""
        self.asked = False
        """A signal has come while it was deferred."""
        self._deferred = False

    def install(self) -> None:
        """Take over SIGTERM; only the main thread may."""
        signal.signal(signal.SIGTERM, self._handle)

    @contextmanager
    def deferred(self) -> Generator[None]:
        """Let the code inside finish what it is at; it has to look at `asked`."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _handle(self, _signal: int, _frame: object) -> None:
        self.asked = True
        if not self._deferred:
            raise PlatformError("stopped by SIGTERM before training ended; no model was written")

"""Ends a container that was asked to stop, that lost its host, or that ran too long."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import Protocol

STOP_GRACE_SECONDS = 120.0
"""Between SIGTERM and SIGKILL; SageMaker's own figure (StopTrainingJob)."""

INTERRUPTED = "Interrupted"
"""Verdict on a container whose spot host was taken away."""


class Guarded(Protocol):
    """A job whose container is watched."""

    stop_asked: bool
    """Somebody asked it to stop."""
    interrupted: bool
    """Its host goes away."""
    wake: threading.Event
    """Set when the guard has something to look at: one of the two, or the end."""

    @property
    def name(self) -> str:
        """Name of the job."""
        ...

    @property
    def max_runtime_seconds(self) -> int:
        """The job is stopped after this time."""
        ...


class Guard(threading.Thread):
    """SIGTERM, then SIGKILL to the container's process group."""

    def __init__(self, process: subprocess.Popen[str], job: Guarded, grace_seconds: float) -> None:
        super().__init__(name=f"guard-{job.name}", daemon=True)
        self._process, self._job = process, job
        self._grace_seconds = grace_seconds
        self.verdict: str | None = None
        """Why the container was ended; None when it ended by itself."""

    def run(self) -> None:
        """Wait for a reason to end the container, or for its end."""
        job = self._job
        woken = job.wake.wait(job.max_runtime_seconds)
        if self._process.poll() is not None or (woken and not (job.stop_asked or job.interrupted)):
            return
        self.verdict = "MaxRuntimeExceeded" if not woken else "Stopped" if job.stop_asked else INTERRUPTED
        self._process.terminate()
        try:
            self._process.wait(self._grace_seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def finish(self) -> None:
        """The container has ended: let the guard go and wait for its verdict."""
        self._job.wake.set()
        self.join()

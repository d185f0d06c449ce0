"""Progress of long steps: a live line on a terminal, plain lines elsewhere, and the time that each step took."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

LIVE_SECONDS = 0.25
"""Between two redraws of the live line on a terminal."""
PLAIN_SECONDS = 10.0
"""Between two plain lines of one running step where there is no terminal."""

_TENTHS_BELOW = 10.0
"""Seconds below which a tenth still tells something."""


def elapsed(seconds: float) -> str:
    """Duration in words: `0.4 s`, `12 s`, `3 min 07 s`."""
    if seconds < _TENTHS_BELOW:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@dataclass(slots=True)
class Step:
    """One running piece of work; whoever does it keeps `detail` up to date."""

    title: str
    started: float
    detail: str = ""
    reported: float = field(default=0.0)

    def line(self, now: float) -> str:
        """What there is to say about the step at `now` (seconds of the monotonic clock)."""
        return f"{self.title}{': ' if self.detail else ''}{self.detail} ({elapsed(now - self.started)})"


class Board:
    """Shows all steps that are running; safe to use from several threads. Writes nothing while no step runs."""

    def __init__(self, stream: TextIO = sys.stderr, *, plain_seconds: float = PLAIN_SECONDS) -> None:
        self._stream = stream
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._interval = LIVE_SECONDS if self._live else plain_seconds
        self._lock = threading.Lock()
        self._steps: list[Step] = []
        self._ticker: threading.Thread | None = None
        self._idle = threading.Event()

    @contextmanager
    def step(self, title: str) -> Generator[Step]:
        """Announce the step, show it while the block runs, then say how it ended and how long it took."""
        step = Step(title=title, started=time.monotonic())
        step.reported = step.started
        if not self._live:
            self.say(f"… {title}")
        self._add(step)
        ended = "✗"
        try:
            yield step
            ended = "✓"
        finally:
            self._remove(step)
            self.say(f"{ended} {title} ({elapsed(time.monotonic() - step.started)})")

    def say(self, message: str) -> None:
        """Write one line that stays."""
        with self._lock:
            self._clear()
            self._stream.write(f"  {message}\n")
            self._stream.flush()

    def _add(self, step: Step) -> None:
        with self._lock:
            self._steps.append(step)
            if self._ticker is None or not self._ticker.is_alive():
                self._idle.clear()
                self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
                self._ticker.start()

    def _remove(self, step: Step) -> None:
        with self._lock:
            self._steps.remove(step)
            if not self._steps:
                self._idle.set()
                self._ticker = None

    def _tick(self) -> None:
        idle = self._idle
        while not idle.wait(self._interval):
            with self._lock:
                if self._live:
                    self._redraw(time.monotonic())
                else:
                    self._report(time.monotonic())

    def _redraw(self, now: float) -> None:
        text = "  … " + " · ".join(step.line(now) for step in self._steps)
        width = shutil.get_terminal_size().columns - 1
        self._clear()
        self._stream.write(text if len(text) <= width else text[: width - 1] + "…")
        self._stream.flush()

    def _report(self, now: float) -> None:
        for step in self._steps:
            if now - step.reported >= self._interval * 0.9:
                step.reported = now
                self._stream.write(f"  … {step.line(now)}\n")
        self._stream.flush()

    def _clear(self) -> None:
        if self._live:
            self._stream.write("\r\x1b[2K")

"""Callers who never stop asking while models are trained and replaced; every answer is checked."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bench.load import Load, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from sandbox.replay.months import Month

RATE: Final = 250.0
"""Requests a second while something else is going on."""
FAST: Final = 600.0
"""Requests a second of a month's whole traffic."""
CONNECTIONS: Final = 16
"""Callers at a time: while all of them wait, nobody else asks."""
TIMEOUT_SECONDS: Final = 30.0
"""After which an answer counts as failed; trainings take the processors that callers and servers need."""


@dataclass(slots=True)
class Asked:
    """What was asked in a month, and what came back."""

    sent: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])
    versions: Counter[str] = field(default_factory=Counter[str])
    """Answers by the version that gave them."""

    def add(self, tally: Tally) -> None:
        """Take a phase into account."""
        self.sent += tally.sent
        self.failures += tally.failures


class Traffic:
    """Requests to whoever listens on a port."""

    def __init__(self, port: Callable[[], int]) -> None:
        """Prepare; nothing is sent yet."""
        self._port = port

    @contextmanager
    def during(self, month: Month, asked: Asked) -> Generator[None]:
        """Ask about single flights of a month, again and again, as long as the block runs."""
        done = threading.Event()
        load = self._load(month.glances(), lambda _: 1, asked)
        found: list[Tally] = []
        thread = threading.Thread(
            target=lambda: found.append(asyncio.run(load.open(RATE, done.is_set))), name="callers"
        )
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            asked.add(found[0])

    def once(self, month: Month, asked: Asked) -> None:
        """Ask about each of a month's flights once, by name."""
        load, count = self._load(month.wires(), lambda place: len(month.labels[place]), asked), len(month.questions)
        asked.add(asyncio.run(load.open(FAST, lambda: load.tally.sent >= count)))

    def _load(self, wires: list[bytes], rows: Callable[[int], int], asked: Asked) -> Load:
        def judge(place: int, status: int, head: bytes, body: bytes) -> str:
            if status != HTTPStatus.OK:
                return f"status {status}"
            if len(body.split()) != rows(place):
                return "another number of answers than rows"
            asked.versions[head.partition(b"\r\nmodel-version: ")[2].partition(b"\r")[0].decode()] += 1
            return ""

        return Load(self._port, wires, judge, connections=CONNECTIONS, timeout_s=TIMEOUT_SECONDS, patient=False)

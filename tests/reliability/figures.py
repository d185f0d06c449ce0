"""What a figure of reliability is, and the list of all that can be measured.

A module in `tests/reliability/measures/` registers its functions; nothing else has to name it:

    @measure(15, "malformed requests", target="0 of 200,000 answered by a 5xx or wrongly", floor=3_000, full=200_000)
    def malformed_requests(run: Run) -> Count:
        ...
        return Count(denominator=asked, failures=len(wrong), detail=f"{accepted} accepted, {refused} refused")

`make test` runs each at its floor, `make reliability FULL=1` at its full size.
"""

from __future__ import annotations

import importlib
import pkgutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEASURES = "tests.reliability.measures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a measurement found."""

    denominator: int
    """How often the property could have failed."""
    failures: int
    """How often it did; a missed bound of time or memory counts as one."""
    detail: str
    """One line: what was done, and what was missed if anything was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a measurement is given."""

    size: int
    """How many trials, in the unit of the figure's denominator; fewer are a failure of the measurement."""
    seed: int
    folder: Path
    """An empty folder of its own."""
    timed: bool = False
    """Whether bounds of time count: not in `make test`, where others may use the machine."""
    minutes: float = 0.0
    """Least time of a figure that offers load for a time; 0: its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table."""

    number: int
    """As in the list of figures, docs/reliability.md."""
    name: str
    target: str
    denominator: int
    failures: int
    detail: str
    seconds: float

    @property
    def bound(self) -> float:
        """Upper bound of the failure rate at 95 % confidence after no failure: the rule of three."""
        return 3 / self.denominator if self.denominator else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A figure that can be measured."""

    number: int
    name: str
    target: str
    floor: int
    full: int
    take: Callable[[Run], Count]

    def figure(self, run: Run) -> Figure:
        """Measure it once."""
        started = time.monotonic()
        count = self.take(run)
        return self.with_count(count, time.monotonic() - started)

    def with_count(self, count: Count, seconds: float) -> Figure:
        """Make the figure of a count."""
        return Figure(
            number=self.number,
            name=self.name,
            target=self.target,
            denominator=count.denominator,
            failures=count.failures,
            detail=count.detail,
            seconds=seconds,
        )


_registered: dict[str, Measure] = {}


def measure(
    number: int, name: str, *, target: str, floor: int, full: int
) -> Callable[[Callable[[Run], Count]], Callable[[Run], Count]]:
    """Register a function under a figure's number and a name; a figure may have several parts.

    Args:
        number: Of the figure.
        name: Of the figure or of its part; no other has it.
        target: The promise, in words, for the full size.
        floor: Trials in `make test`: a few seconds, at most 30 on two shared cores.
        full: Trials in `make reliability FULL=1`.
    """

    def register(take: Callable[[Run], Count]) -> Callable[[Run], Count]:
        if name in _registered:
            raise ValueError(f"two measures have the name {name!r}")
        _registered[name] = Measure(number=number, name=name, target=target, floor=floor, full=full, take=take)
        return take

    return register


def measures() -> list[Measure]:
    """Every registered measure, in the order of the figures."""
    folder = importlib.import_module(MEASURES)
    for module in pkgutil.iter_modules(folder.__path__):
        importlib.import_module(f"{MEASURES}.{module.name}")
    return sorted(_registered.values(), key=lambda found: (found.number, found.name))

"""What the user sees while something runs: one line per step, with progress and time."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self, TextIO

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

_QUIET_SECONDS: Final = 5.0
"""Without a terminal, progress of a step is printed at most this often."""


class Step:
    """A step that is under way."""

    def __init__(self, title: str, out: RichConsole) -> None:
        self._title, self._out = title, out
        self._started = self._shown = time.monotonic()
        self._status = out.status(escape(title)) if out.is_terminal else None
        self.summary = ""
        """Shown beside the title when the step is done."""

    def note(self, text: str) -> None:
        """Shows progress; may be called as often as there is any."""
        now = time.monotonic()
        if self._status is not None:
            self._status.update(f"{escape(self._title)}  [dim]{escape(text)}  {now - self._started:.0f} s[/]")
        elif now - self._shown >= _QUIET_SECONDS:
            self._shown = now
            self._out.print(f"  · {self._title}: {text} ({now - self._started:.0f} s)", highlight=False, markup=False)

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        if self._status is not None:
            self._status.stop()
        mark, style = ("✓", "green") if kind is None else ("✗", "red")
        beside = f"  {escape(self.summary)}" if self.summary else ""
        seconds = time.monotonic() - self._started
        self._out.print(f"[{style}]{mark}[/] {escape(self._title)}{beside}  [dim]{seconds:.1f} s[/]", highlight=False)


class Console:
    """Prints steps, texts and tables."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._out = RichConsole(file=file or sys.stdout, soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Generator[Step]:
        """Runs a step: its progress while it lasts, a mark and its time when it ends."""
        with Step(title, self._out) as step:
            yield step

    def info(self, text: str) -> None:
        """Prints a text as it is."""
        self._out.print(text, highlight=False, markup=False)

    def table(self, title: str, rows: Mapping[str, str]) -> None:
        """Prints names and values."""
        table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in rows.items():
            table.add_row(f"[bold]{escape(name)}[/]", escape(value))
        self._out.print(table)

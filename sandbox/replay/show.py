"""`make loop`: the year of one model of environment `local`, and what it showed."""

from __future__ import annotations

import calendar
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.steps import LifecycleError
from sandbox.loop.files import write_bytes
from sandbox.loop.processes import ProcessError
from sandbox.loop.run import tear_down
from sandbox.loop.spec import LoopError
from sandbox.replay.player import Player
from sandbox.replay.report import Year, lines, page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sandbox.console import Console
    from sandbox.loop.spec import LoopSpec


FEWEST: Final = 3
"""Months: one to learn from, one to be asked about and learn from, one in which the second version serves."""


def months_of(text: str) -> list[int]:
    """Numbers of months that are named, separated by commas; all of them for an empty text.

    Raises:
        LoopError: They are no months, too few, or not in order.
    """
    known = list(range(1, len(calendar.month_name)))
    words = text.split(",") if text else map(str, known)
    numbers = [int(word) if word.isdecimal() else 0 for word in words]
    if len(numbers) < FEWEST or numbers != sorted(set(numbers) & set(known)):
        raise LoopError(f"MONTHS={text}: write {FEWEST} or more months in order, for example MONTHS=1,4,7")
    return numbers


def show(console: Console, spec: LoopSpec, numbers: Sequence[int], folder: Path) -> Year:
    """Play the year, say what happened, and write the page `<model>.html`.

    Args:
        console: For people.
        spec: The model as environment `local` declares it; its registry and its server are left alone.
        numbers: Months to play.
        folder: Of its own; what a run that was killed has left there is ended and removed.

    Raises:
        LoopError: Something does not work, or the year broke a promise.
    """
    state, target = folder / "state", folder / f"{spec.model.name}.html"
    tear_down(state, console)
    try:
        chapters = Player(replace(spec, state_dir=state), console, numbers).play()
    except (LifecycleError, ProcessError, ClientError, BotoCoreError) as error:
        raise LoopError(str(error)) from error
    shutil.rmtree(state)
    year = Year(chapters, spec.model.gate.metric)
    write_bytes(target, page(year).encode())
    console.info("\n" + "\n".join(lines(year)) + "\n")
    console.table(f"A year of {spec.model.name}", {**year.totals(), "Page": str(target)})
    if broken := year.broken():
        raise LoopError("the loop broke a promise: " + "; ".join(broken))
    return year

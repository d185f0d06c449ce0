"""What can be wrong with a month of flights: for whoever wants to see that it is refused (`make up POISON=labels`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.loop.flights import YEAR

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.loop.flights import Dataset


def shuffle(path: Path) -> None:
    """Give every row the label of another one: the share of late flights stays, what it depends on goes."""
    header, *rows = path.read_text("utf-8").splitlines()
    labels = [row.partition(",")[0] for row in rows]
    half = len(rows) // 2
    moved = labels[half:] + labels[:half]
    lines = [f"{label},{row.partition(',')[2]}" for label, row in zip(moved, rows, strict=True)]
    path.write_text("\n".join([header, *lines]) + "\n", "utf-8")


def rename(path: Path) -> None:
    """Call a column by another name."""
    path.write_text(path.read_text("utf-8").replace("carrier", "airline", 1), "utf-8")


def halve(path: Path) -> None:
    """Lose every second row."""
    header, *rows = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([header, *rows[::2]]) + "\n", "utf-8")


POISONS: Final[dict[str, Callable[[Path], None]]] = {"labels": shuffle, "schema": rename, "half": halve}
"""By the word that people write: labels of other rows, a column that is called otherwise, half of the rows missing."""


def spoil(data: Dataset, month: int, poison: str) -> None:
    """Poison what is delivered of a month. `flights.prepare` makes it whole again."""
    for use in ("train", "validation"):
        POISONS[poison](data.root / use / f"{YEAR}-{month:02}.csv")

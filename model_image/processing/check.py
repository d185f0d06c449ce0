"""The data's contract: what a month has to look like before a model learns from it.

A poisoned file is cheaper to refuse here than to find in a model. Checked are the files of `train` and `validation`:
the same columns everywhere, labels that are 0 or 1 and both occur where two classes are
learnt, enough rows, no file much shorter than the others,
and no column whose empty cells come or go. Shuffled labels look like labels: those only the gate can find.
"""

from __future__ import annotations

import shutil
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from processing.tables import read as read_table
from scoring import document
from scoring.contract import BINARY
from scoring.errors import UserError, summarize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scoring.channels import Format
    from scoring.dataset import Column, Table

CHANNELS = ("train", "validation")
REPORT = "data.json"
LABELS = {"0", "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What the data has to keep to."""

    label: str
    """Column that the model predicts."""
    objective: str
    """What is learnt; two classes are labelled 0 and 1."""
    form: Format
    """What the files are."""
    minimum_rows: int
    """Rows of each channel at least."""
    missing_gain: float
    """By how much a file's share of empty cells may differ from that of the other files together."""
    smallest_part: float
    """Rows of a file at least, as a share of the median of the other files."""


def run(base: Path, contract: Contract, data_version: str) -> None:
    """Check the channels below ``base/input`` and copy them to ``base/output``, with a report.

    Raises:
        UserError: with every breach of the contract.
    """
    tables = {name: read_table(name, base / "input" / name, contract.form, contract.label) for name in CHANNELS}
    problems = [problem for table in tables.values() for problem in breaches(table, contract)]
    problems += _other_columns(tables)
    if problems:
        raise UserError(summarize(problems))
    for name in CHANNELS:
        shutil.copytree(base / "input" / name, base / "output" / name, dirs_exist_ok=True)
    report = base / "output/report" / REPORT
    report.parent.mkdir(parents=True, exist_ok=True)
    found = {name: _statistics(table) for name, table in tables.items()}
    report.write_bytes(document.dump({"data_version": data_version, "channels": found}))


def _other_columns(tables: dict[str, Table]) -> list[str]:
    first, *others = tables.values()
    return [
        f"{other.channel} has other columns than {first.channel}: {', '.join(sorted(strange))}"
        for other in others
        if (strange := first.columns.keys() ^ other.columns.keys())
    ]


def breaches(table: Table, contract: Contract) -> Iterator[str]:
    """Every way in which a channel breaks the contract."""
    if table.rows < contract.minimum_rows:
        yield f"{table.channel}: {table.rows} rows; at least {contract.minimum_rows} are wanted"
    for part in table.parts:
        others = [other.rows for other in table.parts if other is not part]
        usual = statistics.median(others) if others else 0
        if part.rows < contract.smallest_part * usual:
            found = f"{part.rows} rows; half of the other files have {usual:.0f} or more"
            yield f"{table.channel}/{part.path.name}: {found}"
    label = table.columns.get(contract.label)
    if label is None:
        yield f"{table.channel}: column {contract.label!r}, the label, is missing"
    elif contract.objective == BINARY and set(label.texts) != LABELS:
        shown = ", ".join(sorted(label.texts)[:5])
        yield f"{table.channel}: {contract.label!r} has to be 0 and 1, both; found {shown}"
    for column in table.columns.values():
        yield from _moved(table, column, contract.missing_gain)


def _moved(table: Table, column: Column, gain: float) -> Iterator[str]:
    """Files whose share of empty cells is far from that of the other files together."""
    empty = np.isin(column.codes, [code for code, text in enumerate(column.texts) if not text.strip()])
    ends = np.cumsum([part.rows for part in table.parts])
    counts = [int(part.sum()) for part in np.split(empty, ends[:-1])]
    for part, count in zip(table.parts, counts, strict=True):
        others = table.rows - part.rows
        here, there = count / max(part.rows, 1), (sum(counts) - count) / max(others, 1)
        if others and abs(here - there) > gain:
            yield f"{table.channel}/{part.path.name}: {here:.0%} of {column.name!r} is empty, {there:.0%} elsewhere"


def _statistics(table: Table) -> dict[str, object]:
    files = {part.path.name: {"rows": part.rows, "sha256": part.sha256} for part in table.parts}
    return {"rows": table.rows, "files": files}

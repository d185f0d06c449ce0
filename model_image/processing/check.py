"""The data's contract: what a month has to look like before a model learns from it.

A poisoned file is cheaper to refuse here than to find in a model. Checked are the files that were delivered:
the same columns everywhere, labels that are 0 or 1 and both occur where two classes are learnt, no file much shorter
than the others, no column whose empty cells come or go, and nothing that is odd beside the other files; and that enough
rows remain to learn from, to choose by and to judge by once they are dealt out. Shuffled labels look like labels: those
only the gate can find.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from processing import numbers, split
from processing.oddities import Limits, is_missing, oddities
from processing.tables import read as read_table
from scoring import document, libsvm
from scoring.contract import BINARY
from scoring.errors import UserError, summarize

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from processing.split import Shares
    from scoring.channels import Format
    from scoring.dataset import Column, Table
    from scoring.hyperparameters import Hyperparameters

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
    shares: Shares
    """Which rows become those of which channel."""
    minimum_rows: int
    """Rows of each of these channels at least."""
    missing_gain: float
    """By how much a file's share of empty cells may differ from that of the other files together."""
    smallest_part: float
    """Rows of a file at least, as a share of the median of the other files."""
    limits: Limits
    """How far a file may differ from the others."""


def run(base: Path, contract: Contract, data_version: str, numbers_of: Hyperparameters | None = None) -> None:
    """Check what is delivered below ``base/input``, deal it out to the channels below ``base/output``, with a report.

    With ``numbers_of``, which tells what is learnt, what a training reads is written as `processing.numbers`, too.

    Raises:
        UserError: with every breach of the contract.
    """
    source, target = base / "input", base / "output"
    read = [read_table(name, source / name, contract.form, contract.label) for name in contract.shares.delivered]
    widest = max((libsvm.features_of(table, contract.label) for table in read), key=len)
    tables = [libsvm.fit(table, widest, contract.label) for table in read]
    problems = [problem for table in tables for problem in breaches(table, contract)]
    problems += _other_columns(tables)
    problems += oddities(tables, contract.label, contract.objective, contract.limits)
    dealt = [contract.shares.deal(table, contract.label) for table in tables]
    problems += [
        problem for table, rows in zip(tables, dealt, strict=True) for problem in _too_little(table, rows, contract)
    ]
    if problems:
        raise UserError(summarize(problems))
    channels: dict[str, object] = {}
    for table, rows in zip(tables, dealt, strict=True):
        found = split.write(table, rows, source / table.channel, target)
        channels |= {name: {"rows": int(own.sum()), "files": found[name]} for name, own in rows.items()}
    if numbers_of is not None:
        numbers.write(target, contract.form, numbers_of)
    report = target / "report" / REPORT
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_bytes(document.dump({"data_version": data_version, "channels": channels}))


def _other_columns(tables: list[Table]) -> list[str]:
    first, *others = tables
    return [
        f"{other.channel} has other columns than {first.channel}: {', '.join(sorted(strange))}"
        for other in others
        if (strange := first.columns.keys() ^ other.columns.keys())
    ]


def breaches(table: Table, contract: Contract) -> Iterator[str]:
    """Every way in which a delivered channel, or what it is dealt out to, breaks the contract."""
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
    if missing := [name for name in contract.shares.by if name not in table.columns]:
        yield f"{table.channel}: column {', '.join(missing)}, by which rows are dealt out, is missing"


def _too_little(table: Table, dealt: Mapping[str, NDArray[np.bool_]], contract: Contract) -> Iterator[str]:
    """Channels that get too few rows, or only one of two classes."""
    label = table.columns.get(contract.label)
    for name, rows in dealt.items():
        count = np.count_nonzero(rows)
        if count < contract.minimum_rows:
            yield f"{name}: {count} rows; at least {contract.minimum_rows} are wanted"
        elif contract.objective == BINARY and label is not None and len(np.unique(label.codes[rows])) < len(LABELS):
            yield f"{name}: all rows have the same {contract.label!r}"


def _moved(table: Table, column: Column, gain: float) -> Iterator[str]:
    """Files whose share of empty cells is far from that of the other files together."""
    empty = np.isin(column.codes, [code for code, text in enumerate(column.texts) if is_missing(text)])
    ends = np.cumsum([part.rows for part in table.parts])
    counts = [int(part.sum()) for part in np.split(empty, ends[:-1])]
    for part, count in zip(table.parts, counts, strict=True):
        others = table.rows - part.rows
        here, there = count / max(part.rows, 1), (sum(counts) - count) / max(others, 1)
        if others and abs(here - there) > gain:
            yield f"{table.channel}/{part.path.name}: {here:.0%} of {column.name!r} is empty, {there:.0%} elsewhere"

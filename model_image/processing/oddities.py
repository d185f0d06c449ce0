"""What is odd about one file of a channel beside the others: units that changed, labels that moved, answers given away.

Nothing of this stops a model from being trained, and much of it makes the model look good: a gate that asks the same
poisoned rows lets it pass. So it is refused before. Every finding needs more than chance explains for so few rows.

Sources: Smirnov, "Table for estimating the goodness of fit of empirical distributions" (Annals of Mathematical
Statistics 19, 1948); Kaufman, Rosset, Perlich and Stitelman, "Leakage in data mining" (ACM TKDD 6, 2012).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from processing.shifts import kolmogorov
from scoring.binary import auc
from scoring.contract import BINARY, REGRESSION
from scoring.encoding import number
from scoring.features import is_number, is_numeric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from scoring.dataset import Column, Part, Table

    Counts = NDArray[np.float64]

UNLIKELY = 1e-6
"""Chance of a finding without a cause."""
FEW_VALUES = 20
"""Rows per value of a text column, below which its values rank the very rows that they were counted in."""
MOSTLY = 0.9
"""Share of one value from which a column may well have no other in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far a file may differ from the other files of its channel; distances are from 0, alike, to 1, disjoint."""

    label_shift: float
    """Distance of the labels."""
    column_shift: float
    """Distance of each other column's values that are not empty."""
    repeat_gain: float
    """By how much the share of rows may differ that a file holds more than once."""
    column_auc: float
    """Area under the ROC curve that one column may reach alone; 1 allows any."""
    moving: Sequence[str]
    """Columns that are another in every file by nature, such as the month."""


def oddities(tables: Sequence[Table], label: str, objective: str, limits: Limits) -> Iterator[str]:
    """Everything that is odd, with the file and what was found."""
    yield from _same_files(tables)
    for table in tables:
        compared = [column for name, column in table.columns.items() if name not in {label, *limits.moving}]
        for column in compared:
            yield from _words(table, column)
            yield from _shifted(table, column, _numbers(column), limits.column_shift)
            yield from _single_value(table, column)
        yield from _repeated(table, limits.repeat_gain)
        truth = table.columns.get(label)
        if truth is None:
            continue
        numbers = _numbers(truth) if objective == REGRESSION else None
        yield from _shifted(table, truth, numbers, limits.label_shift)
        if objective == BINARY and limits.column_auc < 1:
            yield from _telling(table, compared, truth, limits.column_auc)


def _same_files(tables: Sequence[Table]) -> Iterator[str]:
    """Files that were uploaded twice: rows of `train` in `validation` praise what was learnt by heart."""
    places: dict[str, list[str]] = {}
    for table in tables:
        for part in table.parts:
            places.setdefault(part.sha256, []).append(_place(table, part))
    for same in places.values():
        yield from (f"{again}: the same bytes as {first}" for first, again in pairwise(same))


def _place(table: Table, part: Part) -> str:
    return f"{table.channel}/{part.path.name}"


def _each_part(table: Table) -> Iterator[tuple[Part, slice]]:
    start = 0
    for part in table.parts:
        yield part, slice(start, start + part.rows)
        start += part.rows


def _numbers(column: Column) -> NDArray[np.float64] | None:
    """The number that each distinct text is, NaN for a blank one; None for a column of words."""
    if not is_numeric(column):
        return None
    return np.array([number(text) for text in column.texts], dtype=np.float64)


def is_missing(text: str) -> bool:
    """Tell whether a cell says that nothing is known."""
    return not text.strip() or text.strip().lower() == "nan"


def _words(table: Table, column: Column) -> Iterator[str]:
    """The one file with words in a column that holds numbers everywhere else: it would make all of them words."""
    word = np.array([not is_number(text) for text in column.texts])[column.codes]
    (where,) = np.nonzero(word)
    if sum(bool(word[rows].any()) for _, rows in _each_part(table)) == 1 < len(table.parts):
        text = column.texts[column.codes[where[0]]]
        yield f"{table.where(int(where[0]))}: {column.name!r} is {text!r}, and a number in every other file"


def _shifted(table: Table, column: Column, numbers: NDArray[np.float64] | None, limit: float) -> Iterator[str]:
    """The file whose values are furthest from those of the others, if too far; its distance makes theirs larger too.

    The distance is Kolmogorov and Smirnov's; of words, total variation.
    """
    filled = np.array([not is_missing(text) for text in column.texts])
    order = np.flatnonzero(filled) if numbers is None else np.argsort(numbers)[: filled.sum()]  # NaN is last
    whole = _counts(column, slice(None), order)
    furthest, where = limit, None
    for part, rows in _each_part(table):
        here = _counts(column, rows, order)
        there = whole - here
        if not here.any() or not there.any():
            continue
        chance = math.sqrt((1 / here.sum() + 1 / there.sum()) / 2)
        if numbers is None:
            distance = float(np.abs(here / here.sum() - there / there.sum()).sum()) / 2
            chance *= math.sqrt(len(order))
        else:
            distance = kolmogorov(there, here)
            chance *= math.sqrt(-math.log(UNLIKELY / 2))
        if distance - chance > limit and distance >= furthest:  # of two files, the later one
            furthest, where = distance, part
    if where is not None:
        found = f"the values of {column.name!r} are {furthest:.2f} away from those of the other files"
        yield f"{_place(table, where)}: {found} (at most {limit:g}): another unit, code or source"


def _counts(column: Column, rows: slice, order: NDArray[np.intp]) -> Counts:
    return np.bincount(column.codes[rows], minlength=len(column.texts))[order].astype(np.float64)


def _single_value(table: Table, column: Column) -> Iterator[str]:
    """Files in which a column has one value only, where the others have several."""
    whole = np.bincount(column.codes, minlength=len(column.texts))
    for part, rows in _each_part(table):
        here = np.bincount(column.codes[rows], minlength=len(column.texts))
        commonest, others = int(np.argmax(here)), table.rows - part.rows
        text = column.texts[commonest]
        if here[commonest] != part.rows or not others or is_missing(text):
            continue
        share = float(whole[commonest] - here[commonest]) / others
        if share < MOSTLY and share**part.rows < UNLIKELY:
            yield f"{_place(table, part)}: {column.name!r} is always {text!r}, {share:.0%} of the rows elsewhere"


def _repeated(table: Table, gain: float) -> Iterator[str]:
    """Files that hold more of their rows twice than the others do."""
    keys = np.stack([column.codes for column in table.columns.values()], axis=1)
    repeats = {part: part.rows - len(np.unique(keys[rows], axis=0)) for part, rows in _each_part(table)}
    for part, count in repeats.items():
        others = table.rows - part.rows
        here, there = count / max(part.rows, 1), (sum(repeats.values()) - count) / max(others, 1)
        if others and here - there > gain + math.sqrt(1 / max(part.rows, 1)):
            yield f"{_place(table, part)}: {here:.0%} of the rows repeat another row of the file, {there:.0%} elsewhere"


def _telling(table: Table, columns: Sequence[Column], label: Column, limit: float) -> Iterator[str]:
    """Columns that give the answer away, for example because they are written after it is known."""
    truth = np.array([text.strip() == "1" for text in label.texts])[label.codes]
    for part, rows in _each_part(table):
        labels = truth[rows].astype(np.float64)
        for column in columns:
            ranks = _ranks(column, rows, labels)
            area = auc(labels, ranks) if ranks is not None else math.nan
            if (found := max(area, 1 - area)) - math.sqrt(1 / max(part.rows, 1)) > limit:
                said = f"{column.name!r} alone reaches an area under the ROC curve of {found:.3f}"
                yield f"{_place(table, part)}: {said} (at most {limit:g}): it gives the answer away"


def _ranks(column: Column, rows: slice, labels: Counts) -> Counts | None:
    """What orders a part's rows by a column: its numbers, or the mean label of each word if words are few enough."""
    codes, numbers = column.codes[rows], _numbers(column)
    if numbers is not None:
        return np.where(np.isnan(numbers), -np.inf, numbers)[codes]
    counts = np.bincount(codes, minlength=len(column.texts))
    if np.count_nonzero(counts) * FEW_VALUES > len(codes):
        return None
    return (np.bincount(codes, labels, minlength=len(column.texts)) / np.maximum(counts, 1))[codes]

"""Part files in LIBSVM's sparse text format to the columns that other formats give too.

A line is ``label index:value …``; indices count from 0, as XGBoost reads them, and name the features ``f0``, ``f1``, ….
What a line leaves out is missing.
Source: LIBSVM's README, "Usage"; XGBoost, "Text Input Format of DMatrix".
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scoring.channels import Format
from scoring.dataset import Column, Part, Table
from scoring.encoding import number
from scoring.errors import UserError
from scoring.streams import BLOCK_BYTES, DigestedFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scoring.channels import Channel

MAX_FEATURES = 10_000
"""Rows become dense: beyond it an index is more likely a mistake than a feature."""

MISSING_CODE = 0


class _Cells:
    """Collects one column: only what lines give."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {"": MISSING_CODE}
        self.rows: list[int] = []
        self.codes: list[int] = []

    def add(self, row: int, text: str) -> None:
        self.rows.append(row)
        self.codes.append(self.texts.setdefault(text, len(self.texts)))

    def column(self, name: str, rows: int) -> Column:
        codes = np.full(rows, MISSING_CODE, dtype=np.int32)
        codes[self.rows] = self.codes
        if len(self.rows) == rows:  # nothing is missing
            return Column(name, tuple(self.texts)[1:], codes - 1)
        return Column(name, tuple(self.texts), codes)


def read(channel: Channel, label: str) -> Table:
    """Read a channel; the first number of a line becomes the column ``label``.

    Raises:
        UserError: naming file, line and feature.
    """
    cells: dict[int, _Cells] = {}
    labels = _Cells()
    parts: list[Part] = []
    row = 0
    for path in channel.files:
        first = row
        raw = DigestedFile(path)
        with io.BufferedReader(raw, BLOCK_BYTES) as stream:
            for line, content in enumerate(stream, start=1):
                _read_line(content, f"{channel.name}/{path.name} line {line}", row, labels, cells)
                row += 1
        parts.append(Part(path, row - first, raw.sha256, Format.LIBSVM))
    if not row:
        raise UserError(f"channel {channel.name!r}: no data rows")
    columns = {f"f{index}": cells.get(index, _Cells()).column(f"f{index}", row) for index in range(max(cells) + 1)}
    if label in columns:
        raise UserError(f"hyperparameter 'label' is {label!r}, the name of a feature of a LIBSVM file; choose another")
    return Table(channel.name, columns | {label: labels.column(label, row)}, tuple(parts), channel.sharded)


def is_sparse(table: Table) -> bool:
    """Tell whether a table is of this format, so that a column may be there or not by what its rows happen to give."""
    return table.parts[0].format is Format.LIBSVM


def features_of(table: Table, label: str) -> list[str]:
    """Give the names of the features, in their order."""
    return [name for name in table.columns if name != label]


def fit(table: Table, names: Sequence[str], label: str) -> Table:
    """Give a sparse table exactly these features: one that it lacks is missing in every row; another one is left out.

    Tables of other formats stay as they are.
    """
    if not is_sparse(table):
        return table
    absent = {name: _Cells().column(name, table.rows) for name in names if name not in table.columns}
    everything = table.columns | absent
    return replace(table, columns={name: everything[name] for name in (*names, label)})


def _read_line(content: bytes, place: str, row: int, labels: _Cells, cells: dict[int, _Cells]) -> None:
    try:
        label, *pairs = content.decode("ascii").partition("#")[0].split()
    except UnicodeDecodeError:
        raise UserError(f"{place}: not ASCII text") from None
    except ValueError:
        raise UserError(f"{place}: expected a label and features, found a blank line") from None
    if not pairs:
        raise UserError(f"{place}: expected features as index:value after the label {label!r}, found none")
    labels.add(row, label)
    for pair in pairs:
        index, colon, text = pair.partition(":")
        if not colon or not index.isdecimal() or len(index) > len(str(MAX_FEATURES)) or int(index) >= MAX_FEATURES:
            expected = f"expected index:value with an index from 0 to {MAX_FEATURES - 1}"
            raise UserError(f"{place}: {expected}, found {pair!r}")
        column = cells.setdefault(int(index), _Cells())
        if column.rows and column.rows[-1] == row:
            raise UserError(f"{place}, column 'f{int(index)}': given twice")
        if not _is_number(text):
            raise UserError(f"{place}, column 'f{int(index)}': {text!r} is not a number")
        column.add(row, text)


def _is_number(text: str) -> bool:
    try:
        number(text)
    except ValueError:
        return False
    return text != ""

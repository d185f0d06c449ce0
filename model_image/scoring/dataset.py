"""CSV part files to columns: every column is dictionary-encoded, so that each distinct text is parsed only once."""

from __future__ import annotations

import bisect
import csv
import io
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scoring.channels import Format
from scoring.errors import UserError
from scoring.streams import BLOCK_BYTES, DigestedFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from scoring.channels import Channel

CHUNK_ROWS = 16_384
"""Rows held as Python strings at a time: it bounds memory beyond the encoded columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``texts[codes[row]]`` is the cell of a row."""

    name: str
    texts: tuple[str, ...]
    """Distinct cells."""
    codes: NDArray[np.int32]
    """Shape (rows,)."""

    def first_row(self, code: int) -> int:
        """Give the first row, from 0, whose cell is ``texts[code]``."""
        return int(np.argmax(self.codes == code))


@dataclass(frozen=True, slots=True)
class Part:
    """One part file as it was read."""

    path: Path
    rows: int
    sha256: str
    format: Format = Format.CSV
    groups: tuple[int, ...] = ()
    """Rows of each row group of a Parquet file."""


@dataclass(frozen=True, slots=True)
class Table:
    """One channel, its part files one below the other."""

    channel: str
    columns: dict[str, Column]
    parts: tuple[Part, ...]
    sharded: bool = False
    """Every host of the job has other rows."""

    @property
    def rows(self) -> int:
        """Number of data rows."""
        return sum(part.rows for part in self.parts)

    def where(self, row: int) -> str:
        """Tell the file and the place in it of a data row, from 0.

        It is a line, from 1, for which a CSV file is read again, since this is for messages only; or the row, from 1,
        and the row group, from 0, of a Parquet file.
        """
        for part in self.parts:
            if row < part.rows:
                return f"{self.channel}/{part.path.name} {_place(part, row)}"
            row -= part.rows
        raise IndexError(row)


def _place(part: Part, row: int) -> str:
    if part.format is Format.LIBSVM:
        return f"line {row + 1}"
    if part.format is Format.PARQUET:
        return f"row {row + 1} (row group {bisect.bisect(list(itertools.accumulate(part.groups)), row)})"
    with part.path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        next(itertools.islice(reader, row, None))  # the header and the rows before
        return f"line {reader.line_num + 1}"


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some rows of one file, as text."""

    line: int
    """Number of the line before the first row."""
    rows: list[list[str]]


class _Encoder:
    """Collects one column."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._codes: dict[str, int] = {}
        self._chunks: list[NDArray[np.int32]] = []

    def extend(self, cells: tuple[str, ...]) -> None:
        codes = self._codes
        encoded = [codes.setdefault(cell, len(codes)) for cell in cells]
        self._chunks.append(np.array(encoded, dtype=np.int32))

    def column(self) -> Column:
        return Column(self.name, tuple(self._codes), np.concatenate(self._chunks))


def read(channel: Channel) -> Table:
    """Read a channel.

    Every file starts with the same header. Cells are kept as text; blank lines and rows of another width are refused.

    Raises:
        UserError: naming file and line.
    """
    header: list[str] = []
    encoders: list[_Encoder] = []
    parts: list[Part] = []
    for path in channel.files:
        place = f"{channel.name}/{path.name}"
        raw = DigestedFile(path)
        with io.BufferedReader(raw, BLOCK_BYTES) as stream:
            chunks = _chunks(stream, place)
            found = next(chunks).rows[0]
            if not encoders:
                header, encoders = check_names(found, f"{place} line 1"), [_Encoder(name) for name in found]
            elif found != header:
                difference = differs(header, found)
                raise UserError(f"{place} line 1: the header differs from {channel.files[0].name}: {difference}")
            rows = sum(_encode(chunk, encoders, place) for chunk in chunks)
            parts.append(Part(path, rows, raw.sha256))
    if not sum(part.rows for part in parts):
        raise UserError(f"channel {channel.name!r}: no data rows below the header")
    return Table(channel.name, {encoder.name: encoder.column() for encoder in encoders}, tuple(parts), channel.sharded)


def check_names(names: list[str], place: str) -> list[str]:
    """Give the names of columns if they can be told apart.

    Raises:
        UserError: naming the place and the column.
    """
    if not names:
        raise UserError(f"{place}: expected a header row, found nothing")
    for position, name in enumerate(names):
        if not name.strip():
            raise UserError(f"{place}: column {position + 1} has no name")
        if name in names[:position]:
            raise UserError(f"{place}: column {name!r} appears twice")
    return names


def differs(expected: list[str], found: list[str]) -> str:
    """Tell how one list of column names differs from another."""
    missing, extra = [n for n in expected if n not in found], [n for n in found if n not in expected]
    if not missing and not extra:
        return "same columns in another order"
    return "; ".join(f"{word} {', '.join(names)}" for word, names in (("without", missing), ("with", extra)) if names)


def _chunks(stream: io.BufferedReader[DigestedFile], place: str) -> Iterator[_Chunk]:
    """Give the header as a chunk of its own (an empty row if there is none), then the data rows."""
    reader = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), strict=True)
    try:
        yield _Chunk(0, [next(reader, list[str]())])
        line = reader.line_num
        while rows := list(itertools.islice(reader, CHUNK_ROWS)):
            yield _Chunk(line, rows)
            line = reader.line_num
    except csv.Error as error:
        raise UserError(f"{place} line {reader.line_num}: not valid CSV: {error}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{place} after line {reader.line_num}: not UTF-8 text: {error.reason}") from None


def _encode(chunk: _Chunk, encoders: list[_Encoder], place: str) -> int:
    width = len(encoders)
    if {*map(len, chunk.rows)} != {width}:
        line = chunk.line
        for cells in chunk.rows:
            line += 1
            if len(cells) != width:
                found = f"{len(cells)} cells" if cells else "a blank line"
                raise UserError(f"{place} line {line}: expected {width} cells as in the header, found {found}")
            line += sum(cell.count("\n") for cell in cells)
    for encoder, cells in zip(encoders, zip(*chunk.rows, strict=True), strict=True):
        encoder.extend(cells)
    return len(chunk.rows)

"""Parquet part files to the columns that other formats give too, read by DuckDB, one column at a time.

Numbers, booleans and texts become the texts that a CSV file would hold; a null is a blank cell.
Source: DuckDB documentation, "Reading and Writing Parquet Files" and "Querying Parquet Metadata".
"""

from __future__ import annotations

import contextlib
import io
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import duckdb
import numpy as np

from scoring.channels import Format
from scoring.dataset import Column, Part, Table, check_names, differs
from scoring.errors import UserError, summarize
from scoring.streams import BLOCK_BYTES, DigestedFile

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from scoring.channels import Channel

OPTIONS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
"""The container has no network, and what reads Parquet is part of the library."""

SOURCE = "read_parquet($1, hive_partitioning = false)"
NUMBERED = "read_parquet($1, hive_partitioning = false, file_row_number = true)"

PATTERN = frozenset("*?[")
"""Characters that make DuckDB take a path for a pattern."""

NUMBERS = frozenset(
    f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")
) | {"INTEGER", "UINTEGER", "FLOAT", "DOUBLE"}  # fmt: skip
BOOLEAN, TEXT, DECIMAL = "BOOLEAN", "VARCHAR", "DECIMAL("


class _File(NamedTuple):
    """One part file that can be opened at any place."""

    place: str
    path: Path
    """The file, or its copy."""
    types: dict[str, str]
    """DuckDB's type of each column."""
    groups: tuple[int, ...]
    """Rows of each row group."""


def read(channel: Channel, scratch: Path | None = None) -> Table:
    """Read a channel; every file has the same columns in the same order.

    Args:
        channel: The files.
        scratch: Folder for the copy of a file that is streamed; None takes the system's folder for such files.

    Raises:
        UserError: naming file, column, and the row group if a part of the file is damaged.
    """
    names: list[str] = []
    parts: list[Part] = []
    pieces: dict[str, list[_Piece]] = {}
    with duckdb.connect(config=OPTIONS) as database:
        for path in channel.files:
            with _opened(path, scratch, streamed=channel.streamed) as (local, digest):
                file = _inspect(database, f"{channel.name}/{path.name}", local)
                found = check_names([*file.types], file.place)
                if parts and found != names:
                    difference = differs(names, found)
                    raise UserError(f"{file.place}: the columns differ from {channel.files[0].name}: {difference}")
                names = found
                for name in names:
                    pieces.setdefault(name, []).append(_piece(database, file, name))
            parts.append(Part(path, sum(file.groups), digest, Format.PARQUET, file.groups))
    if not sum(part.rows for part in parts):
        raise UserError(f"channel {channel.name!r}: no data rows")
    columns = {name: _joined(name, found) for name, found in pieces.items()}
    return Table(channel.name, columns, tuple(parts), channel.sharded)


def select(path: Path, rows: NDArray[np.bool_], target: Path) -> None:
    """Write some rows of a file, in their order and with their types.

    Args:
        path: The file.
        rows: Which ones, shape (rows of the file,).
        target: Parquet file that is written.
    """
    kept = f"SELECT given.* FROM {SOURCE} AS given POSITIONAL JOIN chosen WHERE is_chosen"  # noqa: S608 # no input in it
    with duckdb.connect(config=OPTIONS) as database, _opened(path, target.parent, streamed=False) as (local, _):
        database.register("chosen", {"is_chosen": rows})
        database.execute(f"COPY ({kept}) TO $2 (FORMAT parquet)", [str(local), str(target)])


@contextlib.contextmanager
def _opened(path: Path, scratch: Path | None, *, streamed: bool) -> Generator[tuple[Path, str]]:
    """Give a path that may be read at any place, and the file's digest; what is streamed is copied first."""
    copied, suffix = streamed or not PATTERN.isdisjoint(str(path)), Format.PARQUET.suffix
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(tempfile.NamedTemporaryFile(suffix=suffix, dir=scratch)) if copied else None
        raw = DigestedFile(path)
        stream = stack.enter_context(io.BufferedReader(raw, BLOCK_BYTES))
        if target:
            shutil.copyfileobj(stream, target, BLOCK_BYTES)
            target.flush()
        else:
            while stream.read(BLOCK_BYTES):
                pass
        yield Path(target.name) if target else path, raw.sha256


def _inspect(database: duckdb.DuckDBPyConnection, place: str, path: Path) -> _File:
    try:
        described = database.execute(f"DESCRIBE FROM {SOURCE}", [str(path)]).fetchall()
        names = database.execute("SELECT name FROM parquet_schema($1) OFFSET 1", [str(path)]).fetchall()
        query = "SELECT DISTINCT row_group_id, row_group_num_rows FROM parquet_metadata($1) ORDER BY 1"
        groups = database.execute(query, [str(path)]).fetchall()
    except duckdb.Error as error:
        raise UserError(f"{place}: not valid Parquet: {_reason(error, path)}") from None
    types = {str(row[0]): str(row[1]) for row in described}
    problems = [
        f"{place}, column {name!r}: its type is {kind}; numbers, booleans and texts are read"
        for name, kind in types.items()
        if kind not in NUMBERS and kind not in (BOOLEAN, TEXT) and not kind.startswith(DECIMAL)
    ]
    if not problems and [*types] != [str(name) for (name,) in names]:
        problems = [f"{place}: two columns have the same name, but for upper and lower case"]
    if problems:
        raise UserError(summarize(problems))
    return _File(place, path, types, tuple(int(rows) for _, rows in groups))


def _reason(error: duckdb.Error, path: Path) -> str:
    """Give DuckDB's reason without its class, our query and the path, which may be of a copy."""
    first = str(error).splitlines()[0].replace(str(path), path.suffix)
    return first.partition(": ")[2] or first


class _Piece(NamedTuple):
    """A column of one file."""

    texts: list[str]
    codes: NDArray[np.int32]


def _piece(database: duckdb.DuckDBPyConnection, file: _File, name: str) -> _Piece:
    quoted = '"{}"'.format(name.replace('"', '""'))
    cells = f"CAST({quoted} AS VARCHAR)" if file.types[name].startswith(DECIMAL) else quoted
    query = f"SELECT {cells} AS cells FROM {SOURCE}"  # noqa: S608 # a quoted name
    try:
        return _encode(cast("NDArray[Any]", database.execute(query, [str(file.path)]).fetchnumpy()["cells"]))
    except duckdb.Error as error:
        group = _damaged_group(database, file, query)
        where = "" if group is None else f" row group {group}"
        raise UserError(f"{file.place}{where}, column {name!r}: cannot be read: {_reason(error, file.path)}") from None


def _damaged_group(database: duckdb.DuckDBPyConnection, file: _File, query: str) -> int | None:
    borders = [0, *itertools.accumulate(file.groups)]
    for group, (start, end) in enumerate(itertools.pairwise(borders)):
        part = f"{query.replace(SOURCE, NUMBERED)} WHERE file_row_number BETWEEN $2 AND $3"
        try:
            database.execute(part, [str(file.path), start, end - 1]).fetchall()
        except duckdb.Error:
            return group
    return None


def _encode(cells: NDArray[Any]) -> _Piece:
    """Dictionary-encode the cells of a column; the mask of a masked array marks the nulls."""
    nulls = np.ma.getmaskarray(cells)
    known = np.ma.getdata(cells)[~nulls]
    if known.dtype == object:
        places: dict[str, int] = {}
        found = np.fromiter((places.setdefault(cell, len(places)) for cell in known), np.int32, len(known))
        texts = [*places]
    else:
        distinct, found = np.unique(known, return_inverse=True)
        texts = [repr(value) for value in (distinct.astype(np.int8) if known.dtype == bool else distinct).tolist()]
    codes = np.full(len(cells), len(texts), dtype=np.int32)
    codes[~nulls] = found
    return _Piece([*texts, ""] if nulls.any() else texts, codes)


def _joined(name: str, pieces: list[_Piece]) -> Column:
    """Put the pieces of a column below each other."""
    places: dict[str, int] = {}
    codes: list[NDArray[np.int32]] = []
    for piece in pieces:
        own = np.array([places.setdefault(text, len(places)) for text in piece.texts], dtype=np.int32)
        codes.append(own[piece.codes] if own.size else piece.codes)
    return Column(name, tuple(places), np.concatenate(codes))

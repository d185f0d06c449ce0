"""Which rows are learnt from, which choose between models, and which only judge them.

The values of a row alone decide where it goes: not its place, its file or the other rows. So the rows that judge one
version never stopped the training of another one, whatever data were added between the two.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from scoring import libsvm
from scoring.channels import TEST, TRAIN, VALIDATION, Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from scoring.dataset import Column, Part, Table

WORD_BYTES: Final = 8
"""Of a hash: the words that numpy adds, modulo 2⁶⁴."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How delivered rows are dealt out."""

    test: float
    """Share of the rows that are held out from training which judge; the others choose."""
    validation: float | None
    """Share of `train` that is held out from training; None where `validation` is delivered beside it."""
    by: tuple[str, ...]
    """Columns whose values decide; none means all but the label, which may be corrected later."""

    @property
    def delivered(self) -> tuple[str, ...]:
        """Channels that come from outside."""
        return (TRAIN, VALIDATION) if self.validation is None else (TRAIN,)

    def deal(self, table: Table, label: str) -> dict[str, NDArray[np.bool_]]:
        """Channel → which rows of a delivered one become its own."""
        held_out = 1.0 if table.channel == VALIDATION else self.validation
        if held_out is None:
            return {TRAIN: np.ones(table.rows, dtype=np.bool_)}
        names = self.by or table.columns.keys() - {label}
        chosen = [column for name, column in table.columns.items() if name in names]
        place = places(chosen, table.rows, sparse=libsvm.is_sparse(table))
        parts = {VALIDATION: (place < held_out) & (place >= held_out * self.test), TEST: place < held_out * self.test}
        return parts if table.channel == VALIDATION else {TRAIN: place >= held_out, **parts}


def places(columns: Iterable[Column], rows: int, *, sparse: bool) -> NDArray[np.float64]:
    """A number from 0 to 1 for each row, uniform and the same in every process, from the values of some columns.

    The hashes of a row's cells are added, so that the order of columns does not matter, and mixed, so that rows which
    share a value have nothing in common. A cell that a sparse row does not give counts for nothing, because which
    columns there are depends on the other rows. Source: S. Vigna, `splitmix64.c`, for the mixing.
    """
    mixed = np.zeros(rows, dtype=np.uint64)
    for column in columns:
        hashes = _hashes(column)
        given = [text != "" or not sparse for text in column.texts]
        mixed += np.where(given, hashes, np.uint64(0))[column.codes]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))) / 2.0**64


def _hashes(column: Column) -> NDArray[np.uint64]:
    digests = (hashlib.blake2b(f"{column.name}\0{text}".encode(), digest_size=WORD_BYTES) for text in column.texts)
    return np.frombuffer(b"".join(digest.digest() for digest in digests), dtype="<u8")


def write(
    table: Table, dealt: Mapping[str, NDArray[np.bool_]], source: Path, target: Path
) -> dict[str, dict[str, object]]:
    """Write each file of a channel once for every channel that its rows go to, also where none of them does.

    So the newest files of all channels are of the same time. A file all of whose rows go to one channel is copied.

    Args:
        table: The channel.
        dealt: Channel → its rows.
        source: Folder of the channel's files.
        target: Folder that gets a folder for each of the channels.

    Returns:
        Channel → file → its rows and its digest.
    """
    found: dict[str, dict[str, object]] = {name: {} for name in dealt}
    starts = itertools.accumulate((part.rows for part in table.parts), initial=0)
    for part, start in zip(table.parts, starts, strict=False):
        for name, rows in dealt.items():
            own = rows[start : start + part.rows]
            path = target / name / part.path.relative_to(source)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(part, own, path)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[name][part.path.name] = {"rows": int(own.sum()), "sha256": digest}
    return found


def _write(part: Part, rows: NDArray[np.bool_], target: Path) -> None:
    if rows.all():
        shutil.copyfile(part.path, target)
    elif part.format is Format.PARQUET:
        from scoring import parquet  # noqa: PLC0415 # a database engine, which CSV files need not load

        parquet.select(part.path, rows, target)
    elif part.format is Format.LIBSVM:
        with part.path.open("rb") as source, target.open("wb") as file:
            file.writelines(itertools.compress(source, rows.tolist()))
    else:
        _select(part.path, rows, target)


def _select(path: Path, rows: NDArray[np.bool_], target: Path) -> None:
    with path.open(encoding="utf-8-sig", newline="") as source, target.open("w", encoding="utf-8", newline="") as file:
        reader, writer = csv.reader(source, strict=True), csv.writer(file, lineterminator="\n")
        writer.writerow(next(reader))
        writer.writerows(itertools.compress(reader, rows.tolist()))

"""Training data beyond the memory: part files are read one at a time and kept on disk, where XGBoost fetches them.

Memory then holds one part file, its labels, and what XGBoost caches; `estimate` says when that is needed.
Source: XGBoost documentation, "Using XGBoost External Memory Version".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import xgboost

from scoring import features
from scoring.channels import TRAIN, Format
from scoring.dataset import Column, Part, Table, differs
from scoring.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.lib.npyio import NpzFile
    from numpy.typing import NDArray

    from scoring.channels import Channel
    from scoring.contract import Schema
    from scoring.targets import Target

MEMORY_PER_BYTE = {Format.CSV: 16.0, Format.PARQUET: 40.0}
"""Memory that a byte of a part file takes, measured with numbers that never repeat, which is the most for CSV. Parquet
packs values that repeat so well that a byte of it may take more: then the limit has to be given."""

USABLE_SHARE = 0.8
"""Of the container's memory; the rest is for the libraries, the other channels and the trees."""

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def needed(channel: Channel, limit_mib: float) -> bool:
    """Tell whether a channel may need more memory than the limit, in MiB; 0 takes the container's."""
    per_byte = MEMORY_PER_BYTE.get(channel.format)
    if per_byte is None:
        return False
    limit = limit_mib * 2**20 if limit_mib else USABLE_SHARE * _memory()
    return per_byte * sum(path.stat().st_size for path in channel.files) > limit


def _memory() -> float:
    """Give the memory of the container, or of the host, in bytes."""
    limits = [math.inf]
    for path in map(Path, CGROUP_LIMITS):
        text = path.read_text("ascii").strip() if path.is_file() else "max"
        limits.append(float(text) if text.isdecimal() else math.inf)
    meminfo = Path("/proc/meminfo").read_text("ascii").split()
    return min(*limits, 1024 * float(meminfo[meminfo.index("MemTotal:") + 1]))


@dataclass(frozen=True, slots=True)
class Page:
    """One part file of the training data, encoded."""

    rows: NDArray[np.float32]
    """Mapped from the disk, shape (rows, features)."""
    labels: NDArray[np.float32]


class Spill:
    """A channel that was read part file by part file, each once, and lies on disk as tables."""

    def __init__(self, channel: Channel, read: Callable[[Channel], Table], folder: Path) -> None:
        """Read the channel.

        Args:
            channel: The training data.
            read: Reads a channel of one part file.
            folder: Empty folder with room for about four bytes a cell, and the distinct texts.

        Raises:
            UserError: naming file and place.
        """
        self._channel, self._folder = channel, folder
        self._parts: list[Part] = []
        self._names: list[str] = []
        self._texts: set[str] = set()
        for number, path in enumerate(channel.files):
            table = read(replace(channel, files=(path,)))
            if number and [*table.columns] != self._names:
                difference = differs(self._names, [*table.columns])
                place = f"{channel.name}/{path.name}"
                raise UserError(f"{place}: the columns differ from {channel.files[0].name}: {difference}")
            self._names = [*table.columns]
            self._parts += table.parts
            self._texts |= {name for name, column in table.columns.items() if not features.is_numeric(column)}
            _save(folder / f"{number}.npz", table)
            del table  # before the next one is read

    def tables(self) -> Iterator[Table]:
        """Give the part files one by one."""
        for number, part in enumerate(self._parts):
            yield _load(self._folder / f"{number}.npz", self._names, self._channel, part)

    def outline(self) -> Table:
        """Give a table without rows that has every distinct text of the columns that are not numeric."""
        found: dict[str, dict[str, None]] = {name: {} for name in self._names}
        for number, _ in enumerate(self._parts):
            with np.load(self._folder / f"{number}.npz") as arrays:
                for name in self._texts:
                    found[name] |= dict.fromkeys(_texts(arrays, self._names.index(name)))
        nothing = np.empty(0, np.int32)
        columns = {name: Column(name, tuple(texts), nothing) for name, texts in found.items()}
        return Table(self._channel.name, columns, tuple(self._parts), self._channel.sharded)

    def encode(self, schema: Schema, target: Target) -> Pages:
        """Encode the part files, one by one, in the place of their tables.

        Raises:
            UserError: naming file, place and column.
        """
        pages: list[Page] = []
        for number, table in enumerate(self.tables()):
            file = self._folder / f"{number}.npy"
            np.save(file, features.matrix(table, schema))
            pages.append(Page(np.load(file, mmap_mode="r"), target.labels(table)))
            (self._folder / f"{number}.npz").unlink()
        found = Pages(tuple(page for page in pages if len(page.rows)), self._folder / "xgboost")
        target.check(TRAIN, found.labels)
        return found


@dataclass(frozen=True, slots=True)
class Pages:
    """Training data on disk."""

    pages: tuple[Page, ...]
    cache: Path
    """Begins the names of XGBoost's own files."""

    @property
    def labels(self) -> NDArray[np.float32]:
        """All labels, shape (rows,)."""
        return np.concatenate([page.labels for page in self.pages])

    def matrix(self, options: dict[str, Any], *, max_bin: int, nthread: int) -> xgboost.ExtMemQuantileDMatrix:
        """Give XGBoost's matrix; ``options`` are the names and types of the features."""
        batches = _Batches(self.pages, str(self.cache), options)
        return xgboost.ExtMemQuantileDMatrix(batches, max_bin=max_bin, nthread=nthread, enable_categorical=True)


class _Batches(xgboost.DataIter):
    """Hands the pages to XGBoost, as often as it asks."""

    def __init__(self, pages: Iterable[Page], cache: str, options: dict[str, Any]) -> None:
        self._pages, self._options = pages, options
        self._left = iter(pages)
        super().__init__(cache_prefix=cache)

    def next(self, input_data: Callable[..., Any]) -> bool:
        page = next(self._left, None)
        if page:
            input_data(data=np.asarray(page.rows), label=page.labels, **self._options)
        return page is not None

    def reset(self) -> None:
        self._left = iter(self._pages)


def _save(file: Path, table: Table) -> None:
    arrays: dict[str, NDArray[Any]] = {}
    for place, column in enumerate(table.columns.values()):
        arrays[f"codes{place}"] = column.codes
        arrays[f"texts{place}"] = np.frombuffer(orjson.dumps(column.texts), np.uint8)
    np.savez(file, allow_pickle=False, **arrays)


def _texts(arrays: NpzFile, place: int) -> list[str]:
    return orjson.loads(arrays[f"texts{place}"].tobytes())


def _load(file: Path, names: list[str], channel: Channel, part: Part) -> Table:
    with np.load(file) as arrays:
        columns = {
            name: Column(name, tuple(_texts(arrays, place)), arrays[f"codes{place}"])
            for place, name in enumerate(names)
        }
    return Table(channel.name, columns, (part,), channel.sharded)

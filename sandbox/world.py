"""What exists in the sandbox, whatever the engine believes.

The providers keep every resource here from the first moment of its creation, as a cloud does: a resource whose
creation the engine never saw finish is still here, and so is a change made behind the engine's back. One SQLite file
is shared by all provider processes of a stack.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.wire import Json, Properties

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS resources (
    type TEXT NOT NULL, id TEXT NOT NULL, urn TEXT NOT NULL, inputs TEXT NOT NULL, outputs TEXT NOT NULL,
    PRIMARY KEY (type, id)
);
CREATE TABLE IF NOT EXISTS births (urn TEXT PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY AUTOINCREMENT, verb TEXT NOT NULL, urn TEXT NOT NULL);
"""
_BUSY_SECONDS: Final = 30.0


class AlreadyExistsError(Exception):
    """A resource of this type and id exists."""


@dataclass(frozen=True, slots=True)
class Record:
    """One existing resource."""

    type: str
    id: str
    urn: str
    inputs: Properties
    outputs: Properties


class World:
    """The resources that exist in one sandbox. Safe to share between threads; other processes may use the same file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def call(self, verb: str, urn: str) -> int:
        """Notes a call that changes something and returns its number, counted from 1."""
        with (
            self._lock,
            closing(self._db.execute("INSERT INTO calls (verb, urn) VALUES (?, ?)", (verb, urn))) as cursor,
        ):
            return cursor.lastrowid or 0

    def calls(self) -> list[tuple[str, str]]:
        """Returns (verb, URN) of every call that changed something, in order."""
        return list(self._rows("SELECT verb, urn FROM calls ORDER BY id"))

    def birth(self, urn: str) -> int:
        """Counts a creation for a URN; every creation gets another number, so that ids never repeat."""
        statement = "INSERT INTO births VALUES (?, 1) ON CONFLICT (urn) DO UPDATE SET count = count + 1 RETURNING count"
        return next(self._rows(statement, urn))[0]

    def create(self, record: Record) -> None:
        """Adds a resource.

        Raises:
            AlreadyExistsError: the type has a resource with this id.
        """
        values = (record.type, record.id, record.urn, json.dumps(record.inputs), json.dumps(record.outputs))
        try:
            with self._lock:
                self._db.execute("INSERT INTO resources VALUES (?, ?, ?, ?, ?)", values)
        except sqlite3.IntegrityError as error:
            raise AlreadyExistsError(f"{record.type} {record.id}") from error

    def get(self, type_: str, id_: str) -> Record | None:
        """Returns a resource, or None where there is none."""
        return next(self._records("WHERE type = ? AND id = ?", type_, id_), None)

    def by_urn(self, urn: str) -> list[Record]:
        """Returns every resource that was created for a URN and still exists."""
        return list(self._records("WHERE urn = ? ORDER BY rowid", urn))

    def all(self) -> list[Record]:
        """Returns everything that exists, in order of creation."""
        return list(self._records("ORDER BY rowid"))

    def of_type(self, type_: str) -> list[Record]:
        """Returns everything of one type."""
        return list(self._records("WHERE type = ? ORDER BY rowid", type_))

    def update(self, type_: str, id_: str, inputs: Properties, outputs: Properties) -> None:
        """Replaces what is known of a resource."""
        values = (json.dumps(inputs), json.dumps(outputs), type_, id_)
        with self._lock:
            self._db.execute("UPDATE resources SET inputs = ?, outputs = ? WHERE type = ? AND id = ?", values)

    def delete(self, type_: str, id_: str) -> None:
        """Removes a resource; one that is gone already stays gone."""
        with self._lock:
            self._db.execute("DELETE FROM resources WHERE type = ? AND id = ?", (type_, id_))

    def tamper(self, type_: str, id_: str, name: str, value: Json) -> None:
        """Changes one property behind the engine's back, as a person at a console would."""
        record = self.get(type_, id_)
        if record is None:
            raise LookupError(f"{type_} {id_}")
        self.update(type_, id_, {**record.inputs, name: value}, {**record.outputs, name: value})

    def _records(self, clause: str, *values: str) -> Iterator[Record]:
        for type_, id_, urn, inputs, outputs in self._rows(
            f"SELECT type, id, urn, inputs, outputs FROM resources {clause}",  # noqa: S608 - clauses are literals of this class
            *values,
        ):
            yield Record(type_, id_, urn, json.loads(inputs), json.loads(outputs))

    def _rows(self, statement: str, *values: str) -> Iterator[tuple[Any, ...]]:
        with self._lock, closing(self._db.execute(statement, values)) as cursor:
            rows = cursor.fetchall()
        return iter(rows)

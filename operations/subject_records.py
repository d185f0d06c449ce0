"""Whose records are in an object: rows of a data set, captured requests, and what became true of them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from typing import Any, Final, cast

from operations import subject_parquet, subject_requests

ATTRIBUTE: Final = "subject="
"""Begins the custom attribute by which a caller says whom a request is about."""
PARQUET: Final = ".parquet"
READABLE: Final = (".csv", ".jsonl", PARQUET)
"""Ends of the names of objects that can be searched where the name tells what they are."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody who asks for what is known about them."""

    key: str
    """What they are called in the data."""
    column: str
    """Column of the data sets that holds it; empty where data sets tell nobody apart."""
    identifiers: set[str] = field(default_factory=set[str])
    """Names of requests about them, as far as they are found; labels carry nothing else."""


@dataclass(slots=True)
class Split:
    """An object without the records of a subject, and those records."""

    kept: list[str] = field(default_factory=list[str])
    """Lines as they were, ends included."""
    taken: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    header: bool = False
    """Whether the first kept line is a header."""
    file: bytes | None = None
    """What is left of a file that has no lines."""

    @property
    def content(self) -> bytes:
        """What is left; empty when no record is."""
        if self.file is not None:
            return self.file
        return "".join(self.kept).encode() if len(self.kept) > self.header else b""


def split(name: str, content: bytes, subject: Subject, *, header: bool = True) -> Split:
    """Take a subject's records out of an object; all other bytes stay as they are.

    Args:
        name: Key of the object; its end says what it is.
        content: The object.
        subject: Whose records. Names of their captured requests are added.
        header: Whether a CSV file begins with the names of its columns; False for what callers ask, where an object is
            what it holds instead of what it is called, and a row the subject's if any cell or value is the key.

    Raises:
        ValueError: The object is not what its name says.
    """
    if name.endswith(PARQUET):
        taken, left = subject_parquet.split(content, subject.column, subject.key)
        return Split(taken=taken, file=content if left is None else left)
    try:
        if not header:
            return _requested(name, content, subject)
        if name.endswith(".csv"):
            return _rows(content, subject)
        return _lines(content, subject)
    except csv.Error as error:
        raise ValueError(f"no CSV that can be read: {error}") from None
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None


def _requested(name: str, content: bytes, subject: Subject) -> Split:
    def captured(record: dict[str, Any]) -> bool:
        event: Any = record.get("eventMetadata")
        return isinstance(event, dict) and _is_about(cast("dict[str, Any]", event), subject)

    taken, left = subject_requests.split(content, subject.key, captured, named_csv=name.endswith(".csv"))
    return Split(taken=taken, file=left if taken else content)


def _rows(content: bytes, subject: Subject) -> Split:
    lines = list(io.StringIO(content.decode("utf-8-sig"), newline=""))
    reader = csv.reader(lines, strict=True)
    header = next(reader, list[str]())
    found = Split(kept=lines[: reader.line_num], header=True)
    if subject.column not in header:
        found.kept = lines
        return found
    place, start = header.index(subject.column), reader.line_num
    for row in reader:
        if row and len(row) <= place:
            raise ValueError(f"line {reader.line_num}: cells: {len(row)}, and {subject.column} is number {place + 1}")
        if row and row[place] == subject.key:
            found.taken.append(dict(zip(header, row, strict=True)))
        else:
            found.kept += lines[start : reader.line_num]
        start = reader.line_num
    return found


def _lines(content: bytes, subject: Subject) -> Split:
    found = Split()
    for line in io.StringIO(content.decode(), newline=""):
        record: dict[str, Any] = json.loads(line) if line.strip() else {"eventMetadata": {}}
        if _is_about(record["eventMetadata"], subject):
            found.taken.append(record)
        else:
            found.kept.append(line)
    return found


def _is_about(event: dict[str, Any], subject: Subject) -> bool:
    identifier = str(event.get("inferenceId", ""))
    said = [part.strip() for text in event.get("customAttributes", ()) for part in text.split(",")]
    about = f"{ATTRIBUTE}{subject.key}" in said or identifier == subject.key or identifier in subject.identifiers
    if about and identifier:
        subject.identifiers.add(identifier)
    return about

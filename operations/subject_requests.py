"""A subject's rows in what callers ask: JSON, lines of JSON, or CSV without a header; the content tells, not the name.

A row is the subject's if any of its cells, or of its values, is what they are called. A JSON document that holds
`instances` is written anew without theirs; the rows of any other cannot be told apart, and it is taken as a whole.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    Captured = Callable[[dict[str, Any]], bool]

ROWS: Final = "instances"
_LIKE_JSON: Final = re.compile(r"^[ \t\r]*[\[{]", re.MULTILINE)
"""Where any line begins like JSON, all has to be JSON: read as cells, what it says would be overlooked."""


def split(content: bytes, key: str, captured: Captured, *, named_csv: bool) -> tuple[list[dict[str, Any]], bytes]:
    """Take the rows out that are about somebody.

    Args:
        content: The object.
        key: What they are called.
        captured: Whether an object of JSON is a captured request that is about them.
        named_csv: Whether the object is called CSV, in which a cell may begin like JSON.

    Returns:
        The rows, and what is left; nothing where no row is.

    Raises:
        ValueError: It is no text, or of none of the three kinds.
    """
    text = content.decode("utf-8-sig")
    if "\0" in text:
        raise ValueError("no text: it holds a character of value zero")
    if not _LIKE_JSON.search(text):
        taken, left = _cells(text, key)
    else:
        try:
            taken, left = _json(text, key, captured)
        except ValueError:
            taken, left = _cells(text, key) if named_csv else ([], text)
            if not named_csv or json.dumps(key) in left:
                raise
    return taken, left.encode() if left.strip() else b""


def _cells(text: str, key: str) -> tuple[list[dict[str, Any]], str]:
    lines = list(io.StringIO(text, newline=""))
    taken, kept, start = list[dict[str, Any]](), list[str](), 0
    reader = csv.reader(lines, strict=True)
    for row in reader:
        if key in row:
            taken.append({"row": row})
        else:
            kept += lines[start : reader.line_num]
        start = reader.line_num
    return taken, "".join(kept)


def _json(text: str, key: str, captured: Captured) -> tuple[list[dict[str, Any]], str]:
    try:
        return _document(text, key, captured)
    except json.JSONDecodeError as error:
        lines = list(io.StringIO(text, newline=""))
        if len([line for line in lines if line.strip()]) == 1:
            raise
        whole = error
    taken, kept = list[dict[str, Any]](), list[str]()
    for number, line in enumerate(lines, start=1):
        try:
            found, left = _document(line, key, captured) if line.strip() else ([], line)
        except json.JSONDecodeError as error:
            said = f"neither JSON ({whole}) nor lines of it (line {number}: {error.msg})"
            raise ValueError(said) from None
        taken += found
        kept.append(f"{left}{line[len(line.rstrip()) :]}" if found and left else left)
    return taken, "".join(kept)


def _document(text: str, key: str, captured: Captured) -> tuple[list[dict[str, Any]], str]:
    """Take rows out of a document; one that is not about the subject stays as it is."""
    document: object = json.loads(text)
    said = cast("dict[str, Any]", document) if isinstance(document, dict) else dict[str, Any]()
    if captured(said):
        return [said], ""
    # Of values with the same name the last is in `document`, and each is looked at.
    if not _holds(json.loads(text, object_pairs_hook=_values), key):
        return [], text
    rows = cast("list[object]", said[ROWS]) if isinstance(said.get(ROWS), list) else list[object]()
    theirs = [row for row in rows if _holds(row, key)]
    left = {**said, ROWS: [row for row in rows if not _holds(row, key)]}
    if not theirs or _holds(left, key):
        return [{"request": document}], ""
    return [{"row": row} for row in theirs], json.dumps(left) if left[ROWS] else ""


def _values(pairs: list[tuple[str, object]]) -> list[object]:
    return [value for _, value in pairs]


def _holds(document: object, key: str) -> bool:
    """Whether a value in it is the key; a number is as its text."""
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += cast("dict[str, object]", value).values()
        elif isinstance(value, list):
            left += cast("list[object]", value)
        elif isinstance(value, str | int | float) and not isinstance(value, bool) and str(value) == key:
            return True
    return False

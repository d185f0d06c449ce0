"""Typed reading of JSON documents written by others: every surprise is an error that names the document and the key."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, TypeVar, cast

import orjson

from scoring.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

T = TypeVar("T")

OUTPUT_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def suggestion(name: str, known: Iterable[str]) -> str:
    """Give ``; did you mean 'x'?`` for a misspelt name, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def dump(value: object) -> bytes:
    """Write JSON in the one form used for files: sorted keys, so that equal values are equal bytes."""
    return orjson.dumps(value, option=OUTPUT_OPTIONS)


def parse(source: str, data: bytes) -> Document:
    """Parse a JSON object.

    Raises:
        UserError: the bytes are not JSON, or not an object.
    """
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UserError(f"{source}: not valid JSON: {error}") from None
    return Document(source, value)


def load(path: Path) -> Document:
    """Read and parse a file that must exist.

    Raises:
        UserError: it does not exist, or does not hold a JSON object.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    return parse(path.name, data)


class Document:
    """A JSON object whose keys must all be read."""

    def __init__(self, source: str, value: object) -> None:
        """Wrap a parsed value; ``source`` begins every message."""
        if not isinstance(value, dict):
            raise UserError(f"{source}: expected a JSON object, found {type(value).__name__}")
        self.source = source
        self.values = cast("dict[str, object]", value)
        self._read: set[str] = set()

    def get(self, key: str, kind: type[T]) -> T:
        """Read a required value of exactly the given JSON type (``bool`` is not ``int``)."""
        if key not in self.values:
            raise UserError(f"{self.source}: key {key!r} is missing")
        self._read.add(key)
        value = self.values[key]
        if type(value) is not kind:
            raise UserError(f"{self.source}: {key!r} must be {kind.__name__}, found {type(value).__name__}")
        return value

    def child(self, key: str) -> Document:
        """Read a required object."""
        return Document(f"{self.source}: {key}", cast("object", self.get(key, dict)))

    def children(self, key: str) -> list[Document]:
        """Read a required array of objects."""
        items = cast("list[object]", self.get(key, list))
        return [Document(f"{self.source}: {key}[{place}]", item) for place, item in enumerate(items)]

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a required array of strings."""
        items = cast("list[object]", self.get(key, list))
        texts = tuple(item for item in items if isinstance(item, str))
        if len(texts) != len(items):
            raise UserError(f"{self.source}: {key!r} must hold strings only")
        return texts

    def numbers(self, key: str) -> list[float]:
        """Read a required array of JSON numbers with a fraction or an exponent."""
        items = cast("list[object]", self.get(key, list))
        numbers = [item for item in items if isinstance(item, float)]
        if len(numbers) != len(items):
            raise UserError(f"{self.source}: {key!r} must hold floating point numbers only")
        return numbers

    def close(self) -> None:
        """Refuse keys that nobody read.

        Raises:
            UserError: there are such keys; the message suggests the nearest known one.
        """
        unknown = sorted(self.values.keys() - self._read)
        if unknown:
            hints = ", ".join(f"{key!r}{suggestion(key, self._read)}" for key in unknown)
            raise UserError(f"{self.source}: unknown key {hints}")

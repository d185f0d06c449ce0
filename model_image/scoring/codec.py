"""Request bodies to float32 rows, and probabilities to answers: pure functions of bytes, without a transport.

The hot formats take a fast path: plain numbers go through one JSON parse, whose cost per cell is a third of
splitting text. Whatever the fast path does not recognise goes to the careful path, which decides and explains. Both
give the same value for the same text, because both round the nearest double to float32.
"""

from __future__ import annotations

import csv
import itertools
import math
import struct
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import orjson

from scoring import npy
from scoring.contract import Kind
from scoring.document import suggestion
from scoring.encoding import MISSING, Codes, text_encoder
from scoring.errors import Fault, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scoring.contract import Feature, Schema

PLAIN_NUMBERS = frozenset((float, int))
"""Types of JSON numbers; ``bool`` is not among them."""

PIECE_BYTES = 64 * 1024
"""Lines that are parsed in one call."""

MAX_SHOWN = 40
"""Characters of a cell in a message: enough to recognise it."""


class Rows(NamedTuple):
    """Rows ready for the model."""

    length: int
    """Number of rows."""
    data: bytes
    """Row-major little-endian float32, one value per row and feature; NaN where missing, never infinite."""


class Decoder:
    """Reads bodies for one schema."""

    def __init__(self, schema: Schema, max_rows: int) -> None:
        """Prepare the readers of every feature; ``max_rows`` bounds one request."""
        self._schema = schema
        self._width = schema.width
        self.max_rows = max_rows
        """Most rows in one request."""
        self._all_numeric = all(feature.kind is Kind.NUMERIC for feature in schema.features)
        self._from_text = tuple(text_encoder(feature) for feature in schema.features)
        self._from_json = tuple(_json_encoder(feature) for feature in schema.features)
        self._pack_row = struct.Struct(f"<{schema.width}f").pack

    def csv(self, body: bytes) -> Rows:
        """Read rows without a header, cells in schema order, blank for missing.

        Raises:
            RequestError: with the row, from 1, and the column.
        """
        body = body.rstrip(b"\r\n")
        if not body:
            raise RequestError(Fault.EMPTY_BODY, "the body holds no row")
        self._check_count(body.count(b"\n") + 1)
        # a bracket could pass for a row's end, so such a body is for the careful path
        if self._all_numeric and b"[" not in body and (rows := self._plain_csv(body)):
            return rows
        return self._pack(self._careful_csv(body), self._text_row)

    def json(self, body: bytes) -> Rows:
        """Read ``{"instances": [row, …]}``: a row is an array in schema order, or an object by feature name.

        ``null`` is missing. Raises:
            RequestError: with the row, from 1, and the column.
        """
        document = json_object(body, '{"instances": [[...], ...]}')
        for name in sorted(document.keys() - {"instances"}):
            raise RequestError(Fault.MALFORMED_BODY, f"unknown key {name!r}{suggestion(name, ['instances'])}")
        instances = document.get("instances")
        if not isinstance(instances, list):
            raise RequestError(Fault.MALFORMED_BODY, '"instances" must be an array of rows')
        instances = cast("list[object]", instances)
        if not instances:
            raise RequestError(Fault.EMPTY_BODY, '"instances" holds no row')
        self._check_count(len(instances))
        if self._all_numeric and {*map(type, instances)} == {list}:
            rows = self._plain_rows(cast("list[list[object]]", instances))
            if rows:
                return rows
        return self._pack(instances, self._json_row)

    def npy(self, body: bytes) -> Rows:
        """Read a ``.npy`` array of numbers: rows and features, or one row; NaN is missing.

        Raises:
            RequestError: with the row, from 1, and the column.
        """
        text = next((feature.name for feature in self._schema.features if feature.kind is not Kind.NUMERIC), None)
        if text is not None:
            message = f"column {text!r} is categorical, and an array holds numbers; send text/csv or application/json"
            raise RequestError(Fault.WRONG_TYPE, message, column=text)
        values = np.atleast_2d(npy.read(body))
        count, width = values.shape
        if not count:
            raise RequestError(Fault.EMPTY_BODY, "the body holds no row")
        self._check_count(count)
        if width != self._width:
            self._refuse_count(1, width)
        with np.errstate(over="ignore", invalid="ignore"):  # a signalling NaN becomes a quiet one
            rows = values.astype(np.float64, order="C").astype("<f4")
        for place, _ in np.argwhere(np.isinf(rows))[:1]:
            self._refuse_infinite(int(place) + 1, [float(value) for value in values[place]])
        return Rows(count, rows.tobytes())

    def _check_count(self, count: int) -> None:
        if count > self.max_rows:
            raise RequestError(Fault.TOO_MANY_ROWS, f"{count} rows, at most {self.max_rows} are allowed in a request")

    def _plain_csv(self, body: bytes) -> Rows | None:
        try:
            if b"\n" not in body:
                return self._plain_rows([orjson.loads(b"[%b]" % body)])
            lines = body.replace(b"\r\n", b"\n")  # a lone one is left: between digits it must not join them
            if len(lines) <= PIECE_BYTES:
                return self._plain_rows(orjson.loads(b"[[%b]]" % lines.replace(b"\n", b"],[")))
            return self._plain_pieces(lines)
        except orjson.JSONDecodeError:
            return None

    def _plain_pieces(self, lines: bytes) -> Rows | None:
        """Read many lines piece by piece: each is one call into a parser that holds the interpreter's lock."""
        pieces: list[Rows] = []
        start = 0
        while start < len(lines):
            end = lines.find(b"\n", start + PIECE_BYTES)
            end = len(lines) if end < 0 else end
            piece = self._plain_rows(orjson.loads(b"[[%b]]" % lines[start:end].replace(b"\n", b"],[")))
            if piece is None:
                return None
            pieces.append(piece)
            start = end + 1
        return Rows(sum(piece.length for piece in pieces), b"".join(piece.data for piece in pieces))

    def _plain_rows(self, rows: list[list[Any]]) -> Rows | None:
        """Pack rows of plain numbers; None if they are anything else."""
        if {*map(len, rows)} != {self._width}:
            return None
        cells = rows[0] if len(rows) == 1 else list(itertools.chain.from_iterable(rows))
        if not PLAIN_NUMBERS.issuperset(map(type, cells)):
            return None
        try:
            pack = self._pack_row if len(rows) == 1 else struct.Struct(f"<{len(cells)}f").pack
            return Rows(len(rows), pack(*cells))
        except OverflowError:
            return None

    def _careful_csv(self, body: bytes) -> Iterable[list[str]]:
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise RequestError(Fault.MALFORMED_BODY, f"the body is not UTF-8: byte {error.start}") from None
        lines = text.split("\n")
        if '"' in text:
            return _quoted(lines)
        return (line.removesuffix("\r").split(",") for line in lines)

    def _pack(self, rows: Iterable[Any], read: Callable[[int, Any], list[float]]) -> Rows:
        packed, place = bytearray(), 0
        for place, row in enumerate(rows, start=1):
            values = read(place, row)
            if not math.isfinite(sum(values)):
                self._refuse_infinite(place, values)
            try:
                packed += self._pack_row(*values)
            except OverflowError:
                self._refuse_infinite(place, values)
        return Rows(place, bytes(packed))

    def _text_row(self, place: int, cells: list[str]) -> list[float]:
        if len(cells) != self._width or (self._width == 1 and not cells[0]):
            self._refuse_count(place, len(cells) if any(cells) or len(cells) > 1 else 0)
        try:
            return [read(cell) for read, cell in zip(self._from_text, cells, strict=True)]
        except ValueError:
            raise self._explain(place, self._from_text, cells) from None

    def _json_row(self, place: int, row: object) -> list[float]:
        if isinstance(row, dict):
            row = self._by_name(place, cast("dict[str, object]", row))
        elif not isinstance(row, list):
            raise RequestError(Fault.WRONG_TYPE, f"row {place}: expected an array or an object", row=place)
        cells = cast("list[object]", row)
        if len(cells) != self._width:
            self._refuse_count(place, len(cells))
        try:
            return [read(cell) for read, cell in zip(self._from_json, cells, strict=True)]
        except ValueError:
            raise self._explain(place, self._from_json, cells) from None

    def _by_name(self, place: int, row: dict[str, object]) -> list[object]:
        try:
            values = [row[name] for name in self._schema.names]
        except KeyError as error:
            name = str(error.args[0])
            message = f"row {place}: feature {name!r} is missing; write null if its value is unknown"
            raise RequestError(Fault.FEATURE_COUNT, message, row=place, column=name) from None
        for name in sorted(row.keys() - set(self._schema.names)) if len(row) > self._width else ():
            message = f"row {place}: unknown feature {name!r}{suggestion(name, self._schema.names)}"
            raise RequestError(Fault.UNKNOWN_FEATURE, message, row=place, column=name)
        return values

    def _refuse_count(self, place: int, found: int) -> None:
        order = ", ".join(self._schema.names)
        message = f"row {place}: expected {self._width} cells ({order}), found {found}"
        raise RequestError(Fault.FEATURE_COUNT, message, row=place)

    def _explain(self, place: int, readers: Sequence[Callable[[Any], float]], cells: Sequence[object]) -> RequestError:
        for feature, read, cell in zip(self._schema.features, readers, cells, strict=True):
            try:
                read(cell)
            except ValueError:
                expected = "a number" if feature.kind is Kind.NUMERIC else "a string"
                message = f"row {place}, column {feature.name!r}: expected {expected}, found {short(cell)}"
                return RequestError(Fault.WRONG_TYPE, message, row=place, column=feature.name)
        raise AssertionError("called for a row that can be read")

    def _refuse_infinite(self, place: int, values: list[float]) -> None:
        for name, value in zip(self._schema.names, values, strict=True):
            try:
                beyond = math.isinf(value) or not struct.pack("<f", value)
            except OverflowError:
                beyond = True
            if beyond:
                message = f"row {place}, column {name!r}: {value:g} is beyond the range of float32"
                raise RequestError(Fault.OUT_OF_RANGE, message, row=place, column=name)


def _json_encoder(feature: Feature) -> Callable[[object], float]:
    """Give the function from a JSON value to the model's value; it raises ``ValueError`` for another type."""
    codes = Codes(feature.categories)

    def number(value: object) -> float:
        if value is None:
            return MISSING
        if type(value) is not float and type(value) is not int:
            raise ValueError
        return float(value)

    def category(value: object) -> float:
        if value is None:
            return MISSING
        if type(value) is not str:
            raise ValueError
        return codes[value]

    return number if feature.kind is Kind.NUMERIC else category


def _quoted(lines: list[str]) -> Iterable[list[str]]:
    reader = csv.reader((line + "\n" for line in lines), strict=True)
    try:
        yield from reader
    except csv.Error as error:
        message = f"line {reader.line_num}: not valid CSV: {error}"
        raise RequestError(Fault.MALFORMED_BODY, message, row=reader.line_num) from None


def short(value: object) -> str:
    """Give a value as a message shows it."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def json_object(body: bytes, expected: str) -> dict[str, object]:
    """Parse a body that must be a JSON object; ``expected`` shows one in the message.

    Raises:
        RequestError: it is empty, not JSON, or something else than an object.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fault = Fault.MALFORMED_BODY if body.strip() else Fault.EMPTY_BODY
        raise RequestError(fault, f"the body is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise RequestError(Fault.MALFORMED_BODY, f"expected an object: {expected}")
    return cast("dict[str, object]", document)


def encode_csv(numbers: list[bytes]) -> bytes:
    """Write one row a line: a probability, or one per class."""
    return b"\n".join(numbers) + b"\n"


def encode_npy(numbers: list[bytes]) -> bytes:
    """Write a ``.npy`` array of float32, of shape (rows,), or (rows, k) for a model with several outputs."""
    values = np.array([[float(cell) for cell in row.split(b",")] for row in numbers], dtype="<f4")
    return npy.write(values[:, 0] if values.shape[1] == 1 else values)


def encode_json(numbers: list[bytes]) -> bytes:
    """Write ``{"predictions": [p, …]}``."""
    return b'{"predictions":[%b]}' % b",".join(numbers)


def encode_json_lists(rows: list[bytes]) -> bytes:
    """Write ``{"predictions": [[p, …], …]}``, for a model with several outputs."""
    return b'{"predictions":[[%b]]}' % b"],[".join(rows)

"""Requests from well-formed to noise, over the protocols of a server of one model; equal draws give equal bytes."""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scoring.contract import Kind

if TYPE_CHECKING:
    import random

    from scoring.contract import Schema

NUMBERS = (0, -0.0, 1, -7, 0.1, 1e-45, 3.4e38, 16777217, 2**53 + 1, 1e-320)
TOKENS = (
    *(b"NaN", b"Infinity", b"-inf", b"1e999", b"3.5e38", b"null", b"true", b"1_0", b"0x1", b".5", b"+1", b"\xd9\xa1"),
    *(b'"', b"'", b",", b",,", b"\n", b"\r", b"\r\n", b"\n\n", b"\x00", b"[", b"]", b"{", b"}", b":", b" ", b"\t"),
    *(
        b"\xff",
        b"\\ud800",
        b"\\u0000",
        b"9" * 400,
        b"[" * 300,
        b"-",
        b"e",
        b"a",
        b'"a"',
        b"red",
        b"18446744073709551616",
    ),
)
HEADERS = (
    *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 1, 1"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity", b"Host: x"),
    *(b"Content-Encoding: gzip", b"Expect: 100-continue", b"Expect: x", b"Connection: close", b"Connection: upgrade"),
    *(b"Upgrade: h2c", b"Accept: ", b"Accept: a/b", b"Accept: application/json;q=0", b"Content-Type: text/html"),
    *(b"Content-Type: ;;", b"X: " + b"x" * 5000, b"X\x00: 1", b": 1", b"No colon", b" folded", b"\xff: \xff"),
    *(b"Inference-Header-Content-Length: 3", b"Inference-Header-Content-Length: x", b"traceparent: 00-1-1-1"),
    b"Content-Type: text/csv; charset=utf-16",
)
PATHS = (
    *(
        b"/ping",
        b"/metrics",
        b"/version",
        b"/openapi.json",
        b"/v2",
        b"/v2/health/live",
        b"/v2/health/ready",
        b"/",
        b"*",
    ),
    *(b"/v2/models/model", b"/v2/models/model/ready", b"/v2/models/absent/infer", b"http://h/ping"),
)
METHODS = (b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"POST")
ACCEPTS = (b"", b"*/*", b"application/json", b"text/csv", b"application/x-npy", b"text/*;q=0.5")
TYPES = ("FP16", "FP32", "FP64", "INT8", "INT64", "UINT16")


class Made(NamedTuple):
    """One input."""

    pieces: list[bytes]
    """As the kernel would deliver it."""
    valid: bool
    """Nothing is wrong with it: the answer must be 200."""


class _Body(NamedTuple):
    path: bytes
    headers: list[bytes]
    content: bytes


def make(draw: random.Random, schema: Schema) -> Made:
    """Make one input: a third of all as they should be, the others spoilt in one of several places."""
    body, spoilt = _body(draw, schema), draw.random()
    if spoilt < 0.45 and spoilt > 0.30:
        body = _get(draw)
    elif 0.45 <= spoilt < 0.80:
        body = body._replace(content=_spoil(draw, body.content))
    headers = [b"Host: h", *body.headers]
    if 0.80 <= spoilt < 0.88:
        headers.insert(draw.randrange(len(headers) + 1), draw.choice(HEADERS))
    method = b"POST" if body.content or draw.random() < 0.9 else draw.choice(METHODS)
    data = _framed(draw, method, body.path, headers, body.content)
    if 0.88 <= spoilt < 0.98:
        data = _spoil(draw, data)
    elif spoilt >= 0.98:
        data = draw.randbytes(draw.randrange(200))
    return Made(_cut(draw, data), spoilt <= 0.30)


def _framed(draw: random.Random, method: bytes, path: bytes, headers: list[bytes], content: bytes) -> bytes:
    if draw.random() < 0.8:
        headers, framed = [*headers, b"Content-Length: %d" % len(content)], content
    else:
        headers, framed = [*headers, b"Transfer-Encoding: chunked"], b""
        for start in range(0, len(content), 50):
            part = content[start : start + 50]
            framed += b"%x\r\n%b\r\n" % (len(part), part)
        framed += b"0\r\n\r\n"
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method, path, b"\r\n".join(headers), framed)


def _cut(draw: random.Random, data: bytes) -> list[bytes]:
    places = sorted(draw.randrange(len(data) + 1) for _ in range(draw.choice((0, 0, 0, 1, 3))))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def _spoil(draw: random.Random, data: bytes) -> bytes:
    for _ in range(draw.choice((1, 1, 2, 4))):
        place, way = draw.randrange(len(data) + 1), draw.randrange(5)
        end = min(len(data), place + draw.choice((1, 1, 2, 8, 40)))
        middle = (
            draw.choice(TOKENS),
            b"",
            data[place:end] * 2,
            draw.randbytes(end - place),
            bytes(byte ^ (1 << draw.randrange(8)) for byte in data[place:end]),
        )[way]
        data = data[:place] + middle + data[place if way == 0 else end :]
    return data[: draw.randrange(len(data) + 1)] if draw.random() < 0.1 else data


def _get(draw: random.Random) -> _Body:
    return _Body(draw.choice(PATHS) + draw.choice((b"", b"", b"?x=1", b"%00", b"#a", b"/")), [], b"")


def _cell(draw: random.Random) -> float | None:
    kind = draw.randrange(6)
    if kind == 0:
        return None
    return draw.choice(NUMBERS) if kind == 1 else draw.randrange(-99, 99) if kind == 2 else draw.uniform(-30, 30)


def _rows(draw: random.Random, schema: Schema) -> list[list[Any]]:
    def cell(place: int) -> Any:
        feature = schema.features[place]
        if feature.kind is Kind.CATEGORICAL:
            return draw.choice((*feature.categories, "unseen", None))
        return _cell(draw)

    return [[cell(place) for place in range(schema.width)] for _ in range(draw.choice((1, 1, 1, 2, 5, 50)))]


def _body(draw: random.Random, schema: Schema) -> _Body:
    rows = _rows(draw, schema)
    numeric = all(feature.kind is Kind.NUMERIC for feature in schema.features)
    ways = (_csv, _json, _tensor_columns) + ((_npy, _tensor_matrix) if numeric else ())
    return draw.choice(ways)(draw, schema, rows)


def _invocation(draw: random.Random, media: bytes, content: bytes) -> _Body:
    accept = draw.choice(ACCEPTS)
    headers = [b"Content-Type: " + media] + ([b"Accept: " + accept] if accept else [])
    return _Body(b"/invocations", headers, content)


def _csv(draw: random.Random, _schema: Schema, rows: list[list[Any]]) -> _Body:
    def text(cell: Any) -> str:
        if isinstance(cell, str):
            return '"' + cell.replace('"', '""') + '"' if '"' in cell or "," in cell or draw.random() < 0.1 else cell
        return "" if cell is None else repr(cell)

    end = draw.choice(("\n", "\r\n"))
    lines = end.join(",".join(map(text, row)) for row in rows) + draw.choice(("", end))
    return _invocation(draw, draw.choice((b"text/csv", b"text/csv; charset=utf-8", b"TEXT/CSV")), lines.encode())


def _json(draw: random.Random, schema: Schema, rows: list[list[Any]]) -> _Body:
    named = draw.random() < 0.3
    instances = [dict(zip(schema.names, row, strict=True)) for row in rows] if named else rows
    return _invocation(draw, b"application/json", json.dumps({"instances": instances}).encode())


def _npy(draw: random.Random, _schema: Schema, rows: list[list[Any]]) -> _Body:
    kind = draw.choice(("<f4", "<f8", ">f8", ">f4"))
    cells = np.array([[np.nan if cell is None else cell for cell in row] for row in rows], dtype=kind)
    file = io.BytesIO()
    np.save(file, np.asfortranarray(cells) if draw.random() < 0.3 else cells)
    return _invocation(draw, b"application/x-npy", file.getvalue())


def _inference(draw: random.Random, inputs: list[dict[str, Any]], binary: bytes) -> _Body:
    document: dict[str, Any] = {"inputs": inputs}
    if draw.random() < 0.3:
        document |= {"id": draw.choice(("1", "", "é", '"'))}
    if draw.random() < 0.3:
        document |= {"parameters": {"binary_data_output": draw.random() < 0.5}}
    text = json.dumps(document).encode()
    headers = [b"Inference-Header-Content-Length: %d" % len(text)] if binary else []
    return _Body(b"/v2/models/model/infer", headers, text + binary)


def _tensor_matrix(draw: random.Random, schema: Schema, rows: list[list[Any]]) -> _Body:
    tensor: dict[str, Any] = {"name": "x", "datatype": "FP64", "shape": [len(rows), schema.width]}
    if draw.random() < 0.5:
        return _inference(
            draw, [tensor | {"data": rows if draw.random() < 0.5 else [cell for row in rows for cell in row]}], b""
        )
    packed = np.array([[np.nan if cell is None else cell for cell in row] for row in rows], dtype="<f8").tobytes()
    return _inference(draw, [tensor | {"parameters": {"binary_data_size": len(packed)}}], packed)


def _tensor_columns(draw: random.Random, schema: Schema, rows: list[list[Any]]) -> _Body:
    inputs: list[dict[str, Any]] = []
    binary = b""
    for feature, cells in zip(schema.features, zip(*rows, strict=True), strict=True):
        tensor: dict[str, Any] = {"name": feature.name, "datatype": "FP64", "shape": [len(rows)]}
        if feature.kind is Kind.CATEGORICAL:
            tensor["datatype"] = "BYTES"
            packed = b"".join(struct.pack("<I", len(t := (cell or "unseen").encode())) + t for cell in cells)
        else:
            packed = np.array([np.nan if cell is None else cell for cell in cells], dtype="<f8").tobytes()
        if draw.random() < 0.5:
            inputs.append(tensor | {"data": list(cells)})
        else:
            inputs.append(tensor | {"parameters": {"binary_data_size": len(packed)}})
            binary += packed
    return _inference(draw, inputs, binary)

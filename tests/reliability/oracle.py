"""What a request means, read a second time with other code than the server's: the standard library and NumPy.

It is more generous than the server, which may refuse what this reads, but must never read something else.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re
import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.contract import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scoring.contract import Feature, Schema
    from tests.reliability.in_process import Exchange

Rows = list[list[float]]

LONE_RETURN = re.compile("\r(?!\n)")
"""White space as any other."""

FLOATS = {f"FP{8 * size}": f"<f{size}" for size in (2, 4, 8)}
TYPES = FLOATS | {
    f"{sign}INT{8 * size}": f"<{sign or 'I'}{size}".lower() for sign in ("", "U") for size in (1, 2, 4, 8)
}


def rows(exchange: Exchange, schema: Schema) -> NDArray[np.float32]:
    """Read the rows of a request that was accepted.

    Raises:
        ValueError: it cannot be read, or not as finite float32.
    """
    request = exchange.request
    if b"/infer" in request.target:
        found = _tensors(request.body, request.tensor_header, schema)
    else:
        media = request.content_type.partition(b";")[0].strip().lower()
        read = {b"text/csv": _csv, b"application/json": _json, b"application/x-npy": _npy}[media]
        found = read(request.body, schema)
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.array(found, dtype=np.float64).astype(np.float32)
    if values.shape != (len(found), schema.width) or not len(found) or np.isinf(values).any():
        raise ValueError(f"shape {values.shape}, or beyond float32")
    return values


def answers(exchange: Exchange) -> NDArray[np.float32]:
    """Read the values of an answer."""
    response = exchange.response
    media, body = response.content_type, response.body
    if media == b"text/csv":
        return np.array([float(line) for line in body.decode().splitlines()], dtype=np.float32)
    if media == b"application/x-npy":
        return np.load(io.BytesIO(body), allow_pickle=False)
    if media == b"application/octet-stream":
        length = int(response.headers.rpartition(b"Inference-Header-Content-Length: ")[2])
        return np.frombuffer(body[length:], dtype="<f4")
    document: Any = json.loads(body, parse_constant=_refuse)
    values = document["outputs"][0]["data"] if "outputs" in document else document["predictions"]
    return np.array(values, dtype=np.float32)


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _cell(feature: Feature, cell: object) -> float:
    if cell is None:
        return math.nan
    if feature.kind is Kind.CATEGORICAL:
        if not isinstance(cell, str):
            raise ValueError(f"{cell!r} is no category")
        return float(feature.categories.index(cell)) if cell in feature.categories else math.nan
    if type(cell) not in (int, float):
        raise ValueError(f"{cell!r} is no number")
    return float(cell)  # pyright: ignore[reportArgumentType] # its type was just compared


def _text(feature: Feature, cell: str) -> float:
    if feature.kind is Kind.CATEGORICAL:
        return _cell(feature, cell)
    if "_" in cell:
        raise ValueError(f"{cell!r} is no number")
    return float(cell) if cell.strip() else math.nan


def _csv(body: bytes, schema: Schema) -> Rows:
    text = LONE_RETURN.sub(" ", body.decode().rstrip("\r\n"))
    lines = csv.reader(io.StringIO(text, newline="\n"), strict=True)
    return [[_text(feature, cell) for feature, cell in zip(schema.features, line, strict=True)] for line in lines]


def _json(body: bytes, schema: Schema) -> Rows:
    document: Any = json.loads(body, parse_constant=_refuse)
    if document.keys() != {"instances"}:
        raise ValueError(f"keys {[*document]}")
    return [_json_row(row, schema) for row in document["instances"]]


def _json_row(row: Any, schema: Schema) -> list[float]:
    if isinstance(row, dict):
        if row.keys() != set(schema.names):
            raise ValueError(f"features {[*row]}")
        row = [row[name] for name in schema.names]
    return [_cell(feature, cell) for feature, cell in zip(schema.features, row, strict=True)]


def _npy(body: bytes, _schema: Schema) -> Rows:
    with warnings.catch_warnings(action="ignore"):  # of a signalling NaN, and of a header with odd white space
        return np.atleast_2d(np.load(io.BytesIO(body), allow_pickle=False)).astype(np.float64).tolist()


def _tensors(body: bytes, header: bytes, schema: Schema) -> Rows:
    length = int(header) if header else len(body)
    document: Any = json.loads(body[:length], parse_constant=_refuse)
    binary = io.BytesIO(body[length:])
    tensors = {tensor["name"]: _elements(tensor, binary) for tensor in document["inputs"]}
    if len(tensors) != len(document["inputs"]) or binary.read():
        raise ValueError("two tensors of one name, or bytes that belong to none")
    if tensors.keys() == set(schema.names):
        columns = [[_cell(f, cell) for cell in tensors[f.name]] for f in schema.features]
        return [list(row) for row in zip(*columns, strict=True)]
    (cells,) = tensors.values()
    features = itertools.cycle(schema.features)
    flat = [_cell(feature, cell) for feature, cell in zip(features, cells, strict=False)]
    return np.array(flat).reshape(-1, schema.width).tolist()


def _elements(tensor: Any, binary: io.BytesIO) -> list[Any]:
    size = tensor.get("parameters", {}).get("binary_data_size")
    if size is None:
        flat = tensor["data"]
        while flat and isinstance(flat[0], list):
            flat = [cell for part in flat for cell in part]
    elif tensor["datatype"] == "BYTES":
        flat = list(_strings(binary.read(size)))
    else:
        flat = np.frombuffer(binary.read(size), TYPES[tensor["datatype"]]).tolist()
    if len(flat) != math.prod(tensor["shape"]):
        raise ValueError(f"{len(flat)} elements, shape {tensor['shape']}")
    return flat


def _strings(data: bytes) -> list[str]:
    texts: list[str] = []
    while data:
        (length,) = struct.unpack("<I", data[:4])
        texts.append(data[4 : 4 + length].decode())
        data = data[4 + length :]
    return texts

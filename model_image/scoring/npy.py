"""Arrays in NumPy's file format, from and to bytes; nothing in such a body is ever executed or unpickled.

The header is a Python literal. It is matched by a pattern rather than evaluated, so a body can neither nest deeply nor
hold anything but the three keys.
Source: NumPy, ``numpy.lib.format``, versions 1.0 and 2.0.
"""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.errors import Fault, RequestError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = b"\x93NUMPY"

LENGTH_BYTES = {1: 2, 2: 4}
"""Bytes of the header's length, by major version."""

MAX_HEADER_BYTES = 4096

TYPES = re.compile(r"[<>]f[48]|[<>][iu][248]|[|<>][iu]1")
"""Types of plain numbers: float32 and float64, integers of every size, in both byte orders."""

SIZE = rb"(?:0|[1-9][0-9]*)"
SHAPE = rb"\((?:%b,|%b(?:, ?%b)+,?)?\)" % (SIZE, SIZE, SIZE)
ENTRY = rb"'(descr|fortran_order|shape)' *: *('[^']*'|True|False|%b)" % SHAPE
HEADER = re.compile(rb"\{ *" + ENTRY + rb"(?: *, *" + ENTRY + rb"){2} *,? *\} *\n?")
PAIR = re.compile(ENTRY)

MAX_DIMENSIONS = 2
MAX_DIGITS = 9
"""Digits of a dimension: no body is so large."""


def read(body: bytes) -> NDArray[Any]:
    """Give the array of a body: one or two dimensions of plain numbers.

    Raises:
        RequestError: it is no such array, or its data are shorter or longer than its shape says.
    """
    header, start = _header(body)
    kind, order, shape = header.get("descr", ""), header.get("fortran_order", ""), header.get("shape", "")
    if not TYPES.fullmatch(kind):
        raise _malformed(f"elements of type {kind!r}; expected float32, float64 or an integer type")
    sizes = [text for text in shape.strip("()").replace(" ", "").split(",") if text]
    if not 0 < len(sizes) <= MAX_DIMENSIONS or any(len(text) > MAX_DIGITS for text in sizes):
        raise _malformed(f"shape {shape}; expected one or two dimensions")
    dimensions = tuple(map(int, sizes))
    element = np.dtype(kind)
    expected = math.prod(dimensions) * element.itemsize
    if len(body) - start != expected:
        raise _malformed(f"{len(body) - start} bytes of data, shape {shape} of {kind} needs {expected}")
    values = np.frombuffer(body, dtype=element, offset=start)
    return values.reshape(dimensions, order="F" if order == "True" else "C")


def write(values: NDArray[Any]) -> bytes:
    """Give an array as a file of version 1.0."""
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return file.getvalue()


def _header(body: bytes) -> tuple[dict[str, str], int]:
    """Give the entries of the header as texts, and where the data begin."""
    if not body:
        raise RequestError(Fault.EMPTY_BODY, "the body holds no row")
    version, minor = (*body[len(MAGIC) : len(MAGIC) + 2], 0, 0)[:2]
    if not body.startswith(MAGIC) or version not in LENGTH_BYTES or minor:
        raise _malformed("expected a .npy file of version 1 or 2")
    place = len(MAGIC) + 2
    size_end = place + LENGTH_BYTES[version]
    end = size_end + int.from_bytes(body[place:size_end], "little")
    if end > min(len(body), MAX_HEADER_BYTES) or not HEADER.fullmatch(body, size_end, end):
        raise _malformed("the header is damaged, or tells of more than type, order and shape")
    pairs = {key.decode(): value.decode("latin-1") for key, value in PAIR.findall(body, size_end, end)}
    return {key: value.strip("'") for key, value in pairs.items()}, end


def _malformed(why: str) -> RequestError:
    return RequestError(Fault.MALFORMED_BODY, f"the body is not a .npy array of numbers: {why}")

"""Elements of one tensor of the Open Inference Protocol to float32, from JSON values or from bytes.

Source: Open Inference Protocol, "Tensor Data Types"; Triton Inference Server, "Binary Tensor Data Extension".
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scoring import codec
from scoring.codec import PLAIN_NUMBERS
from scoring.contract import Kind
from scoring.encoding import MISSING, Codes, to_float32
from scoring.errors import Fault, RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scoring.contract import Feature

BYTES = "BYTES"

FLOATS = {"FP16": np.dtype("<f2"), "FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}

INTEGERS = {
    f"{sign}INT{8 * size}": np.dtype(f"<{sign or 'I'}{size}".lower()) for sign in ("", "U") for size in (1, 2, 4, 8)
}

NUMBERS = FLOATS | INTEGERS

LENGTH = struct.Struct("<I")
"""What precedes each element of a binary BYTES tensor."""


class Tensor(NamedTuple):
    """One tensor of a request."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[Any] | bytes
    """Elements in row-major order, or their bytes."""


def numbers(tensor: Tensor, names: Sequence[str]) -> bytes:
    """Give a numeric tensor as float32, row-major; ``names`` are its columns.

    Raises:
        RequestError: saying which row and column.
    """
    if tensor.datatype == BYTES:
        raise RequestError(Fault.WRONG_TYPE, f"{at(tensor)}: {names[0]!r} is numeric, its datatype cannot be {BYTES}")
    if isinstance(tensor.data, bytes):
        return _from_binary(tensor, tensor.data, names)
    kinds = {*map(type, tensor.data)}
    if tensor.datatype in FLOATS:
        if not kinds <= PLAIN_NUMBERS | {type(None)}:
            raise _misfit(tensor, names, (*PLAIN_NUMBERS, type(None)), "a number")
        cells = [MISSING if cell is None else cell for cell in tensor.data] if type(None) in kinds else tensor.data
    else:
        limits = np.iinfo(INTEGERS[tensor.datatype])
        if kinds != {int}:
            raise _misfit(tensor, names, (int,), "a whole number")
        if min(tensor.data) < limits.min or max(tensor.data) > limits.max:
            raise RequestError(Fault.OUT_OF_RANGE, f"{at(tensor)}: a value is beyond the range of {tensor.datatype}")
        cells = tensor.data
    try:
        return struct.pack(f"<{len(cells)}f", *cells)
    except OverflowError:
        raise RequestError(Fault.OUT_OF_RANGE, f"{at(tensor)}: a value is beyond the range of float32") from None


def _from_binary(tensor: Tensor, data: bytes, names: Sequence[str]) -> bytes:
    dtype, count = NUMBERS[tensor.datatype], math.prod(tensor.shape)
    if len(data) != count * dtype.itemsize:
        expected = f"{count} elements of {tensor.datatype} are {count * dtype.itemsize} bytes"
        raise RequestError(Fault.FEATURE_COUNT, f"{at(tensor)}: {expected}, binary_data_size is {len(data)}")
    values = to_float32(np.frombuffer(data, dtype).astype(np.float64))
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise RequestError(
            Fault.OUT_OF_RANGE, f"{_cell(tensor, names, int(infinite[0]))} is beyond the range of float32"
        )
    return values.tobytes()


def column(tensor: Tensor, feature: Feature) -> NDArray[np.float32]:
    """Give the tensor of one feature as the model's values.

    Raises:
        RequestError: saying which row.
    """
    if feature.kind is Kind.NUMERIC:
        return np.frombuffer(numbers(tensor, (feature.name,)), dtype="<f4")
    if tensor.datatype != BYTES:
        message = f"{at(tensor)}: {feature.name!r} is categorical, its datatype must be {BYTES}"
        raise RequestError(Fault.WRONG_TYPE, message)
    texts = _texts(tensor, tensor.data) if isinstance(tensor.data, bytes) else tensor.data
    if not {*map(type, texts)} <= {str, type(None)}:
        raise _misfit(tensor._replace(data=texts), (feature.name,), (str, type(None)), "a string")
    codes = Codes(feature.categories)
    return np.array([MISSING if text is None else codes[text] for text in texts], dtype="<f4")


def _texts(tensor: Tensor, data: bytes) -> list[str]:
    """Read a binary BYTES tensor: each element's length, then its UTF-8."""
    texts: list[str] = []
    place = 0
    try:
        while place < len(data):
            (length,) = LENGTH.unpack_from(data, place)
            place += LENGTH.size + length
            if place > len(data):
                break
            texts.append(data[place - length : place].decode())
    except (struct.error, UnicodeDecodeError) as error:
        raise RequestError(Fault.MALFORMED_BODY, f"{at(tensor)}: element {len(texts) + 1}: {error}") from None
    if place != len(data) or len(texts) != math.prod(tensor.shape):
        message = f"{at(tensor)}: the binary data is not the {math.prod(tensor.shape)} elements of the shape"
        raise RequestError(Fault.FEATURE_COUNT, message)
    return texts


def _misfit(tensor: Tensor, names: Sequence[str], kinds: tuple[type, ...], expected: str) -> RequestError:
    place = next(place for place, cell in enumerate(tensor.data) if type(cell) not in kinds)
    found = codec.short(tensor.data[place])
    return RequestError(Fault.WRONG_TYPE, f"{_cell(tensor, names, place)}: expected {expected}, found {found}")


def _cell(tensor: Tensor, names: Sequence[str], place: int) -> str:
    row, column = divmod(place, len(names))
    return f"{at(tensor)}: row {row + 1}, column {names[column]!r}"


def at(tensor: Tensor) -> str:
    """Begin a message about a tensor."""
    return f"input {tensor.name!r}"


def shown(tensor: Tensor) -> str:
    """Give a tensor's shape as a message shows it."""
    return f"[{', '.join(map(str, tensor.shape))}]"

"""Tensors of the Open Inference Protocol: an inference request to float32 rows, probabilities to an inference response.

Two shapes of request are understood: one tensor of shape [n, features] with every feature in schema order, for models
whose features are all numeric, or one tensor of shape [n] or [n, 1] per feature, by name, where a categorical feature
is BYTES. ``null`` and NaN are missing values, as elsewhere in this server.
Source: Open Inference Protocol, "HTTP/REST"; Triton Inference Server, "Binary Tensor Data Extension".
"""

from __future__ import annotations

import itertools
import math
import struct
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import orjson

from scoring import codec
from scoring.codec import Rows
from scoring.contract import Kind
from scoring.document import suggestion
from scoring.elements import BYTES, NUMBERS, Tensor, at, column, numbers, shown
from scoring.errors import Fault, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from scoring.contract import Schema

INPUT = "input"
"""Name of the tensor of all features in the model's metadata; a request may call it anything."""

OUTPUT = "predictions"

CONTRIBUTIONS = "contributions"
"""Request parameter that asks for the tensor of this name: what each feature adds to each answer, and their mean."""

MAX_EXPLAINED_ROWS = 100
"""Rows of one request whose contributions are asked for; each takes many times a prediction."""


class Reply(NamedTuple):
    """How an inference request wants its answer."""

    identifier: bytes = b""
    """The request's ``id`` as a member of the answer, with the comma; empty if it had none."""
    binary: bool = False
    """The tensors follow the JSON as little-endian float32."""
    contributions: bool = False
    """What each feature adds is answered, too."""


class TensorCodec:
    """Reads inference requests and writes inference responses for one version of a model."""

    def __init__(self, schema: Schema, max_rows: int, name: str, version: str, outputs: int = 1) -> None:
        """Prepare for a schema; ``max_rows`` bounds one request, an answer has ``outputs`` values."""
        self._outputs = outputs
        self._schema = schema
        self._max_rows = max_rows
        self._categorical = [feature.name for feature in schema.features if feature.kind is Kind.CATEGORICAL]
        self._name = name
        self._version = version
        self._names = b'{"model_name":%b,"model_version":%b,' % (orjson.dumps(name), orjson.dumps(version))

    def metadata(self) -> dict[str, object]:
        """Describe the model's tensors; a model with categorical features is described feature by feature."""
        if self._categorical:
            inputs = [_describe(f.name, "FP32" if f.kind is Kind.NUMERIC else BYTES, -1) for f in self._schema.features]
        else:
            inputs = [_describe(INPUT, "FP32", -1, self._schema.width)]
        described: dict[str, object] = {"name": self._name, "versions": [self._version], "platform": "xgboost"}
        return described | {"inputs": inputs, "outputs": [_describe(OUTPUT, "FP32", *self._shape(-1))]}

    def decode(self, body: bytes, header_length: bytes = b"") -> tuple[Rows, Reply]:
        """Read an inference request.

        Args:
            body: The request's body.
            header_length: Value of ``Inference-Header-Content-Length``: bytes of JSON before the binary tensors; empty
                if all of the body is JSON.

        Raises:
            RequestError: saying which tensor, and where in it.
        """
        text, binary = _split(body, header_length)
        document = codec.json_object(
            text, '{"inputs": [{"name": ..., "shape": [...], "datatype": ..., "data": [...]}]}'
        )
        asked = _flag(document, CONTRIBUTIONS, default=False)
        reply = Reply(_identifier(document), _wants_binary(document), asked)
        tensors = _tensors(document, binary)
        first = tensors[0]
        whole = len(tensors) == 1 and (self._schema.width > 1 or first.name not in self._schema.names)
        return (self._matrix(first) if whole else self._columns(tensors)), reply

    def encode(
        self, numbers: list[bytes], reply: Reply, contributions: NDArray[np.float32] | None = None
    ) -> tuple[bytes, int]:
        """Write an inference response.

        Args:
            numbers: The answers as decimal texts.
            reply: How the request wants its answer.
            contributions: float32 of shape (n, outputs, features + 1), for those who asked.

        Returns:
            The body, and the length of its JSON if binary data follows it, else 0.
        """
        data = b",".join(numbers)
        tensors = [(OUTPUT, self._shape(len(numbers)), data)]
        if contributions is not None:
            shape = self._shape(len(numbers), contributions.shape[2])
            tensors.append(
                (CONTRIBUTIONS, shape, orjson.dumps(contributions.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1])
            )
        head = b'%b%b"outputs":[' % (self._names, reply.identifier)
        if not reply.binary:
            return b"%b%b]}" % (
                head,
                b",".join(b'%b"data":[%b]}' % (_opening(*tensor[:2]), tensor[2]) for tensor in tensors),
            ), 0
        packed = [_packed(data) for *_, data in tensors]
        described = [
            b'%b"parameters":{"binary_data_size":%d}}' % (_opening(name, shape), len(values))
            for (name, shape, _), values in zip(tensors, packed, strict=True)
        ]
        text = b"%b%b]}" % (head, b",".join(described))
        return text + b"".join(packed), len(text)

    def _shape(self, rows: int, *inner: int) -> tuple[int, ...]:
        return (rows, *inner) if self._outputs == 1 else (rows, self._outputs, *inner)

    def _check_count(self, count: int) -> int:
        if not count:
            raise RequestError(Fault.EMPTY_BODY, "the tensors hold no row")
        if count > self._max_rows:
            raise RequestError(Fault.TOO_MANY_ROWS, f"{count} rows, at most {self._max_rows} are allowed in a request")
        return count

    def _matrix(self, tensor: Tensor) -> Rows:
        """Read one tensor of all features."""
        names, width = self._schema.names, self._schema.width
        if self._categorical:
            listed = ", ".join(self._categorical)
            raise RequestError(Fault.WRONG_TYPE, f"send one tensor per feature, because of the categorical {listed}")
        if tensor.shape[1:] != (width,):
            expected = f"[n, {width}] ({', '.join(names)})"
            raise RequestError(Fault.FEATURE_COUNT, f"{at(tensor)}: expected shape {expected}, found {shown(tensor)}")
        count = self._check_count(tensor.shape[0])
        return Rows(count, numbers(tensor, names))

    def _columns(self, tensors: list[Tensor]) -> Rows:
        """Read one tensor per feature."""
        given = {tensor.name: tensor for tensor in tensors}
        for name in sorted(given.keys() - set(self._schema.names)):
            raise RequestError(
                Fault.UNKNOWN_FEATURE, f"no feature is called {name!r}{suggestion(name, self._schema.names)}"
            )
        missing = [name for name in self._schema.names if name not in given]
        if missing or len(given) != len(tensors):
            what = f"no tensor for {', '.join(missing)}" if missing else "two tensors have the same name"
            raise RequestError(Fault.FEATURE_COUNT, f"{what}; send one per feature, or one of shape [n, features]")
        count = self._check_count(tensors[0].shape[0] if tensors[0].shape else 1)
        for tensor in tensors:
            if tensor.shape not in ((count,), (count, 1)):
                message = f"{at(tensor)}: expected shape [{count}] or [{count}, 1], found {shown(tensor)}"
                raise RequestError(Fault.FEATURE_COUNT, message)
        columns = [column(given[feature.name], feature) for feature in self._schema.features]
        return Rows(count, np.column_stack(columns).tobytes())


def _opening(name: str, shape: tuple[int, ...]) -> bytes:
    sizes = b",".join(b"%d" % size for size in shape)
    return b'{"name":"%b","shape":[%b],"datatype":"FP32",' % (name.encode(), sizes)


def _packed(data: bytes) -> bytes:
    values = [float(text) for text in data.split(b",")]
    return struct.pack(f"<{len(values)}f", *values)


def _describe(name: str, datatype: str, *shape: int) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def _split(body: bytes, header_length: bytes) -> tuple[bytes, bytes]:
    """Separate the JSON from the binary tensors."""
    if not header_length:
        return body, b""
    if not header_length.isdigit() or not 0 < (length := int(header_length[:20])) <= len(body):
        message = f"Inference-Header-Content-Length must be from 1 to the body's {len(body)} bytes"
        raise RequestError(Fault.BAD_REQUEST, message)
    return body[:length], body[length:]


def _identifier(document: Mapping[str, object]) -> bytes:
    identifier = document.get("id")
    if identifier is None:
        return b""
    if not isinstance(identifier, str):
        raise RequestError(Fault.MALFORMED_BODY, '"id" must be a string')
    return b'"id":%b,' % orjson.dumps(identifier)


def _wants_binary(document: Mapping[str, object]) -> bool:
    binary = _flag(document, "binary_data_output", default=False)
    for output in _objects(document, "outputs") if document.get("outputs") is not None else ():
        if output.get("name") != OUTPUT:
            raise RequestError(Fault.MALFORMED_BODY, f'"outputs": the model has one output, {OUTPUT!r}')
        binary = _flag(output, "binary_data", default=binary)
    return binary


def _flag(owner: Mapping[str, object], name: str, *, default: bool) -> bool:
    value = _parameters(owner).get(name, default)
    if not isinstance(value, bool):
        raise RequestError(Fault.MALFORMED_BODY, f'parameter "{name}" must be true or false')
    return value


def _parameters(owner: Mapping[str, object]) -> dict[str, object]:
    parameters = owner.get("parameters", {})
    if not isinstance(parameters, dict):
        raise RequestError(Fault.MALFORMED_BODY, '"parameters" must be an object')
    return cast("dict[str, object]", parameters)


def _objects(owner: Mapping[str, object], key: str) -> list[dict[str, object]]:
    items = owner.get(key)
    if not isinstance(items, list) or {*map(type, cast("list[object]", items))} != {dict}:
        raise RequestError(Fault.MALFORMED_BODY, f'"{key}" must be an array of at least one object')
    return cast("list[dict[str, object]]", items)


def _tensors(document: Mapping[str, object], binary: bytes) -> list[Tensor]:
    tensors: list[Tensor] = []
    place = 0
    for item in _objects(document, "inputs"):
        name, datatype, shape = item.get("name"), item.get("datatype"), item.get("shape")
        if not isinstance(name, str) or not isinstance(datatype, str):
            raise RequestError(Fault.MALFORMED_BODY, 'every input needs a "name" and a "datatype", both strings')
        if datatype != BYTES and datatype not in NUMBERS:
            known = ", ".join((*NUMBERS, BYTES))
            raise RequestError(Fault.WRONG_TYPE, f"input {name!r}: datatype {datatype!r} is none of {known}")
        if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in cast("list[Any]", shape)):
            raise RequestError(Fault.MALFORMED_BODY, f'input {name!r}: "shape" must be an array of whole numbers')
        dimensions = tuple(cast("list[int]", shape))
        size = _parameters(item).get("binary_data_size") if "parameters" in item else None
        if size is None:
            data: list[Any] | bytes = _elements(name, dimensions, item.get("data"))
        else:
            if type(size) is not int or size < 0 or "data" in item or place + size > len(binary):
                message = f'input {name!r}: "binary_data_size" must be a whole number, instead of "data", and at most'
                raise RequestError(Fault.MALFORMED_BODY, f"{message} the {len(binary) - place} bytes that are left")
            data = binary[place : place + size]
            place += size
        tensors.append(Tensor(name, datatype, dimensions, data))
    if place != len(binary):
        raise RequestError(Fault.MALFORMED_BODY, f"{len(binary) - place} bytes of binary data belong to no input")
    return tensors


def _elements(name: str, shape: tuple[int, ...], data: object) -> list[Any]:
    """Take a tensor's JSON data, flat or nested as its shape."""
    if not isinstance(data, list):
        raise RequestError(Fault.MALFORMED_BODY, f'input {name!r}: "data" must be an array')
    elements = cast("list[Any]", data)
    for size in reversed(shape[1:]) if elements and type(elements[0]) is list else ():
        if any(type(part) is not list or len(part) != size for part in elements):
            raise RequestError(Fault.FEATURE_COUNT, f"input {name!r}: the data is not nested as the shape says")
        elements = list(itertools.chain.from_iterable(elements))
    if len(elements) != math.prod(shape):
        message = f"input {name!r}: {len(elements)} elements, the shape says {math.prod(shape)}"
        raise RequestError(Fault.FEATURE_COUNT, message)
    return elements

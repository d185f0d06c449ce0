"""Removal of named features from the body of a request that was answered, before it is kept.

A removed value becomes missing in its place (an empty cell, ``null``), so that what is kept has the columns of the
schema. A body in which the values cannot be told apart, such as one with binary tensors, is removed altogether.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, cast

import orjson

from scoring.container import PREFIX
from scoring.document import suggestion
from scoring.errors import UserError
from scoring.messages import CSV, JSON

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def check(drop: Collection[str], names: Sequence[str]) -> None:
    """Refuse the name of a feature that the model lacks: what it was meant for would be captured.

    Args:
        drop: Features that captures must not have.
        names: All features of the model.

    Raises:
        UserError: naming them.
    """
    if unknown := [f"{name!r}{suggestion(name, names)}" for name in drop if name not in names]:
        raise UserError(f"{PREFIX}CAPTURE_DROP: the model has no feature {', '.join(unknown)}")


def redact(body: bytes, media: bytes, drop: Collection[str], names: Sequence[str]) -> bytes:
    """Give a body without the values of some features.

    Args:
        body: As it was received and understood.
        media: Its media type, in lower case, without parameters.
        drop: Features to remove.
        names: All features, in schema order.
    """
    places = [place for place, name in enumerate(names) if name in drop]
    if media == CSV:
        return _csv(body, places)
    if media not in (JSON, b""):
        return b""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:  # JSON in front of binary tensors
        return b""
    if "instances" in document:
        document["instances"] = [_row(row, drop, places) for row in document["instances"]]
    else:
        document["inputs"] = [_tensor(tensor, drop, places, len(names)) for tensor in document["inputs"]]
    return orjson.dumps(document)


def _csv(body: bytes, places: list[int]) -> bytes:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    for row in csv.reader(io.StringIO(body.decode(), newline="")):
        writer.writerow(["" if place in places else cell for place, cell in enumerate(row)])
    return written.getvalue().encode()


def _row(row: Any, drop: Collection[str], places: list[int]) -> object:  # noqa: ANN401 # a JSON value
    if isinstance(row, dict):
        named = cast("dict[str, object]", row)
        return {name: None if name in drop else value for name, value in named.items()}
    return [None if place in places else value for place, value in enumerate(cast("list[object]", row))]


def _tensor(tensor: dict[str, Any], drop: Collection[str], places: list[int], width: int) -> dict[str, Any]:
    """Blank the columns of a tensor of all features, or the tensor of one feature."""
    data = tensor["data"]
    whole = tensor["shape"][1:] == [width]
    if not whole or (width == 1 and tensor["name"] in drop):
        return tensor | {"data": [None] * tensor["shape"][0]} if tensor["name"] in drop else tensor
    if data and isinstance(data[0], list):
        return tensor | {"data": [_row(row, drop, places) for row in data]}
    return tensor | {"data": [None if place % width in places else value for place, value in enumerate(data)]}

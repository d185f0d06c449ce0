"""What AWS itself says about a request, applied to the inputs of a resource.

botocore ships the service models: enumerations, bounds, lengths and patterns of every request member. An input is
held against the member that has the same name at the same place; where no member fits, AWS's word is unknown and
nothing is refused.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape

from sandbox.schema import Failure
from sandbox.wire import UNKNOWN, Json, Properties

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN_CHOICES: Final = 12


def service_failures(api: tuple[str, str, str], inputs: Properties) -> list[Failure]:
    """Returns the inputs that the service's own model refuses."""
    service, operation, inside = api
    shape: Shape | None = _service(service).operation_model(operation).input_shape
    for name in filter(None, inside.split(".")):
        shape = shape.members[name] if isinstance(shape, StructureShape) else None
    return list(_structure(shape, inputs, "")) if isinstance(shape, StructureShape) else []


@functools.cache
def _service(name: str) -> Any:  # noqa: ANN401 - botocore's service model has no public type
    return botocore.session.get_session().get_service_model(name)


def _structure(shape: StructureShape, value: Properties, path: str) -> Iterator[Failure]:
    members = {_plain(name): member for name, member in shape.members.items()}
    for name, item in value.items():
        member = members.get(_plain(name))
        if member is not None:
            yield from _value(member, item, f"{path}.{name}" if path else name)


def _plain(name: str) -> str:
    return name.lower().removesuffix("s")


def _value(shape: Shape, value: Json, path: str) -> Iterator[Failure]:
    if value is None or value == UNKNOWN:
        return
    match shape, value:
        case StructureShape(), dict():
            yield from _structure(shape, value, path)
        case ListShape(), list():
            for index, item in enumerate(value):
                yield from _value(shape.member, item, f"{path}[{index}]")
        case MapShape(), dict():
            for key, item in value.items():
                yield from _value(shape.value, item, f"{path}.{key}")
        case ((StructureShape() | ListShape() | MapShape()), _):
            return
        case _:
            yield from _scalar(shape, value, path)


def _scalar(shape: Shape, value: Json, path: str) -> Iterator[Failure]:
    facts: dict[str, Any] = shape.metadata
    choices = facts.get("enum")
    if isinstance(value, str):
        if choices and value not in choices:
            shown = ", ".join(choices[:_SHOWN_CHOICES]) + (", …" if len(choices) > _SHOWN_CHOICES else "")
            yield Failure(path, f"expected one of {shown}; got {value!r}")
        if "max" in facts and len(value) > facts["max"]:
            yield Failure(path, f"expected at most {facts['max']} characters, got {len(value)}")
        if "min" in facts and len(value) < facts["min"]:
            yield Failure(path, f"expected at least {facts['min']} characters, got {len(value)}")
        if "pattern" in facts and not choices and not _matches(facts["pattern"], value):
            yield Failure(path, f"{value!r} does not match {facts['pattern']}")
    elif isinstance(value, int | float) and not isinstance(value, bool) and shape.type_name in ("integer", "long"):
        if "max" in facts and value > facts["max"]:
            yield Failure(path, f"expected at most {facts['max']}, got {value}")
        if "min" in facts and value < facts["min"]:
            yield Failure(path, f"expected at least {facts['min']}, got {value}")


def _matches(pattern: str, value: str) -> bool:
    """Tells whether a value matches; a pattern in a dialect that Python cannot read says nothing."""
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        return True

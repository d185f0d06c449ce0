"""What an organisation decides about a rule: one frozen dataclass per rule, read from the pack configuration.

A field's type, default and description (the text of its `Annotated` type) are the only declaration: the JSON schema
that the engine shows and checks, and the reader below, both come from it, so code defaults and schema defaults cannot
differ. Field types: `bool`, `int`, `str`, `tuple[str, ...]`, `Mapping[str, str]` and `Mapping[str, tuple[str, ...]]`;
names are camelCase in JSON.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, cast, get_type_hints

F = TypeVar("F")

_STRINGS: dict[str, object] = {"type": "array", "items": {"type": "string"}}
_SCHEMAS: dict[object, dict[str, object]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    str: {"type": "string"},
    tuple[str, ...]: _STRINGS,
    Mapping[str, str]: {"type": "object", "additionalProperties": {"type": "string"}},
    Mapping[str, tuple[str, ...]]: {"type": "object", "additionalProperties": _STRINGS},
}


@dataclasses.dataclass(frozen=True, slots=True)
class NoFacts:
    """For rules that hold everywhere in the same way."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Fact:
    attribute: str
    json_name: str
    kind: object
    description: str


def schema(facts: type[Any]) -> dict[str, dict[str, object]]:
    """The JSON schema of each property, with its default and description."""
    default = facts()
    return {
        fact.json_name: {
            **_SCHEMAS[fact.kind],
            "description": fact.description,
            "default": _plain(getattr(default, fact.attribute)),
        }
        for fact in _declared(facts)
    }


def read(facts: type[F], properties: Mapping[str, object], problems: list[str]) -> F:
    """The facts that some JSON properties state, defaults for the rest; every problem is added to `problems`.

    Whole numbers may come as floats, which is how the wire carries them.
    """
    declared = {fact.json_name: fact for fact in _declared(facts)}
    given: dict[str, Any] = {}
    for name, value in properties.items():
        fact = declared.get(name)
        if fact is None:
            problems.append(f"{name}: unknown property; known are {', '.join(sorted(declared)) or 'none'}")
            continue
        try:
            given[fact.attribute] = _READERS[fact.kind](value)
        except (TypeError, ValueError):
            problems.append(f"{name}: found {value!r}, want {_SCHEMAS[fact.kind]['type']}. {fact.description}")
    return facts(**given)


@cache
def _declared(facts: type[Any]) -> tuple[_Fact, ...]:
    hints = get_type_hints(facts, include_extras=True)
    return tuple(
        _Fact(field.name, _camel(field.name), hints[field.name].__origin__, hints[field.name].__metadata__[0])
        for field in dataclasses.fields(facts)
    )


def _camel(name: str) -> str:
    return re.sub(r"_(.)", lambda match: match[1].upper(), name)


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(cast("tuple[object, ...]", value))
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in cast("Mapping[str, object]", value).items()}
    return value


def _typed(kind: type[F]) -> Callable[[object], F]:
    def read_value(value: object) -> F:
        if not isinstance(value, kind):
            raise TypeError
        return value

    return read_value


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError
    return int(value)


def _list_of(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_typed(str)(member) for member in cast("list[object]", value))


def _map_of(read_value: Callable[[object], F]) -> Callable[[object], Mapping[str, F]]:
    def read_map(value: object) -> Mapping[str, F]:
        if not isinstance(value, Mapping):
            raise TypeError
        return {key: read_value(each) for key, each in cast("Mapping[str, object]", value).items()}

    return read_map


_READERS: dict[object, Callable[[object], object]] = {
    bool: _typed(bool),
    int: _integer,
    str: _typed(str),
    tuple[str, ...]: _list_of,
    Mapping[str, str]: _map_of(_typed(str)),
    Mapping[str, tuple[str, ...]]: _map_of(_list_of),
}

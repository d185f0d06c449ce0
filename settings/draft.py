"""Settings of which a part is wrong: what is right can still be judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast, get_args

from pydantic import TypeAdapter

from settings.model import Section, Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from settings.problems import Path


class UnjudgedError(Exception):
    """A rule touched a value that is missing or wrong; that is reported already, and the rule has nothing to say."""


class Draft:
    """A section whose wrong or missing fields raise `UnjudgedError` when they are read."""

    def __init__(self, model: type[Section], values: Mapping[str, object]) -> None:
        self._model = model
        self._values = values

    def __getattr__(self, name: str) -> object:
        """Return the field `name`, or what the property of that name makes of the fields.

        Raises:
            UnjudgedError: The stack file has no usable value for it, or for a field that the property reads.
        """
        derived = getattr(self._model, name, None)
        if isinstance(derived, property) and derived.fget is not None:
            return derived.fget(self)
        try:
            return self._values[name]
        except KeyError:
            raise UnjudgedError(name) from None


def draft(raw: Mapping[str, object], broken: Collection[Path]) -> Settings:
    """Return what is usable of `raw`, to be read like `Settings`.

    Args:
        raw: The decoded sections, by their keys in the file.
        broken: Paths of everything that is wrong.
    """
    return cast("Settings", _section(Settings, raw, (), frozenset(broken)))


def _section(model: type[Section], raw: object, path: Path, broken: frozenset[Path]) -> Draft:
    values: dict[str, object] = {}
    if isinstance(raw, dict):
        items = cast("dict[str, object]", raw)
        for name, field in model.model_fields.items():
            alias = field.alias or name
            here = (*path, alias)
            if alias not in items or here in broken:
                continue
            inner = _inner(field.annotation)
            if not any(wrong[: len(here)] == here for wrong in broken):
                values[name] = TypeAdapter(cast("type[object]", field.annotation)).validate_json(
                    json.dumps(items[alias])
                )
            elif inner is not None:
                values[name] = _nested(inner, items[alias], here, broken)
    return Draft(model, values)


def _nested(model: type[Section], raw: object, path: Path, broken: frozenset[Path]) -> object:
    if isinstance(raw, list):
        items = enumerate(cast("list[object]", raw))
        return tuple(_section(model, item, (*path, index), broken) for index, item in items)
    return _section(model, raw, path, broken)


def _inner(annotation: object) -> type[Section] | None:
    """Return the section class inside `X`, `tuple[X, ...]` or `X | None`, or None where there is none."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inner(part)) is not None), None)

"""What stands for a value in a pipeline definition, and which steps have to come before it is known.

`Get` takes a parameter, something of the execution, or what describes the job of a step; `Std:Join` makes one text of
several; `Std:JsonGet` reads a property file that a processing step left.
Source: SageMaker developer guide, "Pass data between steps" and "Pipeline definition JSON schema".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

GET, JOIN, JSON_GET = "Get", "Std:Join", "Std:JsonGet"
_STEP = re.compile(r"Steps\.([A-Za-z0-9-]+)\.(.+)")
_PART = re.compile(r"\.?([A-Za-z0-9_]+)|\['([^']+)'\]|\[(\d+)\]")
_PROPERTY_FILE = "PropertyFiles."


class UnresolvedError(Exception):
    """A reference that nothing stands behind; SageMaker refuses such a definition or fails the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What references can take their values from."""

    parameters: Mapping[str, object]
    """Value by parameter."""
    execution: Mapping[str, str]
    """Value by name: `PipelineExecutionId`, `PipelineName` and so on."""
    steps: Mapping[str, Mapping[str, Any]]
    """What describes the job of a step that has ended, by the step's name."""
    property_file: Callable[[str, str], object]
    """Content of a property file of a step, as JSON."""


def resolve(value: object, scope: Scope) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """The value with every reference replaced by what it stands for.

    Raises:
        UnresolvedError: Nothing stands behind one of them.
    """
    if isinstance(value, list):
        return [resolve(item, scope) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    match members:
        case {"Get": str() as path, **rest} if not rest:
            return _get(path, scope)
        case {"Std:Join": {"On": on, "Values": values}, **rest} if not rest:
            return str(on).join(_text(resolve(item, scope)) for item in values)
        case {"Std:JsonGet": {"PropertyFile": {"Get": file}, "Path": path}, **rest} if not rest:
            return _in_file(file, path, scope)
        case _:
            return {name: resolve(item, scope) for name, item in members.items()}


def steps_named(value: object) -> set[str]:
    """Names of the steps that a value refers to."""
    return {match[1] for path in references(value) if (match := _STEP.fullmatch(path))}


def references(value: object) -> Iterator[str]:
    """What every `Get` in a value asks for."""
    if isinstance(value, list):
        for item in cast("list[object]", value):
            yield from references(item)
    elif isinstance(value, dict):
        members = cast("dict[str, object]", value)
        path = members.get(GET)
        if isinstance(path, str) and len(members) == 1:
            yield path
        for item in members.values():
            yield from references(item)


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnresolvedError(f"{value!r} cannot be joined to a text")
    return str(value)


def _get(path: str, scope: Scope) -> object:
    if match := _STEP.fullmatch(path):
        if match[1] not in scope.steps:
            raise UnresolvedError(f"{path}: no step {match[1]} has ended")
        return _walk(scope.steps[match[1]], match[2], path)
    kind, _, name = path.partition(".")
    known = {"Parameters": scope.parameters, "Execution": scope.execution}.get(kind, {})
    if name not in known:
        raise UnresolvedError(f"{path}: nothing has this name")
    return known[name]


def _in_file(file: str, path: str, scope: Scope) -> object:
    match = _STEP.fullmatch(file)
    if match is None or not match[2].startswith(_PROPERTY_FILE):
        raise UnresolvedError(f"{file} names no property file of a step")
    return _walk(scope.property_file(match[1], match[2].removeprefix(_PROPERTY_FILE)), path, f"{file}: {path}")


def _walk(found: object, path: str, whole: str) -> Any:  # noqa: ANN401 - any part of a JSON document
    """Follow names, `['name']` (an output of that name) and `[number]` into a document."""
    parts = list(_PART.finditer(path))
    if "".join(part[0] for part in parts) != path:
        raise UnresolvedError(f"{whole}: not a path")
    for part in parts:
        found = _into(found, part[1] or part[2], part[3])
        if found is None:
            raise UnresolvedError(f"{whole}: there is no {part[0]}")
    return found


def _into(found: object, name: str | None, index: str | None) -> object:
    if isinstance(found, list):
        items = cast("list[Any]", found)
        if index is not None:
            return items[int(index)] if int(index) < len(items) else None
        return next((item for item in items if item.get("OutputName") == name), None)
    return cast("dict[str, object]", found).get(name or "") if isinstance(found, dict) else None

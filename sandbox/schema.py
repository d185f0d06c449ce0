"""What a resource type accepts and answers, read from the installed Pulumi SDKs and from botocore.

The SDKs carry no schema file, but each resource has an `…Args` class whose signature and annotations say the same:
wire names, which inputs are required, and the type of every nested value. Enumerations of AWS come from botocore's
service models: a property is matched with the request member of the same name.
"""

from __future__ import annotations

import collections.abc
import enum
import functools
import importlib
import inspect
import types
import typing
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pulumi import (
    _types as sdk_types,  # pyright: ignore[reportPrivateUsage]  # the only reader of SDK annotations that knows wire names
)
from pulumi.runtime import rpc

from sandbox.wire import UNKNOWN, Json, Properties

MODULES: Final = {"aws": "pulumi_aws", "kubernetes": "pulumi_kubernetes"}


class UnknownTypeError(LookupError):
    """The token names no resource of the installed SDK."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One property that the provider refuses."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, number or boolean."""

    python: tuple[type, ...]
    choices: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of equal items."""

    item: Shape


@dataclass(frozen=True, slots=True)
class Mapping:
    """A map with free keys."""

    item: Shape


@dataclass(frozen=True, slots=True)
class Structure:
    """A nested object, by the SDK class that describes it."""

    arguments: type


@dataclass(frozen=True, slots=True)
class Anything:
    """A value that the SDK does not describe."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value that may have one of several shapes."""

    options: tuple[Shape, ...]


Shape: TypeAlias = Scalar | Sequence | Mapping | Structure | Anything | OneOf

_PYTHON_NAMES: Final = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


_SHAPE_NAMES: Final = {Sequence: "a list", Mapping: "a map", Structure: "an object"}


@dataclass(frozen=True, slots=True)
class ResourceSchema:
    """Inputs and outputs of one resource type."""

    token: str
    inputs: dict[str, Shape]
    """Input properties by wire name."""
    required: frozenset[str]
    """Names of the inputs that have to be given."""
    outputs: tuple[str, ...]

    def failures(self, properties: Properties) -> list[Failure]:
        """Returns every way in which the inputs break the schema."""
        return list(_object(self.inputs, self.required, properties, ""))


@functools.cache
def resource_schema(token: str) -> ResourceSchema:
    """Returns the schema of a resource type.

    What the specification of a custom Kubernetes resource may hold, only its definition knows: any mapping passes.

    Raises:
        UnknownTypeError: the installed SDK has no such type.
    """
    place = _place(token)
    if place is None and _is_custom(token):
        return _custom_resource(token)
    if place is None:
        raise UnknownTypeError(token)
    module = importlib.import_module(place[0])
    resource = getattr(module, place[1])
    arguments = getattr(module, f"{place[1]}InitArgs", None) or getattr(module, f"{place[1]}Args")
    outputs = tuple(sdk_types.resource_types(resource))
    return ResourceSchema(token, _fields(arguments), _required(arguments), outputs)


def structure_failures(arguments: type, properties: Properties) -> list[Failure]:
    """Returns every way in which properties break an `…Args` class."""
    return list(_structure(arguments, properties, ""))


def _is_custom(token: str) -> bool:
    """Tells whether a token is of an API group with a domain, as definitions have it, that the SDK does not know."""
    package, module, _ = token.split(":", 2)
    group, _, version = module.partition("/")
    return (
        package == "kubernetes"
        and bool(version)
        and "." in group
        and rpc.get_resource_module(package, module, "") is None
    )


def _custom_resource(token: str) -> ResourceSchema:
    metadata = importlib.import_module("pulumi_kubernetes.meta.v1").ObjectMetaArgs
    text = Scalar((str,))
    inputs: dict[str, Shape] = {
        "apiVersion": text,
        "kind": text,
        "metadata": Structure(metadata),
        "spec": Mapping(Anything()),
    }
    return ResourceSchema(token, inputs, frozenset({"apiVersion", "kind", "metadata"}), tuple(inputs))


def _place(token: str) -> tuple[str, str] | None:
    """Returns the Python module and class of a token, as the SDK registered them with the Pulumi runtime."""
    package, module, _ = token.split(":", 2)
    importlib.import_module(MODULES[package])
    registered = rpc.get_resource_module(package, module, "")
    info: dict[str, Any] = vars(registered)["mod_info"] if registered else {"classes": {}}
    return (info["fqn"], info["classes"][token]) if token in info["classes"] else None


@functools.cache
def _fields(arguments: type) -> dict[str, Shape]:
    return {wire: _shape(annotation) for wire, annotation in sdk_types.input_type_types(arguments).items()}


@functools.cache
def _required(arguments: type) -> frozenset[str]:
    wire = sdk_types.input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments).parameters
    return frozenset(
        wire[name] for name, p in parameters.items() if p.default is inspect.Parameter.empty and name in wire
    )


def _shape(annotation: Any) -> Shape:  # noqa: ANN401 - annotations have no common type
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin is typing.Literal:
        return Scalar((str,), tuple(arguments))
    if origin in (collections.abc.Sequence, list):
        return Sequence(_shape(arguments[0]))
    if origin in (collections.abc.Mapping, dict):
        return Mapping(_shape(arguments[1]))
    return _class_shape(typing.cast("type[object]", annotation)) if isinstance(annotation, type) else Anything()


def _class_shape(annotation: type[object]) -> Shape:
    if issubclass(annotation, enum.Enum):
        return Scalar((str,))
    if annotation in (str, bool, int):
        return Scalar((annotation,))
    if annotation is float:
        return Scalar((int, float))
    if sdk_types.is_input_type(annotation):
        return Structure(annotation)
    return Anything()


def _union(arguments: tuple[Any, ...]) -> Shape:
    plain = [a for a in arguments if a is not type(None) and not _is_deferred(a)]
    shapes = tuple(dict.fromkeys(_shape(a) for a in plain))
    return shapes[0] if len(shapes) == 1 else OneOf(shapes)


def _is_deferred(annotation: Any) -> bool:  # noqa: ANN401 - annotations have no common type
    origin = typing.get_origin(annotation) or annotation
    return getattr(origin, "__name__", "") in ("Awaitable", "Output")


def _failures(shape: Shape, value: Json, path: str) -> typing.Iterator[Failure]:
    """Yields what is wrong with a value; one that is unknown or null may become anything."""
    if value is not None and value != UNKNOWN:
        yield from _known_failures(shape, value, path)


def _known_failures(shape: Shape, value: Json, path: str) -> typing.Iterator[Failure]:
    match shape, value:
        case Anything(), _:
            return
        case Scalar(python, choices), _:
            yield from _scalar_failures(python, choices, value, path)
        case Sequence(item), list():
            for index, element in enumerate(value):
                yield from _failures(item, element, f"{path}[{index}]")
        case Mapping(item), dict():
            for key, element in value.items():
                yield from _failures(item, element, f"{path}.{key}")
        case Structure(arguments), dict():
            yield from _structure(arguments, value, path)
        case OneOf(options), _:
            if all(any(_failures(option, value, path)) for option in options):
                yield from _failures(options[0], value, path)
        case _:
            yield Failure(path, f"expected {_SHAPE_NAMES[type(shape)]}, got {_describe(value)}")


def _scalar_failures(
    python: tuple[type, ...], choices: tuple[Json, ...], value: Json, path: str
) -> typing.Iterator[Failure]:
    is_bool = isinstance(value, bool)
    if not isinstance(value, python) or (is_bool and bool not in python):
        yield Failure(path, f"expected {_PYTHON_NAMES[python[-1]]}, got {_describe(value)}")
    elif choices and value not in choices:
        yield Failure(path, f"expected one of {', '.join(map(str, choices))}, got {value!r}")


def _structure(arguments: type, value: Properties, path: str) -> typing.Iterator[Failure]:
    yield from _object(_fields(arguments), _required(arguments), value, path)


def _object(
    fields: dict[str, Shape], required: frozenset[str], value: Properties, path: str
) -> typing.Iterator[Failure]:
    prefix = f"{path}." if path else ""
    for name in sorted(required - {key for key, item in value.items() if item is not None}):
        yield Failure(f"{prefix}{name}", "missing required property")
    for name, item in value.items():
        if name in fields:
            yield from _failures(fields[name], item, f"{prefix}{name}")
        elif not name.startswith("__"):
            yield Failure(f"{prefix}{name}", "unknown property")


def _describe(value: Json) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return repr(value)

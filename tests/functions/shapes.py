"""Checks a request against the service's own model, further than botocore does before it sends one."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, StringShape, StructureShape
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from botocore.model import Shape

_UNICODE_CLASS = "\\p{"
"""Java's notation for Unicode classes, which Python's `re` does not have."""


def problems(operation: str, request: object) -> list[str]:
    """What SageMaker would refuse of a request: types, required keys, lengths and ranges, patterns, enumerations."""
    shape = _input_shape(operation)
    report = ParamValidator().validate(cast("dict[str, Any]", request), shape)
    return ([report.generate_report()] if report.has_errors() else []) + _walk(request, shape, "")


@cache
def _input_shape(operation: str) -> Shape:
    loader = Loader([Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    model = ServiceModel(loader.load_service_model("sagemaker", "service-2"), "sagemaker")
    shape = model.operation_model(operation).input_shape
    assert shape is not None
    return shape


def _walk(value: Any, shape: Shape, path: str) -> list[str]:
    if isinstance(shape, StructureShape):
        return [item for name, child in value.items() for item in _walk(child, shape.members[name], f"{path}.{name}")]
    if isinstance(shape, ListShape):
        return [item for child in value for item in _walk(child, shape.member, f"{path}[]")]
    if isinstance(shape, MapShape):
        keys = [item for key in value for item in _walk(key, shape.key, f"{path} key {key}")]
        return keys + [item for key, child in value.items() for item in _walk(child, shape.value, f"{path}.{key}")]
    return _leaf(value, shape, path)


def _leaf(value: Any, shape: Shape, path: str) -> list[str]:
    found: list[str] = []
    limits = shape.metadata
    size = len(value) if isinstance(shape, StringShape) else value
    if "max" in limits and not isinstance(value, bool) and size > limits["max"]:
        found.append(f"{path}: {value!r} is above {limits['max']}")
    pattern = limits.get("pattern")
    if pattern and _UNICODE_CLASS not in pattern and not re.fullmatch(pattern, str(value)):
        found.append(f"{path}: {value!r} does not match {pattern}")
    enumeration = limits.get("enum") or getattr(shape, "enum", [])
    if enumeration and value not in enumeration:
        found.append(f"{path}: {value!r} is none of the {len(enumeration)} known values")
    return found

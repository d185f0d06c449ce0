"""Kubernetes' own object schemas, strict, as the package kubernetes-validate carries them for each minor version."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

if TYPE_CHECKING:
    from tests.support.objects import Object

DEFINITIONS = "_definitions.json"
DEFINITIONS_URI = f"https://kubernetes.io/api/{DEFINITIONS}"
"""How the schemas refer to it."""


def misfit(item: Object, kubernetes: str) -> str | None:
    """Where an object first does not fit the schema of its kind, and why; an unknown field does not fit either.

    Args:
        item: An object of an API group that Kubernetes itself serves.
        kubernetes: Minor version, such as `1.35`.

    Raises:
        FileNotFoundError: That version has no such kind.
    """
    group, _, version = item["apiVersion"].rpartition("/")
    kind = "-".join(filter(None, [item["kind"].lower(), group.partition(".")[0], version]))
    validator: Any = _validator(kubernetes, kind)
    try:
        validator.validate(item)
    except ValidationError as error:
        return f"{error.json_path}: {error.message}"
    return None


# Read and referred to once per version: more than a megabyte of definitions.
@functools.cache
def _registry(kubernetes: str) -> Registry[Any]:
    return Registry[Any]().with_resource(DEFINITIONS_URI, DRAFT202012.create_resource(_read(kubernetes, DEFINITIONS)))


@functools.cache
def _validator(kubernetes: str, kind: str) -> Draft202012Validator:
    return Draft202012Validator(_read(kubernetes, f"{kind}.json"), registry=_registry(kubernetes))


def _read(kubernetes: str, file: str) -> Any:
    schemas = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{kubernetes}.0-local-strict"
    return json.loads((schemas / file).read_text("utf-8"))

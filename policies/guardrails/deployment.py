"""A deployment as `pulumi stack export` writes it, read into what rules judge.

Resource rules judge inputs, stack rules outputs: the engine does the same in `pulumi policy analyze`
(`pkg/engine/analyze_snapshot.go` of the Pulumi engine).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from guardrails.resources import Resource
from guardrails.view import Missing, Value, value_of

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_REFERENCE = "5cf8f73096256a8f31e491e813e4eb8e"
"""Marks the envelope of a reference to a resource (`sdk/go/common/resource/properties.go`)."""
_SOURCE = re.compile(r"project:///(?!.*\.\.)(?P<file>[^#]+)(#(?P<line>\d+))?")


@dataclass(frozen=True, slots=True)
class Source:
    """The line of the program that registered a resource."""

    file: str
    """Path from the project's folder, with forward slashes."""
    line: int


class DeploymentError(ValueError):
    """A file that holds no deployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The resources of a state."""

    inputs: tuple[Resource, ...]
    outputs: tuple[Resource, ...]
    sources: Mapping[str, Source]
    """By URN, where the state says so."""


def read(document: object) -> Deployment:
    """The deployment in a parsed state file.

    Args:
        document: An object `{"deployment": {"resources": […]}}`; resources as in deployments of version 3.

    Raises:
        DeploymentError: It is something else.
    """
    try:
        held = cast("list[dict[str, Any]]", cast("Mapping[str, Any]", document)["deployment"]["resources"])
        providers = {each["urn"]: value_of(each.get("inputs", {}), "provider") for each in held}
        return Deployment(
            inputs=tuple(_resource(each, each.get("inputs", {}), providers) for each in held if not each.get("delete")),
            outputs=tuple(
                _resource(each, each.get("outputs", {}), providers) for each in held if not each.get("delete")
            ),
            sources={each["urn"]: source for each in held if (source := _source(each.get("sourcePosition", "")))},
        )
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise DeploymentError(f"no deployment as `pulumi stack export` writes it: {error!r}") from error


def _resource(held: Mapping[str, Any], properties: object, providers: Mapping[str, Value]) -> Resource:
    edges: Mapping[str, list[str] | None] = held.get("propertyDependencies") or {}
    return Resource(
        token=held["type"],
        urn=held["urn"],
        name=held["urn"].split("::", 3)[3],
        properties=value_of(_without_references(properties)),
        provider=providers.get(held.get("provider", "").rpartition("::")[0], Missing("provider")),
        parent=held.get("parent") or None,
        protect=bool(held.get("protect")),
        dependencies={name: tuple(urns or ()) for name, urns in edges.items()},
    )


def _without_references(value: object) -> object:
    """References to resources as their ids, or URNs for components, which is what the engine gives to a policy."""
    if isinstance(value, list):
        return [_without_references(each) for each in cast("list[object]", value)]
    if not isinstance(value, Mapping):
        return value
    held = cast("Mapping[str, object]", value)
    if held.get(_SIGNATURE) == _REFERENCE:
        return held.get("id") or held.get("urn")
    return {name: _without_references(each) for name, each in held.items()}


def _source(position: str) -> Source | None:
    found = _SOURCE.fullmatch(position)
    return Source(found["file"], int(found["line"] or 1)) if found else None

"""The Kubernetes objects and Helm releases of a recorded program, as they reach the API server and Helm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.recorded import record_program

if TYPE_CHECKING:
    from tests.support.recorded import Resource

KUBERNETES = "kubernetes:"
RELEASE = "kubernetes:helm.sh/v3:Release"
PATCH = "Patch"
"""Ends the type of a resource that changes an object of somebody else's (pulumi-kubernetes, server-side apply)."""

Object = dict[str, Any]
"""One Kubernetes object, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """One object that the program registers."""

    type: str
    """Pulumi's type token."""
    object: Object

    @property
    def patch(self) -> bool:
        """Whether it changes an object that the cluster has already, instead of creating one."""
        return self.type.endswith(PATCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One Helm release."""

    name: str
    namespace: str
    chart: str
    """The chart's own name, without its repository."""
    version: str
    values: dict[str, Any]
    crds: bool
    """Whether the chart's folder `crds/` is installed."""


def program_objects(stack: str) -> tuple[Registered, ...]:
    """What the program registers for the API server: namespaces first, then in the order of registration.

    Raises:
        LookupError: if there is nothing.
    """
    found = [
        Registered(type=item.type, object=item.inputs)
        for item in record_program(stack).resources
        if item.type.startswith(KUBERNETES) and item.type != RELEASE and item.custom
    ]
    if not found:
        raise LookupError(f"{stack} registers no Kubernetes object")
    return tuple(sorted(found, key=lambda item: item.object["kind"] != "Namespace"))


def program_releases(stack: str) -> tuple[Release, ...]:
    """The Helm releases that the program registers; at least one."""
    return tuple(as_release(item) for item in record_program(stack).of_type(RELEASE))


def as_release(resource: Resource) -> Release:
    """The release that a resource of type `RELEASE` registers."""
    inputs = resource.inputs
    return Release(
        name=inputs["name"],
        namespace=inputs["namespace"],
        chart=inputs["chart"].rpartition("/")[2],
        version=inputs["version"],
        values=inputs.get("values") or {},
        crds=not inputs.get("skipCrds"),
    )

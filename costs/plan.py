"""A plan as the cost function sees it: resources with their inputs, however they were obtained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def mapping(value: object) -> Mapping[str, Any]:
    """Return `value` where it is a mapping, else an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def items(value: object) -> Sequence[Any]:
    """Return `value` where it is a list, else an empty one."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()


_NOT_BILLED = ("pulumi:", "slipway:")
"""Prefixes of types that exist in Pulumi only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One resource of a plan."""

    urn: str
    """URN; `urn:pulumi:<stack>::<project>::<type chain>::<name>`."""
    type: str
    """Type token."""
    name: str
    """Logical name."""
    parent: str = ""
    """URN of the parent; empty at the top."""
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Inputs by their names on the wire (camelCase)."""
    property_dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict[str, "Sequence[str]"])
    """Input → URNs of the resources that it was made of."""

    @property
    def component(self) -> str:
        """The component at the top of the chain: `network` of `slipway:network:Network$aws:ec2/vpc:Vpc`."""
        return self.urn.split("::")[2].split("$")[0].split(":")[1]

    @property
    def tags(self) -> Mapping[str, str]:
        """Tags of its own, without those that the provider adds."""
        return mapping(self.inputs.get("tags"))


class PlanError(Exception):
    """The file is no plan; the text says what to write."""


def from_export(content: object) -> tuple[Planned, ...]:
    """Return the resources of a deployment in the format of `pulumi stack export`.

    Raises:
        PlanError: The content has another form.
    """
    try:
        resources: list[dict[str, Any]] = mapping(content)["deployment"]["resources"]
        return tuple(
            Planned(
                urn=item["urn"],
                type=item["type"],
                name=item["urn"].rsplit("::", 1)[1],
                parent=item.get("parent", ""),
                inputs=item.get("inputs", {}),
                property_dependencies={name: urns or [] for name, urns in item.get("propertyDependencies", {}).items()},
            )
            for item in resources
            if not item.get("delete") and not item["type"].startswith(_NOT_BILLED)
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise PlanError("no deployment in the format of `pulumi stack export`; `make plan` writes one") from error

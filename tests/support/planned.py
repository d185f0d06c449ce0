"""Plans for the cost model: those that the real program records, and small ones that a test makes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costs.data import Assumption
from costs.plan import Planned
from costs.usage import Quantity, Usage
from tests.support.recorded import record_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.recorded import Resource

SAME = ("1", "2", "3")
"""Least, expected and most of every quantity in `usage_for_all`."""


def planned(resource: Resource) -> Planned:
    """A recorded resource as a plan would hold it."""
    return Planned(
        urn=resource.urn,
        type=resource.type,
        name=resource.name,
        parent=resource.parent,
        inputs=resource.inputs,
        property_dependencies=resource.property_dependencies,
    )


def plan_of(stack: str) -> tuple[Planned, ...]:
    """What the real program registers, without what exists in Pulumi only."""
    resources = record_program(stack).resources
    return tuple(planned(item) for item in resources if not item.type.startswith(("pulumi:", "slipway:")))


def made_up(token: str, name: str, inputs: Mapping[str, Any], **made_of: Planned) -> Planned:
    """A resource of component `thing`; `made_of` says what its inputs were made of."""
    return Planned(
        urn=f"urn:pulumi:test::slipway::slipway:thing:Thing${token}::{name}",
        type=token,
        name=name,
        inputs=inputs,
        property_dependencies={property_: [other.urn] for property_, other in made_of.items()},
    )


def nodes(name: str, instance_type: str, count: int, *, spot: bool = False, disk: int = 50) -> tuple[Planned, Planned]:
    """A managed node group and its launch template."""
    template = made_up(
        "aws:ec2/launchTemplate:LaunchTemplate", name, {"blockDeviceMappings": [{"ebs": {"volumeSize": disk}}]}
    )
    inputs = {
        "instanceTypes": [instance_type],
        "capacityType": "SPOT" if spot else "ON_DEMAND",
        "scalingConfig": {"minSize": 0, "desiredSize": count, "maxSize": count},
    }
    return template, made_up("aws:eks/nodeGroup:NodeGroup", name, inputs, launchTemplate=template)


def usage_for_all(numbers: tuple[str, str, str] = SAME, *, without: frozenset[Quantity] = frozenset()) -> Usage:
    """Assumptions that say the same of every quantity; of nodes nothing, so that the plan decides them."""
    low, expected, high = numbers
    entry = Assumption.model_validate({"low": low, "expected": expected, "high": high, "why": "made up for a test"})
    assumed = set(Quantity) - without - {Quantity.NODES}
    return Usage(quantities={quantity: {"*": entry} for quantity in sorted(assumed)})

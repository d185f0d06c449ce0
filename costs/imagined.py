"""Resources that no plan holds, in the shape of a plan's, so that the same function prices them."""

from __future__ import annotations

from typing import Any

from costs.meters.machines import LAUNCH_TEMPLATE
from costs.plan import Planned


def imagined(token: str, name: str, inputs: dict[str, Any], **made_of: Planned) -> Planned:
    """Return a resource.

    Args:
        token: Its type.
        name: Its logical name.
        inputs: Its inputs.
        made_of: Property → resource that it takes from.
    """
    return Planned(
        urn=f"urn:pulumi:scenario::slipway::slipway:scenario:Scenario${token}::{name}",
        type=token,
        name=name,
        inputs=inputs,
        property_dependencies={property_: [other.urn] for property_, other in made_of.items()},
    )


def nodes(
    name: str, instance_type: str, disk: int, count: int, capacity: str, *, monitored: bool = False
) -> list[Planned]:
    """Return a pool of nodes of one type.

    Args:
        name: Of the pool.
        instance_type: EC2 type.
        disk: GiB of each.
        count: How many there are all month.
        capacity: `ON_DEMAND` or `SPOT`.
        monitored: Whether EC2 sends its metrics every minute, which is paid.
    """
    description = {"blockDeviceMappings": [{"ebs": {"volumeSize": disk}}], "monitoring": {"enabled": monitored}}
    template = imagined(LAUNCH_TEMPLATE, name, description)
    inputs = {
        "instanceTypes": [instance_type],
        "capacityType": capacity,
        "scalingConfig": {"minSize": 0, "desiredSize": count, "maxSize": count},
    }
    return [template, imagined("aws:eks/nodeGroup:NodeGroup", name, inputs, launchTemplate=template)]

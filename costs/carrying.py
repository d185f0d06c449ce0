"""What the nodes cost that a model's load fills, all month at that load: with the table that prices plans.

Nodes only, and whole ones: disks and metrics of theirs are in it, while control plane, load balancers and traffic do
not follow from pods, and `make cost` has them. Of a pool the first type stands for all, as in `make cost`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costs.estimate import Estimate, Place, bill
from costs.imagined import nodes
from costs.usage import Usage
from settings.model import Capacity
from settings.serving_capacity import nodes_for, supply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from costs.plan import Planned
    from costs.prices import Prices
    from settings.model import EksServingSpec, Settings


def carrying(settings: Settings, spec: EksServingSpec, pods: int, prices: Prices, on: date) -> Estimate | None:
    """Return what a month costs of the nodes that pods of a model fill; None where they find no room.

    Args:
        settings: Of the environment.
        spec: How the model is served.
        pods: How many there are all month.
        prices: The price table.
        on: The day that it is for.
    """
    filled = nodes_for(pods, supply(settings, spec))
    if filled is None:
        return None
    environment = settings.environment
    place = Place(environment=environment.name, region=environment.region, cost_center=environment.cost_center)
    return bill(list(_planned(settings, filled)), place, Usage(quantities={}), prices, on=on)


def _planned(settings: Settings, filled: dict[str, int]) -> Iterator[Planned]:
    """Yield the nodes, as components make them: EC2 sends their metrics every minute."""
    for pool in settings.node_pools:
        if count := filled.get(pool.name):
            option = "SPOT" if pool.capacity is Capacity.SPOT else "ON_DEMAND"
            yield from nodes(pool.name, pool.instance_types[0], pool.disk_gib, count, option, monitored=True)
    for pool in settings.karpenter.pools:
        if count := filled.get(pool.name):
            option = "SPOT" if Capacity.SPOT in pool.capacity else "ON_DEMAND"
            machine = f"{pool.instance_families[0]}.{pool.instance_sizes[0]}"
            yield from nodes(pool.name, machine, pool.disk_gib, count, option, monitored=True)

"""How much load the pods of a model carry, and whether there are nodes for them.

A model for planning: it takes the measured requests of one pod, counts pods that fit each node by what they reserve,
and leaves out what else runs on the nodes. So it refuses what cannot work, and promises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from settings.capacity import for_workloads, processors
from settings.instances import EC2_TYPES
from settings.model import Capacity, PoolRole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from settings.model import EksServingSpec, ElasticPoolSpec, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Nodes of one pool that pods of a model may run on."""

    pool: str
    """Name of the pool."""
    count: int
    """Nodes at most."""
    pods: int
    """Pods of the model that a node has room for."""


def pods_for(requests_per_second: float, spec: EksServingSpec) -> int:
    """Return how many pods carry a load together with the reserve that the settings ask for."""
    load = requests_per_second * (100 + spec.reserve_percent)
    return int(-(-load // (100 * spec.pod.requests_per_second)))


def supply(settings: Settings, spec: EksServingSpec) -> list[Nodes]:
    """Return the nodes that the pods may run on, by pool: those of its purchase option without an accelerator.

    Types of unknown size count as having no room. Where a pool has several types, the one with the least room counts.
    """
    managed = [
        Nodes(pool=pool.name, count=pool.max_size, pods=_room(pool.instance_types, spec))
        for pool in settings.node_pools
        if pool.role is PoolRole.CPU and pool.capacity is spec.capacity
    ]
    elastic = [
        _elastic(pool, spec)
        for pool in settings.karpenter.pools
        if pool.role is PoolRole.CPU and (Capacity.SPOT in pool.capacity) is (spec.capacity is Capacity.SPOT)
    ]
    return [*managed, *elastic]


def nodes_for(pods: int, nodes: Iterable[Nodes]) -> dict[str, int] | None:
    """Return how many nodes of each pool `pods` fill, pool by pool in the given order; None where they find no room."""
    taken: dict[str, int] = {}
    for pool in nodes:
        if pods <= 0:
            break
        if pool.pods:
            taken[pool.pool] = min(-(-pods // pool.pods), pool.count)
            pods -= taken[pool.pool] * pool.pods
    return taken if pods <= 0 else None


def room(nodes: Iterable[Nodes]) -> int:
    """Return how many pods find room on `nodes`."""
    return sum(pool.count * pool.pods for pool in nodes)


def _elastic(pool: ElasticPoolSpec, spec: EksServingSpec) -> Nodes:
    types = [f"{family}.{size}" for family in pool.instance_families for size in pool.instance_sizes]
    smallest = min((processors(name) for name in types if name in EC2_TYPES), default=0)
    return Nodes(
        pool=pool.name,
        count=pool.limits.cpu // smallest if smallest else 0,
        pods=_room(types, spec),
    )


def _room(types: Iterable[str], spec: EksServingSpec) -> int:
    rooms = [for_workloads(name, PoolRole.CPU) for name in types if name in EC2_TYPES]
    return min(
        (
            min(each.cpu_millis // spec.cpu_millis, each.memory_mib // spec.memory_mib, each.pods) if each else 0
            for each in rooms
        ),
        default=0,
    )

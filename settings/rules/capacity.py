"""Capacity: what no node of the stack has room for waits for ever, and nothing else would say so."""

from collections.abc import Iterable, Iterator
from typing import Final

from settings.capacity import Room, for_workloads
from settings.instances import EC2_TYPES
from settings.model import ElasticPoolSpec, PoolRole, Settings
from settings.problems import Finding
from settings.rules.pools import PoolRule
from settings.rules.tenancy import TeamRule


def containers_fit_a_node(settings: Settings, index: int) -> Iterator[Finding]:
    """A container beyond the largest node stays pending: neither scheduler nor Karpenter has a place for it."""
    managed = (_rooms(pool.instance_types, pool.role) for pool in settings.node_pools if _for_teams(pool.role))
    elastic = (_rooms(_types(pool), pool.role) for pool in settings.karpenter.pools if _for_teams(pool.role))
    largest = _largest(room for rooms in (*managed, *elastic) for room in rooms)
    if largest is None:
        return
    for place, namespace in enumerate(settings.teams[index].namespaces):
        limits = namespace.limits
        for field, found, most in (
            ("maxCpuMillis", limits.max_cpu_millis, largest.cpu_millis),
            ("maxMemoryMib", limits.max_memory_mib, largest.memory_mib),
        ):
            if found > most:
                yield Finding(
                    path=("teams", index, "namespaces", place, "limits", field),
                    found=str(found),
                    allowed=f"at most {most}, what the largest node of the pools leaves for workloads",
                    remedy=f"lower it to {most}, or give a pool larger instance types",
                )


def headroom_fits_a_node(settings: Settings, index: int) -> Iterator[Finding]:
    """A placeholder beyond the largest node of its pool waits for ever and keeps nothing free."""
    room = settings.karpenter.headroom.pools[index]
    pool = next((pool for pool in settings.karpenter.pools if pool.name == room.pool), None)
    largest = _largest(_rooms(_types(pool), pool.role)) if pool else None
    if pool is None or largest is None:
        return
    for field, found, most in (
        ("cpuMillis", room.cpu_millis, largest.cpu_millis),
        ("memoryMib", room.memory_mib, largest.memory_mib),
    ):
        if found > most:
            yield Finding(
                path=("karpenter", "headroom", "pools", index, field),
                found=str(found),
                allowed=f"at most {most}, what the largest node of {pool.name} leaves for workloads",
                remedy=f"lower it to {most} and raise replicas, or give {pool.name} larger instance types",
            )


def _for_teams(role: PoolRole) -> bool:
    """Return whether pods of teams may run on nodes of the role; system nodes keep them out."""
    return role is not PoolRole.SYSTEM


def _types(pool: ElasticPoolSpec) -> list[str]:
    return [f"{family}.{size}" for family in pool.instance_families for size in pool.instance_sizes]


def _rooms(types: Iterable[str], role: PoolRole) -> list[Room | None]:
    """Return what nodes of the types that exist leave; None for one of unknown size."""
    return [for_workloads(name, role) for name in types if name in EC2_TYPES]


def _largest(rooms: Iterable[Room | None]) -> Room | None:
    """Return the most of each resource; None where a node of unknown size may be larger, or where there is none."""
    known: list[Room] = []
    for room in rooms:
        if room is None:
            return None
        known.append(room)
    if not known:
        return None
    return Room(
        cpu_millis=max(room.cpu_millis for room in known),
        memory_mib=max(room.memory_mib for room in known),
        pods=max(room.pods for room in known),
    )


TEAM_RULES: Final[tuple[TeamRule, ...]] = (containers_fit_a_node,)
HEADROOM_RULES: Final[tuple[PoolRule, ...]] = (headroom_fits_a_node,)

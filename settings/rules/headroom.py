"""Headroom: placeholders that a pool can hold, and that keep free what its pods need."""

from collections.abc import Iterator
from typing import Final

from settings.instances import EC2_TYPES, gpus
from settings.model import ElasticPoolSpec, HeadroomPoolSpec, PoolRole, Settings
from settings.problems import Finding, join, repeated
from settings.rules.environment import Rule
from settings.rules.pools import PoolRule

_MILLIS: Final = 1000
_MIB: Final = 1024


def headroom_pools_differ(settings: Settings) -> Iterator[Finding]:
    """A pool's placeholders are one Deployment."""
    names = [room.pool for room in settings.karpenter.headroom.pools]
    for index, first in repeated(names).items():
        yield Finding(
            path=_room(index, "pool"),
            found=f"{names[index]} again (first in pools[{first}])",
            allowed="each pool once",
            remedy="raise the replicas of the first, and remove this one",
        )


def headroom_pool_exists(settings: Settings, index: int) -> Iterator[Finding]:
    """Placeholders for a pool that nobody starts wait for ever and keep nothing free."""
    room = settings.karpenter.headroom.pools[index]
    names = [pool.name for pool in settings.karpenter.pools]
    if room.pool not in names:
        yield Finding(
            path=_room(index, "pool"),
            found=room.pool,
            allowed=f"an elastic pool: {join(names)}",
            remedy="write one of them, or remove the entry",
        )


def headroom_is_within_the_limits(settings: Settings, index: int) -> Iterator[Finding]:
    """Beyond the limits of the pool no node starts, and placeholders would leave none to work."""
    room, pool = settings.karpenter.headroom.pools[index], _pool_of(settings, index)
    if pool is None:
        return
    limits = pool.limits
    for field, each, most in (
        ("cpuMillis", room.cpu_millis, limits.cpu * _MILLIS),
        ("memoryMib", room.memory_mib, limits.memory_gib * _MIB),
        ("gpus", room.gpus, limits.gpus),
    ):
        if pool.role is not PoolRole.GPU and field == "gpus":
            continue
        if room.replicas * each >= most:
            yield Finding(
                path=_room(index, field),
                found=f"{room.replicas} times {each}",
                allowed=f"together less than the {most} that {pool.name} may start",
                remedy=f"lower replicas or {field}, or raise the limits of {pool.name}",
            )


def headroom_keeps_what_the_pool_has(settings: Settings, index: int) -> Iterator[Finding]:
    """A GPU pool takes only pods that ask for a GPU, and no other pool has one; no pod spans two nodes."""
    room, pool = settings.karpenter.headroom.pools[index], _pool_of(settings, index)
    if pool is None:
        return
    most = _gpus_per_node(pool) if pool.role is PoolRole.GPU else 0
    least = 1 if pool.role is PoolRole.GPU else 0
    if not least <= room.gpus <= most:
        yield Finding(
            path=_room(index, "gpus"),
            found=str(room.gpus),
            allowed=f"at least {least} and at most the {most} of a node of {pool.name}"
            if most
            else f"0 for role {pool.role}",
            remedy=f"write {least}" if room.gpus < least else f"write {most}",
        )


def _pool_of(settings: Settings, index: int) -> ElasticPoolSpec | None:
    room: HeadroomPoolSpec = settings.karpenter.headroom.pools[index]
    return next((pool for pool in settings.karpenter.pools if pool.name == room.pool), None)


def _gpus_per_node(pool: ElasticPoolSpec) -> int:
    named = (f"{family}.{size}" for family in pool.instance_families for size in pool.instance_sizes)
    return max((gpus(name) for name in named if name in EC2_TYPES), default=1)


def _room(index: int, field: str) -> tuple[str | int, ...]:
    return ("karpenter", "headroom", "pools", index, field)


RULES: Final[tuple[Rule, ...]] = (headroom_pools_differ,)
HEADROOM_RULES: Final[tuple[PoolRule, ...]] = (
    headroom_pool_exists,
    headroom_is_within_the_limits,
    headroom_keeps_what_the_pool_has,
)

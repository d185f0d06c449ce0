"""Node pools: sizes, purchase options and instance types that EKS accepts and that survive an interruption."""

from collections.abc import Callable, Iterator
from typing import Final

from settings.instances import EC2_TYPES, UNSUPPORTED, Accelerator, accelerator, architecture, family, near
from settings.model import Capacity, NodePoolSpec, PoolRole, Settings
from settings.problems import Finding, join, repeated, show
from settings.rules.environment import Rule

PoolRule = Callable[[Settings, int], Iterator[Finding]]
"""A rule on the pool at an index of its list."""

SYSTEM_NODES: Final = 2
"""Fewest nodes of the system pool."""
_SPOT_TYPES: Final = 3

ACCELERATORS: Final = {PoolRole.GPU: Accelerator.NVIDIA, PoolRole.NEURON: Accelerator.NEURON}
"""What the nodes of a role compute with; those of the other roles have a processor only."""
ROLES: Final = {wanted: role for role, wanted in ACCELERATORS.items()}
"""The role for nodes with an accelerator."""
WITH: Final = {
    Accelerator.NONE: "without an accelerator",
    Accelerator.NVIDIA: "with an NVIDIA GPU",
    Accelerator.NEURON: "with AWS Neuron",
}
"""How messages call nodes with an accelerator."""
_EXAMPLES: Final = {Accelerator.NVIDIA: "g6.xlarge", Accelerator.NEURON: "inf2.xlarge"}


def pool_names_differ(settings: Settings) -> Iterator[Finding]:
    """Two node groups of a cluster cannot have one name."""
    names = [pool.name for pool in settings.node_pools]
    for index, first in repeated(names).items():
        yield Finding(
            path=("nodePools", index, "name"),
            found=f"{names[index]} again (first in nodePools[{first}])",
            allowed="a name that no other pool has",
            remedy="rename one of the two",
        )


def one_system_pool(settings: Settings) -> Iterator[Finding]:
    """Controllers run in one pool that everything else stays out of."""
    systems = [index for index, pool in enumerate(settings.node_pools) if pool.role is PoolRole.SYSTEM]
    if not systems:
        yield Finding(
            path=("nodePools",),
            found="no pool with role system",
            allowed="exactly one",
            remedy="add an on-demand pool with role: system for the cluster's controllers",
        )
    for index in systems[1:]:
        yield Finding(
            path=("nodePools", index, "role"),
            found=f"system again (first in nodePools[{systems[0]}])",
            allowed="exactly one pool with role system",
            remedy="write role: cpu, or remove the pool",
        )


def system_pool_stays(settings: Settings, index: int) -> Iterator[Finding]:
    """The controllers must not be interrupted: they are what replaces interrupted nodes."""
    pool = settings.node_pools[index]
    if pool.role is PoolRole.SYSTEM and pool.capacity is not Capacity.ON_DEMAND:
        yield Finding(
            path=("nodePools", index, "capacity"),
            found=pool.capacity,
            allowed=f"{Capacity.ON_DEMAND} for role system",
            remedy=f"write {Capacity.ON_DEMAND}",
        )


def system_pool_survives_a_node(settings: Settings, index: int) -> Iterator[Finding]:
    """With fewer than two nodes, an update or a failure stops every controller."""
    pool = settings.node_pools[index]
    if pool.role is PoolRole.SYSTEM and pool.min_size < SYSTEM_NODES:
        yield Finding(
            path=("nodePools", index, "minSize"),
            found=str(pool.min_size),
            allowed=f"at least {SYSTEM_NODES} for role system, in different zones",
            remedy=f"raise minSize to {SYSTEM_NODES}",
        )


def minimum_is_at_most_maximum(settings: Settings, index: int) -> Iterator[Finding]:
    """EKS needs minSize ≤ desiredSize ≤ maxSize (EKS API, NodegroupScalingConfig)."""
    pool = settings.node_pools[index]
    if pool.min_size > pool.max_size:
        yield Finding(
            path=("nodePools", index, "minSize"),
            found=str(pool.min_size),
            allowed=f"at most maxSize ({pool.max_size})",
            remedy=f"lower minSize to {pool.max_size} or raise maxSize to {pool.min_size}",
        )


def desired_is_between(settings: Settings, index: int) -> Iterator[Finding]:
    """EKS needs minSize ≤ desiredSize ≤ maxSize (EKS API, NodegroupScalingConfig)."""
    pool = settings.node_pools[index]
    low, wanted, high = pool.min_size, pool.desired_size, pool.max_size
    if low <= high and not low <= wanted <= high:
        yield Finding(
            path=("nodePools", index, "desiredSize"),
            found=str(wanted),
            allowed=f"from minSize ({low}) to maxSize ({high})",
            remedy=f"write {max(low, min(high, wanted))}, or move the bound",
        )


def update_leaves_nodes(settings: Settings, index: int) -> Iterator[Finding]:
    """An update that may take out more nodes than there are stops the whole pool."""
    pool = settings.node_pools[index]
    if pool.max_unavailable > pool.max_size:
        yield Finding(
            path=("nodePools", index, "maxUnavailable"),
            found=str(pool.max_unavailable),
            allowed=f"at most maxSize ({pool.max_size})",
            remedy=f"lower maxUnavailable to {pool.max_size} or less",
        )


def instance_types_exist(settings: Settings, index: int) -> Iterator[Finding]:
    """A type that EC2 does not have is refused only when the node group is created, ten minutes into an update."""
    for place, name in enumerate(settings.node_pools[index].instance_types):
        if name in EC2_TYPES:
            continue
        choices = near(name, EC2_TYPES)
        reason = UNSUPPORTED.get(family(name))
        yield Finding(
            path=("nodePools", index, "instanceTypes", place),
            found=show(name),
            allowed="an instance type of settings/instances.py" + (f"; not {family(name)}: {reason}" if reason else ""),
            remedy=f"write {join(choices)}"
            if choices and not reason
            else "choose another family, such as m6i, c6i, r6i, m7g, g5 or g6",
        )


def instance_types_differ(settings: Settings, index: int) -> Iterator[Finding]:
    """A type that is named twice diversifies nothing."""
    types = settings.node_pools[index].instance_types
    for place, first in repeated(types).items():
        yield Finding(
            path=("nodePools", index, "instanceTypes", place),
            found=f"{show(types[place])} again (first in instanceTypes[{first}])",
            allowed="each type once",
            remedy="name another type, or remove it",
        )


def spot_is_diversified(settings: Settings, index: int) -> Iterator[Finding]:
    """One spot market runs dry at once; several seldom do (EC2 guide, "Best practices for Amazon EC2 Spot")."""
    pool = settings.node_pools[index]
    count = len(set(pool.instance_types))
    if pool.capacity is Capacity.SPOT and count < _SPOT_TYPES:
        yield Finding(
            path=("nodePools", index, "instanceTypes"),
            found="1 type" if count == 1 else f"{count} types",
            allowed=f"at least {_SPOT_TYPES} different types for capacity {Capacity.SPOT}",
            remedy=f"add {_SPOT_TYPES - count} more of the same size from other families or generations",
        )


def one_architecture(settings: Settings, index: int) -> Iterator[Finding]:
    """A node group has one machine image, which runs on one architecture."""
    types = _known(settings.node_pools[index])
    architectures = {name: architecture(name) for name in types.values()}
    first = next(iter(types.values()), None)
    for place, name in types.items():
        if first is not None and architectures[name] is not architectures[first]:
            yield Finding(
                path=("nodePools", index, "instanceTypes", place),
                found=f"{name} ({architectures[name]})",
                allowed=f"types for {architectures[first]}, like {first}",
                remedy="move it to a pool of its own",
            )


def accelerator_matches_role(settings: Settings, index: int) -> Iterator[Finding]:
    """A GPU pool without GPUs starts no GPU pod; a GPU outside of one is paid for and used by nobody."""
    pool = settings.node_pools[index]
    wanted = ACCELERATORS.get(pool.role, Accelerator.NONE)
    for place, name in _known(pool).items():
        has = accelerator(name)
        if has is not wanted:
            yield Finding(
                path=("nodePools", index, "instanceTypes", place),
                found=f"{name} (accelerator: {has})",
                allowed=f"types {WITH[wanted]} for role {pool.role}",
                remedy=f"name a type such as {_EXAMPLES[wanted]}, or write role: cpu"
                if wanted in _EXAMPLES
                else f"move it to a pool with role: {ROLES[has]}",
            )


def _known(pool: NodePoolSpec) -> dict[int, str]:
    """Return the pool's instance types that exist, by their place in the list."""
    return {place: name for place, name in enumerate(pool.instance_types) if name in EC2_TYPES}


RULES: Final[tuple[Rule, ...]] = (pool_names_differ, one_system_pool)
POOL_RULES: Final[tuple[PoolRule, ...]] = (
    system_pool_stays,
    system_pool_survives_a_node,
    minimum_is_at_most_maximum,
    desired_is_between,
    update_leaves_nodes,
    instance_types_exist,
    instance_types_differ,
    spot_is_diversified,
    one_architecture,
    accelerator_matches_role,
)

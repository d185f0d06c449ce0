"""Karpenter: pools that a pod can tell apart, that are bounded, and that survive an interruption."""

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import combinations
from typing import Final

from settings.instances import EC2_FAMILIES, EC2_TYPES, UNSUPPORTED, Accelerator, accelerator, architecture
from settings.model import Capacity, ElasticPoolSpec, PoolRole, Settings
from settings.problems import Finding, Path, join, repeated, show
from settings.rules.environment import Rule
from settings.rules.pools import ACCELERATORS, ROLES, SYSTEM_NODES, WITH, PoolRule

_SPOT_FAMILIES: Final = 3
_EXAMPLES: Final = {Accelerator.NVIDIA: "g6", Accelerator.NEURON: "inf2"}
_OWN_DOMAINS: Final = (
    "kubernetes.io",
    "k8s.io",
    "karpenter.sh",
    "k8s.aws",
    "nvidia.com",
    "aws.amazon.com",
    "slipway.dev",
)
"""Label domains whose taints role, capacity, Karpenter or Kubernetes itself set."""


def controllers_have_nodes(settings: Settings) -> Iterator[Finding]:
    """No two controller pods share a node, and none runs on a node that Karpenter made."""
    replicas = settings.karpenter.replicas
    for pool in settings.node_pools:
        # A system pool below its own minimum is reported already.
        if pool.role is PoolRole.SYSTEM and max(pool.min_size, SYSTEM_NODES) < replicas:
            yield Finding(
                path=("karpenter", "replicas"),
                found=str(replicas),
                allowed=f"at most minSize ({pool.min_size}) of the pool {pool.name}: each replica takes a node",
                remedy=f"lower it to {pool.min_size}, or raise minSize of {pool.name}",
            )


def elastic_names_differ(settings: Settings) -> Iterator[Finding]:
    """A pool's name is a label of its nodes, by which workloads and bills tell pools apart."""
    managed = {pool.name: f"nodePools[{index}]" for index, pool in enumerate(settings.node_pools)}
    names = [pool.name for pool in settings.karpenter.pools]
    first = repeated(names)
    for index, name in enumerate(names):
        taken = f"pools[{first[index]}]" if index in first else managed.get(name)
        if taken:
            yield Finding(
                path=("karpenter", "pools", index, "name"),
                found=f"{name} again (first in {taken})",
                allowed="a name that no other pool has",
                remedy="rename one of the two",
            )


def shared_types_have_an_order(settings: Settings) -> Iterator[Finding]:
    """A pod that fits two pools of one weight lands in either of them (Karpenter docs, "NodePools": `weight`)."""
    pools = enumerate(settings.karpenter.pools)
    for (_, first), (index, pool) in combinations(pools, 2):
        shared = sorted(set(_types(first)) & set(_types(pool)))
        if shared and first.weight == pool.weight:
            yield Finding(
                path=("karpenter", "pools", index, "weight"),
                found=f"{pool.weight}, as {first.name} has, which may start {shared[0]} too",
                allowed="different weights where two pools may start the same instance type",
                remedy="give the pool that pods should prefer the higher weight",
            )


def families_exist(settings: Settings, index: int) -> Iterator[Finding]:
    """Karpenter takes any text for a family and starts nothing."""
    for place, name in enumerate(settings.karpenter.pools[index].instance_families):
        if name not in EC2_FAMILIES:
            near = get_close_matches(name, sorted(EC2_FAMILIES), n=3)
            reason = UNSUPPORTED.get(name)
            yield Finding(
                path=_pool(index, "instanceFamilies", place),
                found=show(name),
                allowed="a family of settings/instances.py" + (f"; not {name}: {reason}" if reason else ""),
                remedy=f"write {join(near)}" if near and not reason else "choose another, such as m6i, c6i, m7g or g6",
            )


def sizes_exist(settings: Settings, index: int) -> Iterator[Finding]:
    """A size that none of the families has starts nothing."""
    pool = settings.karpenter.pools[index]
    known = sorted({name.partition(".")[2] for name in EC2_TYPES if name.partition(".")[0] in pool.instance_families})
    for place, size in enumerate(pool.instance_sizes):
        if known and size not in known:
            yield Finding(
                path=_pool(index, "instanceSizes", place),
                found=show(size),
                allowed=f"a size that one of the families has: {', '.join(known)}",
                remedy=f"write {join(get_close_matches(size, known, n=1, cutoff=0.0))}",
            )


def choices_differ(settings: Settings, index: int) -> Iterator[Finding]:
    """A choice that is named twice widens nothing."""
    pool = settings.karpenter.pools[index]
    choices = {
        "capacity": pool.capacity,
        "instanceFamilies": pool.instance_families,
        "instanceSizes": pool.instance_sizes,
        "taints": tuple(taint.key for taint in pool.taints),
    }
    for field, values in choices.items():
        for place, first in repeated(values).items():
            yield Finding(
                path=_pool(index, field, place),
                found=f"{show(str(values[place]))} again (first in {field}[{first}])",
                allowed="each one once",
                remedy="remove it",
            )


def elastic_spot_is_diversified(settings: Settings, index: int) -> Iterator[Finding]:
    """One spot market runs dry at once; several seldom do (EC2 guide, "Best practices for Amazon EC2 Spot")."""
    pool = settings.karpenter.pools[index]
    started = {name.partition(".")[0] for name in _types(pool)}
    count = len({name for name in pool.instance_families if name in started or name not in EC2_FAMILIES})
    if Capacity.SPOT in pool.capacity and count < _SPOT_FAMILIES:
        yield Finding(
            path=_pool(index, "instanceFamilies"),
            found="1 family" if count == 1 else f"{count} families",
            allowed=f"at least {_SPOT_FAMILIES} families with one of the sizes, where capacity names {Capacity.SPOT}",
            remedy=f"add {_SPOT_FAMILIES - count} more of other generations or makers",
        )


def families_match_the_architecture(settings: Settings, index: int) -> Iterator[Finding]:
    """Requirements that no instance type meets start nothing."""
    pool = settings.karpenter.pools[index]
    for place, name in _known(pool).items():
        if architecture(name) is not pool.architecture:
            yield Finding(
                path=_pool(index, "instanceFamilies", place),
                found=f"{name} ({architecture(name)})",
                allowed=f"families for {pool.architecture}, the pool's architecture",
                remedy="move it to a pool of its own architecture",
            )


def families_match_the_role(settings: Settings, index: int) -> Iterator[Finding]:
    """A GPU pool without GPUs starts no GPU pod; a GPU outside of one is paid for and used by nobody."""
    pool = settings.karpenter.pools[index]
    wanted = ACCELERATORS.get(pool.role, Accelerator.NONE)
    for place, name in _known(pool).items():
        has = accelerator(name)
        if has is not wanted:
            yield Finding(
                path=_pool(index, "instanceFamilies", place),
                found=f"{name} (accelerator: {has})",
                allowed=f"families {WITH[wanted]} for role {pool.role}",
                remedy=f"name a family such as {_EXAMPLES[wanted]}, or write role: cpu"
                if wanted in _EXAMPLES
                else f"move it to a pool with role: {ROLES[has]}, or remove it",
            )


def gpus_are_limited(settings: Settings, index: int) -> Iterator[Finding]:
    """A GPU pool that may have no GPU starts no node, and the other pools have none to count."""
    pool = settings.karpenter.pools[index]
    gpu, gpus = pool.role is PoolRole.GPU, pool.limits.gpus
    if gpu is not (gpus > 0):
        yield Finding(
            path=_pool(index, "limits", "gpus"),
            found=str(gpus),
            allowed="at least 1 for role gpu" if gpu else f"0 for role {pool.role}",
            remedy="write the most GPUs that may run at once" if gpu else "write 0, or role: gpu",
        )


def taints_are_the_users_own(settings: Settings, index: int) -> Iterator[Finding]:
    """Taints for GPUs, spot and node states have owners already; a second one of that name would contradict them."""
    for place, taint in enumerate(settings.karpenter.pools[index].taints):
        domain = taint.key.rpartition("/")[0]
        owner = next((own for own in _OWN_DOMAINS if domain == own or domain.endswith(f".{own}")), None)
        if owner:
            yield Finding(
                path=_pool(index, "taints", place, "key"),
                found=taint.key,
                allowed=f"a key outside {join(_OWN_DOMAINS)}",
                remedy="remove it where role or capacity says it, else use a domain of your own",
            )


def schedules_have_an_end(settings: Settings, index: int) -> Iterator[Finding]:
    """The API server takes schedule and duration only together (`karpenter.sh/v1`, NodePool)."""
    for place, budget in enumerate(settings.karpenter.pools[index].budgets):
        if (budget.schedule is None) is not (budget.duration_hours is None):
            missing = "schedule" if budget.schedule is None else "durationHours"
            yield Finding(
                path=_pool(index, "budgets", place, missing),
                found="null",
                allowed="schedule and durationHours together, or null for both",
                remedy=f"write {missing}, or null for the other",
            )


def a_budget_always_holds(settings: Settings, index: int) -> Iterator[Finding]:
    """Between the times of scheduled budgets Karpenter may take out every node of the pool at once."""
    budgets = settings.karpenter.pools[index].budgets
    if not [budget for budget in budgets if budget.schedule is None and not budget.reasons]:
        yield Finding(
            path=_pool(index, "budgets"),
            found="budgets for some times or reasons only",
            allowed="at least one budget with schedule: null and reasons: []",
            remedy="add one, such as nodes: 10%",
        )


def _pool(index: int, *rest: str | int) -> Path:
    return ("karpenter", "pools", index, *rest)


def _types(pool: ElasticPoolSpec) -> list[str]:
    """Return the instance types that the pool may start."""
    named = (f"{family}.{size}" for family in pool.instance_families for size in pool.instance_sizes)
    return [name for name in named if name in EC2_TYPES]


def _known(pool: ElasticPoolSpec) -> dict[int, str]:
    """Return the pool's families that exist, by their place in the list."""
    return {place: name for place, name in enumerate(pool.instance_families) if name in EC2_FAMILIES}


RULES: Final[tuple[Rule, ...]] = (
    controllers_have_nodes,
    elastic_names_differ,
    shared_types_have_an_order,
)
ELASTIC_RULES: Final[tuple[PoolRule, ...]] = (
    families_exist,
    sizes_exist,
    choices_differ,
    elastic_spot_is_diversified,
    families_match_the_architecture,
    families_match_the_role,
    gpus_are_limited,
    taints_are_the_users_own,
    schedules_have_an_end,
    a_budget_always_holds,
)

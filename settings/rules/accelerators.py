"""Accelerators: sharing profiles that GPUs and device plugins can honour, and fabrics where the hardware has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from settings.devices import EFA_ADAPTERS, MIG_PARTITIONS, WITHOUT_MPS, partitions
from settings.instances import EC2_TYPES, family
from settings.model import PoolRole, Settings
from settings.problems import Finding, Path, join, repeated, show
from settings.sharing import DEFAULT_PROFILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from settings.model import ElasticPoolSpec
    from settings.rules.environment import Rule
    from settings.rules.pools import PoolRule


@dataclass(frozen=True, slots=True)
class _Pool:
    path: Path
    role: PoolRole
    types: tuple[str, ...]
    managed: bool


def _elastic_types(pool: ElasticPoolSpec) -> tuple[str, ...]:
    return tuple(f"{name}.{size}" for name in pool.instance_families for size in pool.instance_sizes)


def _pools(settings: Settings) -> dict[str, _Pool]:
    """Return every pool by name, with the types that it may start and that exist."""
    managed = {
        pool.name: _Pool(("nodePools", index), pool.role, _existing(pool.instance_types), managed=True)
        for index, pool in enumerate(settings.node_pools)
    }
    elastic = {
        pool.name: _Pool(("karpenter", "pools", index), pool.role, _existing(_elastic_types(pool)), managed=False)
        for index, pool in enumerate(settings.karpenter.pools)
    }
    return {**elastic, **managed}


def _existing(types: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in types if name in EC2_TYPES)


def profile_names_differ(settings: Settings) -> Iterator[Finding]:
    """The name is a key of the device plugin's configuration, beside that of nodes which choose none."""
    names = [DEFAULT_PROFILE, *(profile.name for profile in settings.accelerators.gpu_profiles)]
    for place, first in repeated(names).items():
        yield Finding(
            path=_profile(place - 1, "name"),
            found=f"{names[place]}, the name of the device plugin's own fallback"
            if first == 0
            else f"{names[place]} again (first in gpuProfiles[{first - 1}])",
            allowed="a name that no other profile has",
            remedy="rename it",
        )


def gpu_pools_have_one_profile(settings: Settings) -> Iterator[Finding]:
    """A GPU pool that no profile names, or two, would leave to chance how its GPUs are shared."""
    named = [
        (name, _profile(index, "pools", place))
        for index, profile in enumerate(settings.accelerators.gpu_profiles)
        for place, name in enumerate(profile.pools)
    ]
    names = [name for name, _ in named]
    for again, first in repeated(names).items():
        yield Finding(
            path=named[again][1],
            found=f"{names[again]} again (first in {_inside(named[first][1])})",
            allowed="each pool once",
            remedy="remove it from one of the two",
        )
    for name, pool in _pools(settings).items():
        if pool.role is PoolRole.GPU and name not in names:
            yield Finding(
                path=("accelerators", "gpuProfiles"),
                found=f"no profile for the GPU pool {name}",
                allowed="each GPU pool in one profile",
                remedy=f"add {name} to the pools of a profile",
            )


def neuron_pools_have_a_plugin(settings: Settings) -> Iterator[Finding]:
    """Without the plugin no Neuron node ever takes a pod; without a node the plugin has nothing to do."""
    pools = [name for name, pool in _pools(settings).items() if pool.role is PoolRole.NEURON]
    yield from _chart_matches("neuron", present=settings.charts.neuron is not None, pools=pools, which="of role neuron")


def efa_pools_have_a_plugin(settings: Settings) -> Iterator[Finding]:
    """Without the plugin no pod gets an adapter; without an adapter the plugin has nothing to do."""
    pools = [entry.pool for entry in settings.accelerators.efa]
    present = settings.charts.efa_device_plugin is not None
    yield from _chart_matches("efaDevicePlugin", present=present, pools=pools, which="in slipway:accelerators.efa")


def _chart_matches(chart: str, *, present: bool, pools: Sequence[str], which: str) -> Iterator[Finding]:
    if present is not bool(pools):
        yield Finding(
            path=("charts", chart),
            found="a chart" if present else "null",
            allowed=f"null while no pool is {which}" if present else f"a chart: {join(pools)} is {which}",
            remedy="write null" if present else "write repository and version, or remove the pools",
        )


def replicas_match_the_strategy(settings: Settings, index: int) -> Iterator[Finding]:
    """One pod alone does not share, and two on one GPU are not exclusive."""
    profile = settings.accelerators.gpu_profiles[index]
    exclusive = profile.strategy == "exclusive"
    if exclusive is not (profile.replicas == 1):
        yield Finding(
            path=_profile(index, "replicas"),
            found=str(profile.replicas),
            allowed="1 for strategy exclusive" if exclusive else f"at least 2 for strategy {profile.strategy}",
            remedy="write 1, or another strategy" if exclusive else "write how many pods share a GPU, or exclusive",
        )


def profile_pools_have_gpus(settings: Settings, index: int) -> Iterator[Finding]:
    """A misspelt name would share nothing, silently."""
    pools = _pools(settings)
    gpu = sorted(name for name, pool in pools.items() if pool.role is PoolRole.GPU)
    for place, name in enumerate(settings.accelerators.gpu_profiles[index].pools):
        if name not in gpu:
            yield Finding(
                path=_profile(index, "pools", place),
                found=f"{name} (role {pools[name].role})" if name in pools else show(name),
                allowed=f"the name of a GPU pool: {', '.join(gpu)}" if gpu else "the name of a GPU pool",
                remedy="write one of them, or remove it",
            )


def mps_serves_the_gpus(settings: Settings, index: int) -> Iterator[Finding]:
    """The device plugin refuses MPS on divided GPUs and sets no limits on old ones (its README, "With CUDA MPS")."""
    profile, pools = settings.accelerators.gpu_profiles[index], _pools(settings)
    if profile.strategy != "mps":
        return
    if profile.mig_profile is not None:
        yield Finding(
            path=_profile(index, "strategy"),
            found=f"mps beside migProfile {profile.mig_profile}",
            allowed="mps for whole GPUs only",
            remedy="write migProfile: null, or time-slicing or exclusive",
        )
    for place, name in enumerate(profile.pools):
        old = [each for each in (pools[name].types if name in pools else ()) if family(each) in WITHOUT_MPS]
        if old:
            yield Finding(
                path=_profile(index, "pools", place),
                found=f"{name}, which may start {old[0]}",
                allowed=f"pools without {join(sorted(WITHOUT_MPS))} for strategy mps",
                remedy="write time-slicing, or name newer GPUs",
            )


def gpus_can_be_divided(settings: Settings, index: int) -> Iterator[Finding]:
    """A GPU that does not know the partition stays whole, and the node reports other counts than planned."""
    profile, pools = settings.accelerators.gpu_profiles[index], _pools(settings)
    for place, name in enumerate(profile.pools):
        types = pools[name].types if name in pools and pools[name].role is PoolRole.GPU else ()
        whole = [each for each in types if not partitions(each, profile.mig_profile)]
        if whole:
            known = MIG_PARTITIONS.get(family(whole[0]))
            yield Finding(
                path=_profile(index, "pools", place),
                found=f"{name}, which may start {whole[0]}",
                allowed=f"partitions of {family(whole[0])}: {', '.join(known)}"
                if known
                else f"for migProfile, pools of {join(MIG_PARTITIONS)} only",
                remedy=f"write one of them for migProfile, not {profile.mig_profile}"
                if known
                else "write migProfile: null, or move the pool to another profile",
            )


def efa_pools_are_managed(settings: Settings, index: int) -> Iterator[Finding]:
    """The nodes of a placement group are found together when they are asked for together; an elastic pool adds few."""
    name, pools = settings.accelerators.efa[index].pool, _pools(settings)
    workers = sorted(each for each, pool in pools.items() if pool.managed and pool.role is not PoolRole.SYSTEM)
    if name not in workers:
        found = f"{name} (role {pools[name].role})" if name in pools and pools[name].managed else show(name)
        yield Finding(
            path=_efa(index, "pool"),
            found=f"{name} (elastic)" if name in pools and not pools[name].managed else found,
            allowed=f"the name of a managed pool for workloads: {', '.join(workers)}",
            remedy="write one of them, or remove it",
        )


def efa_pools_differ(settings: Settings) -> Iterator[Finding]:
    """A pool lives in one zone, close together, or it does not."""
    names = [entry.pool for entry in settings.accelerators.efa]
    for index, first in repeated(names).items():
        yield Finding(
            path=_efa(index, "pool"),
            found=f"{names[index]} again (first in efa[{first}])",
            allowed="each pool once",
            remedy="remove one of the two",
        )


def efa_types_have_adapters(settings: Settings, index: int) -> Iterator[Finding]:
    """EC2 refuses an adapter on a type without one, or on a network card that it lacks, when the node starts."""
    pool = _pools(settings).get(settings.accelerators.efa[index].pool)
    counts = {name: EFA_ADAPTERS.get(name, 0) for name in (pool.types if pool else ())}
    first = next(iter(counts), "")
    for place, (name, count) in enumerate(counts.items()):
        if pool and pool.managed and (not count or count != counts[first]):
            yield Finding(
                path=(*pool.path, "instanceTypes", place),
                found=f"{name} ({count} Elastic Fabric Adapters)" if count else f"{name} (no Elastic Fabric Adapter)",
                allowed="types with Elastic Fabric Adapters, as many each, for a pool of slipway:accelerators.efa",
                remedy="name a type such as p5.48xlarge or g6.8xlarge, or take the pool out of slipway:accelerators.efa"
                if not count
                else f"name types with {counts[first]}, as {first} has",
            )


def efa_zone_has_a_subnet(settings: Settings, index: int) -> Iterator[Finding]:
    """The nodes need a subnet where they shall live."""
    zone, zones = settings.accelerators.efa[index].zone, settings.network.zones
    if zone not in zones:
        yield Finding(
            path=_efa(index, "zone"),
            found=zone,
            allowed=f"a zone of slipway:network.zones: {', '.join(zones)}",
            remedy=f"write {join(zones)}",
        )


def _profile(index: int, *rest: str | int) -> Path:
    return ("accelerators", "gpuProfiles", index, *rest)


def _efa(index: int, *rest: str | int) -> Path:
    return ("accelerators", "efa", index, *rest)


def _inside(path: Path) -> str:
    _, _, index, field, place = path
    return f"gpuProfiles[{index}].{field}[{place}]"


RULES: Final[tuple[Rule, ...]] = (
    profile_names_differ,
    gpu_pools_have_one_profile,
    neuron_pools_have_a_plugin,
    efa_pools_have_a_plugin,
    efa_pools_differ,
)
PROFILE_RULES: Final[tuple[PoolRule, ...]] = (
    replicas_match_the_strategy,
    profile_pools_have_gpus,
    mps_serves_the_gpus,
    gpus_can_be_divided,
)
EFA_RULES: Final[tuple[PoolRule, ...]] = (efa_pools_are_managed, efa_types_have_adapters, efa_zone_has_a_subnet)

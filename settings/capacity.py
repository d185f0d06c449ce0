"""What a node of an EC2 type with the AL2023 image has left for workloads: never less than a real one has.

Processors and memory of the types are those of the instance type reference in Karpenter's documentation (commit
1d92708, 2026-08-21), read 2026-11-22. EKS's AL2023 image reserves by `nodeadm/internal/kubelet/config.go` of
awslabs/amazon-eks-ami (commit 81fec2e, 2026-07-23): 6 % of the first processor, 1 % of the second, 0.5 % of the next
two and 0.25 % of the others; 255 MiB and 11 MiB for each pod; and it evicts pods below 100 MiB.

Two unknowns are taken as favourable. The image counts pods by the type's network interfaces, whatever number of pods
the node then admits; the reference has no type with fewer than 29 from two processors on, but for small burstable
ones. Kernel and firmware keep a part of the memory that EC2 names, which Karpenter takes as 7.5 % until a node is up.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from settings.instances import EC2_TYPES, family
from settings.model import PoolRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the pods of a node may reserve together."""

    cpu_millis: int
    """Thousandths of a processor."""
    memory_mib: int
    """Memory, MiB."""
    pods: int
    """Pods, daemons included: as many as a managed node group admits with prefix delegation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A pod that runs on every node of the roles."""

    name: str
    """Name of its DaemonSet."""
    cpu_millis: int
    """Thousandths of a processor that its containers reserve."""
    memory_mib: int
    """Memory that its containers reserve, MiB."""
    roles: frozenset[PoolRole]
    """Roles of the pools whose nodes run it."""
    source: str
    """Where its requests are written, and of which day that is."""


_ALL: Final = frozenset(PoolRole)
_GPU: Final = frozenset({PoolRole.GPU})

DAEMONS: Final = (
    Daemon(
        name="aws-node",
        cpu_millis=50,
        memory_mib=0,
        roles=_ALL,
        source="aws/eks-charts, aws-vpc-cni 1.22.4, 2026-08-03: two containers with the chart's `resources`",
    ),
    Daemon(
        name="ebs-csi-node",
        cpu_millis=30,
        memory_mib=104,
        roles=_ALL,
        source="kubernetes-sigs/aws-ebs-csi-driver, chart at 429e202, 2026-08-19: plugin, registrar, probe",
    ),
    Daemon(
        name="eks-node-monitoring-agent",
        cpu_millis=10,
        memory_mib=30,
        roles=_ALL,
        source="aws/eks-node-monitoring-agent, chart at 51af549, 2026-08-18; its DCGM server reserves nothing",
    ),
    Daemon(
        name="prometheus-node-exporter",
        cpu_millis=50,
        memory_mib=64,
        roles=_ALL,
        source="components/monitoring_objects.py, 2026-11-22",
    ),
    Daemon(
        name="nvidia-device-plugin",
        cpu_millis=10,
        memory_mib=64,
        roles=_GPU,
        source="components/accelerators_objects.py, 2026-11-22",
    ),
    Daemon(
        name="gpu-feature-discovery",
        cpu_millis=10,
        memory_mib=64,
        roles=_GPU,
        source="NVIDIA/k8s-device-plugin, chart at 1b826ac, 2026-08-19: the plugin's `resources`",
    ),
    Daemon(
        name="node-feature-discovery-worker",
        cpu_millis=10,
        memory_mib=64,
        roles=_GPU,
        source="components/accelerators_objects.py, 2026-11-22",
    ),
    Daemon(
        name="dcgm-exporter",
        cpu_millis=100,
        memory_mib=128,
        roles=_GPU,
        source="components/accelerators_objects.py, 2026-11-22: the least that exporterMemoryMib allows",
    ),
    Daemon(
        name="neuron-device-plugin",
        cpu_millis=10,
        memory_mib=64,
        roles=frozenset({PoolRole.NEURON}),
        source="components/accelerators_objects.py, 2026-11-22",
    ),
)
"""Known daemons. Left out: kube-proxy, whose requests as an EKS add-on no source at hand states; drivers of volumes
other than EBS, the plugin for fabric adapters, Fluent Bit and the CloudWatch agent, which not every stack or node has.
Bottlerocket starts NVIDIA's plugin by itself, so that its GPU nodes run neither the plugin nor the two discoveries of
this table."""

_MIB_PER_PROCESSOR: Final = """
2048 : c5 c5a c5ad c5d c6a c6g c6gd c6gn c6i c6id c6in c7a c7g c7gd c7gn c7i c7i-flex c8a c8g c8gb c8gd
2048 : c8gn c8i c8i-flex c8ib c8id c8in c9g c9gd g5g inf1
4096 : g4dn g5 g6 im4gn inf2 m5 m5a m5ad m5d m5dn m5n m5zn m6a m6g m6gd m6i m6id m6idn m6in m7a m7g m7gd
4096 : m7i m7i-flex m8a m8g m8gb m8gd m8gn m8i m8i-flex m8ib m8id m8idb m8idn m8in m9g m9gd t3 t3a t4g trn1
4096 : trn1n
7808 : i3
8192 : g6e gr6 i3en i4g i4i i7i i7ie i8g i8ge p3dn r5 r5a r5ad r5b r5d r5dn r5n r6a r6g r6gd r6i r6id r6idn
8192 : r6in r7a r7g r7gd r7i r8a r8g r8gb r8gd r8gn r8i r8i-flex r8ib r8id r8idb r8idn r8in z1d
12288 : p4d p4de
16384 : x2gd x8g
"""
"""MiB per processor of families with one ratio; p3, p6e-gb200, r9g, r9gd, t8i and trn2.3xlarge are not published."""

_BURSTABLE: Final = {"nano": (512, 4), "micro": (1024, 4), "small": (2048, 8), "medium": (4096, 17)}
"""Memory, MiB, and fewest pods by interfaces, of the small sizes of t3, t3a and t4g."""
_MEMORY: Final = {
    **{f"{name}.{size}": memory for name in ("t3", "t3a", "t4g") for size, (memory, _) in _BURSTABLE.items()},
    "c5n.large": 5376,
    "c5n.xlarge": 10_752,
    "c5n.2xlarge": 21_504,
    "c5n.4xlarge": 43_008,
    "c5n.9xlarge": 98_304,
    "c5n.18xlarge": 196_608,
    "p5.4xlarge": 262_144,
    **dict.fromkeys((f"{name}.48xlarge" for name in ("p5", "p5e", "p5en", "p6-b200", "trn2")), 2_097_152),
    "p6-b300.48xlarge": 4_194_304,
}
"""MiB of the types whose families have no single ratio."""
_RATIOS: Final = {
    name: int(ratio)
    for ratio, names in (line.split(" : ") for line in _MIB_PER_PROCESSOR.strip().splitlines())
    for name in names.split()
}

_MANY_PROCESSORS: Final = 30
"""Fewer admit 110 pods, others 250 (EKS user guide, "Assign more IP addresses to nodes with prefixes")."""
_CPU_BOUNDS: Final = (0, 1000, 2000, 4000, 1_000_000)
_CPU_SHARES: Final = (600, 100, 50, 25)
"""Ten-thousandths that are reserved between two bounds, in thousandths of a processor."""
_FEWEST_PODS: Final = 29
_FEWEST_PODS_OF_ONE_PROCESSOR: Final = 8
EVICTION_MIB: Final = 100
"""Memory that the kubelet keeps free by ending pods, MiB."""


def processors(instance_type: str) -> int:
    """Return how many processors a type of `EC2_TYPES` has."""
    name, _, size = instance_type.partition(".")
    if size == "medium":
        return 2 if name.startswith("t") else 1
    return 4 * int(size.removesuffix("xlarge") or 1) if size.endswith("xlarge") else 2


def memory_mib(instance_type: str) -> int | None:
    """Return the memory of a type of `EC2_TYPES` as EC2 names it, MiB; None where it is not known here."""
    ratio = _RATIOS.get(family(instance_type))
    return _MEMORY.get(instance_type, ratio and ratio * processors(instance_type))


def reserved_cpu_millis(count: int) -> int:
    """Return what the image keeps of `count` processors for itself, in thousandths of one."""
    total = count * 1000
    ranges = zip(pairwise(_CPU_BOUNDS), _CPU_SHARES, strict=True)
    return sum(max(min(total, end) - start, 0) * share // 10_000 for (start, end), share in ranges)


def reserved_mib(pods: int) -> int:
    """Return what the image keeps of the memory for itself where it counts `pods` pods, MiB."""
    return 255 + 11 * pods


def allocatable(instance_type: str) -> Room | None:
    """Return the most that pods and daemons of a node may reserve; None for a type whose size is not known here."""
    memory = memory_mib(instance_type)
    if instance_type not in EC2_TYPES or memory is None:
        return None
    count = processors(instance_type)
    return Room(
        cpu_millis=count * 1000 - reserved_cpu_millis(count),
        memory_mib=max(memory - reserved_mib(_fewest_pods(instance_type)) - EVICTION_MIB, 0),
        pods=110 if count < _MANY_PROCESSORS else 250,
    )


def for_workloads(instance_type: str, role: PoolRole) -> Room | None:
    """Return the most that is left of a node beside the daemons of its role; None for a type of unknown size."""
    room = allocatable(instance_type)
    if room is None:
        return None
    daemons = [daemon for daemon in DAEMONS if role in daemon.roles]
    return Room(
        cpu_millis=max(room.cpu_millis - sum(daemon.cpu_millis for daemon in daemons), 0),
        memory_mib=max(room.memory_mib - sum(daemon.memory_mib for daemon in daemons), 0),
        pods=room.pods - len(daemons),
    )


def _fewest_pods(instance_type: str) -> int:
    if processors(instance_type) == 1:
        return _FEWEST_PODS_OF_ONE_PROCESSOR
    burstable = _BURSTABLE.get(instance_type.partition(".")[2])
    return burstable[1] if burstable else _FEWEST_PODS

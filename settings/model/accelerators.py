"""GPUs and other accelerators: who shares a GPU with whom, what watches them, which nodes have a fast fabric."""

from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import Name, Section, Zone
from settings.model.patterns import MIG_PROFILE


class GpuProfileSpec(Section):
    """How pods share the GPUs of a node, and the pools whose nodes do so."""

    name: Name
    """Name of the profile; the value of the label by which a node chooses it."""
    strategy: Literal["exclusive", "time-slicing", "mps"]
    """`exclusive` gives a GPU to one pod; `time-slicing` lets pods take turns, without limits between them; `mps` \
runs them side by side, each with an equal share of memory and processors."""
    replicas: Annotated[int, Field(ge=1, le=48)]
    """Pods that share one GPU, or one partition of it: 1 exactly for strategy exclusive; 48 is the most that MPS \
serves."""
    mig_profile: Annotated[str, Field(pattern=MIG_PROFILE)] | None
    """Size of the partitions that every GPU is cut into (Multi-Instance GPU), with memory of their own; null leaves \
it whole."""
    pools: tuple[Name, ...] = Field(strict=False, min_length=1, max_length=50)
    """The pools, managed or elastic; each GPU pool is named by one profile."""


class EfaPoolSpec(Section):
    """A managed pool whose nodes talk to each other over Elastic Fabric Adapters."""

    pool: Name
    """Name of the pool."""
    zone: Zone
    """The zone that all of its nodes live in, close together: the fabric does not reach further."""


class AcceleratorsSpec(Section):
    """GPUs and other accelerators."""

    gpu_profiles: tuple[GpuProfileSpec, ...] = Field(strict=False, max_length=20)
    """Sharing profiles; together they name every GPU pool once."""
    node_overlays: bool
    """Whether Karpenter counts a shared GPU as many times as it is shared when it decides how many nodes to start; \
uses its NodeOverlay, an alpha feature. Without it, pods that come together first get a node each."""
    exporter_memory_mib: Annotated[int, Field(ge=128, le=8192)]
    """Memory that the GPU metrics exporter may use on a node, MiB; more GPUs per node need more."""
    exporter_interval_seconds: Annotated[int, Field(ge=10, le=300)]
    """How often GPU metrics are collected, seconds."""
    efa: tuple[EfaPoolSpec, ...] = Field(strict=False, max_length=20)
    """Pools with Elastic Fabric Adapters; empty for none."""

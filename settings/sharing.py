"""What sharing brings: how many pods a GPU takes, how many GPUs a number of pods needs, and how busy those are.

A model for planning, not a measurement: it takes the share of time that a pod keeps a whole GPU busy as given, and
pods that share one as not slowing each other down. The exporter's `DCGM_FI_DEV_GPU_UTIL` says what is true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from settings.devices import gpus, partitions

if TYPE_CHECKING:
    from settings.model import AcceleratorsSpec, GpuProfileSpec


DEFAULT_PROFILE: Final = "default"
"""Name of the configuration that the device plugin gives to a node whose label names none: no sharing."""


def profile_of(spec: AcceleratorsSpec, pool: str) -> GpuProfileSpec | None:
    """Return the sharing profile of a pool; None for one without GPUs."""
    return next((profile for profile in spec.gpu_profiles if pool in profile.pools), None)


def pods_per_gpu(profile: GpuProfileSpec, instance_type: str) -> int:
    """Return how many pods one GPU of `instance_type` takes at a time."""
    return partitions(instance_type, profile.mig_profile) * profile.replicas


def advertised(profile: GpuProfileSpec, instance_type: str) -> int:
    """Return the amount of `nvidia.com/gpu` that a node of `instance_type` reports under `profile`."""
    return gpus(instance_type) * pods_per_gpu(profile, instance_type)


def gpus_needed(pods: int, per_gpu: int) -> int:
    """Return how many GPUs `pods` fill when each takes `per_gpu` of them."""
    return -(-pods // per_gpu)


def utilisation(pods: int, per_gpu: int, busy: float) -> float:
    """Return the mean share of time that the GPUs of `pods` are busy, from 0 to 1.

    Args:
        pods: How many pods run, at least one.
        per_gpu: How many share a GPU; all GPUs but the last are full.
        busy: Share of time that one pod alone keeps a GPU busy, from 0 to 1.
    """
    full, rest = divmod(pods, per_gpu)
    return (full * min(1.0, per_gpu * busy) + min(1.0, rest * busy)) / gpus_needed(pods, per_gpu)

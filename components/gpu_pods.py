"""What a pod says so that it gets a GPU, and lands only where it may: resources, tolerations, affinity.

A GPU node's taint keeps every other pod out, but Kubernetes adds the toleration by itself only with the admission
plugin ExtendedResourceToleration, which EKS does not run. So whoever makes a GPU pod takes these from here.
"""

from __future__ import annotations

from typing import Any

from components.labels import CAPACITY_LABEL, ROLE_LABEL
from components.nodes import GPU_PROFILE, GPU_RESOURCE, NEURON_RESOURCE
from settings.model import Capacity, PoolRole


def gpu_resources(count: int = 1) -> dict[str, str]:
    """Limits of a container that uses `count` GPUs; of a shared GPU a pod may ask for one part only."""
    return {GPU_RESOURCE: str(count)}


def neuron_resources(count: int = 1) -> dict[str, str]:
    """Limits of a container that uses `count` Neuron devices."""
    return {NEURON_RESOURCE: str(count)}


def tolerations(resource: str = GPU_RESOURCE, *, may_be_spot: bool) -> list[dict[str, str]]:
    """Tolerations of a pod that uses an accelerator.

    Args:
        resource: What it asks for.
        may_be_spot: Whether it bears an interruption; real-time serving does not.
    """
    spot = [{"key": CAPACITY_LABEL, "operator": "Equal", "value": Capacity.SPOT.value, "effect": "NoSchedule"}]
    accelerated = [{"key": resource, "operator": "Exists", "effect": "NoSchedule"}]
    return [*accelerated, *spot] if may_be_spot else accelerated


def affinity(role: PoolRole = PoolRole.GPU, *, may_be_spot: bool, profile: str | None = None) -> dict[str, Any]:
    """Affinity that keeps a pod to nodes of a role.

    Args:
        role: Role of the nodes.
        may_be_spot: Whether it bears an interruption. Then it keeps to pools that may be spot, which start on-demand
            nodes where there is no spot: beyond their limits it waits, instead of taking what serving may need.
        profile: Sharing profile that the nodes must have; None for any. A pod that needs a whole GPU names one.
    """
    capacity = Capacity.SPOT if may_be_spot else Capacity.ON_DEMAND
    wanted = {ROLE_LABEL: role.value, CAPACITY_LABEL: capacity.value}
    if profile is not None:
        wanted[GPU_PROFILE] = profile
    expressions = [{"key": key, "operator": "In", "values": [value]} for key, value in wanted.items()]
    terms = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}

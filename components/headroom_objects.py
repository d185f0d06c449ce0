"""Placeholder pods as pure functions of settings: what they keep free, and where.

Source of all fields: Kubernetes API reference, `apps/v1` Deployment; "Pod Security Standards" for `restricted`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi_kubernetes as kubernetes

from components.karpenter_objects import taints
from components.labels import POOL_LABEL
from components.nodes import GPU_PRESENT, GPU_RESOURCE
from components.priority_levels import HEADROOM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from settings.model import ElasticPoolSpec, HeadroomPoolSpec

NAMESPACE: Final = "headroom"
ACCOUNT: Final = "placeholder"
_APP: Final = "app.kubernetes.io/name"
_ZONE: Final = "topology.kubernetes.io/zone"
_NOBODY: Final = 65_535
"""User of the image, and of no other process on a node."""


def room(spec: HeadroomPoolSpec) -> Mapping[str, str]:
    """What one placeholder keeps free, as requests."""
    amounts = {"cpu": f"{spec.cpu_millis}m", "memory": f"{spec.memory_mib}Mi"}
    return {**amounts, GPU_RESOURCE: str(spec.gpus)} if spec.gpus else amounts


def quota(rooms: Iterable[HeadroomPoolSpec]) -> dict[str, str]:
    """Hard limits of the namespace: the placeholders and nothing beside them."""
    specs = tuple(rooms)
    memory = f"{sum(spec.replicas * spec.memory_mib for spec in specs)}Mi"
    return {
        "pods": str(sum(spec.replicas for spec in specs)),
        "requests.cpu": f"{sum(spec.replicas * spec.cpu_millis for spec in specs)}m",
        "requests.memory": memory,
        "limits.memory": memory,
        f"requests.{GPU_RESOURCE}": str(sum(spec.replicas * spec.gpus for spec in specs)),
    }


def defaults() -> kubernetes.core.v1.LimitRangeItemArgs:
    """What a container of the namespace gets when it says nothing: next to nothing."""
    least = {"cpu": "10m", "memory": "16Mi"}
    return kubernetes.core.v1.LimitRangeItemArgs(type="Container", default_request=least, default={"memory": "16Mi"})


def deployment(spec: HeadroomPoolSpec, pool: ElasticPoolSpec, image: str) -> kubernetes.apps.v1.DeploymentSpecArgs:
    """Placeholders of one pool, spread over its zones as far as it has nodes there."""
    core, meta = kubernetes.core.v1, kubernetes.meta.v1
    labels = {_APP: "placeholder", POOL_LABEL: pool.name}
    selector = meta.LabelSelectorArgs(match_labels=labels)
    return kubernetes.apps.v1.DeploymentSpecArgs(
        replicas=spec.replicas,
        selector=selector,
        # The quota has no room for old and new placeholders beside one another.
        strategy=kubernetes.apps.v1.DeploymentStrategyArgs(type="Recreate"),
        template=core.PodTemplateSpecArgs(
            metadata=meta.ObjectMetaArgs(labels=labels),
            spec=core.PodSpecArgs(
                containers=[_placeholder(spec, image)],
                priority_class_name=HEADROOM.name,
                service_account_name=ACCOUNT,
                automount_service_account_token=False,
                enable_service_links=False,
                # Nothing to finish: whoever displaces a placeholder starts at once.
                termination_grace_period_seconds=0,
                node_selector={POOL_LABEL: pool.name, **({GPU_PRESENT: "true"} if spec.gpus else {})},
                tolerations=[core.TolerationArgs(operator="Equal", **taint) for taint in taints(pool)],
                topology_spread_constraints=[
                    core.TopologySpreadConstraintArgs(
                        max_skew=1, topology_key=_ZONE, when_unsatisfiable="ScheduleAnyway", label_selector=selector
                    )
                ],
                security_context=core.PodSecurityContextArgs(
                    run_as_non_root=True,
                    run_as_user=_NOBODY,
                    run_as_group=_NOBODY,
                    seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault"),
                ),
            ),
        ),
    )


def _placeholder(spec: HeadroomPoolSpec, image: str) -> kubernetes.core.v1.ContainerArgs:
    core = kubernetes.core.v1
    amounts = room(spec)
    return core.ContainerArgs(
        name="placeholder",
        image=image,
        resources=core.ResourceRequirementsArgs(
            requests=amounts, limits={name: amount for name, amount in amounts.items() if name != "cpu"}
        ),
        security_context=core.SecurityContextArgs(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=core.CapabilitiesArgs(drop=["ALL"]),
        ),
    )

"""Karpenter's Helm values and objects as pure functions of settings.

Fields are those of chart 1.14 (`values.yaml`), of EC2NodeClass (`karpenter.k8s.aws/v1`) and NodePool
(`karpenter.sh/v1`); NodeOverlay (`karpenter.sh/v1alpha1`) is an alpha feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from components.accelerated_nodes import partition_gpus
from components.labels import CAPACITY_LABEL, KARPENTER_DISCOVERY, POOL_LABEL, ROLE_LABEL, Labels
from components.nodes import GPU_RESOURCE, ROOT_DEVICE, accelerator_labels, accelerator_taints
from components.releases import KEEP, on_system_nodes
from settings.devices import gpus, partitions
from settings.instances import EC2_TYPES
from settings.model import BudgetSpec, Capacity, ElasticPoolSpec, GpuProfileSpec, KarpenterSpec, PoolRole
from settings.sharing import advertised, pods_per_gpu

if TYPE_CHECKING:
    import pulumi

NAMESPACE: Final = "kube-system"
SERVICE_ACCOUNT: Final = "karpenter"
NODE_CLASS_GROUP: Final = "karpenter.k8s.aws"
NODE_CLASS_KIND: Final = "EC2NodeClass"

CRD_VALUES: Final = {"additionalAnnotations": KEEP}
"""Values of the chart `karpenter-crd`: without `keep`, removing the release would delete every pool and every node."""


def controller_values(
    labels: Labels, spec: KarpenterSpec, *, queue: str, role_arn: str, overlays: bool
) -> dict[str, Any]:
    """Values of the chart `karpenter`.

    Args:
        labels: Names of the environment.
        spec: Replicas and resources.
        queue: Name of the interruption queue.
        role_arn: Role of the controller's service account.
        overlays: Whether it reads NodeOverlays.
    """
    return {
        "settings": {
            "clusterName": labels.cluster,
            "interruptionQueue": queue,
            "eksControlPlane": True,
            "featureGates": {"nodeOverlay": overlays},
        },
        "replicas": spec.replicas,
        "serviceAccount": {"name": SERVICE_ACCOUNT, "annotations": {"eks.amazonaws.com/role-arn": role_arn}},
        "controller": {
            "resources": {
                "requests": {"cpu": f"{spec.cpu_millis}m", "memory": f"{spec.memory_mib}Mi"},
                "limits": {"memory": f"{spec.memory_mib}Mi"},
            },
            # A pod cannot ask the instance for its region: metadata is one hop too far.
            "env": [{"name": "AWS_REGION", "value": labels.environment.region}],
        },
        "serviceMonitor": {"enabled": True},
        # Nodes that it makes itself would take the controller with them.
        **on_system_nodes(),
        # With the VPC's resolver it finds AWS while CoreDNS waits for a node.
        "dnsPolicy": "Default",
    }


def may_be_spot(pool: ElasticPoolSpec) -> bool:
    """Whether AWS may take the pool's nodes back at any time."""
    return Capacity.SPOT in pool.capacity


def node_class(
    labels: Labels,
    pool: ElasticPoolSpec,
    *,
    profile: GpuProfileSpec | None,
    ami_alias: str,
    instance_profile: pulumi.Input[str],
    key_arn: pulumi.Input[str],
) -> dict[str, Any]:
    """Specification of the EC2NodeClass of a pool: what an instance is made of."""
    discovered = [{"tags": {KARPENTER_DISCOVERY: labels.cluster}}]
    return {
        "instanceProfile": instance_profile,
        "amiSelectorTerms": [{"alias": ami_alias}],
        "subnetSelectorTerms": discovered,
        "securityGroupSelectorTerms": discovered,
        "associatePublicIPAddress": False,
        "detailedMonitoring": True,
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpProtocolIPv6": "disabled",
            "httpTokens": "required",
            # A pod is one hop further than its node: 1 keeps the node's role out of its reach.
            "httpPutResponseHopLimit": 1,
        },
        "blockDeviceMappings": [
            {
                "deviceName": ROOT_DEVICE,
                "ebs": {
                    "volumeType": "gp3",
                    "volumeSize": f"{pool.disk_gib}Gi",
                    "encrypted": True,
                    "kmsKeyID": key_arn,
                    "deleteOnTermination": True,
                },
            }
        ],
        "tags": {**labels.tags, POOL_LABEL: pool.name},
        **_user_data(pool, profile),
    }


def _user_data(pool: ElasticPoolSpec, profile: GpuProfileSpec | None) -> dict[str, str]:
    if profile is None or profile.mig_profile is None:
        return {}
    return {"userData": partition_gpus(profile.mig_profile, partitions(pool.instance_families[0], profile.mig_profile))}


def node_pool(pool: ElasticPoolSpec, *, profile: GpuProfileSpec | None, ami_alias: str) -> dict[str, Any]:
    """Specification of the NodePool: which nodes may come, how many, and when they go.

    Args:
        pool: The pool.
        profile: How the pods of its nodes share GPUs.
        ami_alias: Release of the machine image.
    """
    consolidation = pool.consolidation
    return {
        "weight": pool.weight,
        "limits": _limits(pool, profile),
        "disruption": {
            "consolidationPolicy": consolidation.policy,
            "consolidateAfter": f"{consolidation.after_minutes}m",
            "budgets": [_budget(budget) for budget in pool.budgets],
        },
        "template": {
            "metadata": {"labels": _node_labels(pool, profile, ami_alias.partition("@")[0])},
            "spec": {
                "nodeClassRef": {"group": NODE_CLASS_GROUP, "kind": NODE_CLASS_KIND, "name": pool.name},
                "requirements": _requirements(pool),
                "taints": taints(pool),
                "expireAfter": f"{pool.expire_after_hours}h",
                "terminationGracePeriod": f"{pool.termination_grace_hours}h",
            },
        },
    }


def node_overlays(pool: ElasticPoolSpec, profile: GpuProfileSpec | None) -> dict[str, dict[str, Any]]:
    """Specifications of NodeOverlays, by name: how many GPUs a node of the pool will report that EC2 counts as fewer.

    Without them Karpenter plans with the GPUs that EC2 counts until a node has joined: four pods that could share one
    GPU get four nodes, of which consolidation later removes three.

    Args:
        pool: The pool.
        profile: How the pods of its nodes share GPUs.
    """
    if profile is None:
        return {}
    named = (f"{family}.{size}" for family in pool.instance_families for size in pool.instance_sizes)
    counts = {name: advertised(profile, name) for name in named if name in EC2_TYPES}
    return {
        f"{pool.name}-x{count}": {
            "requirements": [
                {"key": "karpenter.sh/nodepool", "operator": "In", "values": [pool.name]},
                {
                    "key": "node.kubernetes.io/instance-type",
                    "operator": "In",
                    "values": [name for name, own in counts.items() if own == count],
                },
            ],
            "capacity": {GPU_RESOURCE: str(count)},
        }
        for count in sorted({own: name for name, own in counts.items() if own > gpus(name)})
    }


def _limits(pool: ElasticPoolSpec, profile: GpuProfileSpec | None) -> dict[str, str]:
    """Bounds of the pool; the settings count GPUs as EC2 does, Karpenter as the nodes report them once they are up.

    While nodes start it may count fewer, and start more than the GPUs allow; the processors bound it then too.
    """
    limits = {"cpu": str(pool.limits.cpu), "memory": f"{pool.limits.memory_gib}Gi"}
    if pool.role is not PoolRole.GPU:
        return limits
    per_gpu = pods_per_gpu(profile, pool.instance_families[0]) if profile else 1
    return {**limits, GPU_RESOURCE: str(pool.limits.gpus * per_gpu)}


def _budget(budget: BudgetSpec) -> dict[str, Any]:
    given: dict[str, Any] = {"nodes": budget.nodes}
    if budget.reasons:
        given["reasons"] = list(budget.reasons)
    if budget.schedule is not None:
        given |= {"schedule": budget.schedule, "duration": f"{budget.duration_hours}h"}
    return given


def _node_labels(pool: ElasticPoolSpec, profile: GpuProfileSpec | None, image: str) -> dict[str, str]:
    """Labels of the nodes, as those of a managed group; `spot` means that the node may be one."""
    capacity = Capacity.SPOT if may_be_spot(pool) else Capacity.ON_DEMAND
    labels = {POOL_LABEL: pool.name, ROLE_LABEL: pool.role.value, CAPACITY_LABEL: capacity.value}
    return {**labels, **accelerator_labels(pool.role, image, profile)}


def _requirements(pool: ElasticPoolSpec) -> list[dict[str, Any]]:
    choices = {
        "karpenter.sh/capacity-type": [capacity.value for capacity in pool.capacity],
        "kubernetes.io/arch": [pool.architecture.value],
        "kubernetes.io/os": ["linux"],
        f"{NODE_CLASS_GROUP}/instance-family": list(pool.instance_families),
        f"{NODE_CLASS_GROUP}/instance-size": list(pool.instance_sizes),
    }
    return [{"key": key, "operator": "In", "values": values} for key, values in choices.items()]


def taints(pool: ElasticPoolSpec) -> list[dict[str, str]]:
    """Taints of the pool's nodes: its own, and those of role and capacity; all of them of effect `NoSchedule`."""
    values = {**{taint.key: taint.value for taint in pool.taints}, **accelerator_taints(pool.role)}
    if may_be_spot(pool):
        values[CAPACITY_LABEL] = Capacity.SPOT.value
    return [{"key": key, "value": value, "effect": "NoSchedule"} for key, value in values.items()]

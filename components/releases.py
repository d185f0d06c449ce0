"""Helm releases and EKS add-ons as this platform installs them: exact versions, all or nothing, bounded in time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components.labels import ROLE_LABEL
from components.nodes import SYSTEM_TAINT
from settings.model import PoolRole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.handles import ClusterHandle
    from settings.model import ChartSpec

RELEASE_SECONDS: Final = 600
"""How long a release may take until it is rolled back."""
KEEP: Final = {"helm.sh/resource-policy": "keep"}
"""Annotation of what outlives its release; on custom resource definitions it keeps every custom resource alive."""


def on_system_nodes() -> dict[str, Any]:
    """Values that place a controller's pods on the system nodes, by the names that most charts give them."""
    return {
        "nodeSelector": {"kubernetes.io/os": "linux", ROLE_LABEL: PoolRole.SYSTEM.value},
        "tolerations": [{"key": SYSTEM_TAINT, "operator": "Exists"}],
    }


def container_resources(request_mib: int, limit_mib: int, *, cpu_millis: int = 10) -> dict[str, Any]:
    """Resources of a container that keeps to its memory and takes what processor nobody else wants.

    Args:
        request_mib: Memory that it reserves, MiB.
        limit_mib: Memory that it may use at most, MiB.
        cpu_millis: Thousandths of a processor that it reserves.
    """
    return {
        "requests": {"cpu": f"{cpu_millis}m", "memory": f"{request_mib}Mi"},
        "limits": {"memory": f"{limit_mib}Mi"},
    }


def spread_over_zones(match: Mapping[str, str]) -> list[dict[str, Any]]:
    """Constraint that spreads the pods with the labels `match` over zones, as far as there is room."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(match)},
        }
    ]


def create_release(
    name: str,
    *,
    chart: ChartSpec,
    chart_name: str,
    namespace: pulumi.Input[str],
    values: Mapping[str, object],
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource] = (),
    skip_crds: bool = True,
    before_delete: pulumi.ResourceHook | None = None,
) -> kubernetes.helm.v3.Release:
    """Create a release of the chart's own name, rolled back as a whole when a part of it fails.

    Args:
        name: Logical name.
        chart: Repository and exact version.
        chart_name: Name of the chart in its repository, and of the release.
        namespace: Where the release lives.
        values: Values of the chart.
        parent: The component.
        after: What has to exist before the chart's pods can run.
        skip_crds: Leave out the chart's folder `crds/`, which Helm installs once and never upgrades.
        before_delete: Hook that waits until what the controller made is gone.
    """
    remote = chart.repository.startswith("oci://")
    return kubernetes.helm.v3.Release(
        name,
        name=chart_name,
        namespace=namespace,
        chart=f"{chart.repository}/{chart_name}" if remote else chart_name,
        repository_opts=None if remote else kubernetes.helm.v3.RepositoryOptsArgs(repo=chart.repository),
        version=chart.version,
        values=values,
        skip_crds=skip_crds,
        atomic=True,
        cleanup_on_fail=True,
        timeout=RELEASE_SECONDS,
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(after),
            hooks=pulumi.ResourceHookBinding(before_delete=[before_delete]) if before_delete else None,
        ),
    )


def create_addon(
    name: str,
    *,
    addon: str,
    version: str,
    cluster: ClusterHandle,
    parent: pulumi.Resource,
    values: Mapping[str, object] | None = None,
    role: pulumi.Input[str] | None = None,
    after: Sequence[pulumi.Resource] = (),
) -> aws.eks.Addon:
    """Create an EKS add-on whose settings are ours alone: what somebody changed by hand is written over.

    Args:
        name: Logical name.
        addon: EKS's name of the add-on.
        version: Exact version.
        cluster: The cluster.
        parent: The component.
        values: Configuration by the add-on's published schema (`aws eks describe-addon-configuration`).
        role: ARN of the role of the add-on's service account.
        after: What has to exist before the add-on's pods can run.
    """
    return aws.eks.Addon(
        name,
        cluster_name=cluster.name,
        addon_name=addon,
        addon_version=version,
        service_account_role_arn=role,
        configuration_values=json.dumps(values) if values else None,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after)),
    )

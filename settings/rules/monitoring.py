"""Monitoring: metrics that fit where they are kept, replicas that one lost zone does not take all, a way for logs."""

from collections.abc import Iterator
from typing import Final

from settings.model import PoolRole, Settings
from settings.problems import NAMESPACE, Finding, Path
from settings.rules.environment import Rule
from settings.rules.pools import SYSTEM_NODES
from settings.versions import PROMETHEUS_DEFINITIONS

_SHARE: Final = 0.8
"""Largest share of a volume for retention by size (Prometheus documentation, "Storage", right-sizing)."""


def metrics_fit_their_volume(settings: Settings) -> Iterator[Finding]:
    """Retention by size does not count the write-ahead log; a full volume stops Prometheus."""
    kept, volume = settings.monitoring.retention_gib, settings.monitoring.volume_gib
    most = int(volume * _SHARE)
    if kept > most:
        yield Finding(
            path=("monitoring", "retentionGib"),
            found=str(kept),
            allowed=f"at most {most}, four fifths of volumeGib ({volume})",
            remedy=f"lower it to {most}, or raise volumeGib",
        )


def metric_replicas_have_zones(settings: Settings) -> Iterator[Finding]:
    """Two replicas are never in one zone: the one that finds no zone, or no node there, waits forever."""
    monitoring, zones = settings.monitoring, len(settings.network.zones)
    sizes = (pool.min_size for pool in settings.node_pools if pool.role is PoolRole.SYSTEM)
    # A system pool below its own minimum is reported already.
    nodes = max(min(sizes, default=zones), SYSTEM_NODES)
    most = min(zones, nodes)
    replicas: dict[Path, int] = {("monitoring", "replicas"): monitoring.replicas}
    if monitoring.alertmanager is not None:
        replicas["monitoring", "alertmanager", "replicas"] = monitoring.alertmanager.replicas
    for path, wanted in replicas.items():
        if wanted > most:
            yield Finding(
                path=path,
                found=str(wanted),
                allowed=f"at most {most}: there are {zones} zones, and at least {nodes} system nodes",
                remedy=f"lower it to {most}, or add a zone and a system node",
            )


def protected_metrics_outlive_their_writer(settings: Settings) -> Iterator[Finding]:
    """Where data is protected, removing Prometheus must not remove what it knew about an incident."""
    if settings.environment.protect_data and not settings.monitoring.keep_volumes:
        switch = f"{NAMESPACE}:environment.protectData"
        yield Finding(
            path=("monitoring", "keepVolumes"),
            found="false",
            allowed=f"true while {switch} is true",
            remedy=f"write true, or set {switch} to false",
        )


def definitions_match_their_operator(settings: Settings) -> Iterator[Finding]:
    """An operator ignores fields that its definitions lack, and the API server drops them without a word."""
    charts = settings.charts
    stack, definitions = charts.kube_prometheus_stack.version, charts.prometheus_operator_crds.version
    wanted = PROMETHEUS_DEFINITIONS.get(stack.rpartition(".")[0])
    if wanted is None:
        nearest = min(PROMETHEUS_DEFINITIONS, key=lambda minor: abs(_ordinal(minor) - _ordinal(stack)))
        yield Finding(
            path=("charts", "kubePrometheusStack", "version"),
            found=stack,
            allowed=f"a release of {', '.join(PROMETHEUS_DEFINITIONS)}, which settings/versions.py knows",
            remedy=f"write a release of {nearest}, or add this one there with its definitions",
        )
    elif definitions != wanted:
        yield Finding(
            path=("charts", "prometheusOperatorCrds", "version"),
            found=definitions,
            allowed=f"{wanted}, which has the operator of kubePrometheusStack {stack}",
            remedy=f"write {wanted}",
        )


def something_goes_to_cloudwatch(settings: Settings) -> Iterator[Finding]:
    """Without logs and metrics the add-on would only take room on nodes."""
    spec = settings.monitoring.cloud_watch
    if spec is not None and not (spec.container_logs or spec.container_insights):
        yield Finding(
            path=("monitoring", "cloudWatch"),
            found="neither containerLogs nor containerInsights",
            allowed="true for at least one of them",
            remedy="switch one of them on, or write null for nothing",
        )


def cloudwatch_has_an_endpoint(settings: Settings) -> Iterator[Finding]:
    """Logs are the largest stream out of the nodes, and metrics arrive as logs: a NAT gateway charges for each byte."""
    services = settings.network.interface_endpoints
    if settings.monitoring.cloud_watch is not None and "logs" not in services:
        switch = f"{NAMESPACE}:monitoring.cloudWatch"
        yield Finding(
            path=("network", "interfaceEndpoints"),
            found=", ".join(services) or "none",
            allowed=f"logs among them while {switch} is not null",
            remedy=f"add logs, or write null for {switch}",
        )


def _ordinal(version: str) -> int:
    """Return a number that grows with major and minor version."""
    major, minor = version.split(".")[:2]
    return int(major) * 1000 + int(minor)


RULES: Final[tuple[Rule, ...]] = (
    metrics_fit_their_volume,
    metric_replicas_have_zones,
    protected_metrics_outlive_their_writer,
    definitions_match_their_operator,
    something_goes_to_cloudwatch,
    cloudwatch_has_an_endpoint,
)

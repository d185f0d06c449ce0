"""Add-ons and charts run on the cluster's Kubernetes version."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from settings.compatibility import ADDONS, CHARTS, Row
from settings.draft import UnjudgedError
from settings.model import AddonVersions, ChartSpec, ChartsSpec, Settings
from settings.problems import Finding, Path
from settings.rules.environment import Rule
from settings.versions import KubernetesVersion


def addons_support_the_cluster(settings: Settings) -> Iterator[Finding]:
    """EKS refuses an add-on that was built for another Kubernetes version."""
    kubernetes, addons = settings.cluster.version, settings.cluster.addons
    for name, field in AddonVersions.model_fields.items():
        with suppress(UnjudgedError):
            version: str | None = getattr(addons, name)
            if version is not None and name in ADDONS:
                path = ("cluster", "addons", field.alias or name)
                yield from unsupported(ADDONS[name], version, kubernetes, path)


def drivers_support_the_cluster(settings: Settings) -> Iterator[Finding]:
    """Drivers of volumes are add-ons too, pinned beside what they serve."""
    storage = settings.storage
    drivers = (
        ("efs", "efs_csi", storage.efs),
        ("lustre", "fsx_csi", storage.lustre),
        ("mountpoint", "mountpoint_s3_csi", storage.mountpoint),
        ("secrets", "secrets_store", storage.secrets),
    )
    for place, row, spec in drivers:
        if spec is not None:
            path = ("storage", place, "driverVersion")
            yield from unsupported(ADDONS[row], spec.driver_version, settings.cluster.version, path)


def observability_supports_the_cluster(settings: Settings) -> Iterator[Finding]:
    """What sends logs and metrics to CloudWatch is an add-on too, pinned beside what it sends."""
    cloud_watch = settings.monitoring.cloud_watch
    if cloud_watch is not None:
        path = ("monitoring", "cloudWatch", "addonVersion")
        yield from unsupported(ADDONS["cloud_watch"], cloud_watch.addon_version, settings.cluster.version, path)


def charts_support_the_cluster(settings: Settings) -> Iterator[Finding]:
    """A controller that does not know the Kubernetes version does nothing, or the wrong thing."""
    kubernetes, charts = settings.cluster.version, settings.charts
    for name, field in ChartsSpec.model_fields.items():
        with suppress(UnjudgedError):
            chart: ChartSpec | None = getattr(charts, name)
            if chart is not None and name in CHARTS:
                path = ("charts", field.alias or name, "version")
                yield from unsupported(CHARTS[name], chart.version, kubernetes, path)


def unsupported(row: Row, version: str, kubernetes: KubernetesVersion, path: Path) -> Iterator[Finding]:
    """Yield what is wrong with running `version` on `kubernetes`, with the nearest version that does run there.

    Args:
        row: What is known of the add-on or chart.
        version: The pinned version.
        kubernetes: Version of the cluster.
        path: Where the pin stands.
    """
    supported = row.supported[kubernetes]
    if version not in supported:
        yield Finding(
            path=path,
            found=version,
            allowed=f"{supported} for Kubernetes {kubernetes} ({row.source})",
            remedy=f"write {supported.nearest(version)}, the nearest known one",
        )


RULES: Final[tuple[Rule, ...]] = (
    addons_support_the_cluster,
    drivers_support_the_cluster,
    observability_supports_the_cluster,
    charts_support_the_cluster,
)

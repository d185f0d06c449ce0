"""Monitoring: how long metrics are kept, where, and who shows them."""

from typing import Annotated

from pydantic import Field

from settings.model.base import AddonVersion, LogRetentionDays, Section
from settings.model.patterns import IMAGE_REGISTRY


class GrafanaSpec(Section):
    """Grafana. Its dashboards come from files, so it needs little and keeps nothing of value."""

    cpu_millis: Annotated[int, Field(ge=50, le=8000)]
    """Thousandths of a processor that its pod reserves."""
    memory_mib: Annotated[int, Field(ge=256, le=16_384)]
    """Memory that its pod reserves, and may use at most, MiB."""
    volume_gib: Annotated[int, Field(ge=1, le=1024)]
    """Encrypted volume of its own database, GiB."""


class AlertmanagerSpec(Section):
    """Alertmanager: groups alerts, silences them and hands them on."""

    replicas: Annotated[int, Field(ge=1, le=3)]
    """Pods, each in a zone of its own; they agree on what was sent already."""
    volume_gib: Annotated[int, Field(ge=1, le=1024)]
    """Encrypted volume of each, for silences and for what was sent, GiB."""


class MetricsAdapterSpec(Section):
    """prometheus-adapter: hands metrics of Prometheus to autoscalers."""

    replicas: Annotated[int, Field(ge=1, le=3)]
    """Pods; each answers by itself."""
    cpu_millis: Annotated[int, Field(ge=10, le=2000)]
    """Thousandths of a processor that each pod reserves."""
    memory_mib: Annotated[int, Field(ge=64, le=8192)]
    """Memory that each pod reserves, and may use at most, MiB."""


class CloudWatchSpec(Section):
    """Logs and metrics of nodes and pods in Amazon CloudWatch, at least one of the two."""

    addon_version: AddonVersion
    """EKS add-on amazon-cloudwatch-observability."""
    container_logs: bool
    """Whether Fluent Bit sends what containers, the kubelet and the nodes' own services write."""
    container_insights: bool
    """Whether the CloudWatch agent sends metrics of cluster, nodes and pods; CloudWatch charges each observation."""
    log_retention_days: LogRetentionDays
    """How long both are kept as logs; metrics arrive as log events, of which CloudWatch makes metrics."""


class MonitoringSpec(Section):
    """Prometheus, Alertmanager, Grafana and the exporters, and CloudWatch."""

    replicas: Annotated[int, Field(ge=1, le=3)]
    """Prometheus pods, each in a zone of its own; each scrapes everything and keeps it on a volume of its own."""
    retention_days: Annotated[int, Field(ge=1, le=400)]
    """How long metrics are kept."""
    retention_gib: Annotated[int, Field(ge=1, le=13_000)]
    """The oldest metrics go when all of a replica's together are larger, GiB; at most four fifths of the volume."""
    volume_gib: Annotated[int, Field(ge=5, le=16_384)]
    """Encrypted volume of each replica, GiB."""
    keep_volumes: bool
    """Whether volumes with metrics outlive what wrote them; somebody then deletes them by hand."""
    scrape_seconds: Annotated[int, Field(ge=10, le=60)]
    """How often every target is read; alerts look at five minutes and need several readings in them."""
    cpu_millis: Annotated[int, Field(ge=100, le=32_000)]
    """Thousandths of a processor that a replica reserves."""
    memory_mib: Annotated[int, Field(ge=512, le=131_072)]
    """Memory that a replica reserves, and may use at most, MiB."""
    grafana: GrafanaSpec
    """Dashboards."""
    alertmanager: AlertmanagerSpec | None
    """Alertmanager; null where nobody is to be told."""
    adapter: MetricsAdapterSpec | None
    """What hands metrics to autoscalers; null where every model is scaled by processor time alone."""
    cloud_watch: CloudWatchSpec | None
    """What goes to Amazon CloudWatch; null for nothing."""
    image_registry: Annotated[str, Field(pattern=IMAGE_REGISTRY)] | None
    """A mirror that has all images under the names that they have at their publishers; null for the publishers."""

"""Helm values of the monitoring stack as pure functions of settings.

Values are those of the charts prometheus-operator-crds 31.0 and kube-prometheus-stack 88.5, the latter with its
sub-charts kube-state-metrics 8.4, prometheus-node-exporter 4.56 and grafana 12.11.

Grafana has no account at all, so there is no password to keep: the first administrator is not created, nobody can log
in, and who reaches it may look. Who reaches it is decided by the cluster (`kubectl port-forward` needs a role there);
the network lets nobody else in. Dashboards and data sources come from ConfigMaps of its namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from components.labels import CAPACITY_LABEL, MONITORING_NAMESPACE, POOL_LABEL, ROLE_LABEL, Labels
from components.releases import KEEP, on_system_nodes

if TYPE_CHECKING:
    from settings.model import AlertmanagerSpec, GrafanaSpec, MonitoringSpec

RELEASE: Final = "kube-prometheus-stack"
"""Name of the chart, of its release, and first part of the names of what it creates."""
NODES_NAMESPACE: Final = "monitoring-nodes"
"""Namespace of the node exporter, which reads the node's file system; nothing else needs more than `restricted`."""
GRAFANA_ROLE: Final = "grafana-configmaps"
"""Role of Grafana's pod: the chart's own one may read every Secret of the namespace too."""
DASHBOARD_LABEL: Final = "grafana_dashboard"
"""Label, with the value "1", of the ConfigMaps that Grafana shows."""

CRD_VALUES: Final = {"crds": {"annotations": KEEP}}
"""Values of the chart `prometheus-operator-crds`: without `keep`, removing the release would delete every monitor."""

_ZONE: Final = "topology.kubernetes.io/zone"
_HIDDEN_BY_EKS: Final = ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy")
"""Exporters, with their alerts and dashboards, of what EKS shows nobody, or lets listen on loopback only."""
_NOT_COLLECTED: Final = ("secrets", "configmaps", "leases", "certificatesigningrequests")
"""Kinds that no rule or dashboard asks kube-state-metrics for: without them it may not list secrets."""
_COUNTED_LABELS: Final = {
    "namespaces": ("workload-type", "cost-center"),
    "nodes": (POOL_LABEL, ROLE_LABEL, CAPACITY_LABEL, "node.kubernetes.io/instance-type", _ZONE),
    "pods": ("app.kubernetes.io/name", "app.kubernetes.io/component"),
}
"""Labels that become metrics, by kind: what costs are divided by."""
_SELECTORS: Final = ("rule", "serviceMonitor", "podMonitor", "probe", "scrapeConfig")
"""Kinds that Prometheus takes from everybody; by default the chart narrows each to its own release."""


def resources(cpu_millis: int, memory_mib: int) -> dict[str, dict[str, str]]:
    """Requests of a container, and its memory as the limit too."""
    memory = f"{memory_mib}Mi"
    return {"requests": {"cpu": f"{cpu_millis}m", "memory": memory}, "limits": {"memory": memory}}


def stack_values(labels: Labels, spec: MonitoringSpec, *, storage_class: str) -> dict[str, Any]:
    """Values of the chart `kube-prometheus-stack`.

    Args:
        labels: Names of the environment.
        spec: Sizes and retention.
        storage_class: Class of every volume.
    """
    return {
        **({"global": {"imageRegistry": spec.image_registry}} if spec.image_registry else {}),
        **{exporter: {"enabled": False} for exporter in _HIDDEN_BY_EKS},
        "nodeExporter": {"operatingSystems": {system: {"enabled": False} for system in ("aix", "darwin")}},
        "kubelet": {"serviceMonitor": {"cAdvisorInterval": f"{spec.scrape_seconds}s"}},
        "prometheusOperator": _operator(),
        "prometheus": _prometheus(labels, spec, storage_class),
        "alertmanager": _alertmanager(spec, storage_class),
        "grafana": _grafana(spec.grafana, storage_class, alertmanager=spec.alertmanager is not None),
        "kube-state-metrics": _state_metrics(),
        "prometheus-node-exporter": _node_exporter(),
    }


def _operator() -> dict[str, Any]:
    return {
        **on_system_nodes(),
        "resources": resources(100, 256),
        "prometheusConfigReloader": {"resources": resources(10, 64)},
        "admissionWebhooks": {"patch": {**on_system_nodes(), "resources": resources(10, 64)}},
        # Endpoints are deprecated since Kubernetes 1.33, and hold at most 1,000 kubelets.
        "kubeletEndpointsEnabled": False,
        "kubeletEndpointSliceEnabled": True,
    }


def _prometheus(labels: Labels, spec: MonitoringSpec, storage_class: str) -> dict[str, Any]:
    interval = f"{spec.scrape_seconds}s"
    return {
        "podDisruptionBudget": _budget(spec.replicas),
        "prometheusSpec": {
            **_replicated(spec.replicas, keep_volumes=spec.keep_volumes),
            **{f"{kind}SelectorNilUsesHelmValues": False for kind in _SELECTORS},
            "retention": f"{spec.retention_days}d",
            "retentionSize": f"{spec.retention_gib}GiB",
            "storageSpec": _volume(spec.volume_gib, storage_class),
            "resources": resources(spec.cpu_millis, spec.memory_mib),
            "scrapeInterval": interval,
            "evaluationInterval": interval,
            "serviceDiscoveryRole": "EndpointSlice",
            "externalLabels": {"cluster": labels.cluster, "region": labels.environment.region},
        },
    }


def _alertmanager(spec: MonitoringSpec, storage_class: str) -> dict[str, Any]:
    alertmanager: AlertmanagerSpec | None = spec.alertmanager
    if alertmanager is None:
        return {"enabled": False}
    return {
        "enabled": True,
        "podDisruptionBudget": _budget(alertmanager.replicas),
        "alertmanagerSpec": {
            # A silence is worth nothing without the alerts that it was for.
            **_replicated(alertmanager.replicas, keep_volumes=False),
            "storage": _volume(alertmanager.volume_gib, storage_class),
            "resources": resources(50, 128),
        },
    }


def _grafana(spec: GrafanaSpec, storage_class: str, *, alertmanager: bool) -> dict[str, Any]:
    from_own_namespace = {"resource": "configmap", "searchNamespace": MONITORING_NAMESPACE, "skipReload": True}
    return {
        **on_system_nodes(),
        "resources": resources(spec.cpu_millis, spec.memory_mib),
        "persistence": {"enabled": True, "storageClassName": storage_class, "size": f"{spec.volume_gib}Gi"},
        # The volume is attached to one node: a second pod elsewhere would wait for the first one to go.
        "deploymentStrategy": {"type": "Recreate"},
        # The pod's group owns the volume already; this container would run as root.
        "initChownData": {"enabled": False},
        "testFramework": {"enabled": False},
        "rbac": {"namespaced": True, "useExistingRole": GRAFANA_ROLE},
        "service": {"type": "ClusterIP"},
        "defaultDashboardsEditable": False,
        # The chart reads this too, and then makes no Secret with a password.
        "env": {"GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true"},
        "grafana.ini": GRAFANA_INI,
        "sidecar": {
            "resources": resources(50, 128),
            # Reloading needs an administrator: Grafana reads dashboards again by itself, data sources at its start.
            "dashboards": {**from_own_namespace, "label": DASHBOARD_LABEL, "labelValue": "1"},
            "datasources": {
                **from_own_namespace,
                "initDatasources": True,
                # With the chart's own WATCH this init container would never end, and Grafana never start.
                "watchMethod": "LIST",
                "alertmanager": {"enabled": alertmanager},
            },
        },
    }


GRAFANA_INI: Final[dict[str, dict[str, Any]]] = {
    "analytics": {
        "check_for_updates": False,
        "check_for_plugin_updates": False,
        "reporting_enabled": False,
        "feedback_links_enabled": False,
    },
    "auth": {"disable_login_form": True},
    "auth.anonymous": {"enabled": True, "org_role": "Viewer", "hide_version": True},
    "auth.basic": {"enabled": False},
    "news": {"news_feed_enabled": False},
    "plugins": {"plugin_admin_enabled": False, "preinstall_disabled": True},
    "public_dashboards": {"enabled": False},
    "security": {"disable_gravatar": True},
    "snapshots": {"external_enabled": False},
    "users": {"allow_sign_up": False, "allow_org_create": False},
}
"""Grafana's configuration file, by section: it calls nobody, installs nothing, lets nobody log in."""


def _state_metrics() -> dict[str, Any]:
    return {
        **on_system_nodes(),
        "resources": resources(100, 512),
        "collectorsExclude": list(_NOT_COLLECTED),
        "metricLabelsAllowlist": [f"{kind}=[{','.join(names)}]" for kind, names in _COUNTED_LABELS.items()],
    }


def _node_exporter() -> dict[str, Any]:
    not_fargate = {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [not_fargate]}]}
    return {
        "namespaceOverride": NODES_NAMESPACE,
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
        # A full node makes room: it is the one that somebody will ask about.
        "priorityClassName": "system-node-critical",
        "resources": resources(50, 64),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containerSecurityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _replicated(replicas: int, *, keep_volumes: bool) -> dict[str, Any]:
    """Values of a set of pods with a volume each: one in a zone, and none beside workloads."""
    when = "Retain" if keep_volumes else "Delete"
    return {
        **on_system_nodes(),
        "replicas": replicas,
        # A volume never leaves its zone: two replicas in one would be lost together.
        "podAntiAffinity": "hard",
        "podAntiAffinityTopologyKey": _ZONE,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": when, "whenScaled": when},
    }


def _budget(replicas: int) -> dict[str, Any]:
    """One pod at a time; a single one has no budget, which would hold its node for ever."""
    return {"enabled": True, "minAvailable": replicas - 1} if replicas > 1 else {"enabled": False}


def _volume(gib: int, storage_class: str) -> dict[str, Any]:
    claim = {
        "storageClassName": storage_class,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{gib}Gi"}},
    }
    return {"volumeClaimTemplate": {"spec": claim}}

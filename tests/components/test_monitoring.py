"""Monitoring as it is registered: definitions, two namespaces, who talks to whom, the values of the stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from components.labels import Labels
from components.monitoring_objects import stack_values
from tests.settings.stacks import changed, decoded, settings_of
from tests.support.recorded import STACKS, Recorded, record_program, stack_section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RELEASE = "kubernetes:helm.sh/v3:Release"
NAMESPACE = "kubernetes:core/v1:Namespace"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
SYSTEM_NODES = {
    "nodeSelector": {"kubernetes.io/os": "linux", "slipway.dev/role": "system"},
    "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
}
CONTROLLERS = (
    "prometheusOperator",
    "prometheusOperator.admissionWebhooks.patch",
    "prometheus.prometheusSpec",
    "alertmanager.alertmanagerSpec",
    "grafana",
    "kube-state-metrics",
)
"""Where the charts read nodes and resources of everything but the node exporter."""


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def values(stack: str) -> dict[str, Any]:
    return record_program(stack).one(RELEASE, "monitoring-stack").inputs["values"]


def values_of(**edits: object) -> dict[str, Any]:
    settings = settings_of(changed({f"monitoring.{path.replace('__', '.')}": value for path, value in edits.items()}))
    return stack_values(Labels(settings.environment), settings.monitoring, storage_class="gp3")


def at(tree: Mapping[str, Any], path: str) -> Any:
    place: Any = tree
    for key in path.split("."):
        place = place[key]
    return place


def texts(tree: object) -> Iterator[tuple[str, object]]:
    """Keys and plain values of a tree."""
    if isinstance(tree, dict):
        for key, value in tree.items():  # pyright: ignore[reportUnknownVariableType] - any JSON
            yield str(key), value  # pyright: ignore[reportUnknownArgumentType] - any JSON
            yield from texts(value)  # pyright: ignore[reportUnknownArgumentType] - any JSON
    elif isinstance(tree, list):
        for value in tree:  # pyright: ignore[reportUnknownVariableType] - any JSON
            yield from texts(value)  # pyright: ignore[reportUnknownArgumentType] - any JSON


# Definitions and places


def test_definitions_come_from_their_own_chart_and_outlive_it(stack: str) -> None:
    recorded = record_program(stack)
    charts = stack_section(stack, "charts")
    definitions, stack_release = (
        recorded.one(RELEASE, f"monitoring-{role}").inputs for role in ("definitions", "stack")
    )
    for release, chart in ((definitions, "prometheusOperatorCrds"), (stack_release, "kubePrometheusStack")):
        assert release["version"] == charts[chart]["version"]
        assert release["repositoryOpts"]["repo"] == charts[chart]["repository"]
        assert release["atomic"] is release["cleanupOnFail"] is release["skipCrds"] is True
    assert definitions["values"] == {"crds": {"annotations": {"helm.sh/resource-policy": "keep"}}}


def test_what_brings_a_monitor_waits_for_its_definition_because_charts_leave_monitors_out_without_it(
    stack: str,
) -> None:
    recorded = record_program(stack)
    definitions = recorded.one(RELEASE, "monitoring-definitions")
    bringing = [
        release
        for release in recorded.of_type(RELEASE)
        if release.inputs["values"].get("serviceMonitor", {}).get("enabled") or release.name == "monitoring-stack"
    ]
    assert {each.name for each in bringing} >= {"karpenter-controller", "accelerators-exporter", "monitoring-stack"}
    assert [each.name for each in bringing if not recorded.depends_path(each, definitions)] == []


def test_only_the_namespace_of_the_node_exporter_admits_pods_that_see_their_node(stack: str) -> None:
    recorded = record_program(stack)
    version = stack_section(stack, "cluster")["version"]
    levels = {
        item.inputs["metadata"]["name"]: item.inputs["metadata"]["labels"]
        for item in recorded.of_type(NAMESPACE)
        if item.name.startswith("monitoring-")
    }
    wanted = {"monitoring": "restricted", "monitoring-nodes": "privileged"}
    assert levels.keys() == wanted.keys()
    for name, level in wanted.items():
        for mode in ("enforce", "audit", "warn"):
            assert levels[name][f"pod-security.kubernetes.io/{mode}"] == level
            assert levels[name][f"pod-security.kubernetes.io/{mode}-version"] == f"v{version}"
    assert recorded.one(RELEASE, "monitoring-stack").inputs["namespace"] == "monitoring"
    assert values(stack)["prometheus-node-exporter"]["namespaceOverride"] == "monitoring-nodes"


# Who talks to whom


def flows(recorded: Recorded, direction: str, app: str) -> list[tuple[str, object, object]]:
    """What the policies of a pod allow, as (peer, port, protocol)."""
    found: list[tuple[str, object, object]] = []
    for policy in recorded.of_type(POLICY):
        spec = policy.inputs["spec"]
        pods = spec["podSelector"].get("matchLabels", {})
        if policy.inputs["metadata"]["namespace"] != "monitoring" or pods != {"app.kubernetes.io/name": app}:
            continue
        for rule in spec.get(direction.lower(), []):
            assert spec["policyTypes"] == [direction]
            for peer in rule["from" if direction == "Ingress" else "to"]:
                block, selector = peer.get("ipBlock"), peer.get("podSelector")
                name = block["cidr"] if block else selector["matchLabels"]["app.kubernetes.io/name"]
                found += [(name, port.get("port"), port["protocol"]) for port in rule["ports"]]
    return found


def private_ranges(recorded: Recorded) -> set[str]:
    return {item.inputs["cidrBlock"] for item in recorded.of_type("aws:ec2/subnet:Subnet") if "-private-" in item.name}


@pytest.mark.parametrize("namespace", ["monitoring", "monitoring-nodes"])
def test_both_namespaces_are_closed_but_for_the_dns(stack: str, namespace: str) -> None:
    policies = {
        item.inputs["metadata"]["name"]: item.inputs["spec"]
        for item in record_program(stack).of_type(POLICY)
        if item.inputs["metadata"]["namespace"] == namespace
    }
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    everyone = {name for name, spec in policies.items() if spec["podSelector"] == {}}
    assert everyone == {"default-deny", "allow-dns"}


def test_prometheus_reaches_every_target_in_the_private_subnets_and_nothing_beyond(stack: str) -> None:
    recorded = record_program(stack)
    ranges = private_ranges(recorded)
    assert len(ranges) == len(stack_section(stack, "network")["zones"])
    out = flows(recorded, "Egress", "prometheus")
    assert {peer for peer, port, _ in out if port is None} == ranges
    assert {peer for peer, _, _ in out} == ranges | {"172.20.0.1/32"}


@pytest.mark.parametrize(
    ("app", "wanted"),
    [
        ("prometheus", {("prometheus", 9090), ("grafana", 9090), ("argo-rollouts", 9090), ("prometheus", 8080)}),
        ("grafana", {("prometheus", 3000)}),
        ("kube-state-metrics", {("prometheus", 8080)}),
        (
            "alertmanager",
            {("prometheus", 9093), ("grafana", 9093), ("prometheus", 8080), ("alertmanager", 9094)},
        ),
    ],
)
def test_nobody_but_their_readers_reaches_the_pods_of_the_stack(app: str, wanted: set[tuple[str, int]]) -> None:
    assert {(peer, port) for peer, port, _ in flows(record_program("prod"), "Ingress", app)} == wanted


def test_the_api_server_asks_the_operator_and_prometheus_reads_it() -> None:
    prod = record_program("prod")
    inwards = flows(prod, "Ingress", "kube-prometheus-stack-prometheus-operator")
    assert {peer for peer, _, _ in inwards} == {"prometheus", *private_ranges(prod)}
    assert {port for _, port, _ in inwards} == {10250}
    control_plane = [
        rule.inputs["fromPort"]
        for rule in prod.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
        if rule.name.startswith("cluster-nodes-from-control-plane")
    ]
    assert 10250 in control_plane


@pytest.mark.parametrize(
    "app", ["prometheus", "grafana", "kube-state-metrics", "kube-prometheus-stack-prometheus-operator"]
)
def test_who_watches_the_cluster_reaches_its_api_by_service_and_by_endpoint(app: str) -> None:
    prod = record_program("prod")
    out = {peer for peer, port, _ in flows(prod, "Egress", app) if port == 443}
    assert out == {"172.20.0.1/32", *private_ranges(prod)}


def test_alertmanager_tells_nobody_outside_of_the_cluster() -> None:
    assert {peer for peer, _, _ in flows(record_program("prod"), "Egress", "alertmanager")} == {"alertmanager"}


# The values of the stack


def test_everything_but_the_node_exporter_runs_on_system_nodes_within_its_memory(stack: str) -> None:
    for path in CONTROLLERS:
        part = at(values(stack), path)
        assert SYSTEM_NODES.items() <= part.items(), path
        assert part["resources"]["requests"].keys() == {"cpu", "memory"}
        assert part["resources"]["limits"] == {"memory": part["resources"]["requests"]["memory"]}


def test_the_node_exporter_runs_on_every_node_that_can_run_it() -> None:
    exporter = values("prod")["prometheus-node-exporter"]
    assert exporter["tolerations"] == [{"operator": "Exists"}]
    assert exporter["priorityClassName"] == "system-node-critical"
    required = exporter["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required["nodeSelectorTerms"] == [
        {
            "matchExpressions": [
                {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]},
            ]
        }
    ]
    assert exporter["containerSecurityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_metrics_are_kept_as_the_settings_say_on_volumes_of_the_encrypted_class(stack: str) -> None:
    wanted = stack_section(stack, "monitoring")
    spec = values(stack)["prometheus"]["prometheusSpec"]
    assert spec["retention"] == f"{wanted['retentionDays']}d"
    assert spec["retentionSize"] == f"{wanted['retentionGib']}GiB"
    assert spec["storageSpec"]["volumeClaimTemplate"]["spec"] == {
        "storageClassName": "gp3",
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{wanted['volumeGib']}Gi"}},
    }
    when = "Retain" if wanted["keepVolumes"] else "Delete"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": when, "whenScaled": when}
    interval = f"{wanted['scrapeSeconds']}s"
    assert spec["scrapeInterval"] == spec["evaluationInterval"] == interval
    assert values(stack)["kubelet"]["serviceMonitor"]["cAdvisorInterval"] == interval


@pytest.mark.parametrize("part", ["prometheus.prometheusSpec", "alertmanager.alertmanagerSpec"])
def test_in_prod_a_lost_zone_leaves_one_replica_and_an_update_takes_one_at_a_time(part: str) -> None:
    spec = at(values("prod"), part)
    assert spec["replicas"] == 2
    assert (spec["podAntiAffinity"], spec["podAntiAffinityTopologyKey"]) == ("hard", "topology.kubernetes.io/zone")
    budget = at(values("prod"), part.partition(".")[0])["podDisruptionBudget"]
    assert budget == {"enabled": True, "minAvailable": 1}


def test_a_single_replica_has_no_budget_that_would_hold_its_node() -> None:
    assert values_of(replicas=1)["prometheus"]["podDisruptionBudget"] == {"enabled": False}


def test_monitors_and_rules_of_every_release_and_namespace_are_taken() -> None:
    spec = values("prod")["prometheus"]["prometheusSpec"]
    for kind in ("rule", "serviceMonitor", "podMonitor", "probe", "scrapeConfig"):
        assert spec[f"{kind}SelectorNilUsesHelmValues"] is False
        assert f"{kind}NamespaceSelector" not in spec


def test_what_eks_hides_is_neither_scraped_nor_alerted_on() -> None:
    for exporter in ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy"):
        assert values("prod")[exporter] == {"enabled": False}


def test_grafana_has_no_account_and_no_password_and_lets_everybody_look() -> None:
    grafana = values("prod")["grafana"]
    assert grafana["env"] == {"GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true"}
    assert "admin" not in grafana
    assert "adminPassword" not in grafana
    ini = grafana["grafana.ini"]
    assert ini["auth"]["disable_login_form"] is True
    assert ini["auth.basic"]["enabled"] is False
    assert ini["auth.anonymous"]["enabled"] is True
    assert ini["auth.anonymous"]["org_role"] == "Viewer"
    assert not [key for key, _ in texts(values("prod")) if key.lower().endswith(("password", "secret", "token"))]


def test_grafana_calls_nobody_and_installs_nothing() -> None:
    ini = values("prod")["grafana"]["grafana.ini"]
    assert not any(ini["analytics"].values())
    assert ini["plugins"] == {"plugin_admin_enabled": False, "preinstall_disabled": True}
    assert ini["security"]["disable_gravatar"] is True
    assert ini["news"]["news_feed_enabled"] is ini["snapshots"]["external_enabled"] is False


def test_grafana_reads_config_maps_of_its_namespace_and_no_secret() -> None:
    grafana = values("prod")["grafana"]
    role = record_program("prod").one("kubernetes:rbac.authorization.k8s.io/v1:Role", "monitoring-grafana").inputs
    assert role["rules"] == [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]
    assert role["metadata"] == {"name": grafana["rbac"]["useExistingRole"], "namespace": "monitoring"}
    assert grafana["rbac"]["namespaced"] is True
    for sidecar in ("dashboards", "datasources"):
        assert grafana["sidecar"][sidecar]["resource"] == "configmap"
        assert grafana["sidecar"][sidecar]["searchNamespace"] == "monitoring"


def test_data_sources_are_read_once_before_grafana_starts_because_nobody_may_reload_them() -> None:
    sources = values("prod")["grafana"]["sidecar"]["datasources"]
    assert (sources["skipReload"], sources["initDatasources"], sources["watchMethod"]) == (True, True, "LIST")


def test_grafana_keeps_its_volume_when_it_is_replaced_and_needs_no_root() -> None:
    grafana = values("prod")["grafana"]
    assert grafana["persistence"] == {"enabled": True, "storageClassName": "gp3", "size": "2Gi"}
    assert grafana["deploymentStrategy"] == {"type": "Recreate"}
    assert grafana["initChownData"] == grafana["testFramework"] == {"enabled": False}
    assert grafana["service"] == {"type": "ClusterIP"}


def test_costs_can_be_divided_by_namespace_and_pool_and_secrets_are_not_even_counted() -> None:
    exporter = values("prod")["kube-state-metrics"]
    kinds = dict(item.rstrip("]").split("=[") for item in exporter["metricLabelsAllowlist"])
    assert kinds["namespaces"] == "workload-type,cost-center"
    assert {"slipway.dev/pool", "slipway.dev/capacity", "node.kubernetes.io/instance-type"} <= set(
        kinds["nodes"].split(",")
    )
    assert {"secrets", "configmaps"} <= set(exporter["collectorsExclude"])


def test_without_alertmanager_nothing_asks_for_it() -> None:
    without = values_of(alertmanager=None)
    assert without["alertmanager"] == {"enabled": False}
    assert without["grafana"]["sidecar"]["datasources"]["alertmanager"] == {"enabled": False}


def test_a_mirror_replaces_the_registry_of_every_image() -> None:
    assert values_of(imageRegistry="registry.example.com/mirror")["global"] == {
        "imageRegistry": "registry.example.com/mirror"
    }
    assert "global" not in values("prod")


def test_metrics_say_which_cluster_they_are_of(stack: str) -> None:
    exports = record_program(stack).exports
    assert values(stack)["prometheus"]["prometheusSpec"]["externalLabels"] == {
        "cluster": exports["clusterName"],
        "region": exports["region"],
    }


def test_every_value_is_readable_before_anything_exists() -> None:
    preview = record_program("prod", preview=True)
    for role in ("definitions", "stack"):
        assert preview.one(RELEASE, f"monitoring-{role}").known("values")


def test_another_service_range_moves_the_address_of_the_api_server() -> None:
    cluster = {"cluster": {"serviceCidr": "10.100.0.0/16"}}
    recorded = record_program("prod", overrides=json.dumps(cluster))
    assert "10.100.0.1/32" in {peer for peer, _, _ in flows(recorded, "Egress", "prometheus")}
    assert decoded()["slipway:cluster"]["serviceCidr"] == "172.20.0.0/16"

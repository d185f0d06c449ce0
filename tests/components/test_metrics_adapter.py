"""Autoscaling on requests: what the adapter asks of Prometheus, who reaches it, and what an autoscaler then follows."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components.metrics_adapter_objects import CHART, PORT, READINGS, REQUEST_METRICS, rules
from scoring.metrics import Metrics
from tests.support.changes import record_changed
from tests.support.network_policies import NETWORK_POLICY, End, Policies
from tests.support.optional import PARTS
from tests.support.recorded import record_program, stack_section
from tests.support.rolled_out import rolled_out

RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
SCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
TARGET: Any = PARTS["models.0.serving.eks.autoscaling.requests"]


def values() -> dict[str, Any]:
    return rolled_out().one("kubernetes:helm.sh/v3:Release", "metrics-adapter").inputs["values"]


def test_an_autoscaler_follows_processor_time_and_requests_whichever_asks_for_more() -> None:
    processor, requests = rolled_out().one(SCALER, "serving-flight-delay").inputs["spec"]["metrics"]
    assert processor["resource"]["name"] == "cpu"
    assert requests["type"] == "Pods"
    assert requests["pods"]["metric"] == {"name": REQUEST_METRICS[TARGET["metric"]]}
    assert requests["pods"]["target"] == {"type": "AverageValue", "averageValue": str(TARGET["perPod"])}
    behavior = rolled_out().one(SCALER, "serving-flight-delay").inputs["spec"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] > 0
    assert behavior["scaleUp"]["policies"]


def test_every_metric_of_the_settings_is_one_that_the_adapter_makes_of_a_series_that_the_server_has() -> None:
    server = Metrics()
    server.answered("/invocations", 200, 0.001)
    shown = server.render().decode()
    made = rules(60)
    assert [rule["name"]["as"] for rule in made] == list(REQUEST_METRICS.values())
    for rule in made:
        series = rule["seriesQuery"].partition("{")[0]
        assert re.search(rf"^{series}[ {{]", shown, re.MULTILINE), series


def test_what_is_averaged_holds_enough_readings_of_a_pod() -> None:
    scrape = stack_section("prod", "monitoring")["scrapeSeconds"]
    windows = {re.findall(r"\[(\d+)s\]", rule["metricsQuery"])[0] for rule in values()["rules"]["custom"]}
    assert windows == {str(READINGS * scrape)}
    assert values()["rules"]["default"] is False, "the chart's own rules hand out every series"


def test_the_adapter_lists_pods_of_models_and_reads_nothing_else() -> None:
    recorded = rolled_out()
    assert values()["rbac"] == {"create": False}
    (role,) = [item for item in recorded.of_type(f"{RBAC}:Role") if item.name.startswith("metrics-")]
    assert role.inputs["metadata"]["namespace"] == "ml-inference"
    assert role.inputs["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    given = {
        (item.type.rpartition(":")[2], item.inputs["roleRef"]["name"])
        for kind in ("RoleBinding", "ClusterRoleBinding")
        for item in recorded.of_type(f"{RBAC}:{kind}")
        if item.inputs["subjects"][0]["name"] == CHART
    }
    assert given == {
        ("ClusterRoleBinding", "system:auth-delegator"),
        ("RoleBinding", "extension-apiserver-authentication-reader"),
        ("RoleBinding", CHART),
    }


def test_only_the_control_plane_asks_the_adapter_and_it_asks_only_prometheus() -> None:
    policies = Policies([item.inputs for item in rolled_out().of_type(NETWORK_POLICY)])
    adapter = End(address="10.48.70.1", namespace=CHART, labels={"app.kubernetes.io/name": CHART})
    prometheus = End(address="10.48.70.2", namespace="monitoring", labels={"app.kubernetes.io/name": "prometheus"})
    grafana = End(address="10.48.70.3", namespace="monitoring", labels={"app.kubernetes.io/name": "grafana"})
    model = End(address="10.48.70.4", namespace="ml-inference", labels={})
    assert policies.permit(adapter, prometheus, 9090)
    assert not policies.permit(adapter, grafana, 3000)
    assert not policies.permit(adapter, model, 8080)
    assert not policies.permit(model, prometheus, 9090)
    assert values()["listenPort"] == PORT
    ports = {
        rule.inputs["fromPort"]
        for rule in rolled_out().of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
        if rule.name.startswith("cluster-nodes-from-control-plane")
    }
    assert PORT in ports, "the nodes' security group lets the API server in"


@pytest.mark.parametrize("metric", REQUEST_METRICS)
def test_each_metric_can_be_followed(metric: str) -> None:
    recorded = record_changed({**PARTS, "models.0.serving.eks.autoscaling.requests": {"metric": metric, "perPod": 9}})
    _, requests = recorded.one(SCALER, "serving-flight-delay").inputs["spec"]["metrics"]
    assert requests["pods"]["metric"]["name"] == REQUEST_METRICS[metric]


def test_where_processor_time_decides_there_is_no_adapter() -> None:
    assert [item.name for item in record_program("prod").resources if item.name.startswith("metrics-")] == []

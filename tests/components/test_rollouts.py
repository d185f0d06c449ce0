"""Rollouts by shares of requests: the controller, its rights, and what there is for each model."""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from components import objectives, rollouts_objects, serving_analysis
from components.serving_pods import CHANGED_BY_RELEASES
from rollout.judgement import ERROR_RISKS, LATENCY_RISKS, ROUTES
from scoring.metrics import INVOKE, PREDICTION_ROUTES
from tests.support.network_policies import NETWORK_POLICY, End, Policies
from tests.support.recorded import ROOT
from tests.support.rolled_out import ROLLOUTS, rolled_out
from tests.support.served import of_serving, one_model
from tools.go_programs import required_version
from tools.kube_programs import ROLLOUTS_MODULE

ARGO = "kubernetes:argoproj.io/v1alpha1"
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
ALB = "alb.ingress.kubernetes.io"
MODELS = ["flight-delay", *ROLLOUTS]


def inputs(kind: str, name: str) -> dict[str, Any]:
    return rolled_out().one(kind, name).inputs


def canary(model: str) -> dict[str, Any]:
    return inputs(f"{ARGO}:Rollout", f"serving-{model}")["spec"]["strategy"]["canary"]


def steps(model: str) -> list[Any]:
    """Steps of a rollout, analyses and pauses by their name alone."""
    return [
        "judge" if "analysis" in step else next(iter(step)) if "pause" in step else step
        for step in canary(model)["steps"]
    ]


# The controller


def test_without_a_model_for_it_the_controller_may_change_no_namespace_but_its_own() -> None:
    roles = [item for item in one_model().of_type(f"{RBAC}:Role") if item.name.startswith("rollouts-")]
    assert [item.inputs["metadata"]["namespace"] for item in roles] == ["argo-rollouts"]


def test_the_controller_reads_no_secret_but_its_own_and_changes_only_namespaces_with_a_model_for_it() -> None:
    recorded = rolled_out()
    ours = [item for item in recorded.of_type(f"{RBAC}:Role") if item.name.startswith("rollouts-")]
    assert {item.inputs["metadata"]["namespace"] for item in ours} == {"argo-rollouts", "ml-inference"}
    (watching,) = recorded.of_type(f"{RBAC}:ClusterRole")
    for rule in watching.inputs["rules"]:
        assert set(rule["verbs"]) == {"get", "list", "watch"}
        assert not {"secrets", "configmaps", "pods"} & set(rule["resources"])
    secrets = [rule for item in ours for rule in item.inputs["rules"] if "secrets" in rule["resources"]]
    assert [rule["resourceNames"] for rule in secrets] == [["argo-rollouts-notification-secret"]]
    values = recorded.one("kubernetes:helm.sh/v3:Release", "rollouts-controller").inputs["values"]
    assert values["controller"]["createClusterRole"] is values["createClusterAggregateRoles"] is False


def test_the_controller_is_the_one_that_the_tests_on_a_real_control_plane_run() -> None:
    values = rolled_out().one("kubernetes:helm.sh/v3:Release", "rollouts-controller").inputs["values"]
    tested = required_version(ROLLOUTS_MODULE, "github.com/argoproj/argo-rollouts")
    assert values["controller"]["image"]["tag"] == f"v{tested}"


def test_people_are_told_the_address_of_prometheus_that_the_controller_asks() -> None:
    (metric, *_) = inputs(f"{ARGO}:AnalysisTemplate", "serving-in-shares-stop")["spec"]["metrics"]
    address: str = metric["provider"]["prometheus"]["address"]
    service, namespace = urlsplit(address).netloc.removesuffix(":9090").split(".")
    page = (ROOT / "docs" / "rollouts.md").read_text()
    assert f"`{address}`" in page
    assert f"kubectl -n {namespace} port-forward service/{service} 9090" in page
    told = re.findall(r"http://[\w.-]+:9090", page)
    assert {*told} == {address, "http://127.0.0.1:9090"}


def test_the_controller_asks_prometheus_and_nobody_else_s_pods() -> None:
    policies = Policies([item.inputs for item in rolled_out().of_type(NETWORK_POLICY)])
    controller = End(
        address="10.48.70.1", namespace="argo-rollouts", labels={"app.kubernetes.io/name": "argo-rollouts"}
    )
    prometheus = End(address="10.48.70.2", namespace="monitoring", labels={"app.kubernetes.io/name": "prometheus"})
    grafana = End(address="10.48.70.3", namespace="monitoring", labels={"app.kubernetes.io/name": "grafana"})
    model = End(address="10.48.70.4", namespace="ml-inference", labels={})
    assert policies.permit(controller, prometheus, 9090)
    assert policies.permit(prometheus, controller, rollouts_objects.METRICS_PORT)
    assert not policies.permit(controller, grafana, 3000)
    assert not policies.permit(controller, model, 8080)
    assert not policies.permit(model, prometheus, 9090)


def test_a_rollout_waits_for_its_controller_and_the_controller_for_no_prometheus() -> None:
    recorded = rolled_out()
    release = recorded.one("kubernetes:helm.sh/v3:Release", "rollouts-controller")
    assert recorded.depends_path(recorded.one(f"{ARGO}:Rollout", "serving-in-shares"), release)
    assert not recorded.depends_path(release, recorded.one("kubernetes:helm.sh/v3:Release", "monitoring-stack"))


# A model


@pytest.mark.parametrize("model", MODELS)
def test_the_rollout_has_the_pods_and_everything_that_counts_them_means_it(model: str) -> None:
    name = f"serving-{model}"
    spec = inputs(f"{ARGO}:Rollout", name)["spec"]
    reference = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": model}
    assert inputs("kubernetes:autoscaling/v2:HorizontalPodAutoscaler", name)["spec"]["scaleTargetRef"] == reference
    assert spec["workloadRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": model,
        "scaleDown": "onsuccess",
    }
    assert not {"template", "replicas"} & spec.keys()
    pod = inputs("kubernetes:apps/v1:Deployment", name)["spec"]["template"]["spec"]
    assert {key for each in pod["topologySpreadConstraints"] for key in each["matchLabelKeys"]} == {
        "rollouts-pod-template-hash"
    }
    (monitor,) = [item for item in of_serving(rolled_out(), model) if item.name == f"{name}-monitor"]
    assert monitor.inputs["kind"] == "PodMonitor", "two Services select a pod while nothing is rolled out"
    assert "rollouts-pod-template-hash" in monitor.inputs["spec"]["podTargetLabels"]


@pytest.mark.parametrize("model", MODELS)
def test_nobody_owns_a_field_that_another_writes(model: str) -> None:
    recorded, name = rolled_out(), f"serving-{model}"
    services = [recorded.one("kubernetes:core/v1:Service", each) for each in (name, f"{name}-canary")]
    assert [item.ignore_changes for item in services] == [["spec.selector"]] * 2
    assert recorded.one("kubernetes:apps/v1:Deployment", name).ignore_changes == list(CHANGED_BY_RELEASES)
    notes = inputs("kubernetes:networking.k8s.io/v1:Ingress", name)["metadata"]["annotations"]
    assert f"{ALB}/actions.{model}" not in notes, "the controller writes the weights"


def test_a_canary_earns_each_share_and_a_new_version_is_a_target_before_its_first_request() -> None:
    start = [{"setCanaryScale": {"weight": 5}}, "pause", {"setCanaryScale": {"matchTrafficWeight": True}}]
    assert steps("in-shares") == [*start, {"setWeight": 5}, "pause", "judge", {"setWeight": 50}, "pause", "judge"]


def test_blue_green_is_one_switch_to_pods_that_are_all_there() -> None:
    start = [{"setCanaryScale": {"weight": 100}}, "pause", {"setCanaryScale": {"matchTrafficWeight": True}}]
    assert steps("at-once") == [*start, {"setWeight": 100}, "pause", "judge"]


def test_callers_of_an_a_b_test_are_told_apart_by_the_load_balancer_before_all_others() -> None:
    assert steps("by-header") == [{"setCanaryScale": {"weight": 100}}, "pause", "judge"]
    ingress = inputs("kubernetes:networking.k8s.io/v1:Ingress", "serving-by-header")
    paths = [each["backend"]["service"]["name"] for each in ingress["spec"]["rules"][0]["http"]["paths"]]
    assert paths == ["by-header-variant", "by-header-variant", "by-header", "by-header"]
    notes = ingress["metadata"]["annotations"]
    (condition,) = json.loads(notes[f"{ALB}/conditions.by-header-variant"])
    assert condition["httpHeaderConfig"] == {"httpHeaderName": "Cookie", "values": ["*variant=b*"]}
    (group,) = json.loads(notes[f"{ALB}/actions.by-header-variant"])["forwardConfig"]["targetGroups"]
    assert group == {"serviceName": "by-header-canary", "servicePort": "80"}
    assert canary("by-header")["canaryService"] == "by-header-canary"


# The judgement


def test_both_judges_have_the_same_bounds() -> None:
    for risks, bounds in (
        (ERROR_RISKS, serving_analysis.ERROR_BOUNDS),
        (LATENCY_RISKS, serving_analysis.LATENCY_BOUNDS),
    ):
        wanted = (math.log(risks.miss / (1 - risks.false_alarm)), math.log((1 - risks.miss) / risks.false_alarm))
        assert bounds == pytest.approx(wanted)


def test_all_judges_count_what_callers_ask_by_any_protocol_and_no_probe() -> None:
    counted = re.compile(ROUTES)
    assert f'route=~"{ROUTES}"' == objectives.ROUTES
    assert [route for route in PREDICTION_ROUTES if not counted.fullmatch(route)] == [INVOKE], "hosts of many models"
    assert not counted.fullmatch("/ping")
    assert not counted.fullmatch("/v2/models/{name}/ready")
    for name in ("stop", "go-on"):
        metrics = inputs(f"{ARGO}:AnalysisTemplate", f"serving-in-shares-{name}")["spec"]["metrics"]
        queries = "".join(metric["provider"]["prometheus"]["query"] for metric in metrics)
        asked = re.findall(r"slipway_requests_total\{(.*?)\}\[", queries)
        assert asked
        assert all(objectives.ROUTES in labels for labels in asked)


def test_one_sure_test_stops_a_rollout_and_all_have_to_be_sure_to_let_it_go_on() -> None:
    stop, go_on = (
        {
            metric["name"]: metric
            for metric in inputs(f"{ARGO}:AnalysisTemplate", f"serving-in-shares-{name}")["spec"]["metrics"]
        }
        for name in ("stop", "go-on")
    )
    assert stop.keys() == {"errors", "p95", "p99", "predictions", "restarts"}
    assert go_on.keys() == {"errors", "p95", "p99", "predictions", "sample"}
    assert all(metric["failureLimit"] == 0 and "count" not in metric for metric in stop.values())
    looks = 60 * 60 // serving_analysis.LOOK_SECONDS
    assert all((metric["count"], metric["consecutiveSuccessLimit"]) == (looks, 1) for metric in go_on.values())
    assert all(metric["failureLimit"] == -1 for metric in go_on.values()), "what is still open has failed in the end"
    for metric in (*stop.values(), *go_on.values()):
        condition = metric.get("failureCondition", metric.get("successCondition"))
        assert condition.startswith("len(result) > 0 && ")
        query = metric["provider"]["prometheus"]["query"]
        assert "{{args.challenger}}" in query
        assert query.count("(") == query.count(")")
    used = canary("in-shares")
    assert used["analysis"]["templates"] == [{"templateName": "in-shares-stop"}]
    assert [each["name"] for each in used["analysis"]["args"]] == ["challenger", "champion"]

"""Models that pods of the cluster serve, as they are registered."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from components import serving_objects, serving_pods
from components.serving_pods import ALIVE, CHANGED_BY_RELEASES, HEALTH, Workload, grace_seconds
from scoring.settings import ServerSettings
from settings.model import EksServingSpec, NamespaceSpec
from tests.support.network_policies import NETWORK_POLICY, End, Policies
from tests.support.optional import APPROVED, CERTIFICATE
from tests.support.recorded import STACKS, record_program, stack_section
from tests.support.served import FRONT_ENDS, four_models, of_serving, one_model

if TYPE_CHECKING:
    from tests.support.recorded import Recorded, Resource

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
SCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
SERVICE = "kubernetes:core/v1:Service"
INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
MONITOR = "kubernetes:monitoring.coreos.com/v1:ServiceMonitor"
RULE = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"
ACCOUNT = "kubernetes:core/v1:ServiceAccount"
RIGHTS = ("aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy")
NAME = "serving-flight-delay"
ALB, NLB = "alb.ingress.kubernetes.io", "service.beta.kubernetes.io/aws-load-balancer"


def section() -> dict[str, Any]:
    return stack_section("prod", "models")[0]["serving"]["eks"]


def workload(suffix: str = "", **changes: object) -> Workload:
    """Prod's model with other values in its section."""
    spec = EksServingSpec.model_validate_json(json.dumps({**section(), **changes}))
    image = "registry.example/app@sha256:0"
    return Workload(model="flight-delay", spec=spec, version=7, image=image, suffix=suffix)


def of_kind(recorded: Recorded, token: str, model: str = "") -> list[Resource]:
    return [item for item in of_serving(recorded, model) if item.type == token]


def deployment() -> Resource:
    return one_model().one(DEPLOYMENT, NAME)


def pod() -> dict[str, Any]:
    return deployment().inputs["spec"]["template"]["spec"]


def notes_of(item: Resource) -> dict[str, str]:
    return item.inputs["metadata"].get("annotations", {})


# What there is


@pytest.mark.parametrize("stack", STACKS)
def test_without_an_approved_version_a_model_has_its_account_and_nothing_that_needs_an_image(stack: str) -> None:
    recorded = record_program(stack)
    ours = [item for item in recorded.resources if item.name.startswith("serving-")]
    assert [(item.type, item.name) for item in ours] == [(ACCOUNT, f"{NAME}-account")]
    assert recorded.exports["modelUrls"] == {}


@pytest.mark.parametrize(
    ("model", "ingresses", "types"),
    [("by-alb", 1, ["ClusterIP"]), ("by-nlb", 0, ["LoadBalancer"]), ("inside", 0, ["ClusterIP"])],
)
def test_exactly_the_front_end_of_the_settings_is_there(model: str, ingresses: int, types: list[str]) -> None:
    assert len(of_kind(four_models(), INGRESS, model)) == ingresses
    assert [item.inputs["spec"]["type"] for item in of_kind(four_models(), SERVICE, model)] == types


def test_another_model_adds_its_own_resources_and_touches_no_other() -> None:
    before = {item.urn: item for item in of_serving(one_model())}
    after = {item.urn: item for item in of_serving(four_models())}
    kinds = {SCALER, DEPLOYMENT, BUDGET, SERVICE, INGRESS, MONITOR, RULE, ACCOUNT, NETWORK_POLICY, *RIGHTS}
    assert {item.type for item in before.values()} == kinds
    assert {urn: after.get(urn) for urn in before} == before
    for model in FRONT_ENDS:
        added = {item.type for item in of_serving(four_models(), model)}
        assert added == (kinds if model == "by-alb" else kinds - {INGRESS})
    assert len(after) == 4 * (len(kinds) + 1) - 2, "two policies of the role, and two models without an Ingress"


def test_what_serves_a_model_waits_for_its_own_namespace_and_for_what_admits_it() -> None:
    recorded = one_model()
    namespace = recorded.one("kubernetes:core/v1:Namespace", "tenancy-ml-inference")
    for item in of_serving(recorded):
        assert item.type in RIGHTS or recorded.depends_path(item, namespace)
    release = "kubernetes:helm.sh/v3:Release"
    assert recorded.depends_path(recorded.one(MONITOR), recorded.one(release, "monitoring-definitions"))
    assert recorded.depends_path(recorded.one(INGRESS, NAME), recorded.one(release, "load-balancing-controller"))
    pods = recorded.one(DEPLOYMENT, NAME)
    assert recorded.depends_path(
        pods, recorded.one("kubernetes:scheduling.k8s.io/v1:PriorityClass", "priorities-serving")
    )
    assert recorded.depends_path(pods, recorded.one("kubernetes:karpenter.sh/v1:NodePool", "karpenter-burst-cpu"))
    training = recorded.one("kubernetes:core/v1:Namespace", "tenancy-ml-training")
    assert not [item.name for item in of_kind(recorded, SERVICE) if training.urn in item.dependencies]


# The pods


def test_one_version_names_image_pods_and_answers_alike() -> None:
    registered = deployment().inputs
    (container,) = pod()["containers"]
    registry = "777788889999.dkr.ecr.us-east-1.amazonaws.com/slipway-prod/flight-delay"
    assert container["image"] == f"{registry}@{APPROVED['imageDigest']}"
    labels = registered["spec"]["template"]["metadata"]["labels"]
    assert labels["slipway.dev/version"] == registered["metadata"]["labels"]["slipway.dev/version"] == "7"
    env = {item["name"]: item for item in container["env"]}
    field = env["SLIPWAY_MODEL_VERSION"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert field == "metadata.labels['slipway.dev/version']"
    model = one_model().one("aws:sagemaker/model:Model")
    assert model.inputs["primaryContainer"]["image"] == container["image"]
    assert "-v7-" in model.inputs["name"]


def test_no_selector_names_a_version() -> None:
    registered = deployment().inputs["spec"]
    selector = registered["selector"]["matchLabels"]
    assert selector.items() < registered["template"]["metadata"]["labels"].items()
    chosen = [
        *(item.inputs["spec"]["selector"] for item in of_kind(one_model(), SERVICE)),
        one_model().one(BUDGET).inputs["spec"]["selector"]["matchLabels"],
        one_model().one(MONITOR).inputs["spec"]["selector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in pod()["topologySpreadConstraints"]),
    ]
    assert chosen == [selector] * 5
    assert "slipway.dev/version" not in selector


def test_the_server_is_told_nothing_that_it_does_not_know() -> None:
    (container,) = pod()["containers"]
    environment = {item["name"]: item.get("value", "7") for item in container["env"]}
    settings = ServerSettings.load(environment)
    assert (settings.model_name, settings.model_version) == ("flight-delay", "7")
    assert settings.drain_s == section()["pod"]["drainSeconds"]


def test_a_pod_has_longer_to_end_than_hook_drain_and_last_answers_take_together() -> None:
    spec = pod()
    (container,) = spec["containers"]
    environment = {item["name"]: item.get("value", "") for item in container["env"]}
    hook = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = hook + float(environment["SLIPWAY_DRAIN_S"]) + float(environment["SLIPWAY_GRACE_S"])
    assert needed < spec["terminationGracePeriodSeconds"] <= 110
    delay = notes_of(one_model().one(INGRESS, NAME))[f"{ALB}/target-group-attributes"]
    assert f"deregistration_delay.timeout_seconds={needed - hook:.0f}" in delay


@pytest.mark.parametrize("drain", [5, 60])
def test_the_longest_drain_ends_within_the_notice_of_a_spot_node(drain: int) -> None:
    assert drain < grace_seconds(workload(pod={**section()["pod"], "drainSeconds": drain}).spec) < 120


def test_probes_ask_what_the_server_answers_and_the_last_one_fails_latest() -> None:
    (container,) = pod()["containers"]
    probes = {name: container[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}
    paths = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    assert paths == {"startup": HEALTH, "readiness": HEALTH, "liveness": ALIVE}
    after = {name: probe["periodSeconds"] * probe["failureThreshold"] for name, probe in probes.items()}
    assert after["startup"] >= 30 * section()["pod"]["startSeconds"]
    assert after["readiness"] < after["liveness"]
    assert notes_of(one_model().one(INGRESS, NAME))[f"{ALB}/healthcheck-path"] == HEALTH
    (port,) = container["ports"]
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {port["name"]}


def test_the_pods_are_restricted_reserve_what_was_measured_and_hold_no_token() -> None:
    spec, wanted = pod(), section()["pod"]
    (container,) = spec["containers"]
    memory = f"{wanted['memoryMib']}Mi"
    assert container["resources"] == {
        "requests": {"cpu": f"{wanted['cpuMillis']}m", "memory": memory},
        "limits": {"memory": memory},
    }
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {item["mountPath"] for item in container["volumeMounts"]} == {"/tmp", "/captures"}  # noqa: S108 - in the pod
    assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
    assert spec["priorityClassName"] == "serving"
    (account,) = of_kind(one_model(), ACCOUNT)
    assert spec["serviceAccountName"] == account.inputs["metadata"]["name"]


@pytest.mark.parametrize(("capacity", "tolerated"), [("on-demand", []), ("spot", ["spot"])])
def test_pods_keep_to_nodes_of_their_purchase_option(capacity: str, tolerated: list[str]) -> None:
    spec = serving_pods.deployment(workload(capacity=capacity))["template"]["spec"]
    assert spec["nodeSelector"] == {"slipway.dev/role": "cpu", "slipway.dev/capacity": capacity}
    assert [item["value"] for item in spec["tolerations"]] == tolerated


def test_a_rollout_takes_no_pod_away_before_its_replacement_answers() -> None:
    spec = deployment().inputs["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert spec["minReadySeconds"] > 0
    zones, hosts = spec["template"]["spec"]["topologySpreadConstraints"]
    assert (zones["topologyKey"], zones["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "DoNotSchedule")
    assert (hosts["topologyKey"], hosts["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")


def test_two_versions_side_by_side_share_their_identity_and_no_pod() -> None:
    here, beside = workload(), workload("-candidate")
    assert (here.name, beside.name) == ("flight-delay", "flight-delay-candidate")
    assert not here.selector.items() <= beside.version_labels.items()
    assert not beside.selector.items() <= here.version_labels.items()
    pods = [serving_pods.deployment(each)["template"]["spec"] for each in (here, beside)]
    assert len({each["serviceAccountName"] for each in pods}) == 1
    assert serving_objects.autoscaler(beside)["scaleTargetRef"]["name"] == beside.name


# Who decides what


def test_the_autoscaler_alone_says_how_many_pods_there_are() -> None:
    registered, scaler = deployment().inputs, one_model().one(SCALER).inputs["spec"]
    wanted = section()["autoscaling"]
    assert "replicas" not in registered["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "flight-delay"}
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (wanted["minPods"], wanted["maxPods"])
    (metric,) = scaler["metrics"]
    assert metric["resource"]["target"]["averageUtilization"] == wanted["cpuPercent"]
    assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == wanted["scaleInSeconds"]


def test_releases_own_image_and_version_by_paths_that_the_provider_can_find() -> None:
    registered = deployment()
    assert registered.ignore_changes == list(CHANGED_BY_RELEASES)
    # The provider splits them at dots and knows no element of a list.
    assert not [path for path in registered.ignore_changes if set(path) & set('[]"*')]
    for path in registered.ignore_changes:
        assert functools.reduce(lambda place, step: place[step], path.split("."), registered.inputs)
    assert [item.name for item in of_serving(one_model()) if item.ignore_changes] == [NAME]


def test_a_budget_lets_one_pod_go_at_a_time_and_a_broken_one_at_once() -> None:
    spec = one_model().one(BUDGET).inputs["spec"]
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_every_series_of_a_pod_carries_its_model_and_version() -> None:
    monitor = one_model().one(MONITOR).inputs["spec"]
    assert monitor["podTargetLabels"] == ["slipway.dev/model", "slipway.dev/version"]
    (endpoint,) = monitor["endpoints"]
    (service,) = of_kind(one_model(), SERVICE)
    assert endpoint["port"] in {port["name"] for port in service.inputs["spec"]["ports"]}


# Ways in


def test_callers_reach_the_paths_of_the_settings_over_tls_and_http_only_redirects() -> None:
    ingress = four_models().one(INGRESS, "serving-by-alb")
    (rule,) = ingress.inputs["spec"]["rules"]
    assert [(each["path"], each["pathType"]) for each in rule["http"]["paths"]] == [
        ("/invocations", "Prefix"),
        ("/v2", "Prefix"),
    ]
    assert "host" not in rule
    notes = notes_of(ingress)
    assert json.loads(notes[f"{ALB}/listen-ports"]) == [{"HTTP": 80}, {"HTTPS": 443}]
    assert notes[f"{ALB}/ssl-redirect"] == "443"
    assert notes[f"{ALB}/ssl-policy"] == stack_section("prod", "loadBalancing")["tlsPolicy"]
    # Scheme, ranges and certificate are the class's, which no annotation changes.
    assert not [key for key in notes if key.rpartition("/")[2] in {"scheme", "inbound-cidrs", "certificate-arn"}]


def test_models_answer_at_their_host_or_at_the_name_of_their_load_balancer() -> None:
    urls = four_models().exports["modelUrls"]
    domain = "elb.us-east-1.amazonaws.com"
    assert urls == {
        "flight-delay": "https://delays.ml.example.com",
        "by-alb": f"https://k8s-ml-inference-by-alb.{domain}",
        "by-nlb": f"https://k8s-ml-inference-by-nlb.{domain}",
    }
    (rule,) = four_models().one(INGRESS, NAME).inputs["spec"]["rules"]
    assert rule["host"] == "delays.ml.example.com"


def test_a_network_load_balancer_is_internal_bounded_and_asks_what_an_application_load_balancer_asks() -> None:
    (service,) = of_kind(four_models(), SERVICE, "by-nlb")
    spec, notes = service.inputs["spec"], notes_of(service)
    balancing = stack_section("prod", "loadBalancing")
    assert spec["loadBalancerClass"] == "service.k8s.aws/nlb"
    assert spec["loadBalancerSourceRanges"] == balancing["inboundCidrs"]
    assert spec["allocateLoadBalancerNodePorts"] is False
    assert [(port["port"], port["targetPort"]) for port in spec["ports"]] == [(443, "http")]
    assert notes[f"{NLB}-scheme"] == balancing["scheme"]
    assert notes[f"{NLB}-nlb-target-type"] == "ip"
    assert (notes[f"{NLB}-ssl-cert"], notes[f"{NLB}-ssl-ports"]) == (CERTIFICATE, "443")
    assert (notes[f"{NLB}-healthcheck-protocol"], notes[f"{NLB}-healthcheck-path"]) == ("http", HEALTH)
    attributes = dict(pair.split("=") for pair in notes[f"{NLB}-attributes"].split(","))
    assert attributes["deletion_protection.enabled"] == "true"
    assert attributes["access_logs.s3.enabled"] == "true"


def test_the_page_and_the_setting_say_by_which_port_pods_call_a_model_behind_a_network_load_balancer() -> None:
    (service,) = of_kind(four_models(), SERVICE, "by-nlb")
    (port,) = (each["port"] for each in service.inputs["spec"]["ports"])
    root = Path(__file__).parents[2]
    assert f"`http://<model>.<namespace>:{port}`" in (root / "docs" / "serving.md").read_text(encoding="utf-8")
    described = NamespaceSpec.model_json_schema()["properties"]["asks"]["description"]
    assert f"behind an `nlb` with certificates that is port {port}" in described


@pytest.mark.parametrize("needed", [False, True])
def test_the_controller_serves_services_only_where_a_model_needs_it(*, needed: bool) -> None:
    recorded = four_models() if needed else one_model()
    release = recorded.one("kubernetes:helm.sh/v3:Release", "load-balancing-controller")
    assert release.inputs["values"]["controllerConfig"]["featureGates"]["EnableServiceController"] is needed
    policies = [
        item.inputs["policy"]
        for item in recorded.of_type("aws:iam/rolePolicy:RolePolicy")
        if item.name.startswith("load-balancing-controller")
    ]
    assert any("loadbalancer/net/*" in policy for policy in policies) is needed
    assert all("loadbalancer/app/*" in policy for policy in policies if "loadbalancer/" in policy)


def test_only_load_balancers_and_prometheus_reach_a_model_and_it_reaches_dns_alone() -> None:
    policies = Policies([item.inputs for item in one_model().of_type(NETWORK_POLICY)])
    labels = deployment().inputs["spec"]["template"]["metadata"]["labels"]
    server = End(namespace="ml-inference", address="10.48.33.20", labels=labels)
    other = End(namespace="ml-inference", address="10.48.33.21", labels={"app.kubernetes.io/name": "other"})
    prometheus = End(namespace="monitoring", address="10.48.4.4", labels={"app.kubernetes.io/name": "prometheus"})
    balancer, dns = (
        End(address="10.48.64.9"),
        End(namespace="kube-system", address="10.48.3.3", labels={"k8s-app": "kube-dns"}),
    )
    assert policies.permit(balancer, server, 8080)
    assert policies.permit(prometheus, server, 8080)
    assert policies.permit(server, dns, 53, "UDP")
    assert not policies.permit(other, server, 8080)
    assert not policies.permit(server, other, 8080)

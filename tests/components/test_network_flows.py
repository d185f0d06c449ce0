"""Who reaches whom: the network policies of the real program, evaluated."""

from __future__ import annotations

import json
from functools import cache
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from components.monitoring_objects import RELEASE
from components.serving_pods import selector
from tests.support.changes import record_changed
from tests.support.network_policies import NETWORK_POLICY, End, Policies
from tests.support.optional import EVERYTHING
from tests.support.recorded import record_program, stack_section
from tests.support.teams import record_teams, search

if TYPE_CHECKING:
    from collections.abc import Mapping

TRAINING = End(namespace="ml-training", address="10.48.1.10")
SERVER = End(namespace="ml-inference", address="10.48.33.20")
NEIGHBOUR = End(namespace="ml-inference", address="10.48.33.21")
PLACEHOLDER = End(namespace="headroom", address="10.48.2.5")
OTHER_TEAM = End(namespace="search-training", address="10.48.65.7")
OTHER_SERVER = End(namespace="search-inference", address="10.48.66.8")
DNS = End(namespace="kube-system", address="10.48.3.3", labels={"k8s-app": "kube-dns"})
CONTROLLER = End(namespace="kube-system", address="10.48.3.4", labels={"app.kubernetes.io/name": "karpenter"})
PROMETHEUS = End(namespace="monitoring", address="10.48.4.4", labels={"app.kubernetes.io/name": "prometheus"})
GRAFANA = End(namespace="monitoring", address="10.48.4.5", labels={"app.kubernetes.io/name": "grafana"})
BALANCER = End(address="10.48.64.9")
PUBLIC_BALANCER = End(address="10.48.255.9")
ENDPOINT = End(address="10.48.32.8")
S3 = End(address="52.216.1.1")
OTHER_NETWORK = End(address="10.32.0.9")
METADATA = End(address="169.254.169.254")
PODS = (TRAINING, SERVER, OTHER_TEAM, OTHER_SERVER, PLACEHOLDER)
PORTS = (22, 53, 80, 443, 5432, 8080, 9090, 10250)
SERVICE = "kubernetes:core/v1:Service"
SERVICES_OF_OTHERS = (
    ("kube-system", {"k8s-app": "kube-dns"}),
    ("monitoring", {"app.kubernetes.io/name": "prometheus", "operator.prometheus.io/name": f"{RELEASE}-prometheus"}),
    ("monitoring", {"app.kubernetes.io/name": "alertmanager", "alertmanager": f"{RELEASE}-alertmanager"}),
)
"""Namespaces and selectors of the Services of EKS's DNS and of the chart kube-prometheus-stack."""


@cache
def prod() -> Policies:
    """Prod's policies and those of a second team."""
    return Policies([item.inputs for item in record_teams(last=True).of_type(NETWORK_POLICY)])


@pytest.mark.parametrize(
    ("source", "target"), list(permutations([TRAINING, SERVER, OTHER_TEAM, OTHER_SERVER, PLACEHOLDER], 2))
)
def test_no_pod_reaches_a_pod_of_another_namespace_on_any_port(source: End, target: End) -> None:
    assert not [port for port in PORTS for proto in ("TCP", "UDP") if prod().permit(source, target, port, proto)]


@pytest.mark.parametrize("pod", PODS)
def test_every_pod_asks_the_dns_and_no_other_pod_of_its_namespace(pod: End) -> None:
    assert prod().permit(pod, DNS, 53, "UDP")
    assert prod().permit(pod, DNS, 53, "TCP")
    assert not prod().permit(pod, CONTROLLER, 53, "UDP")
    assert not prod().permit(pod, DNS, 9153)
    assert not prod().permit(pod, End(address="8.8.8.8"), 53, "UDP")


def test_hosts_of_one_training_talk_and_servers_do_not_need_to() -> None:
    assert prod().permit(TRAINING, End(namespace="ml-training", address="10.48.1.11"), 29500)
    assert not [port for port in PORTS if prod().permit(SERVER, NEIGHBOUR, port)]


def test_only_prometheus_and_load_balancers_of_the_named_subnets_call_a_server_and_only_its_port() -> None:
    callers = [PROMETHEUS, BALANCER, PUBLIC_BALANCER, S3, OTHER_NETWORK]
    reached = [(caller, port) for caller in callers for port in PORTS if prod().permit(caller, SERVER, port)]
    assert reached == [(PROMETHEUS, 8080), (BALANCER, 8080)]


def test_where_no_load_balancer_is_only_prometheus_reaches_a_server() -> None:
    callers = [PROMETHEUS, GRAFANA, BALANCER, CONTROLLER, SERVER]
    reached = [(caller, port) for caller in callers for port in PORTS if prod().permit(caller, OTHER_SERVER, port)]
    assert reached == [(PROMETHEUS, 8080)]


@cache
def asked() -> Policies:
    """Prod with a model that pods of two namespaces may ask: of the other team's servers, and of its own trainings."""
    teams = [*stack_section("prod", "teams"), search()]
    teams[0]["namespaces"][0]["asks"] = teams[1]["namespaces"][1]["asks"] = ["flight-delay"]
    recorded = record_program("prod", overrides=json.dumps({"teams": teams}))
    return Policies([item.inputs for item in recorded.of_type(NETWORK_POLICY)])


MODEL = End(namespace="ml-inference", address="10.48.33.7", labels=selector("flight-delay"))
OTHER_MODEL = End(namespace="ml-inference", address="10.48.33.8", labels=selector("another"))


@pytest.mark.parametrize("caller", [TRAINING, OTHER_SERVER])
def test_pods_that_ask_a_model_reach_its_servers_by_one_port_and_nothing_else_there(caller: End) -> None:
    assert not [port for port in PORTS if prod().permit(caller, MODEL, port)], "nobody without the setting"
    targets = [MODEL, OTHER_MODEL, SERVER, NEIGHBOUR]
    reached = [(target, port) for target in targets for port in PORTS if asked().permit(caller, target, port)]
    assert reached == [(MODEL, 8080)]
    assert not [port for port in PORTS if asked().permit(MODEL, caller, port)], "a server asks nobody back"


def test_pods_that_do_not_ask_a_model_reach_it_no_more_because_others_do() -> None:
    callers = [OTHER_TEAM, SERVER, OTHER_MODEL, PLACEHOLDER]
    assert not [port for caller in callers for port in PORTS if asked().permit(caller, MODEL, port)]


def test_whoever_may_call_pods_may_call_their_service() -> None:
    """The VPC CNI lets packets to a Service through where the labels of the policy match the Service's own selector."""
    recorded = record_changed({**EVERYTHING, "teams.0.namespaces.0.asks": ["flight-delay"]})
    services = [(item.inputs["metadata"]["namespace"], item.inputs["spec"]) for item in recorded.of_type(SERVICE)]
    selectors = [(namespace, spec["selector"]) for namespace, spec in services] + list(SERVICES_OF_OTHERS)
    called = {
        (item.inputs["metadata"]["name"], *named_pods(peer, item.inputs["metadata"]["namespace"]))
        for item in recorded.of_type(NETWORK_POLICY)
        for rule in item.inputs["spec"].get("egress", [])
        for peer in rule["to"]
        if "ipBlock" not in peer
    }
    assert {"allow-dns", "allow-prometheus", "ask.flight-delay", "grafana-to-prometheus"} < {
        name for name, *_ in called
    }
    missed = [
        (policy, namespace)
        for policy, namespace, pods in called
        if not any(place == namespace and set(pods) <= selected.items() for place, selected in selectors)
    ]
    assert missed == [("allow-own-pods", "ml-training")], "it names every pod, so every Service"


def named_pods(peer: Mapping[str, Any], own: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Namespace and labels of the pods that a policy of the namespace `own` names."""
    place = peer.get("namespaceSelector", {"matchLabels": {"kubernetes.io/metadata.name": own}})["matchLabels"]
    return place["kubernetes.io/metadata.name"], tuple(peer["podSelector"].get("matchLabels", {}).items())


def test_nobody_calls_a_training_from_outside() -> None:
    callers = [PROMETHEUS, BALANCER, PUBLIC_BALANCER, S3]
    assert not [port for caller in callers for port in PORTS if prod().permit(caller, TRAINING, port)]


@pytest.mark.parametrize("pod", [TRAINING, SERVER])
def test_pods_that_call_aws_reach_its_endpoints_and_public_addresses_by_https_alone(pod: End) -> None:
    targets = [ENDPOINT, S3, OTHER_NETWORK, METADATA]
    reached = [(target, port) for target in targets for port in PORTS if prod().permit(pod, target, port)]
    assert reached == [(ENDPOINT, 443), (S3, 443)]


@pytest.mark.parametrize("pod", [OTHER_TEAM, OTHER_SERVER, PLACEHOLDER])
def test_pods_that_call_nothing_of_aws_reach_no_address(pod: End) -> None:
    targets = [ENDPOINT, S3, OTHER_NETWORK, METADATA]
    assert not [port for target in targets for port in PORTS if prod().permit(pod, target, port)]


def test_without_policies_all_of_this_would_be_open() -> None:
    assert all(Policies([]).permit(TRAINING, SERVER, port) for port in PORTS)

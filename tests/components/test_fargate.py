"""Pods without nodes: nothing by default, and everything right where the settings ask for it."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from components import fargate_objects
from components.fargate_objects import refusals, sold_size
from settings import fargate_limits
from settings.fargate_limits import LIMITS
from settings.rules.fargate import RULES as FARGATE_RULES
from tests.support.iam_evaluator import may
from tests.support.optional import FARGATE
from tests.support.optional import FARGATE_PROFILE as PROFILE
from tests.support.recorded import STACKS, Recorded, record_program

INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
CPU_INFERENCE: Final[dict[str, Any]] = {
    "serviceAccountName": "scorer",
    "automountServiceAccountToken": False,
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "server",
            "image": "777788889999.dkr.ecr.us-east-1.amazonaws.com/slipway-prod/flight-delay@sha256:0",
            "ports": [{"containerPort": 8080}],
            "resources": {
                "requests": {"cpu": "1", "memory": "2Gi", "ephemeral-storage": "2Gi"},
                "limits": {"cpu": "1", "memory": "2Gi", "ephemeral-storage": "2Gi"},
            },
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
    "volumes": [{"name": "scratch", "emptyDir": {}}],
}
"""A pod that serves on processors: what Fargate is for here."""


@pytest.fixture
def on() -> Recorded:
    return record_program("prod", overrides=FARGATE)


@pytest.mark.parametrize("stack", STACKS)
def test_no_environment_runs_pods_on_fargate_by_itself(stack: str) -> None:
    registered = [item for item in record_program(stack).resources if item.name.startswith("fargate")]
    assert [item.type for item in registered] == ["slipway:fargate:Fargate"]


def test_a_profile_adds_resources_and_changes_none(on: Recorded) -> None:
    before = {item.urn: item for item in record_program("prod").resources}
    after = {item.urn: item for item in on.resources}
    assert before.keys() < after.keys()
    assert [urn for urn in before if before[urn].custom and before[urn].inputs != after[urn].inputs] == []


def test_only_fargate_starts_pods_with_the_role_and_only_for_profiles_of_the_cluster(on: Recorded) -> None:
    (statement,) = on.one("aws:iam/role:Role", "fargate-pods").policy("assumeRolePolicy")["Statement"]
    assert statement["Principal"] == {"Service": "eks-fargate-pods.amazonaws.com"}
    profiles = "arn:aws:eks:us-east-1:777788889999:fargateprofile/slipway-prod/*"
    assert statement["Condition"]["ArnLike"] == {"aws:SourceArn": profiles}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "777788889999"}


def test_the_role_pulls_images_writes_its_log_group_and_nothing_else(on: Recorded) -> None:
    attached = [
        item.inputs["policyArn"]
        for item in on.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if item.inputs["role"] == "slipway-prod-fargate-pods"
    ]
    assert attached == ["arn:aws:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy"]
    logs = "arn:aws:logs:us-east-1:777788889999:log-group:"
    role = "slipway-prod-fargate-pods"
    assert may(on, role, "logs:PutLogEvents", f"{logs}/slipway/prod/fargate-pods:log-stream:x", {})
    assert not may(on, role, "logs:PutLogEvents", f"{logs}/aws/eks/slipway-prod/cluster:log-stream:x", {})
    assert not may(on, role, "logs:CreateLogGroup", f"{logs}/slipway/prod/fargate-pods", {})


def test_the_profile_takes_the_selected_pods_into_private_subnets_with_the_role(on: Recorded) -> None:
    profile = on.one("aws:eks/fargateProfile:FargateProfile")
    assert profile.inputs["selectors"] == PROFILE["selectors"]
    private = {item.urn for item in on.of_type("aws:ec2/subnet:Subnet") if "-private-" in item.name}
    assert set(profile.property_dependencies["subnetIds"]) == private
    assert profile.property_dependencies["podExecutionRoleArn"] == [on.one("aws:iam/role:Role", "fargate-pods").urn]


def test_pods_start_only_when_they_are_closed_and_heard(on: Recorded) -> None:
    profile = on.one("aws:eks/fargateProfile:FargateProfile")
    needed = [
        on.one("kubernetes:vpcresources.k8s.aws/v1beta1:SecurityGroupPolicy"),
        on.one("kubernetes:core/v1:ConfigMap", "fargate-log-route"),
        on.one("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "fargate-pods-pull"),
        on.one(INGRESS, "fargate-dns-udp-in"),
    ]
    assert [item.name for item in needed if not on.depends_path(profile, item)] == []


def test_another_selection_is_another_profile_beside_the_old_one(on: Recorded) -> None:
    other: dict[str, Any] = {**PROFILE, "selectors": [{"namespace": "ml-inference", "labels": {}}]}
    changed = record_program("prod", overrides=json.dumps({"fargate": {"profile": other}}))
    names = [item.one("aws:eks/fargateProfile:FargateProfile").inputs["fargateProfileName"] for item in (on, changed)]
    assert len(set(names)) == 2
    assert all(name.startswith("serving-") for name in names)


def test_the_pods_have_a_security_group_of_their_own_in_place_of_network_policies(on: Recorded) -> None:
    policy = on.one("kubernetes:vpcresources.k8s.aws/v1beta1:SecurityGroupPolicy")
    group = on.one("aws:ec2/securityGroup:SecurityGroup", "fargate-group")
    assert policy.inputs["metadata"]["namespace"] == "ml-inference"
    assert policy.inputs["spec"]["podSelector"] == {"matchLabels": {"compute": "fargate"}}
    assert policy.property_dependencies["spec"] == [group.urn]
    assert on.depends_path(policy, on.one("kubernetes:core/v1:Namespace", "tenancy-ml-inference"))
    # The load balancer controller finds the group of a target by this tag.
    assert group.tags["kubernetes.io/cluster/slipway-prod"] == "owned"


def test_pods_reach_dns_the_api_server_and_https_and_are_called_on_their_ports(on: Recorded) -> None:
    def opened(token: str) -> set[tuple[str, str, int]]:
        return {
            (rule.name.removeprefix("fargate-"), rule.inputs["ipProtocol"], rule.inputs["fromPort"])
            for rule in on.of_type(token)
            if rule.name.startswith("fargate-")
        }

    assert opened(INGRESS) == {
        ("dns-udp-in", "udp", 53),
        ("dns-tcp-in", "tcp", 53),
        ("control-plane", "tcp", 443),
        ("kubelet", "tcp", 10250),
        ("8080-in", "tcp", 8080),
    }
    assert opened(EGRESS) == {
        ("dns-udp-out", "udp", 53),
        ("dns-tcp-out", "tcp", 53),
        ("https", "tcp", 443),
        ("8080-out", "tcp", 8080),
    }


def test_logs_go_to_a_group_that_is_encrypted_and_ends(on: Recorded) -> None:
    group = on.one("aws:cloudwatch/logGroup:LogGroup", "fargate-logs")
    route = on.one("kubernetes:core/v1:ConfigMap", "fargate-log-route").inputs
    assert group.inputs["kmsKeyId"] == on.exports["keyArn"]
    assert group.inputs["retentionInDays"] == 90
    assert (route["metadata"]["namespace"], route["metadata"]["name"]) == ("aws-observability", "aws-logging")
    output = route["data"]["output.conf"].splitlines()
    assert f"    log_group_name {group.inputs['name']}" in output
    assert "    auto_create_group false" in output
    labels = on.one("kubernetes:core/v1:Namespace", "fargate-log-route").inputs["metadata"]["labels"]
    assert labels["aws-observability"] == "enabled"


def test_a_log_route_that_fargate_would_refuse_is_refused_here() -> None:
    with pytest.raises(ValueError, match="exceeds the 5300"):
        fargate_objects.log_route("x" * 5300, "us-east-1")


# Pods


def test_a_pod_that_serves_on_processors_runs_on_fargate() -> None:
    assert refusals(CPU_INFERENCE) == []


def changed(**server: object) -> dict[str, Any]:
    return {**CPU_INFERENCE, "containers": [{**CPU_INFERENCE["containers"][0], **server}]}


GPU: Final = {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"}


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        ({**CPU_INFERENCE, "hostNetwork": True}, "host: hostNetwork"),
        (changed(securityContext={"privileged": True}), "host: privileged container server"),
        (changed(ports=[{"containerPort": 8080, "hostPort": 80}]), "host: hostPort of container server"),
        (changed(resources={"requests": GPU, "limits": GPU}), "accelerator: nvidia.com/gpu"),
        ({**CPU_INFERENCE, "nodeSelector": {"slipway.dev/capacity": "spot"}}, "placement: nodeSelector"),
        ({**CPU_INFERENCE, "tolerations": [{"operator": "Exists"}]}, "placement: tolerations"),
        ({**CPU_INFERENCE, "topologySpreadConstraints": [{"maxSkew": 1}]}, "placement: topologySpreadConstraints"),
        (
            {**CPU_INFERENCE, "volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}]},
            "volume: persistentVolumeClaim disk",
        ),
        ({**CPU_INFERENCE, "volumes": [{"name": "logs", "hostPath": {"path": "/"}}]}, "volume: hostPath logs"),
        (
            changed(resources={"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}),
            "size: requests of container server are not its limits",
        ),
    ],
)
def test_a_pod_that_needs_a_node_is_told_why(pod: dict[str, Any], reason: str) -> None:
    assert refusals(pod) == [reason]


def test_a_pod_that_is_larger_than_anything_sold_is_told_so() -> None:
    large = {"cpu": "17", "memory": "1Gi"}
    assert refusals(changed(resources={"requests": large, "limits": large})) == [
        "size: more than 16 processors or 120 GiB"
    ]


@pytest.mark.parametrize(
    ("cpu", "memory", "sold"),
    [
        ("100m", "100Mi", (0.25, 0.5)),
        ("250m", "256Mi", (0.25, 0.5)),
        ("250m", "257Mi", (0.25, 1)),
        ("1", "8Gi", (2, 9)),
        ("1", "1Gi", (1, 2)),
        ("4", "30Gi", (8, 32)),
        ("8", "61Gi", (16, 64)),
        ("16", "119Gi", (16, 120)),
        ("16", "120Gi", None),
        ("16.5", "1Gi", None),
    ],
)
def test_a_pod_gets_the_smallest_size_that_holds_it_and_the_machine(
    cpu: str, memory: str, sold: tuple[float, float] | None
) -> None:
    assert sold_size([{"cpu": cpu, "memory": memory}]) == sold


# What does not exist there


def test_every_limit_says_what_holds_it_and_names_only_rules_and_checks_that_exist() -> None:
    rules = {rule.__name__ for rule in FARGATE_RULES}
    named = {word for limit in LIMITS for word in limit.held_by.split("`")[1::2]}
    assert named - rules == {"restricted", "accelerator", "placement", "host", "volume", "size"}
    assert rules - named == {"fargate_exists_in_the_partition", "selectors_differ"}


def test_the_page_of_limits_is_what_the_table_says() -> None:
    assert fargate_limits.main(["--check"]) == 0

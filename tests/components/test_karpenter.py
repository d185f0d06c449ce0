"""Karpenter as it is registered: queue, nodes, controller, pools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from components import iam, karpenter_grants
from components.karpenter_grants import ControllerDuty, controller_policies
from components.karpenter_objects import controller_values, node_pool
from components.labels import Labels
from settings.model import ElasticPoolSpec, Partition
from tests.settings.stacks import decoded, settings_of
from tests.support.iam_evaluator import may
from tests.support.recorded import STACKS, Recorded, Resource, record_program, stack_section

if TYPE_CHECKING:
    from collections.abc import Mapping

NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
RELEASE = "kubernetes:helm.sh/v3:Release"
CLUSTER = "slipway-prod"
QUEUE = "arn:aws:sqs:us-east-1:777788889999:slipway-prod-interruptions"
EC2 = "arn:aws:ec2:us-east-1:777788889999:"
IAM = "arn:aws:iam::777788889999:"


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def by_name(recorded: Recorded, token: str) -> dict[str, Resource]:
    """The objects of a type by the name that they have in the cluster."""
    return {item.inputs["metadata"]["name"]: item for item in recorded.of_type(token)}


def specs(recorded: Recorded) -> dict[str, Any]:
    return {name: pool.inputs["spec"] for name, pool in by_name(recorded, NODE_POOL).items()}


def taint_keys(spec: Mapping[str, Any]) -> set[str]:
    taints = spec["template"]["spec"]["taints"]
    assert all(taint["effect"] == "NoSchedule" for taint in taints)
    return {taint["key"] for taint in taints}


def requirements(spec: Mapping[str, Any]) -> dict[str, list[str]]:
    assert all(item["operator"] == "In" for item in spec["template"]["spec"]["requirements"])
    return {item["key"]: item["values"] for item in spec["template"]["spec"]["requirements"]}


# The interruption queue


def interruptions(recorded: Recorded, token: str) -> list[Resource]:
    """Resources of a type that belong to the queue of interruptions."""
    return [item for item in recorded.of_type(token) if "slipway:interruptions:Interruptions" in item.urn]


@pytest.mark.parametrize(("role", "arn"), [("queue", QUEUE), ("dead", f"{QUEUE}-dead")])
def test_only_the_rules_of_the_account_send_to_the_queues_and_nobody_without_tls(role: str, arn: str) -> None:
    prod = record_program("prod")
    policy = prod.one("aws:sqs/queuePolicy:QueuePolicy", f"karpenter-interruptions-{role}")
    allow, deny = policy.policy()["Statement"]
    rules = {rule.inputs["name"] for rule in interruptions(prod, "aws:cloudwatch/eventRule:EventRule")}
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert (allow["Effect"], allow["Action"], allow["Resource"]) == ("Allow", "sqs:SendMessage", arn)
    senders = allow["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert set(senders) == {f"arn:aws:events:us-east-1:777788889999:rule/{rule}" for rule in rules}
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", {"AWS": "*"}, "sqs:*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert deny["Resource"] == arn


def test_the_queues_are_encrypted_by_what_eventbridge_can_use(stack: str) -> None:
    for queue in record_program(stack).of_type("aws:sqs/queue:Queue"):
        assert queue.inputs["sqsManagedSseEnabled"] is True
        assert "kmsMasterKeyId" not in queue.inputs


def test_an_event_that_nobody_can_use_any_more_goes_and_one_that_fails_is_kept(stack: str) -> None:
    recorded = record_program(stack)
    queue, dead = (recorded.one("aws:sqs/queue:Queue", f"karpenter-interruptions-{role}") for role in ("queue", "dead"))
    assert queue.inputs["messageRetentionSeconds"] == 300
    assert dead.inputs["messageRetentionSeconds"] > 24 * 3600
    redrive = json.loads(queue.inputs["redrivePolicy"])
    assert redrive["deadLetterTargetArn"].endswith(f":{dead.inputs['name']}")
    # Hidden for 30 seconds after each receipt, the message is given up before it expires.
    assert redrive["maxReceiveCount"] * 30 < 300
    for target in interruptions(recorded, "aws:cloudwatch/eventTarget:EventTarget"):
        assert target.property_dependencies["deadLetterConfig"] == [dead.urn]
        assert target.inputs["retryPolicy"]["maximumEventAgeInSeconds"] == 300


def test_every_kind_of_event_that_karpenter_reads_has_a_rule_with_the_queue_as_its_target(stack: str) -> None:
    recorded = record_program(stack)
    rules = {rule.inputs["name"]: rule for rule in interruptions(recorded, "aws:cloudwatch/eventRule:EventRule")}
    patterns = [json.loads(rule.inputs["eventPattern"]) for rule in rules.values()]
    assert {(pattern["source"][0], pattern["detail-type"][0]) for pattern in patterns} == {
        ("aws.health", "AWS Health Event"),
        ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
        ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
        ("aws.ec2", "EC2 Instance State-change Notification"),
        ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
    }
    queue = recorded.one("aws:sqs/queue:Queue", "karpenter-interruptions-queue")
    targets = interruptions(recorded, "aws:cloudwatch/eventTarget:EventTarget")
    assert {target.inputs["rule"] for target in targets} == rules.keys()
    assert all(target.property_dependencies["arn"] == [queue.urn] for target in targets)


# Nodes


def test_nodes_have_a_role_of_their_own_that_the_cluster_admits(stack: str) -> None:
    recorded = record_program(stack)
    profile = recorded.one("aws:iam/instanceProfile:InstanceProfile").inputs
    role = recorded.one("aws:iam/role:Role", "karpenter-node-role")
    entry = recorded.one("aws:eks/accessEntry:AccessEntry", "karpenter-node")
    assert profile["role"] == role.inputs["name"]
    assert entry.inputs["type"] == "EC2_LINUX"
    assert entry.property_dependencies["principalArn"] == [role.urn]
    groups = recorded.of_type("aws:eks/nodeGroup:NodeGroup")
    assert role.urn not in {urn for group in groups for urn in group.property_dependencies["nodeRoleArn"]}


def test_every_pool_of_the_settings_has_a_pool_and_a_class_of_its_name(stack: str) -> None:
    recorded = record_program(stack)
    wanted = {pool["name"] for pool in stack_section(stack, "karpenter")["pools"]}
    assert specs(recorded).keys() == by_name(recorded, NODE_CLASS).keys() == wanted
    for name, spec in specs(recorded).items():
        assert spec["template"]["spec"]["nodeClassRef"] == {
            "group": "karpenter.k8s.aws",
            "kind": "EC2NodeClass",
            "name": name,
        }


def test_an_instance_needs_a_token_for_metadata_and_pods_do_not_reach_it(stack: str) -> None:
    for made_from in by_name(record_program(stack), NODE_CLASS).values():
        options = made_from.inputs["spec"]["metadataOptions"]
        assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)
        assert made_from.inputs["spec"]["associatePublicIPAddress"] is False


def test_root_volumes_are_gp3_and_encrypted_with_the_key_of_the_environment(stack: str) -> None:
    recorded = record_program(stack)
    disks = {pool["name"]: f"{pool['diskGib']}Gi" for pool in stack_section(stack, "karpenter")["pools"]}
    for name, made_from in by_name(recorded, NODE_CLASS).items():
        (device,) = made_from.inputs["spec"]["blockDeviceMappings"]
        assert device["deviceName"] == "/dev/xvda"
        assert device["ebs"] == {
            "volumeType": "gp3",
            "volumeSize": disks[name],
            "encrypted": True,
            "kmsKeyID": recorded.exports["keyArn"],
            "deleteOnTermination": True,
        }


def test_subnets_and_security_group_are_found_by_a_tag_that_they_carry(stack: str) -> None:
    recorded = record_program(stack)
    name = recorded.exports["clusterName"]
    for made_from in by_name(recorded, NODE_CLASS).values():
        spec = made_from.inputs["spec"]
        assert spec["subnetSelectorTerms"] == spec["securityGroupSelectorTerms"]
        assert spec["subnetSelectorTerms"] == [{"tags": {"karpenter.sh/discovery": name}}]
    tagged = [item for item in recorded.resources if item.tags.get("karpenter.sh/discovery") == name]
    private = {item.urn for item in recorded.of_type("aws:ec2/subnet:Subnet") if "-private-" in item.name}
    assert {item.urn for item in tagged} == private | {
        recorded.one("aws:ec2/securityGroup:SecurityGroup", "cluster-nodes").urn
    }


def test_the_machine_image_is_one_release_and_instances_carry_the_required_tags(stack: str) -> None:
    recorded = record_program(stack)
    required = json.loads(recorded.one("pulumi:providers:aws").inputs["defaultTags"])["tags"]
    for made_from in by_name(recorded, NODE_CLASS).values():
        (image,) = made_from.inputs["spec"]["amiSelectorTerms"]
        assert image["alias"].startswith("al2023@v")
        tags = made_from.inputs["spec"]["tags"]
        assert required.items() <= tags.items()
        reserved = ("kubernetes.io/cluster", "karpenter.sh/", "karpenter.k8s.aws/", "eks:")
        assert not [key for key in tags if key.startswith(reserved)]


# Pools


def test_every_pool_is_bounded(stack: str) -> None:
    recorded = record_program(stack)
    roles = {pool["name"]: pool["role"] for pool in stack_section(stack, "karpenter")["pools"]}
    for name, spec in specs(recorded).items():
        bounds = {"cpu", "memory", "nvidia.com/gpu"} if roles[name] == "gpu" else {"cpu", "memory"}
        assert spec["limits"].keys() == bounds
        assert spec["template"]["spec"]["expireAfter"].endswith("h")
        assert spec["template"]["spec"]["terminationGracePeriod"].endswith("h")
        assert spec["disruption"].keys() == {"budgets", "consolidationPolicy", "consolidateAfter"}
        assert [budget for budget in spec["disruption"]["budgets"] if budget.keys() == {"nodes"}]
        assert {"karpenter.sh/capacity-type", "kubernetes.io/arch"} <= requirements(spec).keys()


def test_gpu_nodes_take_only_pods_that_ask_for_a_gpu_and_spot_only_those_that_tolerate_it(stack: str) -> None:
    seen: set[tuple[bool, bool]] = set()
    for name, spec in specs(record_program(stack)).items():
        pool = next(item for item in stack_section(stack, "karpenter")["pools"] if item["name"] == name)
        gpu, spot = pool["role"] == "gpu", "spot" in pool["capacity"]
        seen.add((gpu, spot))
        assert requirements(spec)["karpenter.sh/capacity-type"] == pool["capacity"]
        assert ("nvidia.com/gpu" in taint_keys(spec)) is gpu
        assert ("slipway.dev/capacity" in taint_keys(spec)) is spot
        labels = spec["template"]["metadata"]["labels"]
        assert labels["slipway.dev/capacity"] == ("spot" if spot else "on-demand")
        assert ("nvidia.com/gpu.present" in labels) is gpu
    assert {(False, True), (True, True)} <= seen


def test_a_pod_that_tolerates_nothing_never_lands_on_spot_in_prod() -> None:
    open_to_all = {name: spec for name, spec in specs(record_program("prod")).items() if not taint_keys(spec)}
    assert open_to_all.keys() == {"burst-cpu"}
    assert requirements(open_to_all["burst-cpu"])["karpenter.sh/capacity-type"] == ["on-demand"]


def test_taints_of_the_settings_come_beside_those_of_role_and_capacity() -> None:
    pool = settings_of(decoded()).karpenter.pools[3].model_dump(mode="json", by_alias=True)
    taint = {"key": "example.com/team", "value": "research"}
    tainted = ElasticPoolSpec.model_validate_json(json.dumps({**pool, "taints": [taint]}))
    spec = node_pool(tainted, profile=None, ami_alias="al2023@v20261023")
    assert taint_keys(spec) == {"example.com/team", "nvidia.com/gpu", "slipway.dev/capacity"}


def test_a_scheduled_budget_says_when_how_long_and_what_for() -> None:
    always, hours = specs(record_program("prod"))["burst-cpu"]["disruption"]["budgets"]
    assert always == {"nodes": "10%"}
    assert hours == {"nodes": "0", "reasons": ["Underutilized"], "schedule": "0 13 * * 1-5", "duration": "10h"}


def test_a_second_pool_of_the_settings_adds_its_two_objects_and_touches_no_other() -> None:
    section = stack_section("prod", "karpenter")
    arm = {
        **section["pools"][0],
        "name": "burst-arm",
        "architecture": "arm64",
        "instanceFamilies": ["m7g", "m8g"],
    }
    overrides = json.dumps({"karpenter": {"pools": [*section["pools"], arm]}})
    before, after = (
        {item.urn: item for item in record_program("prod", overrides=extra).resources} for extra in ("{}", overrides)
    )
    assert {urn.rpartition("::")[2] for urn in after.keys() - before.keys()} == {
        "karpenter-burst-arm",
        "karpenter-burst-arm-class",
    }
    changed = {before[urn].type for urn in before if before[urn].inputs != after[urn].inputs}
    assert changed == set()


# Controller


def test_definitions_and_controller_come_from_charts_of_one_exact_version(stack: str) -> None:
    recorded = record_program(stack)
    chart = stack_section(stack, "charts")["karpenter"]
    definitions, controller = (
        recorded.one(RELEASE, f"karpenter-{role}").inputs for role in ("definitions", "controller")
    )
    assert definitions["chart"] == f"{chart['repository']}/karpenter-crd"
    assert controller["chart"] == f"{chart['repository']}/karpenter"
    for release in (definitions, controller):
        assert release["version"] == chart["version"]
        assert release["namespace"] == "kube-system"
        assert release["atomic"] is release["cleanupOnFail"] is release["skipCrds"] is True
    assert definitions["values"] == {"additionalAnnotations": {"helm.sh/resource-policy": "keep"}}


def test_the_controller_runs_on_system_nodes_and_knows_cluster_queue_and_role() -> None:
    settings = settings_of(decoded())
    values = controller_values(
        Labels(settings.environment), settings.karpenter, queue="q", role_arn="r", overlays=False
    )
    assert values == {
        "settings": {
            "clusterName": "slipway-prod",
            "interruptionQueue": "q",
            "eksControlPlane": True,
            "featureGates": {"nodeOverlay": False},
        },
        "replicas": 2,
        "serviceAccount": {"name": "karpenter", "annotations": {"eks.amazonaws.com/role-arn": "r"}},
        "controller": {
            "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"memory": "1024Mi"}},
            "env": [{"name": "AWS_REGION", "value": "us-east-1"}],
        },
        "serviceMonitor": {"enabled": True},
        "nodeSelector": {"kubernetes.io/os": "linux", "slipway.dev/role": "system"},
        "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
        "dnsPolicy": "Default",
    }


def test_role_queue_and_service_account_of_the_values_are_those_that_exist(stack: str) -> None:
    recorded = record_program(stack)
    values = recorded.one(RELEASE, "karpenter-controller").inputs["values"]
    queue = recorded.one("aws:sqs/queue:Queue", "karpenter-interruptions-queue")
    role = recorded.one("aws:iam/role:Role", "karpenter-controller-role")
    account = recorded.exports["accountId"]
    annotations = values["serviceAccount"]["annotations"]
    assert annotations == {"eks.amazonaws.com/role-arn": f"arn:aws:iam::{account}:role/{role.inputs['name']}"}
    subject = f"system:serviceaccount:kube-system:{values['serviceAccount']['name']}"
    assert subject in role.inputs["assumeRolePolicy"]
    assert values["settings"]["interruptionQueue"] == queue.inputs["name"]
    assert values["settings"]["clusterName"] == recorded.exports["clusterName"]


def test_every_value_is_readable_before_anything_exists() -> None:
    release = record_program("prod", preview=True).one(RELEASE, "karpenter-controller")
    assert release.known("values")


# What the controller may do

OURS = {
    "aws:RequestTag/kubernetes.io/cluster/slipway-prod": "owned",
    "aws:RequestTag/eks:eks-cluster-name": CLUSTER,
    "aws:RequestTag/karpenter.sh/nodepool": "batch-cpu",
    "aws:ResourceTag/kubernetes.io/cluster/slipway-prod": "owned",
    "aws:ResourceTag/karpenter.sh/nodepool": "batch-cpu",
}
THEIRS = {
    **OURS,
    "aws:RequestTag/kubernetes.io/cluster/slipway-prod": "",
    "aws:ResourceTag/kubernetes.io/cluster/slipway-prod": "",
}
TO_LAMBDA = {"iam:PassedToService": "lambda.amazonaws.com"}
TO_EC2 = {"iam:PassedToService": "ec2.amazonaws.com"}
HERE = {"aws:RequestedRegion": "us-east-1"}
DISCOVERED = {"aws:ResourceTag/karpenter.sh/discovery": CLUSTER}
CREATING = {**OURS, "ec2:CreateAction": "RunInstances"}
NAMING = {**OURS, "aws:TagKeys": "Name"}
TAKING_OVER = {**OURS, "aws:TagKeys": "kubernetes.io/cluster/slipway-prod"}
VIA_EC2 = {"kms:ViaService": "ec2.us-east-1.amazonaws.com", "kms:GrantIsForAWSResource": "true"}


def controller_may(action: str, resource: str, context: Mapping[str, str]) -> bool:
    return may(record_program("prod"), "slipway-prod-karpenter", action, resource, context)


@pytest.mark.parametrize(
    ("action", "resource", "context", "allowed"),
    [
        ("ec2:RunInstances", f"{EC2}instance/*", OURS, True),
        ("ec2:RunInstances", f"{EC2}instance/*", THEIRS, False),
        ("ec2:RunInstances", f"{EC2}instance/*", {}, False),
        ("ec2:CreateFleet", "arn:aws:ec2:us-east-1::image/ami-1", {}, True),
        ("ec2:CreateFleet", "arn:aws:ec2:eu-west-1::image/ami-1", {}, False),
        ("ec2:CreateFleet", f"{EC2}subnet/subnet-1", DISCOVERED, True),
        ("ec2:CreateFleet", f"{EC2}subnet/subnet-1", {}, False),
        ("ec2:RunInstances", f"{EC2}security-group/sg-1", {"aws:ResourceTag/karpenter.sh/discovery": "other"}, False),
        ("ec2:CreateFleet", f"{EC2}launch-template/lt-1", OURS, True),
        ("ec2:CreateFleet", f"{EC2}launch-template/lt-1", {}, False),
        ("ec2:RunInstances", "arn:aws:ec2:us-east-1:111122223333:instance/*", OURS, False),
        ("ec2:CreateTags", f"{EC2}volume/vol-1", CREATING, True),
        ("ec2:CreateTags", f"{EC2}volume/vol-1", {**OURS, "ec2:CreateAction": "CreateVolume"}, False),
        ("ec2:CreateTags", f"{EC2}instance/i-1", NAMING, True),
        ("ec2:CreateTags", f"{EC2}instance/i-1", TAKING_OVER, False),
        ("ec2:CreateTags", f"{EC2}vpc/vpc-1", CREATING, False),
        ("ec2:TerminateInstances", f"{EC2}instance/i-1", OURS, True),
        ("ec2:TerminateInstances", f"{EC2}instance/i-1", THEIRS, False),
        ("ec2:DeleteLaunchTemplate", f"{EC2}launch-template/lt-1", {}, False),
        ("ec2:DeleteSubnet", f"{EC2}subnet/subnet-1", DISCOVERED, False),
        ("ec2:AuthorizeSecurityGroupIngress", f"{EC2}security-group/sg-1", DISCOVERED, False),
        ("iam:PassRole", f"{IAM}role/slipway-prod-karpenter-node", TO_EC2, True),
        (
            "iam:PassRole",
            f"{IAM}role/slipway-prod-karpenter-node",
            {"iam:PassedToService": "lambda.amazonaws.com"},
            False,
        ),
        ("iam:PassRole", f"{IAM}role/slipway-prod-node", TO_EC2, False),
        ("iam:PassRole", f"{IAM}role/platform-admin", TO_EC2, False),
        ("iam:GetInstanceProfile", f"{IAM}instance-profile/slipway-prod-karpenter-node", {}, True),
        ("iam:CreateInstanceProfile", f"{IAM}instance-profile/x", OURS, False),
        ("iam:AddRoleToInstanceProfile", f"{IAM}instance-profile/slipway-prod-karpenter-node", OURS, False),
        ("sqs:ReceiveMessage", QUEUE, {}, True),
        ("sqs:SendMessage", QUEUE, {}, False),
        ("sqs:ReceiveMessage", f"{QUEUE}-2", {}, False),
        ("ec2:DescribeInstanceStatus", "*", HERE, True),
        ("ec2:DescribeInstances", "*", {"aws:RequestedRegion": "eu-west-1"}, False),
        ("pricing:GetProducts", "*", {}, True),
        ("ssm:GetParameter", "arn:aws:ssm:us-east-1::parameter/aws/service/eks/optimized-ami/1.35/x", {}, True),
        ("ssm:GetParameter", "arn:aws:ssm:us-east-1:777788889999:parameter/secret", {}, False),
        ("eks:DescribeCluster", "arn:aws:eks:us-east-1:777788889999:cluster/slipway-prod", {}, True),
        ("eks:DescribeCluster", "arn:aws:eks:us-east-1:777788889999:cluster/other", {}, False),
        ("eks:CreateAccessEntry", "arn:aws:eks:us-east-1:777788889999:cluster/slipway-prod", {}, False),
    ],
)
def test_the_controller_starts_and_ends_nodes_of_its_cluster_and_nothing_else(
    action: str, resource: str, context: Mapping[str, str], *, allowed: bool
) -> None:
    assert controller_may(action, resource, context) is allowed


def test_the_controller_uses_the_key_only_through_ec2() -> None:
    key = record_program("prod").exports["keyArn"]
    assert controller_may("kms:GenerateDataKeyWithoutPlaintext", key, VIA_EC2)
    assert controller_may("kms:CreateGrant", key, VIA_EC2)
    assert not controller_may("kms:Decrypt", key, {"kms:ViaService": "s3.us-east-1.amazonaws.com"})
    assert not controller_may("kms:CreateGrant", key, {**VIA_EC2, "kms:GrantIsForAWSResource": "false"})
    assert not controller_may("kms:Decrypt", f"{key[:-1]}x", VIA_EC2)


def test_the_longest_names_leave_the_policies_of_the_controller_within_what_aws_accepts() -> None:
    account = iam.Account(Partition.GOV_CLOUD, "123456789012", "us-gov-west-1")
    longest = f"slipway-{'x' * 12}"
    duty = ControllerDuty(
        account=account,
        cluster=longest,
        queue=f"{longest}-interruptions",
        node_role=f"{longest}-karpenter-node",
        instance_profile=f"{longest}-karpenter-node",
    )
    key = account.arn("kms", "key/mrk-12345678-1234-1234-1234-123456789012")
    documents = [*controller_policies(duty).values(), karpenter_grants.encrypt_node_volumes(account, key)]
    assert 3_000 < sum(map(len, documents)) <= iam.MAX_ROLE_POLICY

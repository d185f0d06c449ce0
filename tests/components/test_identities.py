"""Least privilege: what every role may do, and what it may not, read from the recorded documents of prod."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.changes import record_changed
from tests.support.iam_evaluator import inline_policies, listed, may
from tests.support.optional import EVERYTHING
from tests.support.recorded import record_program, stack_section
from tests.support.targets import SERVED, all_served

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

A_SECOND_MODEL = {"name": "churn", "datasetPrefix": "customers/", "label": "left"}
BUCKET = "arn:aws:s3:::slipway-prod-777788889999-us-east-1-"
ECR = "arn:aws:ecr:us-east-1:777788889999:repository/"
LOGS = "arn:aws:logs:us-east-1:777788889999:log-group:"
INSIGHTS = f"{LOGS}/aws/containerinsights/slipway-prod"
EC2 = "arn:aws:ec2:us-east-1:777788889999:"
JOBS = "arn:aws:sagemaker:us-east-1:777788889999:"
PREFIX = "slipway-prod-flight-delay-3aee1516"
OURS = {
    "aws:ResourceTag/Project": "slipway",
    "aws:ResourceTag/Environment": "prod",
    "kms:ViaService": "s3.us-east-1.amazonaws.com",
}
CLOSED = {
    "sagemaker:NetworkIsolation": "true",
    "sagemaker:InterContainerTrafficEncryption": "true",
    "sagemaker:InstanceTypes": "ml.m5.xlarge",
}
OTHER_HOST = {**CLOSED, "sagemaker:InstanceTypes": "ml.p5.48xlarge"}
WAITING = {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}

DUTIES = ("pipeline", "process", "train", "evaluate", "drift", "drift-run")
MODEL = "slipway-prod-flight-delay"

ACTIONS = yaml.safe_load(Path(__file__).with_name("role_actions.yaml").read_text(encoding="utf-8"))
"""By role, whole."""

NODE_POLICIES = {
    "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
    "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
    "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
}
MANAGED = {
    "slipway-prod-karpenter-node": NODE_POLICIES,
    "slipway-prod-node": NODE_POLICIES,
    "slipway-prod-vpc-cni": {"arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"},
}

SERVICES = {
    **{f"slipway-prod-flight-delay-{duty}": {"Service": "sagemaker.amazonaws.com"} for duty in DUTIES},
    "slipway-prod-approval": {"AWS": ["arn:aws:iam::777788889999:role/ml-platform-approver"]},
    "slipway-prod-promotion": {"AWS": ["arn:aws:iam::777788889999:role/ml-platform-release"]},
    "slipway-prod-flight-delay-package": {"Service": "codebuild.amazonaws.com"},
    "slipway-prod-flight-delay-release": {"Service": "codebuild.amazonaws.com"},
    "slipway-prod-start-builds": {"Service": "events.amazonaws.com"},
    "slipway-prod-start-releases": {"Service": "events.amazonaws.com"},
    "slipway-prod-flow-logs": {"Service": "vpc-flow-logs.amazonaws.com"},
    "slipway-prod-karpenter-node": {"Service": "ec2.amazonaws.com"},
    "slipway-prod-model": {"Service": "sagemaker.amazonaws.com"},
    "slipway-prod-node": {"Service": "ec2.amazonaws.com"},
    "slipway-prod-retraining": {"Service": "lambda.amazonaws.com"},
    "slipway-prod-retraining-clock": {"Service": "scheduler.amazonaws.com"},
}

SERVICE_ACCOUNTS = {
    "slipway-prod-argo-rollouts": "system:serviceaccount:argo-rollouts:argo-rollouts",
    "slipway-prod-cloudwatch": "system:serviceaccount:amazon-cloudwatch:cloudwatch-agent",
    "slipway-prod-ebs-csi": "system:serviceaccount:kube-system:ebs-csi-controller-sa",
    "slipway-prod-karpenter": "system:serviceaccount:kube-system:karpenter",
    "slipway-prod-load-balancing": "system:serviceaccount:kube-system:aws-load-balancer-controller",
    "slipway-prod-team-ml-inference": "system:serviceaccount:ml-inference:workload",
    "slipway-prod-team-ml-training": "system:serviceaccount:ml-training:workload",
    "slipway-prod-vpc-cni": "system:serviceaccount:kube-system:aws-node",
}

ACTIONS_WITHOUT_RESOURCE = {
    "acm:ListCertificates",
    "cloudwatch:PutMetricData",
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSpotPriceHistory",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVpcPeeringConnections",
    "ec2:DescribeVolumeStatus",
    "ec2:DescribeVolumes",
    "ec2:DescribeVolumesModifications",
    "ec2:DescribeVpcs",
    "ecr:GetAuthorizationToken",
    "elasticloadbalancing:DescribeListenerAttributes",
    "elasticloadbalancing:DescribeListenerCertificates",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeSSLPolicies",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "iam:ListInstanceProfiles",
    "pricing:GetProducts",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
"""Service authorization reference: these know no resource, so nothing but `*` can be written.

`iam:ListInstanceProfiles` knows one, and is published for Karpenter without: it reads names.
"""


OTHERS = {
    *("argo-rollouts", "cloudwatch", "ebs-csi", "flow-logs", "karpenter", "load-balancing"),
    *("team-ml-inference", "team-ml-training"),
}
"""Roles of the cluster, which the table leaves out."""

HARMLESS_IAM = {
    "iam:PassRole",
    "iam:CreateServiceLinkedRole",
    "iam:GetInstanceProfile",
    "iam:ListInstanceProfiles",
}
"""The first only for the roles in `PASSES`, which have fewer rights than whoever hands them out, the second only for
the role that Elastic Load Balancing itself takes."""

PASSES = {
    "slipway-prod-karpenter": (["slipway-prod-karpenter-node"], "ec2.amazonaws.com"),
    f"{MODEL}-pipeline": ([f"{MODEL}-{duty}" for duty in DUTIES[1:4]], "sagemaker.amazonaws.com"),
    f"{MODEL}-drift-run": ([f"{MODEL}-drift"], "sagemaker.amazonaws.com"),
}
"""Role → the roles that it may hand out, and the service that gets them."""


def statements(role: str) -> list[dict[str, Any]]:
    return [statement for policy in inline_policies(record_program("prod"), role) for statement in policy["Statement"]]


def roles_with_policies() -> set[str]:
    return {policy.inputs["role"] for policy in record_program("prod").of_type("aws:iam/rolePolicy:RolePolicy")}


def test_every_role_is_known_and_trusts_one_service_or_one_service_account() -> None:
    trusts = {
        role.inputs["name"]: role.policy("assumeRolePolicy")
        for role in record_program("prod").of_type("aws:iam/role:Role")
    }
    for role, subject in SERVICE_ACCOUNTS.items():
        (federated,) = trusts.pop(role)["Statement"]
        assert federated["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert subject in federated["Condition"]["StringEquals"].values()
    assert {name: trust["Statement"][0]["Principal"] for name, trust in trusts.items()} == SERVICES
    assert all(len(trust["Statement"]) == 1 for trust in trusts.values())


def test_services_that_say_for_whom_they_act_are_held_to_the_account() -> None:
    for role in record_program("prod").of_type("aws:iam/role:Role"):
        (statement,) = role.policy("assumeRolePolicy")["Statement"]
        service = statement["Principal"].get("Service", "")
        if service and not service.startswith(("ec2.", "lambda.")):
            assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == "777788889999", role.name


def test_aws_managed_policies_are_only_those_of_nodes_and_cni() -> None:
    attached: dict[str, set[str]] = {}
    for attachment in record_program("prod").of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment"):
        attached.setdefault(attachment.inputs["role"], set()).add(attachment.inputs["policyArn"])
    assert attached == MANAGED


def test_no_statement_has_a_wildcard_action_or_an_unneeded_wildcard_resource() -> None:
    roles = roles_with_policies()
    duties = {
        *("approval", "argo-rollouts", "promotion", "start-builds", "flight-delay-package"),
        *("cloudwatch", "ebs-csi", "flow-logs", "karpenter", "load-balancing", "model"),
        *("retraining", "retraining-clock", "flight-delay-release", "start-releases"),
        *(f"flight-delay-{duty}" for duty in DUTIES),
        *("team-ml-inference", "team-ml-training"),
    }
    assert roles == {f"slipway-prod-{duty}" for duty in duties}
    for role in sorted(roles):
        for statement in statements(role):
            actions = set(listed(statement["Action"]))
            assert not [action for action in actions if action.endswith(":*") or action == "*"], role
            if "*" in listed(statement["Resource"]):
                assert actions <= ACTIONS_WITHOUT_RESOURCE, role


def test_no_role_can_raise_its_own_rights() -> None:
    for role in sorted(roles_with_policies()):
        for statement in statements(role):
            actions = {action for action in listed(statement["Action"]) if action.startswith(("iam:", "sts:"))}
            assert actions <= HARMLESS_IAM, role
            if "iam:PassRole" in actions:
                passed, service = PASSES[role]
                assert listed(statement["Resource"]) == [f"arn:aws:iam::777788889999:role/{each}" for each in passed]
                assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": service}}
            if "iam:CreateServiceLinkedRole" in actions:
                service = "elasticloadbalancing.amazonaws.com"
                assert f":role/aws-service-role/{service}/" in statement["Resource"]
                assert statement["Condition"] == {"StringEquals": {"iam:AWSServiceName": service}}


def expanded(words: list[str]) -> set[str]:
    """Actions, with the lists that a word stands for."""
    return {action for word in words for action in ({word} if ":" in word else expanded(ACTIONS["together"][word]))}


@pytest.mark.parametrize("role", ACTIONS["roles"])
def test_a_role_of_training_and_release_may_call_what_the_table_says_and_nothing_else(role: str) -> None:
    assert {action for statement in statements(f"slipway-prod-{role}") for action in listed(statement["Action"])} == (
        expanded(ACTIONS["roles"][role])
    )


def test_every_role_of_training_and_release_is_in_the_table() -> None:
    assert {*ACTIONS["roles"], *OTHERS} == {role.removeprefix("slipway-prod-") for role in roles_with_policies()}


def calls(recorded: Recorded) -> dict[str, set[str]]:
    """By role, without those of other duties: all that its policies allow."""
    policies = recorded.of_type("aws:iam/rolePolicy:RolePolicy")
    roles = {policy.inputs["role"].removeprefix("slipway-prod-") for policy in policies} - OTHERS
    return {
        role: {
            action
            for policy in inline_policies(recorded, f"slipway-prod-{role}")
            for statement in policy["Statement"]
            for action in listed(statement["Action"])
        }
        for role in roles
    }


def test_with_every_optional_part_on_each_role_is_in_the_table_and_may_do_nothing_else() -> None:
    table = {**ACTIONS["roles"], **ACTIONS["everything"]}
    assert calls(record_changed(EVERYTHING)) == {role: expanded(words) for role, words in table.items()}


def test_behind_every_target_each_role_of_a_model_is_in_the_table_and_may_do_nothing_else() -> None:
    found = calls(record_program("prod", overrides=all_served()))
    table = {**ACTIONS["everything"], **ACTIONS["roles"], **ACTIONS["targets"]}
    usual = {
        role: next((f"flight-delay-{role[len(model) + 1 :]}" for model in SERVED if role.startswith(f"{model}-")), role)
        for role in found
    }
    assert found == {role: expanded(table[role if role in table else usual[role]]) for role in found}
    assert ACTIONS["targets"].keys() <= found.keys()


@pytest.mark.parametrize(
    ("role", "action", "resource", "allowed"),
    [
        ("flight-delay-process", "s3:GetObject", f"{BUCKET}data/flight-delay/train/2013-01.csv", True),
        ("flight-delay-process", "s3:GetObject", f"{BUCKET}data/customers/01.csv", False),
        ("flight-delay-process", "s3:PutObject", f"{BUCKET}data/flight-delay/train/x", False),
        ("flight-delay-process", "s3:PutObject", f"{BUCKET}models/flight-delay/data/v/train/2013-01.csv", True),
        ("flight-delay-process", "s3:PutObject", f"{BUCKET}models/flight-delay/jobs/j/output/model.tar.gz", False),
        ("flight-delay-process", "logs:PutLogEvents", f"{LOGS}/aws/sagemaker/ProcessingJobs:log-stream:job", True),
        ("flight-delay-process", "sagemaker:CreateTrainingJob", f"{JOBS}training-job/{PREFIX}-1", False),
        ("flight-delay-train", "s3:GetObject", f"{BUCKET}models/flight-delay/data/v/train/2013-01.csv", True),
        ("flight-delay-train", "s3:GetObject", f"{BUCKET}data/flight-delay/train/2013-01.csv", False),
        ("flight-delay-train", "s3:PutObject", f"{BUCKET}models/flight-delay/jobs/j/output/model.tar.gz", True),
        ("flight-delay-train", "s3:PutObject", f"{BUCKET}models/flight-delay/reports/j/evaluation.json", False),
        ("flight-delay-train", "s3:PutObject", f"{BUCKET}models/churn/jobs/j/output/model.tar.gz", False),
        ("flight-delay-train", "s3:GetObject", f"{BUCKET}models/flight-delay/checkpoints/7", True),
        ("flight-delay-train", "s3:GetObject", f"{BUCKET}models/flight-delay/jobs/j/output/model.tar.gz", False),
        ("flight-delay-train", "s3:DeleteObject", f"{BUCKET}models/flight-delay/jobs/j/output/model.tar.gz", False),
        ("flight-delay-train", "s3:GetObject", "arn:aws:s3:::somebody-else/flight-delay/x", False),
        ("flight-delay-train", "ecr:BatchGetImage", f"{ECR}slipway-prod/flight-delay", True),
        ("flight-delay-train", "ecr:BatchGetImage", f"{ECR}slipway-staging/flight-delay", False),
        ("flight-delay-train", "ecr:PutImage", f"{ECR}slipway-prod/flight-delay", False),
        ("flight-delay-train", "logs:PutLogEvents", f"{LOGS}/aws/sagemaker/TrainingJobs:log-stream:job", True),
        ("flight-delay-train", "logs:PutLogEvents", f"{LOGS}/aws/eks/slipway-prod/cluster:log-stream:x", False),
        ("flight-delay-train", "ec2:CreateNetworkInterface", f"{EC2}subnet/subnet-1", True),
        ("flight-delay-train", "ec2:RunInstances", f"{EC2}subnet/subnet-1", False),
        ("flight-delay-train", "sagemaker:CreateModelPackage", f"{JOBS}model-package/{MODEL}/*", False),
        ("flight-delay-evaluate", "s3:GetObject", f"{BUCKET}models/flight-delay/jobs/j/output/model.tar.gz", True),
        ("flight-delay-evaluate", "s3:GetObject", f"{BUCKET}models/flight-delay/data/v/validation/2013-01.csv", True),
        ("flight-delay-evaluate", "s3:PutObject", f"{BUCKET}models/flight-delay/reports/j/evaluation.json", True),
        ("flight-delay-evaluate", "s3:PutObject", f"{BUCKET}models/flight-delay/jobs/j/output/model.tar.gz", False),
        ("flight-delay-evaluate", "s3:GetObject", f"{BUCKET}data/flight-delay/train/2013-01.csv", False),
        ("flight-delay-pipeline", "sagemaker:DescribeTrainingJob", f"{JOBS}training-job/{PREFIX}-abc-1", True),
        ("flight-delay-pipeline", "sagemaker:StopProcessingJob", f"{JOBS}processing-job/{PREFIX}-abc-1", True),
        ("flight-delay-pipeline", "sagemaker:StopTrainingJob", f"{JOBS}training-job/slipway-prod-churn-1-x", False),
        ("flight-delay-pipeline", "sagemaker:StartPipelineExecution", f"{JOBS}pipeline/{MODEL}", False),
        ("flight-delay-pipeline", "sagemaker:UpdateModelPackage", f"{JOBS}model-package/{MODEL}/1", False),
        ("flight-delay-pipeline", "sagemaker:DeleteModelPackage", f"{JOBS}model-package/{MODEL}/1", False),
        ("flight-delay-pipeline", "s3:GetObject", f"{BUCKET}models/flight-delay/reports/j/evaluation.json", True),
        ("flight-delay-pipeline", "s3:GetObject", f"{BUCKET}models/flight-delay/jobs/j/output/model.tar.gz", False),
        ("flight-delay-pipeline", "s3:PutObject", f"{BUCKET}models/flight-delay/reports/j/evaluation.json", False),
        ("flight-delay-drift", "s3:GetObject", f"{BUCKET}models/flight-delay/captures/e/v/2026/01/01/00/a.jsonl", True),
        ("flight-delay-drift", "s3:GetObject", f"{BUCKET}models/flight-delay/truth/2026/01/01/00/a.jsonl", True),
        ("flight-delay-drift", "s3:GetObject", f"{BUCKET}models/flight-delay/data/v/train/2013-01.csv", False),
        ("flight-delay-drift", "s3:GetObject", f"{BUCKET}data/flight-delay/train/2013-01.csv", False),
        ("flight-delay-drift", "s3:PutObject", f"{BUCKET}models/flight-delay/drift/reports/1/drift.json", True),
        ("flight-delay-drift", "s3:PutObject", f"{BUCKET}models/flight-delay/drift/memory/7/memory.json", True),
        (
            "flight-delay-drift",
            "s3:PutObject",
            f"{BUCKET}models/flight-delay/captures/e/v/2026/01/01/00/a.jsonl",
            False,
        ),
        ("flight-delay-drift", "s3:DeleteObject", f"{BUCKET}models/flight-delay/drift/memory/7/memory.json", False),
        ("flight-delay-drift-run", "sagemaker:StopProcessingJob", f"{JOBS}processing-job/{PREFIX}-abc-1", False),
        ("flight-delay-drift-run", "sagemaker:DescribeTrainingJob", f"{JOBS}training-job/{PREFIX}-abc-1", False),
        ("model", "s3:GetObject", f"{BUCKET}models/flight-delay/jobs/j/output/model.tar.gz", False),
        ("model", "s3:PutObject", f"{BUCKET}models/flight-delay/jobs/j/output/model.tar.gz", False),
        ("model", "s3:GetObject", f"{BUCKET}models/flight-delay/data/v/train/2013-01.csv", False),
        ("model", "s3:GetObject", f"{BUCKET}data/flight-delay/2013/01.csv", False),
        ("model", "logs:PutLogEvents", f"{LOGS}/aws/sagemaker/Endpoints/slipway-prod-a:log-stream:x", True),
        ("model", "logs:PutLogEvents", f"{LOGS}/aws/sagemaker/Endpoints/slipway-dev-a:log-stream:x", False),
        ("cloudwatch", "logs:PutLogEvents", f"{INSIGHTS}/application:log-stream:node-1", True),
        ("cloudwatch", "logs:PutLogEvents", f"{INSIGHTS}/performance:log-stream:node-1", True),
        ("cloudwatch", "logs:CreateLogStream", f"{INSIGHTS}/host", True),
        ("cloudwatch", "logs:CreateLogGroup", f"{INSIGHTS}/application", False),
        ("cloudwatch", "logs:PutRetentionPolicy", f"{INSIGHTS}/application", False),
        ("cloudwatch", "logs:GetLogEvents", f"{INSIGHTS}/application:log-stream:node-1", False),
        ("cloudwatch", "logs:PutLogEvents", f"{LOGS}/aws/eks/slipway-prod/cluster:log-stream:x", False),
        ("cloudwatch", "logs:PutLogEvents", f"{LOGS}/aws/containerinsights/slipway-dev/host:log-stream:x", False),
        ("cloudwatch", "cloudwatch:PutMetricData", "*", False),
        ("flow-logs", "logs:PutLogEvents", f"{LOGS}/slipway/prod/vpc-flow-logs:log-stream:x", True),
        ("flow-logs", "logs:PutLogEvents", f"{LOGS}/aws/sagemaker/TrainingJobs:log-stream:x", False),
        ("team-ml-training", "s3:GetObject", f"{BUCKET}data/flight-delay/2013/01.csv", True),
        ("team-ml-training", "s3:GetObject", f"{BUCKET}data/customers/01.csv", False),
        ("team-ml-training", "s3:PutObject", f"{BUCKET}models/experiments/a/model.ubj", True),
        ("team-ml-training", "s3:PutObject", f"{BUCKET}models/flight-delay/job/model.tar.gz", False),
        ("team-ml-training", "s3:DeleteObject", f"{BUCKET}models/experiments/a/model.ubj", False),
        ("team-ml-training", "kms:CreateGrant", "*", False),
        ("team-ml-inference", "s3:GetObject", f"{BUCKET}models/flight-delay/job/model.tar.gz", True),
        ("team-ml-inference", "s3:GetObject", f"{BUCKET}data/flight-delay/2013/01.csv", False),
        ("team-ml-inference", "s3:PutObject", f"{BUCKET}models/flight-delay/job/model.tar.gz", False),
        ("team-ml-inference", "kms:GenerateDataKey", "*", False),
    ],
)
def test_a_role_may_do_its_duty_and_no_other(role: str, action: str, resource: str, *, allowed: bool) -> None:
    assert may(record_program("prod"), f"slipway-prod-{role}", action, resource, OURS) is allowed


@pytest.mark.parametrize(
    ("action", "resource", "context", "allowed"),
    [
        ("CreateTrainingJob", f"training-job/{PREFIX}-1", CLOSED, True),
        ("CreateTrainingJob", f"training-job/{PREFIX}-1", {**CLOSED, "sagemaker:NetworkIsolation": "false"}, False),
        ("CreateTrainingJob", f"training-job/{PREFIX}-1", {}, False),
        (
            "CreateTrainingJob",
            f"training-job/{PREFIX}-1",
            {**CLOSED, "sagemaker:InstanceTypes": "ml.p5.48xlarge"},
            False,
        ),
        ("CreateTrainingJob", f"training-job/{PREFIX}-1", {**CLOSED, "sagemaker:KeepAlivePeriod": "60"}, False),
        ("CreateTrainingJob", "training-job/slipway-prod-churn-1", CLOSED, False),
        ("CreateProcessingJob", f"processing-job/{PREFIX}-1", CLOSED, True),
        ("CreateProcessingJob", f"processing-job/{PREFIX}-1", OTHER_HOST, False),
        ("CreateModelPackage", f"model-package/{MODEL}/3", WAITING, True),
        ("CreateModelPackage", f"model-package-group/{MODEL}", WAITING, True),
        ("CreateModelPackage", f"model-package/{MODEL}/3", {"sagemaker:ModelApprovalStatus": "Approved"}, False),
        ("CreateModelPackage", "model-package/slipway-prod-churn/3", WAITING, False),
    ],
)
def test_a_pipeline_starts_closed_jobs_on_the_hosts_of_the_settings_and_approves_nothing_in_prod(
    action: str, resource: str, context: dict[str, str], *, allowed: bool
) -> None:
    role = f"{MODEL}-pipeline"
    assert may(record_program("prod"), role, f"sagemaker:{action}", f"{JOBS}{resource}", context) is allowed


@pytest.mark.parametrize(
    ("role", "service", "allowed"),
    [
        (f"{MODEL}-train", "sagemaker.amazonaws.com", True),
        (f"{MODEL}-train", "ec2.amazonaws.com", False),
        (f"{MODEL}-pipeline", "sagemaker.amazonaws.com", False),
        ("slipway-prod-model", "sagemaker.amazonaws.com", False),
    ],
)
def test_a_pipeline_hands_out_the_roles_of_its_own_jobs_to_sagemaker(role: str, service: str, *, allowed: bool) -> None:
    arn, context = f"arn:aws:iam::777788889999:role/{role}", {"iam:PassedToService": service}
    assert may(record_program("prod"), f"{MODEL}-pipeline", "iam:PassRole", arn, context) is allowed


def test_the_key_is_used_by_its_own_arn() -> None:
    key = record_program("prod").exports["keyArn"]
    for role in (*(f"{MODEL}-{duty}" for duty in DUTIES[:-1]), "slipway-prod-model"):
        resources = {r for s in statements(role) for r in listed(s["Resource"]) if ":kms:" in r}
        assert resources == {key}, role


def test_a_second_model_adds_its_own_prefixes_and_repository() -> None:
    prod = record_program("prod")
    first = stack_section("prod", "models")[0]
    recorded = record_program("prod", overrides=json.dumps({"models": [first, {**first, **A_SECOND_MODEL}]}))
    assert recorded.exports["modelEcrRepo"].keys() == {"flight-delay", "churn"}
    assert recorded.exports["modelPackageGroups"] == {
        "flight-delay": "slipway-prod-flight-delay",
        "churn": "slipway-prod-churn",
    }
    shape = [item.name for item in recorded.resources if item.name.startswith(("training-", "pipelines-"))]
    assert {name.replace("-churn", "-flight-delay") for name in shape if "-churn" in name} == {
        name for name in shape if "-flight-delay" in name
    }
    role = "slipway-prod-churn-process"
    assert may(recorded, role, "s3:GetObject", f"{BUCKET}data/customers/01.csv", {})
    assert not may(recorded, role, "s3:GetObject", f"{BUCKET}data/flight-delay/train/2013-01.csv", {})
    gone = {item.urn for item in prod.resources} - {item.urn for item in recorded.resources}
    assert gone == set()


def test_an_environment_without_models_has_no_empty_policy() -> None:
    recorded = record_program("prod", overrides=json.dumps({"models": []}))
    names = {
        policy.inputs["name"]
        for policy in recorded.of_type("aws:iam/rolePolicy:RolePolicy")
        if policy.name.startswith(("training-", "registry-"))
    }
    assert "put-metrics" in names
    assert names.isdisjoint({"read-models", "pull-images", *DUTIES})

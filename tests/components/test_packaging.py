"""Packaging as it is registered: what starts a build, what it may do, and what it is made of."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from components.code_builds import FUNCTIONS, read_program, sources
from components.packaging_objects import PROGRAM, SOURCES, SPECIFICATION, approval_pattern
from packager import build
from tests.support.iam_evaluator import inline_policies, listed, may
from tests.support.recorded import STACKS, record_program, stack_section

PROJECT = "aws:codebuild/project:Project"
BUILDS = "packaging-flight-delay"
RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
ROLE = "slipway-prod-flight-delay-package"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:777788889999:"
VERSION = f"{SAGEMAKER}model-package/slipway-prod-flight-delay/3"
MODELS = "arn:aws:s3:::slipway-prod-777788889999-us-east-1-models/"
REPOSITORY = "arn:aws:ecr:us-east-1:777788889999:repository/slipway-prod/flight-delay"
BUS = "arn:aws:events:us-east-1:777788889999:event-bus/slipway-prod"
EVENT = {"events:source": build.SOURCE, "events:detail-type": build.IMAGE_READY}
START = "arn:aws:codebuild:us-east-1:777788889999:project/slipway-prod-flight-delay-package"

CALLS: list[tuple[str, str, dict[str, str], bool]] = [
    ("s3:GetObject", f"{MODELS}flight-delay/jobs/j/output/model.tar.gz", {}, True),
    ("s3:GetObject", f"{MODELS}flight-delay/promoted/d/model.tar.gz", {}, True),
    ("s3:GetObject", f"{MODELS}{sources(SOURCES, read_program(PROGRAM))}packager/build.py", {}, True),
    ("s3:GetObject", f"{MODELS}_packager/0a/packager/build.py", {}, False),
    ("s3:GetObject", f"{MODELS}flight-delay/data/v/train/01.csv", {}, False),
    ("s3:GetObject", f"{MODELS}churn/jobs/j/output/model.tar.gz", {}, False),
    ("s3:PutObject", f"{MODELS}flight-delay/champion/model.tar.gz", {}, True),
    ("s3:GetObject", f"{MODELS}flight-delay/champion/model.tar.gz", {}, True),
    ("s3:ListBucket", MODELS.rstrip("/"), {"s3:prefix": "flight-delay/champion/model.tar.gz"}, True),
    ("s3:ListBucket", MODELS.rstrip("/"), {"s3:prefix": "flight-delay/jobs/"}, False),
    ("s3:PutObject", f"{MODELS}flight-delay/jobs/j/output/model.tar.gz", {}, False),
    ("s3:PutObject", f"{MODELS}_packager/0a/packager/build.py", {}, False),
    ("ecr:PutImage", REPOSITORY, {}, True),
    ("ecr:PutImage", REPOSITORY.replace("flight-delay", "churn"), {}, False),
    ("ecr:BatchDeleteImage", REPOSITORY, {}, False),
    ("sagemaker:UpdateModelPackage", VERSION, {}, True),
    ("sagemaker:UpdateModelPackage", VERSION, {"sagemaker:ModelApprovalStatus": "Approved"}, False),
    ("sagemaker:CreateModelPackage", VERSION, {"sagemaker:ModelApprovalStatus": "Approved"}, False),
    ("events:PutEvents", BUS, EVENT, True),
    ("events:PutEvents", BUS, {**EVENT, "events:source": "aws.sagemaker"}, False),
    ("events:PutEvents", BUS.replace("slipway-prod", "default"), EVENT, False),
    ("signer:SignPayload", "arn:aws:signer:us-east-1:777788889999:/signing-profiles/slipway_prod", {}, True),
    ("signer:SignPayload", "arn:aws:signer:us-east-1:777788889999:/signing-profiles/other", {}, False),
    ("codebuild:StartBuild", START, {}, False),
]
ACTIONS = {
    *("s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:AbortMultipartUpload"),
    *("s3:GetBucketAcl", "s3:GetBucketLocation", "kms:Decrypt", "kms:GenerateDataKey"),
    *("ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage"),
    *("ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"),
    *("ecr:PutImage", "ecr:DescribeImages", "ecr:DescribeImageScanFindings", "ecr:DescribeImageSigningStatus"),
    *("sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages", "sagemaker:UpdateModelPackage"),
    *("events:PutEvents", "signer:SignPayload"),
    *("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
    *("ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface"),
    *("ec2:DeleteNetworkInterfacePermission", "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces"),
    *("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
}


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize(("action", "resource", "context", "allowed"), CALLS)
def test_a_build_makes_and_marks_its_models_images_and_approves_nothing(
    action: str, resource: str, context: dict[str, str], *, allowed: bool
) -> None:
    assert may(record_program("prod"), ROLE, action, resource, context) is allowed


def actions_of(role: str) -> set[str]:
    documents = inline_policies(record_program("prod"), role)
    return {action for each in documents for item in each["Statement"] for action in listed(item["Action"])}


def test_a_build_makes_these_calls_and_no_other_and_what_starts_it_only_starts_it() -> None:
    assert actions_of(ROLE) == ACTIONS
    assert actions_of("slipway-prod-start-builds") == {"codebuild:StartBuild"}
    assert may(record_program("prod"), "slipway-prod-start-builds", "codebuild:StartBuild", START, {})


def environment(stack: str) -> dict[str, str]:
    project = record_program(stack).one(PROJECT, BUILDS).inputs
    return {each["name"]: each["value"] for each in project["environment"]["environmentVariables"]}


def test_a_build_runs_without_privileges_inside_the_vpc_with_an_encrypted_log_and_an_end(stack: str) -> None:
    recorded = record_program(stack)
    project = recorded.one(PROJECT, BUILDS).inputs
    assert project["environment"]["privilegedMode"] is False
    assert len(project["vpcConfig"]["subnets"]) >= 2
    assert project["encryptionKey"] == recorded.exports["keyArn"]
    log_group = recorded.one("aws:cloudwatch/logGroup:LogGroup", "packaging-logs").inputs
    assert log_group["kmsKeyId"] == recorded.exports["keyArn"]
    assert project["logsConfig"]["cloudwatchLogs"]["groupName"] == log_group["name"]
    assert project["buildTimeout"] == stack_section(stack, "packaging")["timeoutMinutes"]


def test_a_build_is_told_what_its_program_reads(stack: str) -> None:
    order = build.Order.read(environment(stack))
    assert order.group == f"slipway-{stack}-flight-delay"
    assert order.blocked == tuple(stack_section(stack, "packaging")["blockedSeverities"])
    assert bool(order.signing_profile) is stack_section(stack, "packaging")["signing"]
    assert order.reason == build.REFRESH, "what nobody ordered looks for a newer base"


def rule(stack: str, name: str) -> dict[str, Any]:
    return record_program(stack).one(RULE, f"packaging-flight-delay-{name}").inputs


def test_the_approval_or_rejection_of_a_version_of_this_group_starts_a_build_and_nothing_else_does() -> None:
    pattern = json.loads(rule("prod", "approved")["eventPattern"])
    assert pattern == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {
            "ModelPackageGroupName": ["slipway-prod-flight-delay"],
            "ModelApprovalStatus": ["Approved", "Rejected"],
        },
    }
    assert approval_pattern("another") != approval_pattern("slipway-prod-flight-delay")
    target = record_program("prod").one(TARGET, "packaging-flight-delay-approved").inputs
    template, paths = target["inputTransformer"]["inputTemplate"], target["inputTransformer"]["inputPaths"]
    assert paths == {"package": "$.detail.ModelPackageArn"}
    told = json.loads(template.replace("<package>", VERSION))["environmentVariablesOverride"]
    assert {each["name"]: each["value"] for each in told} == {"MODEL_PACKAGE_ARN": VERSION, "REASON": "approval"}
    assert {each["name"] for each in told} <= environment("prod").keys()


def test_a_newer_base_is_looked_for_where_the_settings_say_so() -> None:
    assert rule("prod", "refresh")["scheduleExpression"] == "rate(7 days)"
    with pytest.raises(LookupError):
        rule("local", "refresh")


def test_an_event_that_starts_nothing_is_tried_for_a_day_and_then_kept() -> None:
    recorded = record_program("prod")
    dead = recorded.one("aws:sqs/queue:Queue", "packaging-dead")
    policy = recorded.one("aws:sqs/queuePolicy:QueuePolicy", "packaging-dead")
    for name in ("approved", "refresh"):
        target = recorded.one(TARGET, f"packaging-flight-delay-{name}")
        assert target.inputs["deadLetterConfig"]["arn"].endswith(":slipway-prod-packaging-dead")
        assert target.inputs["retryPolicy"] == {"maximumEventAgeInSeconds": 86_400, "maximumRetryAttempts": 185}
        assert recorded.depends_path(target, policy)
        assert f"rule/slipway-prod-flight-delay-{name}" in policy.inputs["policy"]
    assert dead.inputs["messageRetentionSeconds"] == 14 * 86_400


def test_a_project_comes_after_its_rights_and_its_program() -> None:
    recorded = record_program("prod")
    project = recorded.one(PROJECT, BUILDS)
    before = [
        item
        for item in recorded.resources
        if item.name.startswith(("packaging-flight-delay-package-", "packaging-packager/", "packaging-lifecycle/"))
    ]
    assert len(before) == 1 + 7 + len(PROGRAM)
    assert all(recorded.depends_path(project, item) for item in before)


def test_the_program_of_a_build_is_complete_and_lies_by_its_content() -> None:
    files = read_program(PROGRAM)
    imported = {
        f"{module.replace('.', '/')}.py"
        for path, text in files.items()
        if path.endswith(".py")
        for module in re.findall(r"^from ((?:lifecycle|packager)\.\w+) import", text, re.MULTILINE)
    }
    assert imported <= files.keys()
    assert sources(SOURCES, files) != sources(SOURCES, {**files, "packager/build.py": ""})
    specification = yaml.safe_load((FUNCTIONS / SPECIFICATION).read_text(encoding="utf-8"))
    assert yaml.safe_load(record_program("prod").one(PROJECT, BUILDS).inputs["source"]["buildspec"]) == specification


def test_a_second_model_gets_builds_of_its_own_by_configuration_alone() -> None:
    (first,) = stack_section("prod", "models")
    second = {**first, "name": "churn", "datasetPrefix": "customers/", "label": "left"}
    recorded = record_program("prod", overrides=json.dumps({"models": [first, second]}))
    assert recorded.exports["packagingProjects"] == {
        model: f"slipway-prod-{model}-package" for model in ("flight-delay", "churn")
    }
    assert may(recorded, "slipway-prod-churn-package", "ecr:PutImage", REPOSITORY, {}) is False
    (group,) = json.loads(recorded.one(RULE, "packaging-churn-approved").inputs["eventPattern"])["detail"][
        "ModelPackageGroupName"
    ]
    assert group == "slipway-prod-churn"

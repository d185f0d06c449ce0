"""Releases as they are registered: what starts one, what it may do, and what becomes of one that fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any
from unittest import mock

import pytest
import yaml

from components.code_builds import FUNCTIONS, read_program, sources
from components.releasing_objects import PROGRAM, SOURCES, SPECIFICATION, group
from packager import build
from release.__main__ import parse
from tests.support.iam_evaluator import inline_policies, listed, may
from tests.support.recorded import STACKS, record_program, stack_section

PROJECT = "aws:codebuild/project:Project"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
STEP = "releasing-flight-delay"
ROLE = "slipway-prod-flight-delay-release"
STARTER = "slipway-prod-start-releases"
MODELS = "arn:aws:s3:::slipway-prod-777788889999-us-east-1-models/"
VERSION = "arn:aws:sagemaker:us-east-1:777788889999:model-package/slipway-prod-flight-delay/3"
STATUS = "sagemaker:ModelApprovalStatus"
EKS = "arn:aws:eks:us-east-1:777788889999:cluster/slipway-"
START = "arn:aws:codebuild:us-east-1:777788889999:project/slipway-prod-flight-delay-release"
EVENT = {
    "model": "flight-delay",
    "version": 3,
    "modelPackageArn": VERSION,
    "image": f"registry/slipway-prod/flight-delay@sha256:{'a' * 64}",
}
"""Detail of an announcement, as far as a release reads it; `test_an_announcement_names...` holds it to the packager."""

CALLS: list[tuple[str, str, str, dict[str, str], bool]] = [
    (ROLE, "s3:GetObject", f"{MODELS}{sources(SOURCES, read_program(PROGRAM))}release/step.py", {}, True),
    (ROLE, "s3:GetObject", f"{MODELS}flight-delay/jobs/j/output/model.tar.gz", {}, False),
    (ROLE, "s3:PutObject", f"{MODELS}{SOURCES}release/step.py", {}, False),
    (ROLE, "eks:DescribeCluster", f"{EKS}prod", {}, True),
    (ROLE, "eks:DescribeCluster", f"{EKS}dev", {}, False),
    (ROLE, "eks:CreateAccessEntry", f"{EKS}prod", {}, False),
    (ROLE, "s3:GetObject", f"{MODELS}flight-delay/drift/reports/r/drift.json", {}, True),
    (ROLE, "s3:GetObject", f"{MODELS}flight-delay/drift/memory/m", {}, False),
    (ROLE, "sagemaker:DescribeModelPackage", VERSION, {}, True),
    (ROLE, "sagemaker:DescribeModelPackage", VERSION.replace("flight-delay", "churn"), {}, False),
    (ROLE, "sagemaker:UpdateModelPackage", VERSION, {}, True),
    (ROLE, "sagemaker:UpdateModelPackage", VERSION, {STATUS: "Rejected"}, True),
    (ROLE, "sagemaker:UpdateModelPackage", VERSION, {STATUS: "Approved"}, False),
    (ROLE, "sagemaker:UpdateModelPackage", VERSION.replace("flight-delay", "churn"), {}, False),
    (ROLE, "codebuild:StartBuild", START, {}, False),
    (STARTER, "codebuild:StartBuild", START, {}, True),
    (STARTER, "codebuild:StartBuild", START.replace("release", "package"), {}, False),
]
ACTIONS = {
    *("s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl", "s3:GetBucketLocation", "kms:Decrypt"),
    *("eks:DescribeCluster", "sagemaker:UpdateModelPackage"),
    *("sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"),
    *("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
    *("ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface"),
    *("ec2:DeleteNetworkInterfacePermission", "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces"),
    *("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
}


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def specification() -> dict[str, Any]:
    return yaml.safe_load((FUNCTIONS / SPECIFICATION).read_text(encoding="utf-8"))


def variables(stack: str) -> dict[str, str]:
    environment = record_program(stack).one(PROJECT, STEP).inputs["environment"]
    return {each["name"]: each["value"] for each in environment["environmentVariables"]}


def told(stack: str) -> dict[str, str]:
    """What the rule's target tells a build of `EVENT`."""
    transformer = record_program(stack).one(TARGET, STEP).inputs["inputTransformer"]
    text = transformer["inputTemplate"]
    for name, path in transformer["inputPaths"].items():
        text = text.replace(f"<{name}>", str(EVENT[path.removeprefix("$.detail.")]))
    return {each["name"]: each["value"] for each in json.loads(text)["environmentVariablesOverride"]}


def command(stack: str, told: dict[str, str]) -> list[str]:
    """Words of the command of the build specification, as its shell splits them."""
    (line,) = specification()["phases"]["build"]["commands"]
    given = {"AWS_REGION": "us-east-1", **variables(stack), **told}
    script = line.replace("python -m release", "printf '%s\\n'")
    with mock.patch.dict(os.environ, given):
        shell = ["/bin/bash", "--noprofile", "--norc", "-c", script]
        return subprocess.run(shell, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize(("role", "action", "resource", "context", "allowed"), CALLS)
def test_a_release_reports_and_rejects_its_own_models_versions_and_approves_nothing(
    role: str, action: str, resource: str, context: dict[str, str], *, allowed: bool
) -> None:
    assert may(record_program("prod"), role, action, resource, context) is allowed


def test_a_release_makes_these_calls_and_no_other() -> None:
    documents = inline_policies(record_program("prod"), ROLE)
    assert {action for each in documents for item in each["Statement"] for action in listed(item["Action"])} == ACTIONS


def test_an_image_of_this_model_starts_its_release_and_no_other_event_does(stack: str) -> None:
    rule = record_program(stack).one(RULE, STEP).inputs
    assert rule["eventBusName"] == record_program(stack).exports["eventBus"]
    assert json.loads(rule["eventPattern"]) == {
        "source": [build.SOURCE],
        "detail-type": [build.IMAGE_READY],
        "detail": {"model": ["flight-delay"]},
    }
    target = record_program(stack).one(TARGET, STEP).inputs
    assert (target["rule"], target["eventBusName"]) == (rule["name"], rule["eventBusName"])


def test_the_command_of_a_build_is_one_that_the_release_step_reads(stack: str) -> None:
    options = parse(command(stack, told(stack)))
    pods = stack_section(stack, "models")[0]["serving"]["eks"]
    assert (options.verb, options.model, options.namespace) == ("roll-out", "flight-delay", pods["namespace"])
    assert (options.image, options.version, options.package_arn) == (EVENT["image"], "3", VERSION)
    assert options.newer_only, "events come late, and in any order"
    assert options.cluster == record_program(stack).exports["clusterName"]
    assert told(stack).keys() <= variables(stack).keys()


def test_each_look_for_drift_that_ends_well_lets_the_release_step_look_back(stack: str) -> None:
    recorded = record_program(stack)
    pattern = json.loads(recorded.one(RULE, f"{STEP}-recall").inputs["eventPattern"])
    (watched,) = pattern["detail"]["pipelineArn"]
    pipeline = recorded.one("aws:sagemaker/pipeline:Pipeline", "drift-flight-delay")
    assert watched.partition(":pipeline/")[2] == pipeline.inputs["pipelineName"]
    assert pattern["detail"]["currentPipelineExecutionStatus"] == ["Succeeded"]
    target = recorded.one(TARGET, f"{STEP}-recall").inputs
    said = {each["name"]: each["value"] for each in json.loads(target["input"])["environmentVariablesOverride"]}
    options = parse(command(stack, said))
    assert (options.verb, options.model) == ("recall", "flight-delay")
    assert options.packages.endswith(f":model-package/slipway-{stack}-flight-delay/")
    assert options.reports.endswith("-models/flight-delay/drift/reports/")
    drift = stack_section(stack, "models")[0]["drift"]
    assert (options.minimum_labels, options.looks) == (drift["quality"]["minimumLabels"], 2)
    assert options.window_hours == options.trial_hours > 2 * drift["windowHours"] * (stack == "dev")
    policy = recorded.one("aws:sqs/queuePolicy:QueuePolicy", "releasing-dead").inputs["policy"]
    assert f":rule/{target['rule']}" in policy


def test_where_nobody_looks_for_drift_nothing_looks_back() -> None:
    models = [
        {**model, "drift": None, "retraining": {**model["retraining"], "drift": False}}
        for model in stack_section("prod", "models")
    ]
    recorded = record_program("prod", overrides=json.dumps({"models": models}))
    assert [item.name for item in recorded.resources if item.name.endswith("-recall")] == []
    assert not may(recorded, ROLE, "s3:GetObject", f"{MODELS}flight-delay/drift/reports/r/drift.json", {})


def test_a_person_releases_once_more_what_was_taken_back_by_one_variable_more(stack: str) -> None:
    options = parse(command(stack, {**told(stack), "AGAIN": "1"}))
    assert (options.again, options.newer_only) == (True, False)
    assert "AGAIN" in variables(stack)
    assert "AGAIN" not in told(stack), "no event does"


def test_what_an_event_says_is_one_word_of_the_command_whatever_is_in_it() -> None:
    nasty = "x; touch /tmp/y $(id) `id` \"' * --slower 9"
    words = command("prod", {**told("prod"), "IMAGE": nasty})
    assert words[words.index("--image") + 1] == nasty
    assert len(words) == len(command("prod", told("prod")))


def test_a_release_is_waited_for_until_its_last_step_and_the_way_back(stack: str) -> None:
    project, options = record_program(stack).one(PROJECT, STEP).inputs, parse(command(stack, told(stack)))
    rollout = stack_section(stack, "models")[0]["serving"]["eks"]["rollout"]
    steps = 0 if rollout is None else len(rollout["weights"]) * (rollout["stepMinutes"] + rollout["patienceMinutes"])
    assert options.ready_seconds > steps * 60
    assert project["buildTimeout"] * 60 > options.ready_seconds + options.back_seconds


def test_a_release_runs_without_privileges_inside_the_vpc_and_reaches_the_api_server(stack: str) -> None:
    recorded = record_program(stack)
    project = recorded.one(PROJECT, STEP)
    assert project.inputs["environment"]["privilegedMode"] is False
    logs = recorded.one("aws:cloudwatch/logGroup:LogGroup", "releasing-logs").inputs
    assert logs["kmsKeyId"] == recorded.exports["keyArn"]
    assert logs["retentionInDays"] == stack_section(stack, "rollouts")["releases"]["logRetentionDays"]
    assert project.inputs["logsConfig"]["cloudwatchLogs"]["groupName"] == logs["name"]
    rule = recorded.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "releasing-api")
    assert [rule.inputs["referencedSecurityGroupId"]] == project.inputs["vpcConfig"]["securityGroupIds"]
    assert recorded.depends_path(project, rule)


def test_eks_knows_the_release_as_one_who_changes_one_deployment(stack: str) -> None:
    recorded = record_program(stack)
    entry = recorded.one("aws:eks/accessEntry:AccessEntry", STEP)
    role = recorded.one("kubernetes:rbac.authorization.k8s.io/v1:Role", STEP)
    bound = recorded.one("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", STEP)
    assert entry.inputs["principalArn"].endswith(f":role/slipway-{stack}-flight-delay-release")
    assert entry.inputs["kubernetesGroups"] == [each["name"] for each in bound.inputs["subjects"]]
    assert [(each["verbs"], each["resources"], each["resourceNames"]) for each in role.inputs["rules"]] == [
        (["get", "patch"], ["deployments"], ["flight-delay"]),
        (["get"], ["rollouts"], ["flight-delay"]),
        (["patch"], ["rollouts/status"], ["flight-delay"]),
    ]
    assert role.inputs["metadata"]["namespace"] == bound.inputs["metadata"]["namespace"] == "ml-inference"
    project = recorded.one(PROJECT, STEP)
    assert all(recorded.depends_path(project, each) for each in (entry, bound))


def test_no_team_has_the_group_of_a_release() -> None:
    teams = {
        name
        for entry in record_program("prod").of_type("aws:eks/accessEntry:AccessEntry")
        if entry.name != STEP
        for name in entry.inputs.get("kubernetesGroups") or ()
    }
    assert teams
    assert group("flight-delay") not in teams
    assert len(group("m").split(":")) not in {len(name.split(":")) for name in teams}


def test_an_event_that_starts_nothing_is_kept_and_told_as_a_release_that_fails_is() -> None:
    recorded = record_program("prod")
    target, policy = recorded.one(TARGET, STEP), recorded.one("aws:sqs/queuePolicy:QueuePolicy", "releasing-dead")
    assert target.inputs["deadLetterConfig"]["arn"].endswith(":slipway-prod-releasing-dead")
    assert recorded.depends_path(target, policy)
    assert "rule/slipway-prod/slipway-prod-flight-delay-release" in policy.inputs["policy"]
    dead, failed = (recorded.one(ALARM, f"releasing-{what}").inputs for what in ("dead-letters", "flight-delay"))
    assert dead["dimensions"] == {"QueueName": "slipway-prod-releasing-dead"}
    assert failed["dimensions"] == {"ProjectName": recorded.one(PROJECT, STEP).inputs["name"]}
    topic = recorded.one("aws:sns/topic:Topic", "alarms-topic")
    for alarm in (dead, failed):
        assert alarm["name"].startswith("slipway-prod-"), "the key's policy lets these tell topics"
        assert [arn.rpartition(":")[2] for arn in alarm["alarmActions"]] == [topic.inputs["name"]]


def test_the_program_of_a_release_is_complete() -> None:
    files = read_program(PROGRAM)
    imported = {
        f"{module.replace('.', '/')}.py"
        for text in files.values()
        for module in re.findall(r"^from ((?:release|rollout)\.\w+) import", text, re.MULTILINE)
    }
    assert imported <= files.keys()
    assert imported
    given = record_program("prod").one(PROJECT, STEP).inputs["source"]["buildspec"]
    assert yaml.safe_load(given) == specification()


def test_an_announcement_names_what_a_release_reads() -> None:
    text = (FUNCTIONS / "packager" / "build.py").read_text(encoding="utf-8")
    assert all(f'"{name}": ' in text for name in EVENT)


@pytest.mark.parametrize("section", ["rollouts", "models"])
def test_nothing_is_made_where_a_person_releases_or_there_is_no_model(section: str) -> None:
    without: dict[str, object] = {"rollouts": {**stack_section("prod", "rollouts"), "releases": None}, "models": []}
    recorded = record_program("prod", overrides=json.dumps({section: without[section]}))
    assert [item.name for item in recorded.resources if item.name.startswith("releasing-")] == []

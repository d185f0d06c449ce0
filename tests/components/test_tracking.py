"""Experiment tracking as it is deployed: where it exists, what starts it, what it may do, and that nothing is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from components import tracking_objects
from tests.support.archives import run_alone
from tests.support.changes import record_changed
from tests.support.iam_evaluator import may
from tests.support.recorded import STACKS, record_program
from tracking import handler

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.recorded import Recorded

APP, FUNCTION = "aws:sagemaker/mlflowApp:MlflowApp", "aws:lambda/function:Function"
RULE, TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:777788889999:"
VERSION = f"{SAGEMAKER}model-package/slipway-prod-flight-delay/3"
JOB = f"{SAGEMAKER}training-job/slipway-prod-flight-delay-3aee1516"
MODELS = "arn:aws:s3:::slipway-prod-777788889999-us-east-1-models"
DEAD = "arn:aws:sqs:us-east-1:777788889999:slipway-prod-tracking-dead"

CALLS: list[tuple[str, str, str, dict[str, str], bool]] = [
    ("tracking", "sagemaker:DescribeModelPackage", VERSION, {}, True),
    ("tracking", "sagemaker:UpdateModelPackage", VERSION, {}, False),
    ("tracking", "sagemaker:DescribeTrainingJob", f"{JOB}-abc-1", {}, True),
    ("tracking", "sagemaker:DescribeTrainingJob", f"{SAGEMAKER}training-job/3aee15-abc-1", {}, True),
    ("tracking", "sagemaker:DescribeTrainingJob", f"{SAGEMAKER}training-job/other-1", {}, False),
    ("tracking", "sagemaker:StopTrainingJob", f"{JOB}-abc-1", {}, False),
    ("tracking", "sagemaker:CallMlflowAppApi", f"{SAGEMAKER}mlflow-app/app-OTHER", {}, False),
    ("tracking", "sagemaker:CreatePresignedMlflowAppUrl", f"{SAGEMAKER}mlflow-app/app-OTHER", {}, False),
    ("tracking", "s3:GetObject", f"{MODELS}/flight-delay/reports/j/evaluation.json", {}, True),
    ("tracking", "s3:GetObject", f"{MODELS}/flight-delay/promoted/1/evaluation.json", {}, True),
    ("tracking", "s3:GetObject", f"{MODELS}/flight-delay/jobs/j/output/model.tar.gz", {}, False),
    ("tracking", "s3:PutObject", f"{MODELS}/_mlflow/1/x", {}, False),
    ("tracking", "sqs:SendMessage", DEAD, {}, True),
    ("tracking-app", "s3:PutObject", f"{MODELS}/_mlflow/1/x", {}, True),
    ("tracking-app", "s3:GetObject", f"{MODELS}/_mlflow/1/x", {}, True),
    ("tracking-app", "s3:ListBucket", MODELS, {"s3:prefix": "_mlflow/1/"}, True),
    ("tracking-app", "s3:ListBucket", MODELS, {"s3:prefix": "flight-delay/"}, False),
    ("tracking-app", "s3:GetObject", f"{MODELS}/flight-delay/jobs/j/output/model.tar.gz", {}, False),
    ("tracking-app", "s3:DeleteObject", f"{MODELS}/_mlflow/1/x", {}, False),
    ("tracking-app", "sagemaker:CreateModelPackage", VERSION, {}, False),
]


@pytest.fixture
def on() -> Recorded:
    return record_changed({"tracking.app": {"logRetentionDays": 365}})


def test_an_app_exists_where_the_settings_ask_for_one_and_nowhere_else() -> None:
    found = {stack: {each.type for each in record_program(stack).resources} for stack in STACKS}
    assert {stack for stack, types in found.items() if APP in types} == {"local"}
    assert not [each for each in record_program("prod").resources if each.name.startswith("tracking-")]


@pytest.mark.parametrize(("role", "action", "resource", "context", "allowed"), CALLS)
def test_the_function_reads_versions_and_the_app_keeps_artefacts_and_neither_does_more(
    on: Recorded, role: str, action: str, resource: str, context: dict[str, str], *, allowed: bool
) -> None:
    assert may(on, f"slipway-prod-{role}", action, resource, context) is allowed


def test_the_function_calls_exactly_this_app(on: Recorded) -> None:
    arn = on.one(FUNCTION, "tracking-function").inputs["environment"]["variables"]["APP_ARN"]
    assert arn.startswith(f"{SAGEMAKER}mlflow-app/")
    assert may(on, "slipway-prod-tracking", "sagemaker:CallMlflowAppApi", arn, {})


def test_artefacts_lie_in_our_bucket_and_the_app_waits_for_its_rights(on: Recorded) -> None:
    app = on.one(APP)
    assert app.inputs["artifactStoreUri"] == f"s3://{MODELS.rpartition(':')[2]}/_mlflow"
    assert app.inputs["modelRegistrationMode"] == "AutoModelRegistrationDisabled"
    assert app.inputs["accountDefaultStatus"] == "DISABLED"
    policies = [each for each in on.of_type("aws:iam/rolePolicy:RolePolicy") if each.name.startswith("tracking-app-")]
    assert {each.inputs["name"] for each in policies} == {"keep-artefacts", "use-key"}
    assert all(on.depends_path(app, each) for each in policies)
    assert app.protect
    assert not record_program("local").one(APP).protect


def test_every_change_of_a_version_of_a_model_starts_the_function_and_nothing_else_does(on: Recorded) -> None:
    rule = on.one(RULE, "tracking-flight-delay")
    assert json.loads(rule.inputs["eventPattern"]) == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": ["slipway-prod-flight-delay"]},
    }
    (admitted,) = on.of_type("aws:lambda/permission:Permission")
    assert (admitted.inputs["principal"], admitted.inputs["sourceAccount"]) == ("events.amazonaws.com", "777788889999")
    assert admitted.inputs["sourceArn"].endswith(f":rule/{rule.inputs['name']}")
    assert on.depends_path(on.one(TARGET, "tracking-flight-delay"), admitted)


def test_what_cannot_be_delivered_or_copied_is_kept_and_somebody_hears_of_it(on: Recorded) -> None:
    target, function = on.one(TARGET, "tracking-flight-delay").inputs, on.one(FUNCTION, "tracking-function").inputs
    assert target["deadLetterConfig"]["arn"] == function["deadLetterConfig"]["targetArn"] == DEAD
    alarms = [each.inputs for each in on.resources if each.name in ("tracking-dead-letters", "tracking-lost")]
    assert {each["metricName"] for each in alarms} == {"ApproximateNumberOfMessagesVisible", "DeadLetterErrors"}
    assert all(each["alarmActions"] for each in alarms)


def test_versions_are_copied_one_after_the_other(on: Recorded) -> None:
    function = on.one(FUNCTION, "tracking-function").inputs
    assert function["reservedConcurrentExecutions"] == 1, "two at a time could make two runs of one version"
    assert function["kmsKeyArn"] == on.exports["keyArn"]


ALONE = """
from tracking import handler, mlflow, version
assert handler.__file__.startswith(sys.argv[1]), handler.__file__
assert not handler.tracer.disabled
os.environ["POWERTOOLS_TRACE_DISABLED"] = "true"
handler.lambda_clients = lambda: (None, None, None)
handler.record = lambda *given: {"run": given[3]["id"]}
handler.lambda_handler.__wrapped__.__wrapped__({"id": "run 7"}, Context())
"""


def test_the_archive_runs_with_nothing_but_the_runtime_of_lambda(tmp_path: Path) -> None:
    assert handler.lambda_handler.__module__ + ".lambda_handler" == tracking_objects.HANDLER
    assert '"run":"run 7"' in run_alone(tracking_objects.PROGRAM, ALONE, tmp_path)


def test_an_environment_without_models_tracks_none() -> None:
    nothing = record_changed({"tracking.app": {"logRetentionDays": 365}, "models": []})
    assert nothing.one(APP)
    assert not [each for each in nothing.of_type(TARGET) if each.name.startswith("tracking-")]

"""What starts the looks for drift, as it is deployed: what it is told and may do, and that it is what was tested."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from components import drift_definition, drift_looks, drift_objects, placeholders, releasing_objects
from components.labels import Labels
from components.pipeline_champion import PLACEHOLDER
from looking import handler, service
from looking.handler import Model
from tests.components.test_drift import FUNCTION, LAMBDA, in_service
from tests.settings.stacks import decoded, settings_of
from tests.support.archives import run_alone
from tests.support.iam_evaluator import may
from tests.support.recorded import Recorded, record_program
from tests.support.targets import all_served

if TYPE_CHECKING:
    from pathlib import Path

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:777788889999:"
MODELS = "arn:aws:s3:::slipway-prod-777788889999-us-east-1-models/"
SQS = "arn:aws:sqs:us-east-1:777788889999:slipway-prod-"
LOGS = "arn:aws:logs:us-east-1:777788889999:log-group:/slipway/prod/"
VERSIONS = {name: f"{SAGEMAKER}model-package/slipway-prod-{name}/3" for name in ("flight-delay", "at-once")}


@functools.cache
def at_endpoints() -> Recorded:
    return record_program("prod", overrides=all_served())


def told(recorded: Recorded, model: str) -> Model:
    return Model.read(recorded.one(FUNCTION, f"drift-{model}-look-function").inputs["environment"]["variables"])


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("sagemaker:ListModelPackages", f"{SAGEMAKER}model-package-group/slipway-prod-flight-delay", True),
        ("sagemaker:DescribeModelPackage", VERSIONS["flight-delay"], True),
        ("sagemaker:DescribeModelPackage", f"{SAGEMAKER}model-package/slipway-prod-flight-delay-2/3", False),
        ("sagemaker:UpdateModelPackage", VERSIONS["flight-delay"], False),
        ("sagemaker:StartPipelineExecution", f"{SAGEMAKER}pipeline/slipway-prod-flight-delay-drift", True),
        ("sagemaker:StartPipelineExecution", f"{SAGEMAKER}pipeline/slipway-prod-flight-delay", False),
        ("sagemaker:StopPipelineExecution", f"{SAGEMAKER}pipeline/slipway-prod-flight-delay-drift", False),
        ("s3:PutObject", f"{MODELS}flight-delay/drift/memory/8/{PLACEHOLDER}", True),
        ("s3:PutObject", f"{MODELS}flight-delay/drift/memory/8/memory.json", False),
        ("s3:PutObject", f"{MODELS}flight-delay/drift/reports/e/{PLACEHOLDER}", False),
        ("s3:PutObject", f"{MODELS}churn/drift/memory/8/{PLACEHOLDER}", False),
        ("s3:GetObject", f"{MODELS}flight-delay/drift/memory/8/memory.json", False),
        ("sqs:SendMessage", f"{SQS}drift-dead", True),
        ("sqs:SendMessage", f"{SQS}retraining", False),
        ("logs:PutLogEvents", f"{LOGS}drift:log-stream:x", True),
        ("logs:PutLogEvents", f"{LOGS}retraining:log-stream:x", False),
        ("iam:PassRole", "arn:aws:iam::777788889999:role/slipway-prod-flight-delay-drift-run", False),
    ],
)
def test_the_function_reads_versions_begins_a_memory_starts_one_pipeline_and_no_more(
    action: str, resource: str, *, allowed: bool
) -> None:
    assert may(in_service(), "slipway-prod-flight-delay-drift-look", action, resource, {}) is allowed


def test_versions_are_looked_for_where_releases_say_that_they_bring_them() -> None:
    settings = settings_of(decoded())
    model = settings.models[0]
    assert model.serving is not None
    assert model.serving.eks is not None
    where = releasing_objects.variables(Labels(settings.environment), model, model.serving.eks)["CLUSTER"]
    assert told(in_service(), "flight-delay").where == where


def test_what_endpoints_serve_the_program_decides_and_nothing_else_is_read() -> None:
    role, job = "slipway-prod-at-once-drift-look", "slipway-prod-at-once-drift"
    assert told(at_endpoints(), "at-once").where == ""
    assert not may(at_endpoints(), role, "sagemaker:DescribeModelPackage", VERSIONS["at-once"], {})
    assert may(at_endpoints(), role, "sagemaker:StartPipelineExecution", f"{SAGEMAKER}pipeline/{job}", {})
    artefact = told(at_endpoints(), "at-once").approved.artefact.removeprefix("s3://")
    assert may(at_endpoints(), job, "s3:GetObject", f"arn:aws:s3:::{artefact}", {})
    assert not may(at_endpoints(), job, "s3:GetObject", f"{MODELS}at-once/jobs/j/output/model.tar.gz", {})


def test_words_and_placeholder_are_those_of_the_pipeline_and_of_the_program() -> None:
    words = (drift_definition.IMAGE, drift_definition.ARTEFACT, drift_definition.MODEL_VERSION)
    assert words == (service.IMAGE, service.ARTEFACT, service.NUMBER)
    assert {handler.PLACEHOLDER: handler.CONTENT.decode()}.items() <= placeholders.CONTENT.items()


def test_a_look_is_tried_again_for_as_long_as_the_schedule_would_and_not_twice_at_once() -> None:
    recorded = in_service()
    function = recorded.one(FUNCTION, "drift-flight-delay-look-function")
    retries = recorded.one("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig").inputs
    assert retries["functionName"] == function.inputs["name"]
    assert retries["maximumEventAgeInSeconds"] == drift_looks.RETRY_SECONDS
    assert function.inputs["reservedConcurrentExecutions"] == 1
    assert function.inputs["kmsKeyArn"] == recorded.exports["keyArn"]
    assert (
        f"{LAMBDA}{function.inputs['name']}"
        == (recorded.one("aws:scheduler/schedule:Schedule", "drift-flight-delay").inputs["target"]["arn"])
    )


def test_somebody_hears_of_a_look_that_was_not_started_and_of_one_that_was_lost() -> None:
    alarms = {name: in_service().one(ALARM, f"drift-{name}").inputs for name in ("dead-letters", "lost-flight-delay")}
    assert alarms["dead-letters"]["dimensions"] == {"QueueName": "slipway-prod-drift-dead"}
    assert alarms["lost-flight-delay"]["metricName"] == "DeadLetterErrors"
    assert alarms["lost-flight-delay"]["dimensions"] == {"FunctionName": "slipway-prod-flight-delay-drift"}
    assert all(each["alarmActions"] for each in alarms.values())


ALONE = """
from looking import handler, service
assert handler.__file__.startswith(sys.argv[1]), handler.__file__
assert not handler.tracer.disabled
os.environ["POWERTOOLS_TRACE_DISABLED"] = "true"
handler.lambda_clients = handler.Model.read = lambda *_: None
handler.look = lambda *given: {"version": given[2]["time"]}
handler.lambda_handler.__wrapped__.__wrapped__({"time": "at 7"}, Context())
"""


def test_the_archive_runs_with_nothing_but_the_runtime_of_lambda(tmp_path: Path) -> None:
    assert handler.lambda_handler.__module__ + ".lambda_handler" == drift_objects.HANDLER
    assert '"version":"at 7"' in run_alone(drift_objects.PROGRAM, ALONE, tmp_path)

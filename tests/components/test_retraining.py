"""The door of retraining as it is deployed: what reaches it, what it may do, and that it is what was tested."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest

from components import function_archive, retraining_objects
from components.labels import Labels
from components.retraining_function import PROGRAM as ARCHIVE
from retraining import events, handler, ledger
from retraining.events import Ignored, Reader, Tick
from retraining.facts import Fact, Kind, ModelSettings
from settings.check import load_file
from tests.settings.stacks import stack_file
from tests.support.archives import run_alone
from tests.support.iam_evaluator import may
from tests.support.recorded import STACKS, record_program, stack_section

RULE, TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"
SCHEDULE, ALARM = "aws:scheduler/schedule:Schedule", "aws:cloudwatch/metricAlarm:MetricAlarm"
FUNCTION, QUEUE = "aws:lambda/function:Function", "aws:sqs/queue:Queue"
LABELS = Labels(load_file(stack_file("prod")).environment)
ROLE = "slipway-prod-retraining"
DATA = "slipway-prod-777788889999-us-east-1-data"
PIPELINE = "arn:aws:sagemaker:us-east-1:777788889999:pipeline/slipway-prod-flight-delay"
TABLE = "arn:aws:dynamodb:us-east-1:777788889999:table/slipway-prod-retraining"
SQS = "arn:aws:sqs:us-east-1:777788889999:slipway-prod-retraining"
TRAIN = {"s3:prefix": "flight-delay/train/"}

CALLS: list[tuple[str, str, str, dict[str, str], bool]] = [
    (ROLE, "sagemaker:StartPipelineExecution", PIPELINE, {}, True),
    (ROLE, "sagemaker:StartPipelineExecution", f"{PIPELINE}-2", {}, False),
    (ROLE, "sagemaker:ListPipelineExecutions", PIPELINE, {}, True),
    (ROLE, "sagemaker:DescribePipelineExecution", f"{PIPELINE}/execution/abc", {}, True),
    (ROLE, "sagemaker:StopPipelineExecution", f"{PIPELINE}/execution/abc", {}, False),
    (ROLE, "sagemaker:UpdatePipeline", PIPELINE, {}, False),
    (ROLE, "sagemaker:CreateTrainingJob", "arn:aws:sagemaker:us-east-1:777788889999:training-job/x", {}, False),
    (ROLE, "s3:ListBucketVersions", f"arn:aws:s3:::{DATA}", TRAIN, True),
    (ROLE, "s3:ListBucketVersions", f"arn:aws:s3:::{DATA}", {"s3:prefix": ""}, False),
    (ROLE, "s3:GetObject", f"arn:aws:s3:::{DATA}/flight-delay/train/x.csv", {}, False),
    (ROLE, "dynamodb:PutItem", TABLE, {}, True),
    (ROLE, "dynamodb:DeleteItem", TABLE, {}, False),
    (ROLE, "dynamodb:Scan", TABLE, {}, False),
    (ROLE, "sqs:ReceiveMessage", SQS, {}, True),
    (ROLE, "sqs:ReceiveMessage", f"{SQS}-dead", {}, False),
    (ROLE, "iam:PassRole", "arn:aws:iam::777788889999:role/slipway-prod-flight-delay-pipeline", {}, False),
    (f"{ROLE}-clock", "sqs:SendMessage", SQS, {}, True),
    (f"{ROLE}-clock", "sqs:ReceiveMessage", SQS, {}, False),
]


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize(("role", "action", "resource", "context", "allowed"), CALLS)
def test_the_door_starts_these_pipelines_and_lists_their_data_and_no_more(
    role: str, action: str, resource: str, context: dict[str, str], *, allowed: bool
) -> None:
    assert may(record_program("prod"), role, action, resource, context) is allowed


def test_program_and_function_speak_of_the_same_things() -> None:
    ours = retraining_objects
    pairs = [
        (ours.MODEL_KEY, ledger.MODEL),
        (ours.WHAT_KEY, ledger.WHAT),
        (ours.EXPIRES, ledger.EXPIRES),
        (ours.SETTINGS_PARTITION, ledger.SETTINGS),
        (ours.SOURCE, events.OURS),
        (ours.TICK, events.TICK),
        (ours.SCHEDULED, events.SCHEDULED),
        (ours.REQUESTED, events.REQUESTED),
        (ours.NAMESPACE, handler.NAMESPACE),
        (ours.THING, handler.SERVICE),
    ]
    assert [left for left, right in pairs if left != right] == []


def settings(stack: str) -> ModelSettings:
    item = json.loads(record_program(stack).one("aws:dynamodb/tableItem:TableItem").inputs["item"])
    assert item[ledger.MODEL] == {"S": ledger.SETTINGS}
    return ModelSettings.parse(item[ledger.DOCUMENT]["S"])


def ends(arn: str) -> str:
    """What an ARN of a queue names."""
    return arn.rpartition(":")[2]


def reader(stack: str) -> Reader:
    alarms = record_program(stack).one(FUNCTION, "retraining-function").inputs["environment"]["variables"]["ALARMS"]
    return Reader({"flight-delay": settings(stack)}, alarms)


def test_the_function_reads_the_settings_of_the_stack_file(stack: str) -> None:
    (model,) = stack_section(stack, "models")
    said, found = model["retraining"], settings(stack)
    assert found.new_data is not None
    assert found.new_data.quiet_seconds == said["newData"]["debounceMinutes"] * 60
    assert (found.daily_runs, found.monthly_runs) == (said["dailyRuns"], said["monthlyRuns"])
    assert found.drift is said["drift"]
    assert found.pipeline == f"slipway-{stack}-flight-delay"


def test_requests_by_hand_have_a_cap_where_nothing_else_starts_a_training() -> None:
    (model,) = load_file(stack_file("prod")).models
    document = retraining_objects.model_document(LABELS, model.model_copy(update={"retraining": None}))
    found = ModelSettings.parse(document)
    assert (found.daily_runs, found.monthly_runs) == (4, 30)
    assert (found.new_data, found.drift) == (None, False)


def test_what_a_schedule_says_is_what_the_function_reads(stack: str) -> None:
    said = {each.name: each.inputs["target"] for each in record_program(stack).of_type(SCHEDULE)}
    scheduled = bool(stack_section(stack, "models")[0]["retraining"]["schedule"])
    assert set(said) == {"retraining-tick"} | ({"retraining-flight-delay-retrain"} if scheduled else set())
    meanings = {name: reader(stack).read(json.loads(target["input"]), 0.0) for name, target in said.items()}
    assert isinstance(meanings.pop("retraining-tick"), Tick)
    assert all(isinstance(each, Fact) and each.kind is Kind.SCHEDULE for each in meanings.values())
    assert {ends(target["deadLetterConfig"]["arn"]) for target in said.values()} == {f"slipway-{stack}-retraining-dead"}


def pattern(stack: str, event: str) -> dict[str, Any]:
    return json.loads(record_program(stack).one(RULE, f"retraining-{event}").inputs["eventPattern"])


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Whether EventBridge lets an event through, for the operators that are used here."""

    def one(wanted: Any, found: object) -> bool:
        return wanted == found if isinstance(wanted, str) else str(found).startswith(wanted["prefix"])

    return all(
        matches(cast("dict[str, Any]", wanted), event.get(name, {}))
        if isinstance(wanted, dict)
        else any(one(each, event.get(name)) for each in wanted)
        for name, wanted in pattern.items()
    )


def created(key: str, bucket: str = DATA) -> dict[str, Any]:
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "version-id": "v"}}
    return {"id": "1", "source": "aws.s3", "detail-type": "Object Created", "time": "-", "detail": detail}


@pytest.mark.parametrize(
    ("key", "passes"),
    [
        ("flight-delay/train/2013-07.csv", True),
        ("flight-delay/validation/deep/2013-07.csv", True),
        ("flight-delay/holdout/2013-07.csv", False),
        ("flight-delay/jobs/1/output/model.tar.gz", False),
        ("flight-delay/data/v1/train/2013-07.csv", False),
        ("other/train/2013-07.csv", False),
    ],
)
def test_only_data_of_the_model_reaches_the_door_and_the_function_agrees(key: str, *, passes: bool) -> None:
    assert matches(pattern("prod", "flight-delay-new-data"), created(key)) is passes
    assert isinstance(reader("prod").read(created(key), 0.0), Fact if passes else Ignored)
    assert not matches(pattern("prod", "flight-delay-new-data"), created(key, DATA.replace("data", "models")))


@pytest.mark.parametrize(
    ("alarm", "state", "passes"),
    [
        ("slipway-prod-flight-delay-drift-data", "ALARM", True),
        ("slipway-prod-flight-delay-drift-quality", "ALARM", True),
        ("slipway-prod-flight-delay-drift-data", "OK", False),
        ("slipway-prod-flight-delay-latency", "ALARM", False),
        ("slipway-staging-flight-delay-drift-data", "ALARM", False),
    ],
)
def test_only_alarms_about_drift_that_begin_reach_the_door(alarm: str, state: str, *, passes: bool) -> None:
    detail = {"alarmName": alarm, "state": {"value": state, "timestamp": "t"}}
    kind = {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change"}
    event = {"id": "1", "time": "-", **kind, "detail": detail}
    assert matches(pattern("prod", "flight-delay-drift"), event) is passes
    if passes:
        assert isinstance(reader("prod").read(event, 0.0), Fact)


def test_what_cannot_be_delivered_or_handled_is_kept(stack: str) -> None:
    recorded = record_program(stack)
    queue, dead = recorded.one(QUEUE, "retraining-queue"), f"slipway-{stack}-retraining-dead"
    assert ends(json.loads(queue.inputs["redrivePolicy"])["deadLetterTargetArn"]) == dead
    targets = [each.inputs for each in recorded.of_type(TARGET) if each.name.startswith("retraining-")]
    assert {ends(each["arn"]) for each in targets} == {queue.inputs["name"]}
    assert {ends(each["deadLetterConfig"]["arn"]) for each in targets} == {dead}
    function = recorded.one(FUNCTION, "retraining-function").inputs
    assert queue.inputs["visibilityTimeoutSeconds"] >= 6 * function["timeout"]
    mapping = recorded.one("aws:lambda/eventSourceMapping:EventSourceMapping").inputs
    assert mapping["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["scalingConfig"]["maximumConcurrency"] == function["reservedConcurrentExecutions"]


def test_both_queues_take_messages_of_these_rules_alone(stack: str) -> None:
    recorded = record_program(stack)
    rules = [each.inputs for each in recorded.of_type(RULE) if each.name.startswith("retraining-")]
    names = {each["name"] if "eventBusName" not in each else f"{each['eventBusName']}/{each['name']}" for each in rules}
    for name in ("retraining-let-in", "retraining-let-die"):
        statement = recorded.one("aws:sqs/queuePolicy:QueuePolicy", name).policy("policy")["Statement"][0]
        senders = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
        assert {arn.partition(":rule/")[2] for arn in senders} == names


def test_somebody_hears_of_every_way_in_which_it_can_fail(stack: str) -> None:
    alarms = [each for each in record_program(stack).of_type(ALARM) if each.name.startswith("retraining-")]
    assert {each.inputs["metricName"] for each in alarms} == {
        *("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"),
        *("Errors", "Throttles", "Invocations", "Troubles", "RunsFailed"),
    }
    own = {each.inputs["metricName"] for each in alarms if each.inputs["namespace"] == handler.NAMESPACE}
    assert own <= set(handler.counts(handler.Answer())), "the function counts what alarms watch"
    assert all(each.inputs["alarmActions"] for each in alarms)
    assert all(each.inputs["name"].startswith(f"slipway-{stack}-") for each in alarms)


def test_records_survive_a_mistake(stack: str) -> None:
    table = record_program(stack).one("aws:dynamodb/table:Table").inputs
    assert table["pointInTimeRecovery"]["enabled"] is True
    assert table["serverSideEncryption"]["kmsKeyArn"] == record_program(stack).exports["keyArn"]
    assert (table["hashKey"], table["rangeKey"]) == (ledger.MODEL, ledger.WHAT)
    assert table["ttl"] == {"attributeName": ledger.EXPIRES, "enabled": True}


def test_the_archive_is_the_same_every_time_and_pure_python() -> None:
    first = function_archive.content(ARCHIVE)
    function_archive.content.cache_clear()
    assert function_archive.content(ARCHIVE) == first
    names = zipfile.ZipFile(io.BytesIO(first)).namelist()
    assert names == sorted(names)
    assert {Path(name).suffix for name in names} == {".py", ".json"}
    assert "retraining/handler.py" in names
    assert function_archive.write(ARCHIVE).read_bytes() == first


PROGRAM = """
from retraining import handler
assert handler.__file__.startswith(sys.argv[1]), handler.__file__
assert not handler.tracer.disabled
handler.lambda_door = lambda: handler.Door(models={}, ledger=None, world=None, clock=lambda: 0.0, alarms="")
handler.tracer.provider.in_subsegment  # the tracing library is there
os.environ["POWERTOOLS_TRACE_DISABLED"] = "true"
batch = {"Records": [{"messageId": "7", "body": "no JSON", "eventSource": "aws:sqs"}]}
print(handler.lambda_handler.__wrapped__.__wrapped__.__wrapped__(batch, Context()))
"""


def test_the_archive_runs_with_nothing_but_the_runtime_of_lambda(tmp_path: Path) -> None:
    assert "[{'itemIdentifier': '7'}]" in run_alone(ARCHIVE, PROGRAM, tmp_path)

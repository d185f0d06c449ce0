"""What watches the models as it is deployed: what runs when, as whom, and who hears of what it finds."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from components import drift_objects, model_places
from components.labels import Labels
from components.model_places import MAX_JOB_PREFIX, ModelPlaces
from components.placeholders import LARGEST
from looking.handler import Model
from operations.subject_records import Subject, split
from processing import captures, monitoring
from processing.__main__ import parser
from retraining.events import Reader
from retraining.facts import Fact, Kind, ModelSettings
from sandbox.loop.references import Scope, resolve
from scoring.capture import VERSION_ATTRIBUTE
from tests.settings.stacks import decoded, settings_of
from tests.support.changes import record_changed
from tests.support.iam_evaluator import may
from tests.support.optional import APPROVED
from tests.support.recorded import STACKS, Recorded, record_program, stack_section
from tests.support.targets import all_served

PIPELINE, ALARM = "aws:sagemaker/pipeline:Pipeline", "aws:cloudwatch/metricAlarm:MetricAlarm"
FUNCTION, QUEUE = "aws:lambda/function:Function", "aws:sqs/queue:Queue"
SCHEDULE, OBJECT = "aws:scheduler/schedule:Schedule", "aws:s3/bucketObjectv2:BucketObjectv2"
NAME = "drift-flight-delay"
ROLE = "slipway-prod-flight-delay-drift"
JOBS = "arn:aws:sagemaker:us-east-1:777788889999:"
LAMBDA = "arn:aws:lambda:us-east-1:777788889999:function:"
MODELS = "slipway-prod-777788889999-us-east-1-models"
GIVEN = {"ImageDigest": APPROVED["imageDigest"], "ModelData": APPROVED["modelData"], "ModelVersion": "7"}


def in_service() -> Recorded:
    """Prod with an approved version."""
    return record_changed(
        {"models.0.approved": APPROVED, "models.0.serving.eks.frontEnd": None, "models.0.serving.eks.rollout": None}
    )


def request_of(recorded: Recorded, name: str = NAME, version: str = "7") -> dict[str, Any]:
    """The request of the job, as SageMaker would fill it in."""
    (step,) = json.loads(recorded.one(PIPELINE, name).inputs["pipelineDefinition"])["Steps"]
    scope = Scope(
        parameters={**GIVEN, "ModelVersion": version},
        execution={"PipelineExecutionId": "abc"},
        steps={},
        property_file=lambda _step, _name: None,
    )
    return resolve(step["Arguments"], scope)


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_job_is_one_that_sagemaker_takes_and_whose_words_the_image_knows(stack: str) -> None:
    request = request_of(record_program(stack))
    shape = botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateProcessingJob")
    assert shape.input_shape is not None
    assert not ParamValidator().validate(request, shape.input_shape).has_errors()
    options = parser().parse_args(request["AppSpecification"]["ContainerArguments"])
    said = stack_section(stack, "models")[0]["drift"]
    assert (options.environment, options.model, options.model_version) == (stack, "flight-delay", "7")
    assert (options.effect, options.answers_effect) == (said["data"]["effect"], said["prediction"]["effect"])
    assert (options.minimum_labels, options.drop) == (said["quality"]["minimumLabels"], said["quality"]["drop"])
    assert (options.window_hours, options.runs, options.without) == (said["windowHours"], said["runs"], said["ignored"])


def test_the_job_is_isolated_and_leaves_nothing_in_the_clear(stack: str) -> None:
    request, key = request_of(record_program(stack)), record_program(stack).exports["keyArn"]
    network = request["NetworkConfig"]
    assert network["EnableNetworkIsolation"]
    assert network["VpcConfig"]["Subnets"]
    assert request["ProcessingOutputConfig"]["KmsKeyId"] == key
    assert request["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == key
    assert {each["Key"] for each in request["Tags"]} >= {"Project", "Environment", "Owner", "CostCenter", "Model"}


def test_a_version_reads_and_writes_a_memory_of_its_own() -> None:
    request = request_of(in_service())
    inputs = {each["InputName"]: each["S3Input"]["S3Uri"] for each in request["ProcessingInputs"]}
    outputs = {each["OutputName"]: each["S3Output"]["S3Uri"] for each in request["ProcessingOutputConfig"]["Outputs"]}
    base = f"s3://{MODELS}/flight-delay/"
    assert inputs == {
        "captures": f"{base}captures/",
        "truth": f"{base}truth/",
        "memory": f"{base}drift/memory/7/",
        "model": APPROVED["modelData"],
    }
    assert outputs == {"report": f"{base}drift/reports/abc", "memory": f"{base}drift/memory/7"}


def test_every_input_holds_something_before_the_first_run() -> None:
    recorded = in_service()
    placeholders = [each for each in recorded.of_type(OBJECT) if each.name.startswith(NAME)]
    inputs = {each["InputName"]: each["S3Input"]["S3Uri"] for each in request_of(recorded)["ProcessingInputs"]}
    for uri in (inputs["captures"], inputs["truth"]):
        assert [each for each in placeholders if f"s3://{MODELS}/{each.inputs['key']}".startswith(uri)], uri
    assert all(recorded.depends_path(recorded.one(SCHEDULE, NAME), each) for each in placeholders)
    told = recorded.one(FUNCTION, f"{NAME}-look-function").inputs["environment"]["variables"]
    model = Model.read(told)
    assert f"s3://{model.bucket}/{model.memory}{model.approved.number}/" == inputs["memory"], "begun with each look"


def test_a_placeholder_stands_in_the_way_of_no_search_and_outlives_the_captures(stack: str) -> None:
    recorded, said = record_program(stack), stack_section(stack, "models")[0]["drift"]
    for each in recorded.of_type(OBJECT):
        if each.name.startswith(f"{NAME}-"):
            assert split(each.inputs["key"], each.inputs["content"].encode(), Subject("somebody", "")).taken == []
            assert len(each.inputs["content"]) <= LARGEST
    lifecycle = recorded.one(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "store-models-lifecycle"
    )
    rules = {each["filter"]["and"]["prefix"]: each for each in lifecycle.inputs["rules"][1:]}
    kept = {rules[f"flight-delay/{each}/"]["expiration"]["days"] for each in ("captures", "truth")}
    assert kept == {said["keepDays"]}
    assert {each["filter"]["and"]["objectSizeGreaterThan"] for each in rules.values()} == {LARGEST}


def test_the_schedule_calls_the_function_that_starts_this_pipeline_and_keeps_what_fails() -> None:
    recorded = in_service()
    schedule, (said,) = recorded.one(SCHEDULE, NAME).inputs, stack_section("prod", "models")
    target, function = schedule["target"], recorded.one(FUNCTION, f"{NAME}-look-function").inputs
    assert target["arn"].endswith(f":function:{function['name']}")
    told = function["environment"]["variables"]
    assert told["PIPELINE"] == recorded.one(PIPELINE, NAME).inputs["pipelineName"]
    assert Model.read(told).approved.parameters() == GIVEN
    definition = json.loads(recorded.one(PIPELINE, NAME).inputs["pipelineDefinition"])
    assert {each["Name"] for each in definition["Parameters"]} == GIVEN.keys()
    assert schedule["scheduleExpression"] == f"cron({said['drift']['schedule']['cron']})"
    assert schedule["flexibleTimeWindow"]["maximumWindowInMinutes"] == said["drift"]["flexibleMinutes"]
    dead = recorded.one(QUEUE, "drift-dead").inputs["name"]
    for kept in (target["deadLetterConfig"]["arn"], function["deadLetterConfig"]["targetArn"]):
        assert kept.endswith(f":{dead}")
    rights = [each for each in recorded.resources if each.name.startswith((f"{NAME}-clock-", f"{NAME}-look-use-key"))]
    assert {each.name for each in rights} >= {f"{NAME}-clock-call-function", f"{NAME}-look-use-key-s3"}
    assert all(recorded.depends_path(recorded.one(SCHEDULE, NAME), each) for each in rights)


def test_nothing_runs_before_a_version_is_approved(stack: str) -> None:
    recorded = record_program(stack)
    for kind in (SCHEDULE, FUNCTION):
        assert [each for each in recorded.of_type(kind) if each.name.startswith("drift")] == []
    assert [each for each in recorded.of_type(ALARM) if "silence" in each.name and each.name.startswith("drift")] == []


@pytest.mark.parametrize(
    ("role", "action", "resource", "allowed"),
    [
        (f"{ROLE}-tick", "lambda:InvokeFunction", f"{LAMBDA}{ROLE}", True),
        (f"{ROLE}-tick", "lambda:InvokeFunction", f"{LAMBDA}slipway-prod-retraining", False),
        (f"{ROLE}-tick", "sagemaker:StartPipelineExecution", f"{JOBS}pipeline/{ROLE}", False),
        (f"{ROLE}-tick", "sqs:SendMessage", "arn:aws:sqs:us-east-1:777788889999:slipway-prod-drift-dead", True),
        (f"{ROLE}-tick", "sqs:SendMessage", "arn:aws:sqs:us-east-1:777788889999:slipway-prod-retraining", False),
        (ROLE, "s3:GetObject", f"arn:aws:s3:::{MODELS}/flight-delay/jobs/7/output/model.tar.gz", True),
        (ROLE, "s3:GetObject", f"arn:aws:s3:::{MODELS}/flight-delay/8/model.tar.gz", False),
        (ROLE, "s3:GetObject", f"arn:aws:s3:::{MODELS}/flight-delay/jobs/j/output/model.tar.gz", True),
        (ROLE, "s3:GetObject", f"arn:aws:s3:::{MODELS}/flight-delay/promoted/8/model.tar.gz", True),
        (ROLE, "s3:GetObject", f"arn:aws:s3:::{MODELS}/churn/jobs/j/output/model.tar.gz", False),
        (ROLE, "sagemaker:CreateProcessingJob", f"{JOBS}processing-job/{ROLE}-1", False),
    ],
)
def test_each_role_reaches_what_its_duty_is_and_no_more(
    role: str, action: str, resource: str, *, allowed: bool
) -> None:
    assert may(in_service(), role, action, resource, {}) is allowed


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True),
        ({"sagemaker:NetworkIsolation": "false"}, False),
        ({"sagemaker:InstanceTypes": "ml.p5.48xlarge"}, False),
    ],
)
def test_the_pipeline_starts_isolated_jobs_on_the_hosts_of_the_settings(
    changes: dict[str, str], *, allowed: bool
) -> None:
    context = {
        "sagemaker:NetworkIsolation": "true",
        "sagemaker:InterContainerTrafficEncryption": "true",
        "sagemaker:InstanceTypes": "ml.m5.xlarge",
    }
    settings = settings_of(decoded())
    places = ModelPlaces(Labels(settings.environment), settings.models[0])
    assert len(places.drift_job_prefix) <= MAX_JOB_PREFIX
    job = f"{JOBS}processing-job/{places.drift_job_prefix}-abc-0"
    found = may(record_program("prod"), f"{ROLE}-run", "sagemaker:CreateProcessingJob", job, context | changes)
    assert found is allowed


def test_the_job_cannot_publish_metrics_and_its_log_says_those_that_alarms_watch() -> None:
    watched = {"cloudwatch:namespace": drift_objects.NAMESPACE}
    assert not may(record_program("prod"), ROLE, "cloudwatch:PutMetricData", "*", watched)
    assert drift_objects.NAMESPACE == monitoring.NAMESPACE
    assert drift_objects.KINDS == monitoring.KINDS


def test_each_kind_of_drift_has_an_alarm_that_the_door_knows_and_people_hear_of(stack: str) -> None:
    recorded = record_program(stack)
    model = ModelSettings.parse(
        json.loads(recorded.one("aws:dynamodb/tableItem:TableItem").inputs["item"])["document"]["S"]
    )
    reader = Reader({"flight-delay": model}, f"slipway-{stack}-")
    alarms = [each.inputs for each in recorded.of_type(ALARM) if each.name.startswith(f"{NAME}-drift-")]
    assert {each["metricName"] for each in alarms} == {f"{kind}-raised" for kind in monitoring.KINDS}
    for alarm in alarms:
        detail = {"alarmName": alarm["name"], "state": {"value": "ALARM", "timestamp": "t"}}
        kind = {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change"}
        meant = reader.read({"id": "1", "time": "-", **kind, "detail": detail}, 0.0)
        assert isinstance(meant, Fact) is model.drift
        assert not isinstance(meant, Fact) or meant.kind is Kind.DRIFT
        assert alarm["dimensions"] == {"Environment": stack, "Model": "flight-delay"}
        assert alarm["treatMissingData"] == "ignore"
        assert any(topic.endswith(f":slipway-{stack}-alarms") for topic in alarm["alarmActions"])


def test_silence_is_heard_and_is_no_drift() -> None:
    alarm = in_service().one(ALARM, "drift-silence-flight-delay").inputs
    hours = stack_section("prod", "models")[0]["drift"]["silenceHours"]
    assert alarm["period"] * alarm["evaluationPeriods"] == hours * 3600 <= 7 * 24 * 3600
    assert (alarm["treatMissingData"], alarm["statistic"]) == ("breaching", "SampleCount")
    assert not alarm["name"].startswith("slipway-prod-flight-delay-drift-")


def test_captures_are_told_apart_by_version_those_of_endpoints_by_their_folder() -> None:
    assert VERSION_ATTRIBUTE == "model_version=", "what pods write, and the job compares"
    assert model_places.VERSION_FOLDER == captures.VERSION_FOLDER
    served = record_program("prod", overrides=all_served())
    words = request_of(served, "drift-at-once")["AppSpecification"]["ContainerArguments"]
    assert parser().parse_args(words).model_version == "7"
    configuration = served.one(
        "aws:sagemaker/endpointConfiguration:EndpointConfiguration", "inference-at-once-configuration"
    ).inputs["dataCaptureConfig"]
    assert configuration["destinationS3Uri"] == f"s3://{MODELS}/at-once/captures/version-3"
    assert configuration["captureContentTypeHeader"].keys() == {"csvContentTypes", "jsonContentTypes"}


def test_features_that_pods_do_not_keep_are_not_compared() -> None:
    recorded = record_changed({"models.0.serving.eks.capture.drop": ["tail", "month"]})
    words = request_of(recorded)["AppSpecification"]["ContainerArguments"]
    assert parser().parse_args(words).without == ["month", "tail"]


def test_a_further_model_adds_only_what_watches_it() -> None:
    def watching(recorded: Recorded) -> dict[str, dict[str, Any]]:
        return {each.urn: each.inputs for each in recorded.resources if each.name.startswith("drift") and each.custom}

    (model,) = stack_section("prod", "models")
    eks = {**model["serving"]["eks"], "frontEnd": None, "rollout": None}
    second = {**model, "name": "churn", "datasetPrefix": "customers/", "serving": {**model["serving"], "eks": eks}}
    one, two = watching(record_program("prod")), watching(record_changed({"models.1": second}))
    assert {urn: two[urn] for urn in one} == one
    assert {urn.rpartition("::")[2].startswith("drift-churn") for urn in two.keys() - one.keys()} == {True}

"""The door on AWS's own APIs: moto for what they do, a stub for how they fail."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber
from moto import mock_aws

from retraining.decision import Verdict
from retraining.facts import Book, Fact, Kind, ModelSettings, Run, Status, identity
from retraining.handler import TICK_EVENT, Answer, Clients, deliver, lambda_door, lambda_handler, open_door
from retraining.ledger import DynamoLedger, Ledger
from retraining.world import AwsWorld
from sandbox.loop.retraining import create_table, put_settings
from tests.functions.test_steps import REGION, make_client
from tests.support.retraining import ALARMS, BUCKET, IMAGE, MODEL, SETTINGS, MemoryLedger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.literals import ModelApprovalStatusType

    from retraining.door import Door

TABLE = "slipway-test-retraining"
ARN = f"arn:aws:sagemaker:{REGION}:123456789012:pipeline/p/execution/aaaaaaaaaaa"


@pytest.fixture(scope="module")
def made() -> Clients:
    """Clients once for all tests: reading the models of the services takes longer than all requests together."""
    return Clients(
        dynamodb=cast("DynamoDBClient", make_client("dynamodb")),
        s3=cast("S3Client", make_client("s3")),
        sagemaker=cast("SageMakerClient", make_client("sagemaker")),
    )


@pytest.fixture
def clients(made: Clients) -> Iterator[Clients]:
    """The clients with an empty account behind them."""
    with mock.patch.dict(os.environ, {"HOME": "/nonexistent"}, clear=True), mock_aws():
        yield made


@pytest.fixture(params=["memory", "dynamodb"])
def ledger(request: pytest.FixtureRequest, clients: Clients) -> Ledger:
    if request.param == "memory":
        return MemoryLedger()
    create_table(clients.dynamodb, TABLE)
    return DynamoLedger(clients.dynamodb, TABLE)


def fact(number: int, model: str = MODEL) -> Fact:
    return Fact(model=model, kind=Kind.DATA, id=identity(str(number)), at=1.25 + number, note="n", image="i")


def run(number: int, token: str = "first", **more: Any) -> Run:  # noqa: S107 - names a run
    covers = frozenset(fact(each).id for each in range(5))
    given: dict[str, Any] = {"at": 2.5, "covers": covers, "data_version": "d", "image": IMAGE, "reasons": ("a", "b")}
    given["instance"] = "ml.m6i.xlarge"
    return Run(model=MODEL, number=number, token=token, **{**given, **more})


def test_a_ledger_gives_back_what_was_written_and_of_that_model_only(ledger: Ledger) -> None:
    assert ledger.read(MODEL) == Book([], [])
    assert all(ledger.record(fact(number)) for number in (2, 1))
    assert ledger.record(fact(1, "other"))
    assert ledger.claim(run(1, covers=frozenset()))
    assert ledger.claim(run(2))
    book = ledger.read(MODEL)
    assert sorted(book.facts, key=lambda each: each.at) == [fact(1), fact(2)]
    assert list(book.runs) == [run(1, covers=frozenset()), run(2)]
    assert book.pending == []


def test_a_ledger_writes_a_fact_once_and_keeps_the_first(ledger: Ledger) -> None:
    assert ledger.record(fact(1))
    assert not ledger.record(replace(fact(1), at=99.0))
    assert list(ledger.read(MODEL).facts) == [fact(1)]


def test_a_ledger_gives_a_number_to_one_run(ledger: Ledger) -> None:
    assert ledger.claim(run(1))
    assert not ledger.claim(run(1, "second"))
    assert [each.token for each in ledger.read(MODEL).runs] == ["first"]


def test_a_ledger_moves_a_run_forward_and_never_back(ledger: Ledger) -> None:
    ledger.claim(run(1))
    ledger.mark(run(1, "second"), Status.RUNNING, "of somebody else")
    assert ledger.read(MODEL).runs[0].status is Status.CLAIMED
    ledger.mark(run(1), Status.RUNNING, ARN)
    ledger.mark(run(1), Status.FAILED, ARN)
    ledger.mark(run(1), Status.RUNNING, "late")
    ledger.mark(run(1), Status.SUCCEEDED, "late")
    assert list(ledger.read(MODEL).runs) == [run(1, status=Status.FAILED, arn=ARN)]


def test_a_run_covers_tens_of_thousands_of_facts(clients: Clients) -> None:
    create_table(clients.dynamodb, TABLE)
    ledger = DynamoLedger(clients.dynamodb, TABLE)
    many = frozenset(f"{number:016x}" for number in range(40_000))
    assert ledger.claim(run(1, covers=many))
    assert ledger.read(MODEL).runs[0].covers == many


def test_records_end_and_those_of_runs_after_those_of_the_facts_they_cover(clients: Clients) -> None:
    create_table(clients.dynamodb, TABLE)
    ledger = DynamoLedger(clients.dynamodb, TABLE)
    ledger.record(fact(1))
    ledger.claim(run(1, at=fact(1).at))
    items: list[dict[str, Any]] = [*clients.dynamodb.scan(TableName=TABLE)["Items"]]
    ends = {item["what"]["S"].split("#")[0]: int(item["expires"]["N"]) for item in items}
    assert 0 < ends["fact"] < ends["run"]


@pytest.fixture
def door(clients: Clients) -> Door:
    """A door over a bucket with two objects, a pipeline and an approved version."""
    create_table(clients.dynamodb, TABLE)
    put_settings(clients.dynamodb, TABLE, SETTINGS)
    clients.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    clients.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for prefix in SETTINGS.prefixes:
        clients.s3.put_object(Bucket=BUCKET, Key=f"{prefix}a+b.csv", Body=b"1")
    role = "arn:aws:iam::123456789012:role/r"
    clients.sagemaker.create_pipeline(
        PipelineName=SETTINGS.pipeline, PipelineDefinition="{}", ClientRequestToken="t" * 32, RoleArn=role
    )
    clients.sagemaker.create_model_package_group(ModelPackageGroupName=SETTINGS.package_group)
    statuses: tuple[ModelApprovalStatusType, ...] = ("Approved", "PendingManualApproval")
    for status, digest in zip(statuses, (IMAGE, f"sha256:{'b' * 64}"), strict=True):
        clients.sagemaker.create_model_package(
            ModelPackageGroupName=SETTINGS.package_group,
            ModelApprovalStatus=status,
            InferenceSpecification={"Containers": [{"Image": f"r@{digest}", "ModelDataUrl": "s3://m/m.tar.gz"}]},
        )
    return open_door(clients, table=TABLE, alarms=ALARMS, clock=lambda: 1_700_000_000.0)


def created(clients: Clients, key: str) -> dict[str, Any]:
    version = clients.s3.put_object(Bucket=BUCKET, Key=key, Body=b"2").get("VersionId", "")
    detail = {"bucket": {"name": BUCKET}, "object": {"key": key, "version-id": version}}
    return {"id": "1", "source": "aws.s3", "detail-type": "Object Created", "time": "-", "detail": detail}


def requested(number: int = 0) -> dict[str, Any]:
    detail = {"model": MODEL, "reason": "tried", "requestedBy": "ann"}
    return {
        "id": f"r{number}",
        "source": "slipway",
        "detail-type": "Retraining Requested",
        "time": "-",
        "detail": detail,
    }


def started(clients: Clients) -> list[dict[str, Any]]:
    listed = clients.sagemaker.list_pipeline_executions(PipelineName=SETTINGS.pipeline)
    return [dict(each) for each in listed["PipelineExecutionSummaries"]]


def test_settings_survive_the_table(clients: Clients, door: Door) -> None:
    assert asdict(door.models[MODEL]) == asdict(SETTINGS)
    assert ModelSettings.parse(SETTINGS.document()) == SETTINGS
    assert clients.dynamodb.meta.region_name == REGION


def test_a_request_starts_the_pipeline_with_the_data_and_the_approved_image(clients: Clients, door: Door) -> None:
    found = deliver(door, requested())
    [outcome] = found.outcomes
    assert outcome.run is not None
    assert (outcome.verdict, outcome.run.image) == (Verdict.START, IMAGE)
    assert outcome.reasons[0] == "hand: tried (ann)"
    parameters = clients.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=outcome.run.arn)
    assert {each["Name"]: each["Value"] for each in parameters["PipelineParameters"]} == {
        "DataVersion": outcome.run.data_version,
        "ImageDigest": IMAGE,
        "InstanceType": "ml.m5.xlarge",
    }
    assert [each["PipelineExecutionDisplayName"] for each in started(clients)] == [outcome.run.name]


def test_an_event_and_a_listing_name_an_object_alike(clients: Clients, door: Door) -> None:
    event = created(clients, f"{MODEL}/train/x y+%20.csv")
    assert deliver(door, TICK_EVENT).outcomes[0].found == 3
    found = deliver(door, event)
    assert (found.recorded, found.repeated) == (0, 1)


def test_older_and_deleted_versions_are_not_listed(clients: Clients, door: Door) -> None:
    key = f"{MODEL}/train/a+b.csv"
    newest = created(clients, key)["detail"]["object"]["version-id"]
    clients.s3.delete_object(Bucket=BUCKET, Key=f"{MODEL}/validation/a+b.csv")
    clients.s3.put_object(Bucket=BUCKET, Key=f"{MODEL}/train/", Body=b"")
    assert AwsWorld(clients.s3, clients.sagemaker).versions(SETTINGS) == [(key, newest)]
    assert "no object under" in deliver(door, requested()).outcomes[0].reasons[-1]


def test_a_run_is_followed_to_its_end(door: Door) -> None:
    deliver(door, requested())
    assert deliver(door, TICK_EVENT).outcomes[0].run == replace(
        door.ledger.read(MODEL).runs[0], status=Status.SUCCEEDED
    ), "moto calls each execution succeeded at once"


def test_an_execution_that_is_gone_has_stopped(clients: Clients) -> None:
    with Stubber(clients.sagemaker) as stub:
        stub.add_client_error("describe_pipeline_execution", "ResourceNotFound")
        assert AwsWorld(clients.s3, clients.sagemaker).status(ARN) is Status.STOPPED


@pytest.mark.parametrize(
    ("reason", "secondary", "expected"),
    [
        ("CapacityError: Unable to provision requested ML compute capacity.", "", Status.NO_CAPACITY),
        ("ClientError: the job was stopped", "MaxWaitTimeExceeded", Status.NO_CAPACITY),
        ("ClientError: the job was stopped", "MaxRuntimeExceeded", Status.FAILED),
        ("AlgorithmError: label is not in the header", "Failed", Status.FAILED),
    ],
)
def test_an_execution_that_found_no_host_is_told_from_one_that_failed(
    clients: Clients, reason: str, secondary: str, expected: Status
) -> None:
    job = "flight-delay-0123"
    metadata = {"TrainingJob": {"Arn": f"arn:aws:sagemaker:{REGION}:123456789012:training-job/{job}"}}
    steps = [
        {"StepName": "Process", "StepStatus": "Succeeded"},
        {"StepName": "Train", "StepStatus": "Failed", "FailureReason": reason, "Metadata": metadata},
    ]
    described = {
        "TrainingJobName": job,
        "TrainingJobArn": metadata["TrainingJob"]["Arn"],
        "ModelArtifacts": {"S3ModelArtifacts": "s3://b/k"},
        "TrainingJobStatus": "Stopped",
        "SecondaryStatus": secondary,
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "CreationTime": 0,
    }
    asked = {"PipelineExecutionArn": ARN}
    with Stubber(clients.sagemaker) as stub:
        stub.add_response("describe_pipeline_execution", {"PipelineExecutionStatus": "Failed"}, asked)
        stub.add_response("list_pipeline_execution_steps", {"PipelineExecutionSteps": steps}, asked)
        if secondary:
            stub.add_response("describe_training_job", described, {"TrainingJobName": job})
        assert AwsWorld(clients.s3, clients.sagemaker).status(ARN) is expected
        stub.assert_no_pending_responses()


def test_an_execution_is_found_by_its_name(clients: Clients, door: Door) -> None:
    [outcome] = deliver(door, requested()).outcomes
    assert outcome.run is not None
    world = AwsWorld(clients.s3, clients.sagemaker)
    recent = replace(outcome.run, at=0.0)
    assert world.find(SETTINGS, recent) == outcome.run.arn
    assert world.find(SETTINGS, replace(recent, number=9)) == ""


def throttled(**_: object) -> tuple[object, dict[str, Any]]:
    return SimpleNamespace(status_code=400), {"Error": {"Code": "ThrottlingException", "Message": "slower"}}


def broken(**_: object) -> tuple[object, dict[str, Any]]:
    return SimpleNamespace(status_code=500), {"Error": {"Code": "InternalFailure", "Message": "later"}}


def lost(**_: object) -> None:
    raise ReadTimeoutError(endpoint_url="https://aws")


FAULTS = {"before-call": (throttled, broken), "after-call": (lost,)}
"""What happens to a request before it has an effect, and to its answer afterwards (botocore's events)."""
CALLS = (
    ("dynamodb", "Query"),
    ("dynamodb", "PutItem"),
    ("dynamodb", "UpdateItem"),
    ("s3", "ListObjectVersions"),
    ("s3", "ListObjectsV2"),
    ("sagemaker", "ListModelPackages"),
    ("sagemaker", "DescribeModelPackage"),
    ("sagemaker", "StartPipelineExecution"),
)


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_a_call_that_fails_or_whose_answer_is_lost_neither_loses_nor_doubles_a_start(
    clients: Clients, door: Door, service: str, operation: str
) -> None:
    emitter = getattr(clients, service).meta.events
    cases = [(when, fault) for when, faults in FAULTS.items() for fault in faults]
    for number, (when, fault) in enumerate(cases, start=1):
        name = f"{when}.{service}.{operation}"
        emitter.register_first(name, fault)
        found = deliver(door, requested(number))
        emitter.unregister(name, fault)
        assert found.troubles or found.response["batchItemFailures"], "somebody hears of it"
        if found.response["batchItemFailures"]:
            deliver(door, requested(number))
        deliver(door, TICK_EVENT)
        deliver(door, TICK_EVENT)
        assert len(started(clients)) == number, fault.__name__


class Context:
    """What Lambda tells about itself, as far as it is logged."""

    function_name = "slipway-test-retraining"
    memory_limit_in_mb = 256
    invoked_function_arn = f"arn:aws:lambda:{REGION}:123456789012:function:slipway-test-retraining"
    aws_request_id = "request"


def test_the_handler_answers_the_queue_and_tells_why(
    clients: Clients,
    door: Door,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The door that the handler opens is that of its environment variables."""
    for name, value in {"TABLE": TABLE, "ALARMS": ALARMS}.items():
        monkeypatch.setenv(name, value)

    def create_client(service: str, **_: object) -> object:
        return getattr(clients, service)

    lambda_door.cache_clear()
    bodies = {"good": json.dumps(requested()), "bad": "no JSON"}
    batch = {"Records": [{"messageId": name, "body": body, "eventSource": "aws:sqs"} for name, body in bodies.items()]}
    with mock.patch("botocore.session.get_session", return_value=SimpleNamespace(create_client=create_client)):
        answered = lambda_handler(batch, cast("Any", Context()))
    lambda_door.cache_clear()
    told = [cast("dict[str, Any]", record.msg) for record in caplog.records]
    metrics = json.loads(next(line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line))

    assert answered == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert len(started(clients)) == 1
    assert door.models == {MODEL: SETTINGS}
    assert [(each["verdict"], each["reasons"][0]) for each in told if "verdict" in each] == [
        ("start", "hand: tried (ann)")
    ]
    assert any("Expecting value" in each.get("refused", "") for each in told)
    assert (metrics["RunsStarted"], metrics["NewFacts"], metrics["Refused"]) == ([1.0], [1.0], [1.0])


def test_an_empty_answer_fails_nothing() -> None:
    assert Answer().response == {"batchItemFailures": []}

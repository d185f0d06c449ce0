"""Which version is looked at for drift, and that each time starts one look; AWS is moto, or a stub where it refuses."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from lifecycle import steps
from lifecycle.steps import LifecycleError, Package
from looking.handler import CONTENT, PLACEHOLDER, Clients, Model, lambda_clients, lambda_handler, look
from looking.service import Choice, Version, choose
from release import record as records
from release import registry
from release.record import Record
from rollout.plan import Phase, State
from tests.functions.test_retraining_aws import Context
from tests.functions.test_steps import REGION, make_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

HERE, ELSEWHERE = "slipway-prod", "slipway-prod-2"
GROUP, BUCKET, PIPELINE = "slipway-prod-flight-delay", "models", "slipway-prod-flight-delay-drift"
MEMORY = "flight-delay/drift/memory/"
PACKAGES = f"arn:aws:sagemaker:{REGION}:123456789012:model-package/{GROUP}/"
HOUR = 3600.0


def image(number: int, base: int = 0) -> str:
    return f"sha256:{number:032x}{base:032x}"


def version(number: int, base: int = 0) -> Version:
    return Version(image=image(number, base), artefact=f"s3://{BUCKET}/flight-delay/{number}", number=str(number))


APPROVED = version(1)
MODEL = Model(pipeline=PIPELINE, group=GROUP, where=HERE, bucket=BUCKET, memory=MEMORY, approved=APPROVED)


class Registry:
    """Versions as the registry keeps them, told of releases by the release step's own code."""

    def __init__(self, newest: int) -> None:
        self.found: dict[str, dict[str, Any]] = {
            PACKAGES + str(number): {
                "ModelPackageArn": PACKAGES + str(number),
                "ModelPackageVersion": number,
                "ModelApprovalStatus": "Approved",
                "InferenceSpecification": {
                    "Containers": [{"Image": f"r@{image(number)}", "ModelDataUrl": version(number).artefact}]
                },
            }
            for number in range(1, newest + 1)
        }

    def describe_model_package(self, *, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803 - as the API spells it
        return self.found[ModelPackageName]

    def update_model_package(self, *, ModelPackageArn: str, **changes: Any) -> None:  # noqa: N803 - as the API spells it
        self.found[ModelPackageArn] |= changes

    @property
    def client(self) -> SageMakerClient:
        return cast("SageMakerClient", self)

    def packages(self) -> list[Package]:
        return [steps.package_of(cast("Any", each)) for each in self.found.values()]

    def status(self, number: int) -> str:
        return self.found[PACKAGES + str(number)]["ModelApprovalStatus"]

    def said(self, number: str) -> str:
        """What it says of the last release here."""
        return self.found[PACKAGES + number].get("CustomerMetadataProperties", {}).get(f"release-{HERE}", "")


def ended(wanted: Version, before: Version | None, phase: Phase, at: float) -> Record:
    def named(each: Version) -> records.Version:
        return records.Version(image=f"r@{each.image}", name=each.number)

    state = State(phase, 0, at, "judged")
    return Record(wanted=named(wanted), previous=None if before is None else named(before), begun=at, state=state)


def released(
    registry_: Registry, wanted: Version, before: Version | None, *, at: float, where: str = HERE, good: bool = True
) -> None:
    phase = Phase.PROMOTED if good else Phase.ROLLED_BACK
    registry.report(registry_.client, PACKAGES + wanted.number, where, ended(wanted, before, phase, at))


def went_back(registry_: Registry, gone: Version, back: Version, *, at: float, not_back: str = "") -> None:
    record = ended(gone, back, Phase.ROLLED_BACK, at)
    registry.report_return(registry_.client, PACKAGES, HERE, record, not_back)


def test_before_the_first_release_the_version_in_the_stack_file_is_looked_at() -> None:
    chosen = choose(Registry(3).packages(), HERE, APPROVED)
    assert chosen.version == APPROVED
    assert f"promoted at {HERE}" in chosen.why


def test_what_a_release_has_promoted_is_looked_at_with_the_image_that_serves() -> None:
    known = Registry(3)
    released(known, version(2, base=7), APPROVED, at=HOUR)
    chosen = choose(known.packages(), HERE, APPROVED)
    assert chosen == Choice(version(2, base=7), f"serves at {HERE} since 1970-01-01T01:00:00+00:00")


def test_a_version_that_was_taken_back_is_not_looked_at_but_the_one_that_serves_again() -> None:
    known = Registry(3)
    released(known, version(2), APPROVED, at=1 * HOUR)
    released(known, version(3), version(2), at=2 * HOUR)
    assert choose(known.packages(), HERE, APPROVED).version == version(3)
    went_back(known, version(3), version(2), at=3 * HOUR)
    assert choose(known.packages(), HERE, APPROVED).version == version(2)


def test_a_release_that_ended_badly_changes_nothing() -> None:
    known = Registry(3)
    released(known, version(2), APPROVED, at=1 * HOUR)
    released(known, version(3), version(2), at=2 * HOUR, good=False)
    assert choose(known.packages(), HERE, APPROVED).version == version(2)


def test_a_newer_base_that_was_taken_back_leaves_the_version_and_the_image_before() -> None:
    known = Registry(2)
    released(known, version(2), APPROVED, at=1 * HOUR)
    released(known, version(2, base=1), version(2), at=2 * HOUR, good=False)
    assert known.status(2) == "Approved"
    assert choose(known.packages(), HERE, APPROVED).version == version(2)


def test_an_older_version_that_was_released_once_more_is_looked_at() -> None:
    known = Registry(3)
    released(known, version(3), APPROVED, at=1 * HOUR)
    released(known, version(2), version(3), at=2 * HOUR)
    assert choose(known.packages(), HERE, APPROVED).version == version(2)


def test_what_may_still_serve_after_a_way_back_without_end_is_not_looked_at() -> None:
    known = Registry(3)
    released(known, version(2), APPROVED, at=1 * HOUR)
    released(known, version(3), version(2), at=2 * HOUR)
    went_back(known, version(3), version(2), at=3 * HOUR, not_back="no room")
    assert choose(known.packages(), HERE, APPROVED).version == version(2)


def test_a_version_that_a_person_has_rejected_is_not_looked_at() -> None:
    known = Registry(3)
    released(known, version(2), APPROVED, at=1 * HOUR)
    released(known, version(3), version(2), at=2 * HOUR)
    known.update_model_package(ModelPackageArn=f"{PACKAGES}3", ModelApprovalStatus="Rejected")
    assert choose(known.packages(), HERE, APPROVED).version == version(2)


def test_a_stack_file_that_names_what_was_taken_back_is_an_error_where_nothing_is_known_to_serve() -> None:
    known = Registry(3)
    released(known, version(2), APPROVED, at=1 * HOUR, good=False)
    with pytest.raises(LifecycleError, match=r"version 2 of the stack file was taken back.* name it under approved"):
        choose(known.packages(), HERE, version(2))
    assert choose(known.packages(), HERE, APPROVED).version == APPROVED


@pytest.mark.parametrize("other", [ELSEWHERE, HERE.removesuffix("d"), f"x{HERE}", HERE.upper()])
def test_releases_at_another_place_say_nothing_of_this_one(other: str) -> None:
    known = Registry(3)
    released(known, version(2), APPROVED, at=1 * HOUR)
    released(known, version(3), version(2), at=2 * HOUR, where=other)
    assert choose(known.packages(), HERE, APPROVED).version == version(2)
    assert choose(known.packages(), other, APPROVED).version == version(3)


def test_where_the_program_moves_what_serves_no_version_is_asked_for() -> None:
    def nobody() -> Iterator[Package]:
        raise AssertionError
        yield

    assert choose(nobody(), "", APPROVED).version == APPROVED


@pytest.mark.parametrize(
    "said",
    [
        "promoted by-hand at 2026-11-23T00:00:00+00:00 well",
        f"promoted {image(2)} at noon",
        f"promoted {image(2)} at 2026-11-23T00:00:00 without a zone",
    ],
)
def test_what_nobody_can_read_is_an_error_that_says_where_and_what_is_allowed(said: str) -> None:
    known = Registry(2)
    known.update_model_package(ModelPackageArn=f"{PACKAGES}2", CustomerMetadataProperties={f"release-{HERE}": said})
    with pytest.raises(LifecycleError) as caught:
        choose(known.packages(), HERE, APPROVED)
    for part in (f"release-{HERE} of {PACKAGES}2", said, "allowed: promoted sha256:", "release the version again"):
        assert part in str(caught.value)


TURNS = st.lists(st.tuples(st.sampled_from(["good", "bad", "back", "elsewhere"]), st.integers(1, 6)), max_size=20)


@given(TURNS, st.randoms())
def test_over_any_history_what_serves_is_looked_at_and_never_what_was_taken_back(
    turns: list[tuple[str, int]], random: Any
) -> None:
    """Each turn releases a version here or elsewhere, well or badly, or takes back the one in service."""
    known, serving, before = Registry(6), APPROVED, None
    for at, (turn, number) in enumerate(turns, 1):
        wanted = version(number)
        if turn == "back" and before is not None:
            went_back(known, serving, before, at=at * HOUR)
            serving, before = before, None
        elif turn != "back" and wanted != serving and known.status(number) == "Approved":
            where = ELSEWHERE if turn == "elsewhere" else HERE
            released(known, wanted, serving, at=at * HOUR, where=where, good=turn != "bad")
            if turn == "bad":
                before = None
            if turn == "good":
                serving, before = wanted, serving
    packages = known.packages()
    random.shuffle(packages)
    chosen = choose(packages, HERE, APPROVED).version
    assert chosen == serving
    assert known.said(chosen.number).startswith("promoted ") or not known.said(chosen.number)


@pytest.fixture(scope="module")
def made() -> Clients:
    return Clients(s3=cast("S3Client", make_client("s3")), sagemaker=cast("SageMakerClient", make_client("sagemaker")))


@pytest.fixture
def clients(made: Clients) -> Iterator[Clients]:
    """An account with the bucket, the pipeline, and three approved versions."""
    with mock.patch.dict(os.environ, {"HOME": "/nonexistent"}, clear=True), mock_aws():
        made.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        made.sagemaker.create_pipeline(
            PipelineName=PIPELINE,
            PipelineDefinition="{}",
            ClientRequestToken="t" * 32,
            RoleArn="arn:aws:iam::123456789012:role/r",
        )
        made.sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
        for number in (1, 2, 3):
            container: Any = {"Image": f"r@{image(number)}", "ModelDataUrl": version(number).artefact}
            made.sagemaker.create_model_package(
                ModelPackageGroupName=GROUP,
                ModelApprovalStatus="Approved",
                InferenceSpecification={"Containers": [container]},
            )
        yield made


def promoted(clients: Clients, wanted: Version, before: Version, at: float) -> None:
    """What the release step writes down; with the status, which moto forgets otherwise."""
    clients.sagemaker.update_model_package(
        ModelPackageArn=PACKAGES + wanted.number,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={
            registry.PROPERTY.format(where=HERE): registry.summary(ended(wanted, before, Phase.PROMOTED, at))
        },
    )


def executions(clients: Clients) -> list[dict[str, str]]:
    """Parameters of the executions, the oldest first."""
    found = clients.sagemaker.list_pipeline_executions(PipelineName=PIPELINE)["PipelineExecutionSummaries"]
    arns = [each.get("PipelineExecutionArn", "") for each in found]
    given_ = [
        clients.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)["PipelineParameters"]
        for arn in arns
    ]
    return [{each["Name"]: each["Value"] for each in one} for one in given_]


def memory(clients: Clients) -> dict[str, bytes]:
    found = clients.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {
        each.get("Key", ""): clients.s3.get_object(Bucket=BUCKET, Key=each.get("Key", ""))["Body"].read()
        for each in found
    }


def test_looks_follow_the_version_in_service_each_with_a_memory_of_its_own(clients: Clients) -> None:
    first = look(clients, MODEL, {"time": "1"})
    promoted(clients, version(2), APPROVED, 1 * HOUR)
    second = look(clients, MODEL, {"time": "2"})
    assert (first["version"], second["version"]) == ("1", "2")
    assert sorted(executions(clients), key=lambda each: each["ModelVersion"]) == [
        APPROVED.parameters(),
        version(2).parameters(),
    ]
    assert memory(clients) == {f"{MEMORY}{number}/{PLACEHOLDER}": CONTENT for number in (1, 2)}


def test_an_endpoint_is_looked_at_by_the_version_in_the_stack_file(clients: Clients) -> None:
    promoted(clients, version(2), APPROVED, 1 * HOUR)
    assert look(clients, replace(MODEL, where=""), {"time": "1"})["version"] == "1"


def test_a_memory_that_was_begun_is_left_alone(clients: Clients) -> None:
    kept = {f"{MEMORY}1/{PLACEHOLDER}": b"of another hand", f"{MEMORY}1/memory.json": b"learnt"}
    for key, content in kept.items():
        clients.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    look(clients, MODEL, {"time": "1"})
    assert memory(clients) == kept


def test_the_same_time_starts_the_same_execution_and_another_of_what_serves_by_then(made: Clients) -> None:
    """Of AWS's own answers there is one for each token (SageMaker API reference, `StartPipelineExecution`)."""
    asked: list[dict[str, Any]] = []

    def start(params: dict[str, Any], **_: object) -> None:
        asked.append(dict(params))

    looks = [(version(1), "1"), (version(1), "1"), (version(2), "1"), (version(1, base=1), "1"), (version(1), "2")]
    event = "provide-client-params.sagemaker.StartPipelineExecution"
    made.sagemaker.meta.events.register(event, start)
    arn = f"arn:aws:sagemaker:{REGION}:123456789012:pipeline/{PIPELINE}/execution/aaaaaaaaaaaa"
    try:
        with Stubber(made.sagemaker) as stub, Stubber(made.s3) as s3:
            for approved, time in looks:
                s3.add_response("put_object", {})
                stub.add_response("start_pipeline_execution", {"PipelineExecutionArn": arn})
                look(made, replace(MODEL, where="", approved=approved), {"time": time})
    finally:
        made.sagemaker.meta.events.unregister(event, start)
    tokens = [each.pop("ClientRequestToken") for each in asked]
    assert (tokens[0], asked[0]) == (tokens[1], asked[1]), "an attempt that is made again"
    assert len(dict.fromkeys(tokens)) == len(looks) - 1, "another version, image, or time"


@pytest.mark.parametrize("code", ["AccessDenied", "ConditionalRequestConflict", "SlowDown"])
def test_a_memory_that_cannot_be_begun_starts_nothing_and_is_tried_again(made: Clients, code: str) -> None:
    with Stubber(made.sagemaker) as sagemaker, Stubber(made.s3) as s3:
        s3.add_client_error("put_object", code)
        with pytest.raises(ClientError, match=code):
            look(made, replace(MODEL, where=""), {"time": "1"})
        sagemaker.assert_no_pending_responses()


def test_a_pipeline_that_is_not_there_is_an_error(clients: Clients) -> None:
    with pytest.raises(ClientError):
        look(clients, replace(MODEL, pipeline="gone"), {"time": "1"})


@pytest.mark.parametrize("event", [{}, {"time": ""}, {"time": None}, {"time": 7}])
def test_an_event_without_a_time_starts_nothing(made: Clients, event: dict[str, Any]) -> None:
    with Stubber(made.sagemaker), Stubber(made.s3), pytest.raises(LifecycleError, match="names no time; allowed"):
        look(made, MODEL, event)


def test_the_handler_says_what_is_looked_at_and_why(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = {"PIPELINE": PIPELINE, "PACKAGE_GROUP": GROUP, "PLACE": HERE, "MODELS_BUCKET": BUCKET, "MEMORY": MEMORY}
    for name, value in {**told, "APPROVED": json.dumps(APPROVED.parameters())}.items():
        monkeypatch.setenv(name, value)

    def create_client(service: str, **_: object) -> object:
        return getattr(clients, service)

    promoted(clients, version(3), APPROVED, datetime(2026, 11, 23, tzinfo=UTC).timestamp())
    lambda_clients.cache_clear()
    with mock.patch("botocore.session.get_session", return_value=SimpleNamespace(create_client=create_client)):
        done = lambda_handler({"time": "1"}, cast("Any", Context()))
    lambda_clients.cache_clear()
    assert (done["version"], done["why"]) == ("3", f"serves at {HERE} since 2026-11-23T00:00:00+00:00")
    assert [cast("dict[str, Any]", each.msg) for each in caplog.records] == [done]

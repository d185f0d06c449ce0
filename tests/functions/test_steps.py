from __future__ import annotations

import io
import json
import os
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from lifecycle import steps
from lifecycle.requests import TrainedModel
from sandbox.loop.loopback import ACCESS_KEY, loopback_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

    from lifecycle.requests import TrainingPlan

REGION = "eu-central-1"
MISSING = ClientError(
    {"Error": {"Code": "ValidationException", "Message": "Requested resource not found."}}, "Describe"
)


def make_client(service: str) -> object:
    session = loopback_session()
    return session.create_client(service, REGION, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=ACCESS_KEY)


@pytest.fixture
def s3() -> Iterator[S3Client]:
    with mock.patch.dict(os.environ, {"HOME": "/nonexistent"}, clear=True), mock_aws():
        client = cast("S3Client", make_client("s3"))
        for bucket in ("data-bucket", "models-bucket"):
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client


@pytest.fixture
def sagemaker(s3: S3Client) -> SageMakerClient:
    assert s3.meta.region_name == REGION
    client = cast("SageMakerClient", make_client("sagemaker"))
    client.create_model_package_group(ModelPackageGroupName="group")
    return client


def trained(job: str) -> TrainedModel:
    return TrainedModel(
        job_name=job,
        job_arn=f"arn:aws:sagemaker:{REGION}:123456789012:training-job/{job}",
        image_uri=f"r@sha256:{'a' * 64}",
        artefact_uri="s3://models-bucket/m/model.tar.gz",
        artefact_sha256="b" * 64,
        evaluation_uri="s3://models-bucket/m/evaluation.json",
        metrics={"auc": 0.8},
    )


def test_the_data_version_changes_with_every_change_of_an_object_and_with_nothing_else(s3: S3Client) -> None:
    uris = ["s3://data-bucket/m/train/", "s3://data-bucket/m/validation/"]
    for use in ("train", "validation"):
        s3.put_object(Bucket="data-bucket", Key=f"m/{use}/1.csv", Body=b"1")
    first = steps.data_version(s3, uris)
    s3.put_object(Bucket="data-bucket", Key="elsewhere/1.csv", Body=b"2")
    s3.put_object(Bucket="data-bucket", Key="m/train/1.csv", Body=b"1")

    assert steps.data_version(s3, reversed(uris)) == first
    s3.put_object(Bucket="data-bucket", Key="m/train/2.csv", Body=b"")
    added = steps.data_version(s3, uris)
    s3.put_object(Bucket="data-bucket", Key="m/train/2.csv", Body=b"x")
    changed = steps.data_version(s3, uris)
    s3.delete_object(Bucket="data-bucket", Key="m/train/2.csv")
    assert len({first, added, changed}) == 3
    assert steps.data_version(s3, uris) == first


def test_a_prefix_without_data_is_an_error_that_names_it(s3: S3Client) -> None:
    with pytest.raises(steps.LifecycleError, match=r"no object under s3://data-bucket/none/: upload data"):
        steps.data_version(s3, ["s3://data-bucket/none/"])


class Jobs:
    """SageMaker's training jobs as far as starting one goes, with unique names for ever."""

    class exceptions:  # noqa: N801 - the name that boto3's clients have
        class ResourceInUse(Exception):  # noqa: N818 - the name of the API's error
            pass

        ClientError = ClientError

    def __init__(self, *existing: tuple[str, str], race: bool = False) -> None:
        self.jobs = dict(existing)
        self.race = race
        self.created: list[str] = []

    def describe_training_job(self, TrainingJobName: str) -> dict[str, str]:  # noqa: N803 - boto3's argument
        if TrainingJobName not in self.jobs:
            raise MISSING
        return {"TrainingJobStatus": self.jobs[TrainingJobName], "FailureReason": "AlgorithmError: bad luck"}

    def create_training_job(self, **request: Any) -> None:
        if self.race or request["TrainingJobName"] in self.jobs:
            raise self.exceptions.ResourceInUse
        self.created.append(request["TrainingJobName"])


def start(jobs: Any, plan: TrainingPlan, max_attempts: int = 3) -> steps.Started:
    return steps.start_or_adopt(jobs, plan, max_attempts=max_attempts)


def test_a_new_plan_starts_its_first_attempt(plan: TrainingPlan) -> None:
    jobs = Jobs()

    assert start(jobs, plan) == steps.Started(plan.job_name(1), created=True)
    assert jobs.created == [plan.job_name(1)]


@pytest.mark.parametrize("status", ["InProgress", "Completed", "Stopping"])
def test_a_job_that_runs_or_has_completed_is_adopted(plan: TrainingPlan, status: str) -> None:
    jobs = Jobs((plan.job_name(1), status))

    assert start(jobs, plan) == steps.Started(plan.job_name(1), created=False)
    assert jobs.created == []


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_failed_or_stopped_attempt_is_followed_by_the_next(plan: TrainingPlan, status: str) -> None:
    jobs = Jobs((plan.job_name(1), status), (plan.job_name(2), status))

    assert start(jobs, plan) == steps.Started(plan.job_name(3), created=True)


def test_whoever_loses_the_race_for_a_name_adopts_the_winners_job(plan: TrainingPlan) -> None:
    assert start(Jobs(race=True), plan) == steps.Started(plan.job_name(1), created=False)


def test_attempts_are_limited_and_the_error_tells_every_reason(plan: TrainingPlan) -> None:
    jobs = Jobs((plan.job_name(1), "Failed"), (plan.job_name(2), "Failed"))

    with pytest.raises(steps.TrainingFailedError) as failure:
        start(jobs, plan, max_attempts=2)
    assert str(failure.value).count("AlgorithmError: bad luck") == 2
    assert jobs.created == []


def test_an_error_other_than_not_found_is_not_taken_for_a_missing_job(plan: TrainingPlan) -> None:
    jobs = Jobs()
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not found? no: denied"}}, "Describe")
    with (
        mock.patch.object(jobs, "describe_training_job", side_effect=denied),
        pytest.raises(ClientError, match="denied"),
    ):
        start(jobs, plan)
    assert jobs.created == []


def describe(**changes: Any) -> dict[str, Any]:
    fixed: dict[str, Any] = {
        "TrainingJobName": "job",
        "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:123456789012:training-job/job",
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://models-bucket/anywhere/model.tar.gz"},
        "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "image"},
        "StoppingCondition": {},
        "CreationTime": 0,
        "ResourceConfig": {"VolumeSizeInGB": 1},
    }
    return fixed | changes


def answering(sagemaker: SageMakerClient, *answers: dict[str, Any]) -> Stubber:
    stub = Stubber(sagemaker)
    for answer in answers:
        stub.add_response("describe_training_job", answer, {"TrainingJobName": "job"})
    return stub


def test_waiting_reports_phase_and_metrics_until_the_job_has_completed(sagemaker: SageMakerClient) -> None:
    seen: list[steps.Progress] = []
    running = describe(
        TrainingJobStatus="InProgress",
        SecondaryStatus="Training",
        FinalMetricDataList=[{"MetricName": "auc", "Value": 0.5}],
    )
    with answering(sagemaker, running, describe()):
        job = steps.wait_for_job(sagemaker, "job", on_progress=seen.append, poll_seconds=0, timeout_seconds=10)

    assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://models-bucket/anywhere/model.tar.gz"
    assert seen[0].phase == "Training"
    assert seen[0].metrics["auc"] == pytest.approx(0.5)
    assert seen[1].phase == "Completed"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (describe(TrainingJobStatus="Failed", FailureReason="AlgorithmError: why"), "AlgorithmError: why$"),
        (
            describe(TrainingJobStatus="Stopped", SecondaryStatus="MaxRuntimeExceeded"),
            "MaxRuntimeExceeded without a model$",
        ),
        (describe(ModelArtifacts={"S3ModelArtifacts": ""}), "ended as Completed without a model$"),
    ],
)
def test_a_job_without_a_model_is_a_failure_with_its_reason(
    sagemaker: SageMakerClient, answer: dict[str, Any], message: str
) -> None:
    stub = answering(sagemaker, answer)
    with stub, pytest.raises(steps.TrainingFailedError, match=message):
        steps.wait_for_job(sagemaker, "job", on_progress=lambda _: None, poll_seconds=0, timeout_seconds=10)


def test_waiting_ends_after_its_timeout(sagemaker: SageMakerClient) -> None:
    running = describe(TrainingJobStatus="InProgress", SecondaryStatus="Training")
    stub = answering(sagemaker, running)
    with stub, pytest.raises(steps.LifecycleError, match="still Training after -1 s"):
        steps.wait_for_job(sagemaker, "job", on_progress=lambda _: None, poll_seconds=0, timeout_seconds=-1)


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name.replace("__", "."))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_the_evaluation_is_taken_from_the_artefact_that_the_job_names(s3: S3Client, sagemaker: SageMakerClient) -> None:
    document = json.dumps({"binary_classification_metrics": {"auc": {"value": 0.77}}}).encode()
    content = archive(model__ubj=b"m", evaluation__json=document)
    s3.put_object(Bucket="models-bucket", Key="anywhere/model.tar.gz", Body=content)
    with answering(sagemaker, describe()):
        model = steps.evaluate(s3, sagemaker, "job", kms_key="arn:aws:kms:eu-central-1:123456789012:key/k")

    assert model.metrics == {"auc": 0.77}
    assert len(model.artefact_sha256) == 64
    stored = s3.get_object(Bucket="models-bucket", Key="anywhere/evaluation.json")
    assert stored["Body"].read() == document
    assert stored["ServerSideEncryption"] == "aws:kms"


def test_an_artefact_without_evaluation_is_an_error(s3: S3Client, sagemaker: SageMakerClient) -> None:
    s3.put_object(Bucket="models-bucket", Key="anywhere/model.tar.gz", Body=archive(model__ubj=b"m"))
    stub = answering(sagemaker, describe())
    with stub, pytest.raises(steps.LifecycleError, match=r"holds no evaluation\.json"):
        steps.evaluate(s3, sagemaker, "job", kms_key="k")


def test_one_training_job_has_one_version_however_often_it_is_registered(sagemaker: SageMakerClient) -> None:
    def register(job: str) -> tuple[steps.Package, bool]:
        return steps.register(sagemaker, "group", trained(job), reason="r", instance_types=["ml.m5.large"])

    first, created = register("one")
    second, _ = register("two")

    assert created
    assert (first.version, second.version) == (1, 2)
    assert register("one") == (first, False)
    assert register("two") == (second, False)


def test_approval_is_needed_once_and_changes_the_registry(sagemaker: SageMakerClient) -> None:
    package, _ = steps.register(sagemaker, "group", trained("one"), reason="r", instance_types=["ml.m5.large"])

    assert package.status == "PendingManualApproval"
    assert steps.approve(sagemaker, package, "good") is True
    assert steps.describe_package(sagemaker, package.arn).status == "Approved"
    assert steps.approve(sagemaker, replace(package, status="Approved"), "good") is False


def test_a_rejected_version_is_never_approved_by_a_program(sagemaker: SageMakerClient) -> None:
    package, _ = steps.register(sagemaker, "group", trained("one"), reason="r", instance_types=["ml.m5.large"])

    with pytest.raises(steps.LifecycleError, match="was rejected"):
        steps.approve(sagemaker, replace(package, status="Rejected"), "good")
    assert steps.describe_package(sagemaker, package.arn).status == "PendingManualApproval"

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.requests import TrainedModel, evaluation_uri, model_package_request, training_job_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.requests import TrainingPlan

    Problems = Callable[[str, object], list[str]]

TRAINED = TrainedModel(
    job_name="flight-delay-0123456789abcdef-1",
    job_arn="arn:aws:sagemaker:eu-central-1:123456789012:training-job/flight-delay-0123456789abcdef-1",
    image_uri=f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/models/flight-delay@sha256:{'a' * 64}",
    artefact_uri="s3://models-bucket/flight-delay/jobs/flight-delay-0123456789abcdef-1/output/model.tar.gz",
    artefact_sha256="b" * 64,
    evaluation_uri="s3://models-bucket/flight-delay/jobs/flight-delay-0123456789abcdef-1/output/evaluation.json",
    metrics={"auc": 0.751234567, "log_loss": 0.53},
)


def test_the_training_request_is_one_that_the_service_model_accepts(plan: TrainingPlan, problems: Problems) -> None:
    assert problems("CreateTrainingJob", training_job_request(plan)) == []


def test_the_check_against_the_service_model_finds_each_kind_of_mistake(plan: TrainingPlan, problems: Problems) -> None:
    broken: dict[str, Any] = dict(training_job_request(plan))
    broken["TrainingJobName"] = "under_score"
    broken["ResourceConfig"] = {**broken["ResourceConfig"], "InstanceType": "ml.m5.enormous"}
    broken["Colour"] = "green"

    found = "\n".join(problems("CreateTrainingJob", {k: v for k, v in broken.items() if k != "Colour"}))

    assert "under_score" in found
    assert "ml.m5.enormous" in found
    with pytest.raises(KeyError):
        problems("CreateTrainingJob", broken)
    assert problems("CreateTrainingJob", {}) != []


def test_what_a_job_writes_is_encrypted_and_its_container_has_no_network(plan: TrainingPlan) -> None:
    request: dict[str, Any] = dict(training_job_request(plan))

    assert request["OutputDataConfig"]["KmsKeyId"] == plan.kms_key
    assert request["ResourceConfig"]["VolumeKmsKeyId"] == plan.kms_key
    assert request["EnableNetworkIsolation"] is True
    assert request["VpcConfig"] == {"Subnets": ["subnet-0a", "subnet-0b"], "SecurityGroupIds": ["sg-0a"]}


@pytest.mark.parametrize(("hosts", "encrypted"), [(1, False), (2, True)])
def test_hosts_encrypt_what_they_say_to_each_other(plan: TrainingPlan, hosts: int, encrypted: bool) -> None:
    request = training_job_request(replace(plan, capacity=replace(plan.capacity, instance_count=hosts)))

    assert request.get("EnableInterContainerTrafficEncryption") is encrypted


def test_a_spot_job_waits_longer_than_it_runs_and_keeps_checkpoints_for_its_next_attempt(plan: TrainingPlan) -> None:
    first, second = training_job_request(plan, 1), training_job_request(plan, 2)

    assert first.get("StoppingCondition") == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert first.get("EnableManagedSpotTraining") is True
    assert first.get("CheckpointConfig") is not None
    assert first.get("CheckpointConfig") == second.get("CheckpointConfig")
    assert first["TrainingJobName"] != second["TrainingJobName"]


def test_an_on_demand_job_has_neither_wait_nor_checkpoints(plan: TrainingPlan, problems: Problems) -> None:
    request = training_job_request(replace(plan, capacity=replace(plan.capacity, max_wait_seconds=None), network=None))

    assert request.get("StoppingCondition") == {"MaxRuntimeInSeconds": 3600}
    assert request.get("EnableManagedSpotTraining") is False
    assert not {"CheckpointConfig", "VpcConfig"} & request.keys()
    assert problems("CreateTrainingJob", request) == []


def test_the_name_follows_from_data_code_and_settings_and_from_nothing_else(plan: TrainingPlan) -> None:
    same = replace(
        plan,
        tags={},
        network=None,
        hyperparameters=dict(sorted(plan.hyperparameters.items(), reverse=True)),
        image_uri=plan.image_uri.replace("models/", "other/"),
    )
    different = (
        replace(plan, data_version="e" * 64),
        replace(plan, image_uri=plan.image_uri.replace("a" * 64, "b" * 64)),
        replace(plan, hyperparameters={**plan.hyperparameters, "eta": "0.2"}),
        replace(plan, model="flight-delay-2"),
    )

    assert same.job_name(1) == plan.job_name(1)
    assert len({plan.job_name(1), *(other.job_name(1) for other in different)}) == 1 + len(different)


@given(model=st.from_regex(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", fullmatch=True).filter(lambda name: len(name) <= 80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_model_name_makes_a_job_name_that_sagemaker_accepts(
    model: str, plan: TrainingPlan, problems: Problems
) -> None:
    request = training_job_request(replace(plan, model=model), 17)

    assert problems("CreateTrainingJob", request) == []


def test_an_image_named_by_tag_is_refused(plan: TrainingPlan) -> None:
    with pytest.raises(ValueError, match=r"must be named by digest, `<repository>@sha256:<64 hexadecimal digits>`$"):
        training_job_request(replace(plan, image_uri="repository:latest"))


def test_the_package_request_is_one_that_the_service_model_accepts(problems: Problems) -> None:
    request = model_package_request("group", TRAINED, reason="auc 0.75", instance_types=["ml.m5.large"])

    assert problems("CreateModelPackage", request) == []
    assert "Tags" not in request, "a version in a group takes the group's tags; SageMaker refuses its own"


def test_a_package_waits_for_approval_and_names_artefact_evaluation_digest_and_job() -> None:
    request: dict[str, Any] = dict(model_package_request("group", TRAINED, reason="r", instance_types=["ml.m5.large"]))

    assert request["ModelApprovalStatus"] == "PendingManualApproval"
    assert request["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == TRAINED.artefact_uri
    assert request["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] == TRAINED.evaluation_uri
    assert request["CustomerMetadataProperties"] == {
        "training-job": TRAINED.job_name,
        "model-sha256": TRAINED.artefact_sha256,
        "evaluation/auc": "0.751235",
        "evaluation/log_loss": "0.530000",
    }


def test_the_client_token_names_group_and_job() -> None:
    tokens = {
        model_package_request(group, replace(TRAINED, job_name=job), reason="r", instance_types=[]).get("ClientToken")
        for group in ("a", "b")
        for job in ("one", "two")
    }

    assert len(tokens) == 4


def test_the_evaluation_lies_beside_the_artefact() -> None:
    assert evaluation_uri(TRAINED.artefact_uri) == TRAINED.evaluation_uri

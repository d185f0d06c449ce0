"""The search in place of the one training: what SageMaker is asked for, what may ask for it, and what it costs."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from components.labels import Labels
from components.model_places import MAX_TUNING_PREFIX, Duty
from components.pipeline_definition import pipeline_definition
from components.pipeline_jobs import Surroundings
from components.training_grants import duties
from costs.estimate import estimate
from costs.prices import price_table
from costs.usage import usage_of
from sandbox.loop.references import Scope, resolve, steps_named
from tests.settings.stacks import changed, settings_of
from tests.support.iam_evaluator import allowed
from tests.support.optional import SEARCH
from tests.support.planned import plan_of

if TYPE_CHECKING:
    from settings.model import Settings

AROUND = Surroundings(key_arn="arn:aws:kms:us-east-1:777788889999:key/1", subnets=["subnet-1"], security_group="sg-1")
BEST = "3aee15-abcdefabcdef-0123456789-0-007-0badcafe"
ARN = "arn:aws:sagemaker:us-east-1:777788889999:"
TUNED: dict[str, Any] = {
    "BestTrainingJob": {"TrainingJobName": BEST, "TrainingJobArn": f"{ARN}training-job/{BEST}"},
}
CLOSED = {
    "sagemaker:NetworkIsolation": "true",
    "sagemaker:InterContainerTrafficEncryption": "true",
    "sagemaker:InstanceTypes": "ml.m5.xlarge",
}


def searched(**changes: Any) -> Settings:
    """Prod with a search, changed below `training.tuning`."""
    edits = {f"models.0.training.tuning.{path}": value for path, value in changes.items()}
    return settings_of(changed({"models.0.training.tuning": SEARCH, **edits}))


def steps(settings: Settings) -> dict[str, Any]:
    definition = json.loads(pipeline_definition(Labels(settings.environment), settings.models[0], AROUND))
    return {each["Name"]: each for each in definition["Steps"]}


def request(settings: Settings) -> dict[str, Any]:
    """Arguments of the search, as SageMaker would get them."""
    report = {"OutputName": "report", "S3Output": {"S3Uri": "s3://models/report"}}
    outputs = [
        {"OutputName": name, "S3Output": {"S3Uri": f"s3://models/{name}"}} for name in ("train", "validation", "test")
    ]
    scope = Scope(
        parameters={
            "DataVersion": "0123",
            "ImageDigest": "sha256:" + "ab" * 32,
            "InstanceType": settings.models[0].training.instance_type,
        },
        execution={},
        steps={"Process": {"ProcessingOutputConfig": {"Outputs": [*outputs, report]}}, "Tune": TUNED},
        property_file=lambda _step, _name: {"lineage": {"auc": "0.70", "model_sha256": "cd" * 32}},
    )
    return resolve(steps(settings)["Tune"]["Arguments"], scope)


HYPERBAND = {"strategy": "hyperband", "minimumRounds": 40, "earlyStopping": False}


@pytest.mark.parametrize("changes", [{}, HYPERBAND, {"warmStartFrom": [], "strategy": "random"}], ids=str)
def test_a_search_is_one_that_sagemaker_takes(changes: dict[str, Any]) -> None:
    service = botocore.session.get_session().get_service_model("sagemaker")
    shape = service.operation_model("CreateHyperParameterTuningJob").input_shape
    assert shape is not None
    report = ParamValidator().validate(request(searched(**changes)), shape)
    assert not report.has_errors(), report.generate_report()


def test_a_search_replaces_the_training_and_keeps_what_surrounds_it() -> None:
    plain = {each["Name"]: each for each in json.loads(_plain())["Steps"]}
    found = steps(searched())
    assert found.keys() == {"Process", "Tune", "Evaluate", "Judge", "Challenge"}
    assert found["Tune"]["Type"] == "Tuning"
    assert found["Tune"]["RetryPolicies"] == plain["Train"]["RetryPolicies"]
    definition, training = found["Tune"]["Arguments"]["TrainingJobDefinition"], plain["Train"]["Arguments"]
    same = training.keys() - {"TrainingJobName", "HyperParameters", "Tags", "AlgorithmSpecification"}
    assert {name: definition[name] for name in same} == {name: training[name] for name in same}
    assert definition["EnableManagedSpotTraining"] is True
    assert "CheckpointConfig" in definition


def test_a_training_of_a_search_starts_again_by_itself_as_often_as_a_step() -> None:
    definition = request(searched())["TrainingJobDefinition"]
    assert definition["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    once = settings_of(changed({"models.0.training.tuning": SEARCH, "models.0.pipeline.attempts": 1}))
    assert "RetryStrategy" not in request(once)["TrainingJobDefinition"]


def _plain() -> str:
    settings = settings_of(changed({}))
    return pipeline_definition(Labels(settings.environment), settings.models[0], AROUND)


def test_what_is_searched_is_not_fixed_and_what_is_fixed_is_not_searched() -> None:
    found = request(searched())
    ranges = found["HyperParameterTuningJobConfig"]["ParameterRanges"]
    static = found["TrainingJobDefinition"]["StaticHyperParameters"]
    assert [each["Name"] for kind in ranges.values() for each in kind] == ["max_depth", "eta", "max_bin"]
    (depth,) = ranges["IntegerParameterRanges"]
    assert depth == {"Name": "max_depth", "MinValue": "3", "MaxValue": "10", "ScalingType": "Linear"}
    assert ranges["CategoricalParameterRanges"] == [{"Name": "max_bin", "Values": ["64", "256"]}]
    assert static.keys().isdisjoint({"max_depth", "eta", "max_bin"})
    assert static["num_round"] == "400"


def test_the_search_looks_for_the_gates_metric_as_the_image_prints_it() -> None:
    found = request(searched())
    objective = found["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    definitions = {
        each["Name"]: each["Regex"]
        for each in found["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    }
    expression = re.compile(definitions[objective["MetricName"]])
    log = ["[12] validation-auc=0.7421 validation-logloss=0.5432", "final-auc=0.7400 final-log_loss=0.5000"]
    assert objective["Type"] == "Maximize"
    assert [match[1] for line in log if (match := expression.search(line))] == ["0.7421", "0.7400"]


def test_hyperband_is_told_its_rounds_and_no_other_strategy_is() -> None:
    config = request(searched(**HYPERBAND))["HyperParameterTuningJobConfig"]
    assert config["StrategyConfig"] == {"HyperbandStrategyConfig": {"MinResource": 40, "MaxResource": 400}}
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    assert "StrategyConfig" not in request(searched())["HyperParameterTuningJobConfig"]


def test_later_steps_take_the_model_of_the_best_training() -> None:
    found = steps(searched())
    text = json.dumps([found["Evaluate"], found["Judge"]])
    assert "Steps.Train." not in text
    assert steps_named(found["Evaluate"]["Arguments"]) == {"Process", "Tune"}
    inputs = {
        each["InputName"]: each["S3Input"]["S3Uri"] for each in found["Evaluate"]["Arguments"]["ProcessingInputs"]
    }
    scope = Scope(parameters={}, execution={}, steps={"Tune": TUNED}, property_file=lambda _step, _name: {})
    place = "s3://slipway-prod-777788889999-us-east-1-models/flight-delay/jobs"
    assert resolve(inputs["model"], scope) == f"{place}/{BEST}/output/model.tar.gz"


def test_a_search_without_parents_starts_from_nothing() -> None:
    assert "WarmStartConfig" not in request(searched(warmStartFrom=[]))
    parents = request(searched())["WarmStartConfig"]["ParentHyperParameterTuningJobs"]
    assert parents == [{"HyperParameterTuningJobName": "3aee15-a1b2c3d4e5f6-search-0"}]


@pytest.mark.parametrize(
    ("action", "resource", "context", "may"),
    [
        ("CreateHyperParameterTuningJob", "hyper-parameter-tuning-job/3aee15-x", CLOSED, True),
        ("CreateHyperParameterTuningJob", "hyper-parameter-tuning-job/3aee15-x", {}, False),
        ("CreateHyperParameterTuningJob", "hyper-parameter-tuning-job/other-x", CLOSED, False),
        (
            "CreateHyperParameterTuningJob",
            "hyper-parameter-tuning-job/3aee15-x",
            {**CLOSED, "sagemaker:InstanceTypes": "ml.p5.48xlarge"},
            False,
        ),
        ("DescribeHyperParameterTuningJob", "hyper-parameter-tuning-job/3aee15-x", {}, True),
        ("ListTrainingJobsForHyperParameterTuningJob", "hyper-parameter-tuning-job/3aee15-x", {}, True),
        ("StopHyperParameterTuningJob", "hyper-parameter-tuning-job/3aee15-x", {}, True),
        ("StopHyperParameterTuningJob", "hyper-parameter-tuning-job/other-x", {}, False),
        ("DeleteHyperParameterTuningJob", "hyper-parameter-tuning-job/3aee15-x", {}, False),
        ("AddTags", "training-job/3aee15-x-001", {}, True),
        ("CreateTrainingJob", "training-job/slipway-prod-flight-delay-3aee1516-x", CLOSED, False),
    ],
)
def test_the_pipeline_may_search_with_the_models_own_tuning_jobs_only(
    action: str, resource: str, context: dict[str, str], *, may: bool
) -> None:
    settings = searched()
    found = duties(Labels(settings.environment), settings.models[0])[Duty.PIPELINE]
    assert allowed([{"Statement": found}], f"sagemaker:{action}", f"{ARN}{resource}", context) is may


def test_a_pipeline_without_a_search_may_not_search() -> None:
    settings = settings_of(changed({}))
    text = json.dumps(list(duties(Labels(settings.environment), settings.models[0]).values()))
    assert "HyperParameterTuningJob" not in text


def test_the_cost_of_a_run_counts_every_training() -> None:
    settings = searched()
    lines = estimate(plan_of("prod"), settings, usage_of("prod"), price_table(), on=date(2026, 11, 22)).lines
    (training,) = [line for line in lines if "training on ml.m5.xlarge" in line.what]
    assert "8 trainings and 8.0 hours at most" in training.what


def test_names_of_tuning_jobs_have_room_for_what_sagemaker_appends() -> None:
    prefix = request(searched())["HyperParameterTuningJobName"]
    assert prefix == "3aee15"
    assert len(prefix) + len("-abcdefabcdef-0123456789-0") <= 32
    assert len(prefix) == MAX_TUNING_PREFIX

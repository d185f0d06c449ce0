"""The pipeline of a model: what SageMaker would be asked to do, held against SageMaker's own service model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from components import pipeline_words as words
from components.drift_definition import drift_definition
from components.labels import Labels
from components.model_places import MAX_JOB_PREFIX, Duty, ModelPlaces
from components.pipeline_definition import pipeline_definition
from components.pipeline_jobs import Surroundings
from components.pipeline_metrics import GROUPS, metric_definitions
from lifecycle import training_log
from sandbox.loop.execution_parts import values_of
from sandbox.loop.references import Scope, UnresolvedError, references, resolve, steps_named
from settings.model import ModelSpec
from tests.settings.stacks import changed, decoded, settings_of
from tests.support.optional import SEARCH
from tests.support.recorded import STACKS, record_program, stack_section

if TYPE_CHECKING:
    from collections.abc import Iterator

PIPELINE = ("aws:sagemaker/pipeline:Pipeline", "pipelines-flight-delay")
AROUND = Surroundings(key_arn="arn:aws:kms:us-east-1:777788889999:key/1", subnets=["subnet-1"], security_group="sg-1")
DIGEST = "sha256:" + "ab" * 32
COMMIT = "c0ffee" * 6 + "c0de"
OUTPUTS = ("train", "validation", "test", "report")
REQUESTS = {
    "Processing": "CreateProcessingJob",
    "Training": "CreateTrainingJob",
    "RegisterModel": "CreateModelPackage",
}


SDK = Path(__file__).with_name("sdk_spelling.json")
"""What SageMaker's own SDK emits for the words of `pipeline_words`; `make spelling` writes it."""


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def definition_of(stack: str, *, overrides: str = "{}") -> dict[str, Any]:
    return json.loads(record_program(stack, overrides=overrides).one(*PIPELINE).inputs["pipelineDefinition"])


def defined(**changes: Any) -> dict[str, Any]:
    """The definition of prod's model, after changes by dotted path below the model."""
    settings = settings_of(changed({f"models.0.{path}": value for path, value in changes.items()}))
    return json.loads(pipeline_definition(Labels(settings.environment), settings.models[0], AROUND))


def every_step(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step
        for branch in ("IfSteps", "ElseSteps"):
            yield from every_step(step["Arguments"].get(branch, []))


def step(definition: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in every_step(definition["Steps"]) if each["Name"] == name)


def scope(definition: dict[str, Any]) -> Scope:
    """What the jobs of an execution would answer, as far as steps refer to it."""
    outputs = [{"OutputName": name, "S3Output": {"S3Uri": f"s3://models/{name}"}} for name in OUTPUTS]
    processing = {"ProcessingOutputConfig": {"Outputs": outputs}}
    training = {
        "TrainingJobName": "job",
        "TrainingJobArn": "arn:aws:sagemaker:us-east-1:777788889999:training-job/job",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://models/model.tar.gz"},
    }
    names = {each["Name"] for each in definition["Parameters"]}
    assert names == {"DataVersion", "ImageDigest", "InstanceType"}
    return Scope(
        parameters=values_of(definition, {"DataVersion": "0123", "ImageDigest": DIGEST}),
        execution={},
        steps={"Process": processing, "Train": training, "Evaluate": processing | {"ProcessingJobArn": "arn:aws:job"}},
        property_file=lambda _step, _name: {
            "binary_classification_metrics": {"auc": {"value": 0.7}},
            "lineage": {"auc": "0.70", "model_sha256": "cd" * 32, "champion_sha256": "ef" * 32, "code_version": COMMIT}
            | {"outcome": "better", "difference": "0.010000", "p_value": "0.001000"},
            "challenge": {"outcome": "better", "reason": "auc gained 0.01"},
            "card": dict.fromkeys(("training_metrics", "hyper_parameters", "metric_data"), "[]")
            | {"training_observations": '"1 row of train"', "code_version": f'"{COMMIT}"'},
        },
    )


def test_every_request_of_a_step_is_one_that_sagemaker_takes(stack: str) -> None:
    definition = definition_of(stack)
    service = botocore.session.get_session().get_service_model("sagemaker")
    seen: list[str] = []
    for each in every_step(definition["Steps"]):
        operation = REQUESTS.get(each["Type"])
        arguments = resolve(each["Arguments"], scope(definition))
        if operation is not None:
            shape = service.operation_model(operation).input_shape
            assert shape is not None
            report = ParamValidator().validate(arguments, shape)
            assert not report.has_errors(), report.generate_report()
            assert arguments.keys() <= shape.members.keys()
            seen.append(each["Name"])
    assert seen == ["Process", "Train", "Evaluate", "Register"]


def test_every_reference_names_an_earlier_step_and_what_it_leaves(stack: str) -> None:
    definition = definition_of(stack)
    earlier: set[str] = set()
    for each in every_step(definition["Steps"]):
        inside = {inner["Name"] for inner in every_step([each])}
        assert steps_named(each["Arguments"]) - inside <= earlier
        earlier.add(each["Name"])
    (declared,) = [files for each in every_step(definition["Steps"]) if (files := each.get("PropertyFiles"))]
    assert declared == [{"PropertyFileName": "evaluation", "OutputName": "report", "FilePath": "evaluation.json"}]


def test_no_job_has_a_network_of_its_own_or_writes_in_the_clear(stack: str) -> None:
    definition = definition_of(stack)
    for name in ("Process", "Evaluate"):
        arguments = step(definition, name)["Arguments"]
        network, output = arguments["NetworkConfig"], arguments["ProcessingOutputConfig"]
        assert network["EnableNetworkIsolation"] is network["EnableInterContainerTrafficEncryption"] is True
        assert len(network["VpcConfig"]["Subnets"]) >= 2
        assert output["KmsKeyId"] == arguments["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"]
        assert ":key/" in output["KmsKeyId"]
    training = step(definition, "Train")["Arguments"]
    assert training["EnableNetworkIsolation"] is training["EnableInterContainerTrafficEncryption"] is True
    assert training["OutputDataConfig"]["KmsKeyId"] == training["ResourceConfig"]["VolumeKmsKeyId"]
    assert training["VpcConfig"] == step(definition, "Process")["Arguments"]["NetworkConfig"]["VpcConfig"]


def test_each_job_runs_as_the_role_of_its_duty_and_the_pipeline_as_its_own() -> None:
    definition = definition_of("prod")
    roles = {name: step(definition, name)["Arguments"]["RoleArn"] for name in ("Process", "Train", "Evaluate")}
    arn = "arn:aws:iam::777788889999:role/slipway-prod-flight-delay-"
    assert roles == {"Process": f"{arn}process", "Train": f"{arn}train", "Evaluate": f"{arn}evaluate"}
    assert record_program("prod").one(*PIPELINE).inputs["roleArn"] == f"{arn}pipeline"


def test_a_pipeline_comes_after_the_rights_of_its_roles_and_its_package_group(stack: str) -> None:
    recorded = record_program(stack)
    pipeline = recorded.one(*PIPELINE)
    before = [
        item
        for item in recorded.resources
        if item.name.startswith("training-flight-delay-") or item.name == "registry-flight-delay"
    ]
    assert len(before) == 13
    assert all(recorded.depends_path(pipeline, item) for item in before)


def test_the_image_is_of_the_models_own_repository_by_digest_whatever_an_execution_asks_for() -> None:
    definition = definition_of("prod")
    images = {
        resolve(value, scope(definition))
        for value in (
            step(definition, "Process")["Arguments"]["AppSpecification"]["ImageUri"],
            step(definition, "Train")["Arguments"]["AlgorithmSpecification"]["TrainingImage"],
            step(definition, "Register")["Arguments"]["InferenceSpecification"]["Containers"][0]["Image"],
        )
    }
    assert images == {f"777788889999.dkr.ecr.us-east-1.amazonaws.com/slipway-prod/flight-delay@{DIGEST}"}


def test_a_spot_job_has_checkpoints_and_a_bound_on_its_wait_and_another_job_neither() -> None:
    spot = step(defined(), "Train")["Arguments"]
    assert spot["EnableManagedSpotTraining"] is True
    assert spot["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert "flight-delay/checkpoints" in json.dumps(spot["CheckpointConfig"])
    own = {"training.spot": False, "training.maxWaitSeconds": None, "training.keepAliveSeconds": 600}
    warm = step(defined(**own), "Train")["Arguments"]
    assert warm["EnableManagedSpotTraining"] is False
    assert warm["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert warm["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600
    assert "CheckpointConfig" not in warm
    assert "KeepAlivePeriodInSeconds" not in spot["ResourceConfig"]


def test_a_host_with_local_disks_is_given_no_key_for_its_volume() -> None:
    disks = {"training.instanceType": "ml.g5.xlarge", "training.fallbackInstanceTypes": ["ml.g5.2xlarge"]}
    hosts = step(defined(**disks), "Train")["Arguments"]["ResourceConfig"]
    assert "VolumeKmsKeyId" not in hosts


def test_several_hosts_are_those_of_the_training_alone_and_change_nothing_else() -> None:
    definition, one = defined(**{"training.instanceCount": 3}), defined()
    train = step(definition, "Train")["Arguments"]
    assert resolve(train["ResourceConfig"], scope(definition)) == {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 3,
        "VolumeSizeInGB": 10,
        "VolumeKmsKeyId": AROUND.key_arn,
    }
    assert train["EnableInterContainerTrafficEncryption"] is True
    shared = [each["DataSource"]["S3DataSource"]["S3DataDistributionType"] for each in train["InputDataConfig"]]
    assert shared == ["FullyReplicated", "FullyReplicated"]
    train["ResourceConfig"]["InstanceCount"] = 1
    assert definition == one


def test_dev_trains_on_one_small_host_for_an_hour_at_most() -> None:
    settings = settings_of(decoded("dev"))
    definition = json.loads(pipeline_definition(Labels(settings.environment), settings.models[0], AROUND))
    train = resolve(step(definition, "Train")["Arguments"], scope(definition))
    hosts = train["ResourceConfig"]
    assert {key: hosts[key] for key in ("InstanceType", "InstanceCount", "VolumeSizeInGB")} == {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 10,
    }
    assert train["StoppingCondition"]["MaxRuntimeInSeconds"] == 3600
    assert [each["InputMode"] for each in train["InputDataConfig"]] == ["File", "File"]


def test_an_execution_may_be_told_another_type_to_train_on_of_those_in_the_settings_only() -> None:
    definition = defined(**{"training.fallbackInstanceTypes": ["ml.m6i.xlarge"]})
    given = {"DataVersion": "0123", "ImageDigest": DIGEST}
    hosts = step(definition, "Train")["Arguments"]["ResourceConfig"]["InstanceType"]
    for told, expected in (({}, "ml.m5.xlarge"), ({"InstanceType": "ml.m6i.xlarge"}, "ml.m6i.xlarge")):
        around = replace(scope(definition), parameters=values_of(definition, given | told))
        assert resolve(hosts, around) == expected
    with pytest.raises(UnresolvedError, match=r"none of ml\.m5\.xlarge, ml\.m6i\.xlarge"):
        values_of(definition, given | {"InstanceType": "ml.p5.48xlarge"})


def test_rows_that_judge_reach_no_training_and_nothing_else_judges(stack: str) -> None:
    definition = definition_of(stack)
    process, train, evaluate = (step(definition, name)["Arguments"] for name in ("Process", "Train", "Evaluate"))
    read = {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in train["InputDataConfig"]}
    judging = {each["InputName"]: each["S3Input"]["S3Uri"] for each in evaluate["ProcessingInputs"]}
    written = [each["OutputName"] for each in process["ProcessingOutputConfig"]["Outputs"]]

    assert written == list(OUTPUTS)
    assert read == {name: words.output("Process", name) for name in ("train", "validation")}
    assert {name: uri for name, uri in judging.items() if name not in {"model", "champion"}} == {
        "test": words.output("Process", "test")
    }


def test_data_come_as_two_folders_or_as_one_that_is_dealt_out_by_what_the_settings_say() -> None:
    def told(**changes: Any) -> tuple[list[str], list[str]]:
        arguments = step(defined(**changes), "Process")["Arguments"]
        said = arguments["AppSpecification"]["ContainerArguments"]
        return [each["InputName"] for each in arguments["ProcessingInputs"]], said[said.index("--test-share") :]

    assert told() == (["train", "validation"], ["--test-share", "0.5"])
    one = {"data.validationShare": 0.2, "data.testShare": 0.4, "data.splitBy": ["carrier", "origin"]}
    shares = ["--test-share", "0.4", "--validation-share", "0.2", "--split-by", "carrier", "--split-by", "origin"]
    assert told(**one) == (["train"], shares)


def test_a_version_names_the_code_that_trained_it(stack: str) -> None:
    definition = definition_of(stack)
    registered = resolve(step(definition, "Register")["Arguments"], scope(definition))

    assert registered["MetadataProperties"]["CommitId"] == COMMIT
    assert registered["CustomerMetadataProperties"]["code-version"] == COMMIT
    card = json.loads(registered["ModelCard"]["ModelCardContent"])
    assert card["additional_information"]["custom_details"]["code-version"] == COMMIT


def test_versions_wait_for_a_person_in_prod_and_nowhere_else() -> None:
    statuses = {stack: step(definition_of(stack), "Register")["Arguments"]["ModelApprovalStatus"] for stack in STACKS}
    assert statuses.pop("prod") == "PendingManualApproval"
    assert set(statuses.values()) == {"Approved"}


def test_only_what_aws_itself_failed_is_tried_again() -> None:
    jobs = [each for each in every_step(defined()["Steps"]) if each["Type"] in {"Processing", "Training"}]
    for job in jobs:
        kinds = [kind for policy in job["RetryPolicies"] for kind in policy["ExceptionType"]]
        assert "SageMaker.CAPACITY_ERROR" in kinds
        assert {policy["MaxAttempts"] for policy in job["RetryPolicies"]} == {3}
    assert all("RetryPolicies" not in each for each in every_step(defined(**{"pipeline.attempts": 1})["Steps"][:3]))


def test_a_step_is_taken_from_the_cache_for_as_long_as_the_settings_say() -> None:
    assert step(defined(), "Train")["CacheConfig"] == {"Enabled": True, "ExpireAfter": "P30D"}
    assert "CacheConfig" not in step(defined(**{"pipeline.cacheDays": None}), "Train")


def test_a_changed_setting_changes_its_own_place_in_the_definition_and_no_other() -> None:
    before, after = defined(), defined(**{"training.hyperparameters.max_depth": 7})
    step(before, "Train")["Arguments"]["HyperParameters"]["max_depth"] = "7"
    assert before == after


def test_the_definition_is_the_same_in_every_process() -> None:
    texts = {record_program("prod", hash_seed=seed).one(*PIPELINE).inputs["pipelineDefinition"] for seed in ("0", "1")}
    assert len(texts) == 1
    assert len(texts.pop()) < 1_048_576, "SageMaker API reference, CreatePipeline"


@given(
    names=st.lists(st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,9}){0,2}", fullmatch=True), min_size=2, unique=True)
)
def test_no_jobs_of_one_model_can_be_taken_for_those_of_another(names: list[str]) -> None:
    (model,) = settings_of(changed({})).models
    labels = Labels(settings_of(changed({})).environment)
    places = [ModelPlaces(labels, model.model_copy(update={"name": name})) for name in names]
    prefixes = [f"{each.job_prefix}-" for each in places]
    assert all(len(prefix) <= MAX_JOB_PREFIX + 1 for prefix in prefixes)
    assert not [(a, b) for a in prefixes for b in prefixes if a is not b and a.startswith(b)]
    assert all(len(each.role(duty)) <= 64 for each in places for duty in Duty)


def test_the_model_of_a_stack_is_that_of_its_file(stack: str) -> None:
    (model,) = stack_section(stack, "models")
    spec = ModelSpec.model_validate_json(json.dumps(model))
    assert record_program(stack).exports["pipelineNames"] == {spec.name: f"slipway-{stack}-{spec.name}"}


def test_references_retries_and_conditions_are_spelt_as_sagemakers_own_sdk_spells_them() -> None:
    sdk = json.loads(SDK.read_text(encoding="utf-8"))
    assert words.parameter("DataVersion") == sdk["parameter"]
    assert words.joined("/", "s3://b", words.parameter("DataVersion"), "x") == sdk["join"]
    assert words.found("binary_classification_metrics.auc.value") == sdk["json get"]
    document = {
        "a": words.Part(words.parameter("DataVersion")),
        "b": words.Part(words.found("card.metric_data"), quoted=False),
    }
    assert words.text_of(document) == sdk["text of parts"]
    assert words.retries(3) == {"RetryPolicies": sdk["retries"]}
    definition = defined(**{"gate.metric": "auc", "gate.minimum": 0.68, "pipeline.cacheDays": 30})
    assert sdk["parameter definition"] in definition["Parameters"]
    assert step(definition, "Judge")["Arguments"]["Conditions"][:1] == [sdk["condition"]]
    assert step(definition, "Challenge")["Arguments"]["Conditions"][1] == sdk["in condition"]
    assert step(definition, "Evaluate")["PropertyFiles"] == [sdk["property file"]]
    assert step(definition, "Train")["CacheConfig"] == sdk["cache"]["CacheConfig"]
    assert step(definition, "Refuse").keys() == sdk["fail"].keys()


@pytest.mark.parametrize(("what", "tuning"), [("one training", None), ("a search", SEARCH)])
def test_the_sdk_makes_every_reference_to_a_step_and_no_other(what: str, tuning: dict[str, Any] | None) -> None:
    sdk = json.loads(SDK.read_text(encoding="utf-8"))
    assert sorted(set(references(defined(**{"training.tuning": tuning})))) == sdk["references"][what]


def test_the_sdk_makes_every_reference_of_a_look_for_drift_and_no_other() -> None:
    sdk, settings = json.loads(SDK.read_text(encoding="utf-8")), settings_of(changed({}))
    (model,) = settings.models
    assert model.drift is not None
    definition = drift_definition(Labels(settings.environment), model, model.drift, AROUND)
    assert sorted(set(references(json.loads(definition)))) == sdk["references"]["a look for drift"]


def test_the_program_knows_the_metrics_of_an_objective_as_the_functions_do() -> None:
    assert {objective: reported.group for objective, reported in training_log.REPORTED.items()} == GROUPS
    for objective in GROUPS:
        assert metric_definitions(objective) == training_log.metric_definitions(objective)

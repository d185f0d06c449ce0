"""Models that another algorithm trains: what SageMaker is asked for, who may pull what, what becomes of the result."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from datetime import date
from typing import TYPE_CHECKING, Any

import botocore.session
import pulumi
import pytest
from botocore.validate import ParamValidator

from components import script_source
from components.labels import Labels
from components.model_places import Duty
from components.pipeline_algorithm import XGBOOST_ACCOUNTS
from components.pipeline_definition import pipeline_definition
from components.pipeline_jobs import Surroundings
from components.script_source import REPOSITORY, ScriptSource
from components.training_grants import duties
from costs.estimate import estimate
from costs.prices import price_table
from costs.usage import usage_of
from guardrails import deployment, gate
from guardrails.packconfig import configure, load
from guardrails.registry import all_rules
from sandbox.loop.execution_parts import values_of
from sandbox.loop.references import Scope, resolve
from settings.model import ScriptSpec
from settings.places import REGIONS
from tests.settings.stacks import changed, problems, settings_of
from tests.support.changes import overrides
from tests.support.iam_evaluator import allowed
from tests.support.planned import plan_of
from tests.support.recorded import record_deployment

if TYPE_CHECKING:
    from pathlib import Path

    from settings.model import Settings

BUILT_IN = {"builtIn": {"name": "xgboost", "version": "3.2-0", "hyperparameters": {"rate_drop": "0.5"}}}
SOURCE = "tests/support/script_mode"
SCRIPT = {"script": {"version": "3.0-5", "source": SOURCE, "entryPoint": "train.py", "hyperparameters": {"trees": "2"}}}
FOREIGN = "555566667777.dkr.ecr.us-east-1.amazonaws.com/research/forest"
OWN: dict[str, Any] = {
    "own": {
        "image": f"{FOREIGN}@sha256:{'a' * 64}",
        "entryPoint": ["python", "-m", "forest"],
        "arguments": ["--grow", "wide"],
        "hyperparameters": {"leaves": "31"},
    }
}
ALGORITHMS: dict[str, dict[str, Any]] = {"built-in": BUILT_IN, "script": SCRIPT, "own": OWN}
AWS_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost"
REPOSITORIES = {
    "built-in": "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-xgboost",
    "script": "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-xgboost",
    "own": "arn:aws:ecr:us-east-1:555566667777:repository/research/forest",
}
DIGEST = "sha256:" + "ab" * 32
MODELS = "arn:aws:s3:::slipway-prod-777788889999-us-east-1-models"
AROUND = Surroundings(key_arn="arn:aws:kms:us-east-1:777788889999:key/1", subnets=["subnet-1"], security_group="sg-1")


@pytest.fixture(params=ALGORITHMS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def edits(algorithm: dict[str, Any] | None, **more: object) -> dict[str, object]:
    """Prod's model with an algorithm, and further changes by path below the model."""
    trusted = {"registry.trainingRegistries": [FOREIGN.rpartition("/")[0]]}
    changes = {f"models.0.{path}": value for path, value in more.items()}
    return {**trusted, "models.0.training.algorithm": algorithm, **changes}


def trained_by(algorithm: dict[str, Any] | None, **more: object) -> Settings:
    content = changed(edits(algorithm, **more))
    assert problems(content) == []
    return settings_of(content)


def steps(settings: Settings) -> dict[str, Any]:
    """Every job of the definition by the name of its step, with its references resolved."""
    definition = json.loads(pipeline_definition(Labels(settings.environment), settings.models[0], AROUND))
    names = ("train", "validation", "test", "numbers-train", "numbers-validation", "report", "model")
    outputs = [{"OutputName": name, "S3Output": {"S3Uri": f"s3://models/{name}"}} for name in names]
    processing = {"ProcessingOutputConfig": {"Outputs": outputs}, "ProcessingJobArn": "arn:aws:job"}
    training = {"TrainingJobName": "job", "ModelArtifacts": {"S3ModelArtifacts": "s3://models/left/model.tar.gz"}}
    scope = Scope(
        parameters=values_of(definition, {"DataVersion": "0123", "ImageDigest": DIGEST}),
        execution={},
        steps={"Process": processing, "Train": training, "Adopt": processing, "Evaluate": processing},
        property_file=lambda _step, _name: {},
    )
    jobs = [each for each in definition["Steps"] if each["Type"] in {"Processing", "Training"}]
    return {each["Name"]: resolve(each["Arguments"], scope) for each in jobs}


def test_every_algorithm_is_asked_for_in_a_way_that_sagemaker_takes(kind: str) -> None:
    service = botocore.session.get_session().get_service_model("sagemaker")
    found = steps(trained_by(ALGORITHMS[kind]))
    assert list(found) == ["Process", "Train", "Adopt", "Evaluate"]
    for name, arguments in found.items():
        shape = service.operation_model("CreateTrainingJob" if name == "Train" else "CreateProcessingJob").input_shape
        assert shape is not None
        report = ParamValidator().validate(arguments, shape)
        assert not report.has_errors(), report.generate_report()
    training = found["Train"]
    assert training["EnableNetworkIsolation"] is training["EnableInterContainerTrafficEncryption"] is True
    assert "MetricDefinitions" not in training["AlgorithmSpecification"]


def test_the_image_is_the_one_that_the_settings_name_and_judging_stays_with_the_models_own(kind: str) -> None:
    found = steps(trained_by(ALGORITHMS[kind]))
    images = {"built-in": f"{AWS_IMAGE}:3.2-0", "script": f"{AWS_IMAGE}:3.0-5", "own": OWN["own"]["image"]}
    assert found["Train"]["AlgorithmSpecification"]["TrainingImage"] == images[kind]
    ours = f"777788889999.dkr.ecr.us-east-1.amazonaws.com/slipway-prod/flight-delay@{DIGEST}"
    assert {found[name]["AppSpecification"]["ImageUri"] for name in ("Process", "Adopt", "Evaluate")} == {ours}


def test_an_algorithm_learns_from_numbers_and_the_evaluation_asks_about_the_files_as_they_came(kind: str) -> None:
    found = steps(trained_by(ALGORITHMS[kind]))
    channels = {each["ChannelName"]: each for each in found["Train"]["InputDataConfig"]}
    places = {name: each["DataSource"]["S3DataSource"]["S3Uri"] for name, each in channels.items() if name != "code"}
    assert places == {name: f"s3://models/numbers-{name}/" for name in ("train", "validation")}
    assert {channels[name]["ContentType"] for name in places} == {"text/csv"}
    written = {each["OutputName"] for each in found["Process"]["ProcessingOutputConfig"]["Outputs"]}
    assert {"train", "numbers-train", "numbers-validation"} < written
    assert "--numbers" in found["Process"]["AppSpecification"]["ContainerArguments"]
    given = {each["InputName"]: each["S3Input"]["S3Uri"] for each in found["Evaluate"]["ProcessingInputs"]}
    assert given["test"] == "s3://models/test"


@pytest.mark.parametrize("name", ["script", "own", None])
@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_data_come_to_a_training_as_the_settings_say_and_a_script_always_as_a_copy(name: str | None, mode: str) -> None:
    settings = trained_by(ALGORITHMS[name] if name else None, **{"training.inputMode": mode})
    train = steps(settings)["Train"]
    code = {"code": "File"} if name == "script" else {}
    assert {each["ChannelName"]: each["InputMode"] for each in train["InputDataConfig"]} == {
        "train": mode,
        "validation": mode,
        **code,
    }
    assert train["AlgorithmSpecification"]["TrainingInputMode"] == mode


def test_what_the_algorithm_leaves_is_adopted_before_anything_else_is_done_with_it(kind: str) -> None:
    settings = trained_by(ALGORITHMS[kind])
    found, definition = steps(settings), _text(settings)
    given = {each["InputName"]: each["S3Input"]["S3Uri"] for each in found["Adopt"]["ProcessingInputs"]}
    adopted = found["Adopt"]["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    judged = {each["InputName"]: each["S3Input"]["S3Uri"] for each in found["Evaluate"]["ProcessingInputs"]}
    assert given["model"] == "s3://models/left/model.tar.gz"
    assert adopted.endswith("/flight-delay/jobs/job/adopted")
    assert judged["model"] == "s3://models/model/model.tar.gz"
    assert definition.count("Steps.Train.ModelArtifacts.S3ModelArtifacts") == 1


def _text(settings: Settings) -> str:
    return pipeline_definition(Labels(settings.environment), settings.models[0], AROUND)


def test_xgboost_is_told_the_settings_in_its_own_words(kind: str) -> None:
    told = steps(trained_by(ALGORITHMS[kind]))["Train"]["HyperParameters"]
    also = next(iter(ALGORITHMS[kind].values()))["hyperparameters"]
    expected = {"num_round": "400", "eta": "0.1", "lambda": "1.0", "seed": "2013", "objective": "binary:logistic"}
    assert told.items() >= {**expected, **also, "eval_metric": "auc,logloss"}.items()
    assert told.keys().isdisjoint({"label", "reg_lambda", "device", "num_class", "slices", "checkpoint_rounds"})


def test_silence_is_how_xgboost_is_told_that_something_is_not_wanted() -> None:
    silent = steps(trained_by(BUILT_IN, **{"training.hyperparameters.early_stopping_rounds": 0}))
    assert "early_stopping_rounds" not in silent["Train"]["HyperParameters"]
    several = {
        "training.hyperparameters.objective": "multi:softprob",
        "training.hyperparameters.num_class": 3,
        "gate.metric": "accuracy",
    }
    told = steps(trained_by(BUILT_IN, **several))["Train"]["HyperParameters"]
    assert told["num_class"] == "3"
    assert told["eval_metric"] == "merror,mlogloss"


def test_an_own_image_is_started_as_the_settings_say_or_as_it_starts_itself() -> None:
    specification = steps(trained_by(OWN))["Train"]["AlgorithmSpecification"]
    assert specification["ContainerEntrypoint"] == ["python", "-m", "forest"]
    assert specification["ContainerArguments"] == ["--grow", "wide"]
    plain: dict[str, Any] = {"own": {**OWN["own"], "entryPoint": [], "arguments": []}}
    assert steps(trained_by(plain))["Train"]["AlgorithmSpecification"].keys() == {"TrainingImage", "TrainingInputMode"}


def test_checkpoints_of_one_algorithm_are_not_found_by_another(kind: str) -> None:
    def place(settings: Settings) -> str:
        return steps(settings)["Train"]["CheckpointConfig"]["S3Uri"]

    changes = {"training.hyperparameters.eta": 0.2}
    places = [place(trained_by(ALGORITHMS[kind])), place(trained_by(ALGORITHMS[kind], **changes))]
    assert len({*places, place(settings_of(changed({})))}) == 3
    assert all("/flight-delay/checkpoints/0123/" in each for each in places)


@pytest.fixture(scope="module")
def deployed() -> dict[str, Any]:
    """Prod with a model for each kind of algorithm."""
    (model,) = changed({})["slipway:models"]
    unserved = {"retraining": None, "drift": None, "serving": None, "approved": None}
    models = [
        {**model, **unserved, "name": name, "datasetPrefix": f"{name}/"}
        | {"training": {**model["training"], "algorithm": algorithm}}
        for name, algorithm in ALGORITHMS.items()
    ]
    registries = {"registry.trainingRegistries": [FOREIGN.rpartition("/")[0]]}
    return record_deployment("prod", overrides=overrides({**registries, "models": models}))


def blocked(deployed: dict[str, Any], *registries: str) -> list[tuple[str, str, str]]:
    """Rule, resource and remedy of what prod's policies refuse, with these registries allowed as well."""
    config: Any = load(REPOSITORY / "policies/config/prod.json")
    config["image-pinned-trusted"]["registries"] += registries
    found = gate.run(deployment.read(deployed), configure(all_rules(), config)).findings
    return [(each.rule.name, each.message.urn or "", each.message.fix) for each in found if each.blocks]


def test_prod_passes_its_policies_with_every_algorithm(deployed: dict[str, Any]) -> None:
    assert blocked(deployed, FOREIGN) == []


def test_policies_know_a_team_s_own_image_only_when_they_name_its_registry_too(deployed: dict[str, Any]) -> None:
    ((rule, urn, fix),) = blocked(deployed)
    assert (rule, urn.rpartition("::")[2]) == ("image-pinned-trusted", "pipelines-own")
    assert fix == "change training.algorithm of the model, or what the pack configuration allows, with a review"


def test_a_script_comes_by_a_channel_under_the_name_that_the_toolkit_looks_for(deployed: dict[str, Any]) -> None:
    made = {each["urn"].rpartition("::")[2]: each for each in deployed["deployment"]["resources"]}
    script, pipeline = made["pipelines-script-script"], made["pipelines-script"]
    (train,) = [
        each["Arguments"]
        for each in json.loads(pipeline["inputs"]["pipelineDefinition"])["Steps"]
        if each["Name"] == "Train"
    ]
    (code,) = [each for each in train["InputDataConfig"] if each["ChannelName"] == "code"]
    uri = code["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri == f"s3://slipway-prod-777788889999-us-east-1-models/{script['inputs']['key']}"
    assert train["HyperParameters"]["sagemaker_program"] == "train.py"
    submitted = train["HyperParameters"]["sagemaker_submit_directory"]
    assert submitted == f"/opt/ml/input/data/code/{uri.rpartition('/')[2]}"
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(script["inputs"]["contentBase64"])), mode="r:gz") as tar:
        found = {each.name: tar.extractfile(each) for each in tar}
        texts = {name: file.read() for name, file in found.items() if file}
    assert texts == {path.name: path.read_bytes() for path in (REPOSITORY / SOURCE).glob("*.py")}
    assert script["urn"] in pipeline["dependencies"]


def test_a_script_keeps_its_place_until_a_file_of_it_changes(tmp_path: Path) -> None:
    def key(text: str) -> str:
        (tmp_path / "train.py").write_text(text)
        return ScriptSource(tmp_path, "train.py").key

    assert key("a") == key("a") != key("b")
    before = ScriptSource(tmp_path, "train.py").content()
    (tmp_path / "train.py").touch()
    assert ScriptSource(tmp_path, "train.py").content() == before


@pytest.mark.parametrize(
    ("there", "message"),
    [(["other.py"], "there is no code/train.py"), (["train.py", "requirements.txt"], "has no network to install from")],
)
def test_a_script_that_cannot_start_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: list[str], message: str
) -> None:
    monkeypatch.setattr(script_source, "REPOSITORY", tmp_path)
    (tmp_path / "code").mkdir()
    for name in there:
        (tmp_path / "code" / name).touch()
    with pytest.raises(pulumi.RunError, match=message):
        ScriptSource.of(ScriptSpec.model_construct(version="3.2-0", source="code", entry_point="train.py"))


def test_the_training_pulls_its_image_and_no_other_and_reads_its_own_script_alone(kind: str) -> None:
    settings = trained_by(ALGORITHMS[kind])
    documents = {
        duty: [{"Statement": may}] for duty, may in duties(Labels(settings.environment), settings.models[0]).items()
    }

    def may(duty: Duty, action: str, resource: str) -> bool:
        return allowed(documents[duty], action, resource, {})

    ours = "arn:aws:ecr:us-east-1:777788889999:repository/slipway-prod/flight-delay"
    assert may(Duty.TRAIN, "ecr:BatchGetImage", REPOSITORIES[kind])
    assert not may(Duty.TRAIN, "ecr:BatchGetImage", ours)
    assert not may(Duty.TRAIN, "ecr:BatchGetImage", f"{REPOSITORIES[kind]}-other")
    assert may(Duty.ADOPT, "ecr:BatchGetImage", ours)
    assert not may(Duty.ADOPT, "ecr:BatchGetImage", REPOSITORIES[kind])
    script = f"{MODELS}/flight-delay/sources/1/sourcedir.tar.gz"
    assert may(Duty.TRAIN, "s3:GetObject", script) is (kind == "script")
    assert not may(Duty.TRAIN, "s3:PutObject", script)


def test_what_adopts_a_model_writes_models_and_nothing_else() -> None:
    settings = trained_by(BUILT_IN)
    found = duties(Labels(settings.environment), settings.models[0])
    may = [{"Statement": found[Duty.ADOPT]}]
    assert allowed(may, "s3:PutObject", f"{MODELS}/flight-delay/jobs/job/adopted/model.tar.gz", {})
    for place in ("reports/x", "champion/model.tar.gz", "data/0123/train/1.csv"):
        assert not allowed(may, "s3:PutObject", f"{MODELS}/flight-delay/{place}", {})
    handed = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    role = "arn:aws:iam::777788889999:role/slipway-prod-flight-delay-adopt"
    assert allowed([{"Statement": found[Duty.PIPELINE]}], "iam:PassRole", role, handed)
    plain = settings_of(changed({}))
    assert Duty.ADOPT not in duties(Labels(plain.environment), plain.models[0])


def test_a_version_tells_which_image_trained_it(kind: str) -> None:
    settings = trained_by(ALGORITHMS[kind])
    image = steps(settings)["Train"]["AlgorithmSpecification"]["TrainingImage"]
    assert json.dumps({"training-image": image})[1:-1] in _text(settings)
    assert "training-image" not in _text(settings_of(changed({})))


def test_a_run_costs_one_more_job() -> None:
    def hours(settings: Settings) -> str:
        found = estimate(plan_of("prod"), settings, usage_of("prod"), price_table(), on=date(2026, 11, 23))
        return next(line.what for line in found.lines if "checking and evaluating" in line.what)

    assert "1.0 hours" in hours(settings_of(changed({})))
    assert "1.5 hours" in hours(trained_by(BUILT_IN))


def test_registries_of_the_image_are_of_regions_that_there_are() -> None:
    assert XGBOOST_ACCOUNTS.keys() <= frozenset().union(*REGIONS.values())
    assert all(len(account) == 12 and account.isdecimal() for account in XGBOOST_ACCOUNTS.values())

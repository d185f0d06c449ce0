"""The model card that comes with a version: what SageMaker takes, what people wrote, what the run found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import pipeline_card
from components.labels import Labels
from components.pipeline_card import model_card
from components.pipeline_words import parameter
from lifecycle import promotion
from processing import card
from sandbox.loop.references import Scope, resolve
from scoring.artifact import Provenance
from tests.settings.stacks import STACKS, changed, decoded, settings_of
from tests.support.model_cards import CARD_SCHEMA, LONGEST

if TYPE_CHECKING:
    from settings.model import ModelSpec

PROVENANCE = Provenance(
    hyperparameters={"eta": 0.1, "num_round": 400, "slices": "", "objective": "binary:logistic"},
    seed=1,
    code_version=None,
    data={"train": {"rows": 700, "parts": []}, "validation": {"rows": 90, "parts": []}},
    metrics={"auc": 0.71, "log_loss": 0.5},
)
FOUND = {"auc": 0.7, "accuracy": 0.8, "r2": float("nan")}


def content(stack: str = "prod", **edits: object) -> dict[str, Any]:
    """The card that a run registers, after changes of prod's settings by dotted path."""
    settings = settings_of(changed(edits) if edits else decoded(stack))
    told = model_card(Labels(settings.environment), settings.models[0], parameter("ImageDigest"))
    outputs = [
        {"OutputName": name, "S3Output": {"S3Uri": f"s3://m/{name}"}} for name in ("train", "validation", "test")
    ]
    scope = Scope(
        parameters={"DataVersion": "0123", "ImageDigest": "sha256:ab"},
        execution={},
        steps={
            "Process": {"ProcessingOutputConfig": {"Outputs": outputs}},
            "Train": {"TrainingJobArn": "arn:job", "ModelArtifacts": {"S3ModelArtifacts": "s3://m/model.tar.gz"}},
            "Evaluate": {"ProcessingJobArn": "arn:evaluation"},
        },
        property_file=lambda _step, _name: {
            "lineage": {"model_sha256": "cd" * 32},
            "card": card.parts(PROVENANCE.to_json(), FOUND),
        },
    )
    text = resolve(told["ModelCardContent"], scope)
    assert len(text) < LONGEST
    return json.loads(text)


@pytest.mark.parametrize("stack", STACKS)
def test_the_card_of_every_environment_is_one_that_sagemaker_takes(stack: str) -> None:
    jsonschema.validate(content(stack), CARD_SCHEMA)


def test_a_card_tells_owner_use_data_training_and_evaluation() -> None:
    found = content()
    training, (evaluation,) = found["training_details"], found["evaluation_details"]
    job = training["training_job_details"]
    assert found["model_overview"] == {
        "model_creator": "ml-platform@example.com",
        "model_artifact": ["s3://m/model.tar.gz"],
    }
    assert found["intended_uses"]["risk_rating"] == "Low"
    assert training["training_observations"] == "700 rows of train, 90 rows of validation"
    assert (job["training_arn"], job["training_datasets"]) == ("arn:job", ["s3://m/train"])
    assert job["training_environment"] == {"container_image": ["sha256:ab"]}
    assert job["training_metrics"] == [{"name": "auc", "value": 0.71}, {"name": "log_loss", "value": 0.5}]
    assert {each["name"]: each["value"] for each in job["hyper_parameters"]} == {
        "eta": "0.1",
        "num_round": "400",
        "objective": "binary:logistic",
    }
    assert evaluation["evaluation_job_arn"] == "arn:evaluation"
    (group,) = evaluation["metric_groups"]
    assert {each["name"]: each["value"] for each in group["metric_data"]} == {"auc": 0.7, "accuracy": 0.8}
    details = found["additional_information"]["custom_details"]
    assert (details["data-version"], details["model-sha256"]) == ("0123", "cd" * 32)


@given(purpose=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_a_card_says_what_the_settings_say_whatever_characters_they_hold(purpose: str) -> None:
    settings = settings_of(decoded())
    model = settings.models[0]
    told: ModelSpec = model.model_copy(update={"card": model.card.model_copy(update={"purpose": purpose})})
    text = model_card(Labels(settings.environment), told, parameter("ImageDigest"))["ModelCardContent"]
    pieces = [each if isinstance(each, str) else "0" for each in text["Std:Join"]["Values"]]
    assert json.loads("".join(pieces))["intended_uses"]["purpose_of_model"] == purpose


@pytest.mark.parametrize(("approval", "status"), [("automatic", "Approved"), ("manual", "PendingReview")])
def test_a_card_waits_for_a_person_exactly_where_the_version_does(approval: str, status: str) -> None:
    settings = settings_of(changed({"models.0.pipeline.approval": approval}))
    told = model_card(Labels(settings.environment), settings.models[0], parameter("ImageDigest"))
    assert told["ModelCardStatus"] == status
    assert set(pipeline_card.STATUS.values()) == set(promotion.CARD_STATUS.values())

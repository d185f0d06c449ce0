"""The gate of a pipeline as its conditions decide: what is registered where, what fails, and what just ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components import pipeline_champion as words
from processing.__main__ import parser
from scoring import challenge
from tests.settings.stacks import changed, decoded
from tests.support.gated import FAILED, NOTHING, REGISTERED, behind, defined, names, step
from tests.support.iam_evaluator import may
from tests.support.recorded import STACKS, record_program

NINETY = {"metric": "accuracy", "minimum": 0.9}
MODELS = "arn:aws:s3:::slipway-prod-777788889999-us-east-1-models"


def with_gate(stack: str, **gate: object) -> dict[str, Any]:
    content = decoded(stack)
    content["slipway:models"][0]["gate"] |= gate
    return defined(content)


def ended(definition: dict[str, Any], value: float, outcome: str, metric: str = "accuracy") -> list[dict[str, Any]]:
    """What an execution comes to with one figure and one verdict."""
    document = {
        "binary_classification_metrics": {metric: {"value": value}},
        "challenge": {"outcome": outcome, "reason": "because"},
        "lineage": {metric: f"{value:.6f}"},
    }
    return behind(definition, document)


@pytest.mark.parametrize(
    ("accuracy", "outcome", "expected"),
    [
        (0.8999, words.FIRST, FAILED),
        (0.9, words.FIRST, FAILED),
        (0.9001, words.FIRST, REGISTERED),
        (0.9, words.BETTER, FAILED),
        (0.9001, words.BETTER, REGISTERED),
        (0.9001, words.EQUAL, NOTHING),
        (0.9, words.EQUAL, FAILED),
        (0.99, words.WORSE, FAILED),
    ],
)
def test_a_model_is_registered_only_above_the_gate_and_ahead_of_the_champion(
    accuracy: float, outcome: str, expected: set[str]
) -> None:
    assert names(ended(with_gate("staging", **NINETY), accuracy, outcome)) == expected


@pytest.mark.parametrize(
    ("stack", "accuracy", "status"),
    [
        ("staging", 0.9, None),
        ("staging", 0.9001, "Approved"),
        ("prod", 0.9, None),
        ("prod", 0.9001, "PendingManualApproval"),
    ],
)
def test_above_ninety_percent_a_version_goes_to_staging_and_to_prod_only_by_another_approval(
    stack: str, accuracy: float, status: str | None
) -> None:
    registered = [
        each["Arguments"]["ModelApprovalStatus"]
        for each in ended(with_gate(stack, **NINETY), accuracy, words.FIRST)
        if each["Name"] == "Register"
    ]
    assert registered == ([] if status is None else [status])


def test_no_job_of_prod_approves_a_version_itself() -> None:
    version = "arn:aws:sagemaker:us-east-1:777788889999:model-package/slipway-prod-flight-delay/2"
    approved = {"sagemaker:ModelApprovalStatus": "Approved"}
    recorded = record_program("prod")
    roles = {policy.inputs["role"] for policy in recorded.of_type("aws:iam/rolePolicy:RolePolicy")}
    allowed = {
        role
        for role in roles
        for action in ("CreateModelPackage", "UpdateModelPackage")
        if may(recorded, role, f"sagemaker:{action}", version, approved)
    }
    assert allowed == {"slipway-prod-approval"}


def test_a_refusal_says_the_figures_and_a_gate_without_a_champion_asks_for_the_minimum_only() -> None:
    (refused,) = ended(with_gate("staging", **NINETY), 0.5, words.WORSE)
    assert refused["said"] == (
        "the gate refused the model: accuracy is 0.500000 and has to exceed 0.9 · beside the model in service: because"
    )
    alone = with_gate("staging", **NINETY, champion=None)
    assert names(ended(alone, 0.9001, "")) == REGISTERED
    assert names(ended(alone, 0.9, "")) == FAILED
    assert "champion" not in json.dumps(alone)


def test_the_words_of_the_definition_are_those_of_the_image() -> None:
    assert {words.FIRST, words.BETTER, words.EQUAL, words.WORSE} == {
        challenge.FIRST,
        challenge.BETTER,
        challenge.EQUAL,
        challenge.WORSE,
    }
    arguments = step(defined(decoded()), "Evaluate")["Arguments"]["AppSpecification"]["ContainerArguments"]
    options = parser().parse_args(arguments)
    assert (options.metric, options.newest_files, options.minimum_gain, options.significance) == ("auc", 1, 0.002, 0.05)
    assert (options.slices, options.slice_rows, options.slice_loss) == (["carrier", "origin"], 300, 0.02)
    assert options.collapse == 0.15


def test_the_evaluation_looks_at_the_champion_as_it_is_now_and_may_read_nothing_else_for_it() -> None:
    evaluate = step(defined(decoded()), "Evaluate")
    inputs = {each["InputName"]: each["S3Input"]["S3Uri"] for each in evaluate["Arguments"]["ProcessingInputs"]}
    assert inputs["champion"] == f"s3://{MODELS.rpartition(':')[2]}/flight-delay/champion/"
    assert "CacheConfig" not in evaluate
    assert "CacheConfig" in step(defined(changed({"models.0.gate.champion": None})), "Evaluate")
    recorded, role = record_program("prod"), "slipway-prod-flight-delay-evaluate"
    assert may(recorded, role, "s3:GetObject", f"{MODELS}/flight-delay/champion/model.tar.gz", {})
    assert not may(recorded, role, "s3:PutObject", f"{MODELS}/flight-delay/champion/model.tar.gz", {})
    assert not may(recorded, role, "s3:GetObject", f"{MODELS}/churn/champion/model.tar.gz", {})
    others = {f"slipway-prod-flight-delay-{duty}" for duty in ("process", "train")}
    assert not [each for each in others if may(recorded, each, "s3:GetObject", f"{MODELS}/flight-delay/champion/x", {})]


@pytest.mark.parametrize("stack", STACKS)
def test_something_lies_where_the_champion_will_before_the_first_pipeline_runs(stack: str) -> None:
    recorded = record_program(stack)
    placeholder = recorded.one("aws:s3/bucketObjectv2:BucketObjectv2", "pipelines-flight-delay-none.json")
    assert placeholder.inputs["key"] == f"flight-delay/champion/{words.PLACEHOLDER}"
    assert recorded.depends_path(recorded.one("aws:sagemaker/pipeline:Pipeline", "pipelines-flight-delay"), placeholder)

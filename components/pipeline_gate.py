"""The end of a model's pipeline: what decides about the trained model, and how it is registered.

Source: SageMaker developer guide, "Add a step" (condition, fail, register model); API reference, `CreateModelPackage`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from components import iam
from components import pipeline_champion as champion
from components.model_places import ModelPlaces
from components.pipeline_algorithm import training_image
from components.pipeline_card import model_card
from components.pipeline_metrics import GROUPS
from components.pipeline_tuning import Trained
from components.pipeline_words import CSV, EVALUATION, JSON, Step, found, joined, output, parameter, report
from components.training_grants import APPROVAL

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import ModelSpec


def gate_steps(labels: Labels, model: ModelSpec, image: Step) -> list[Step]:
    """Register what is better than the gate, strictly; else fail, so that nobody takes the run for a success.

    Beside a champion there is a third end. What is worse than the champion fails as well, for then the data or the code
    is; but a model that is just no better is what many a month brings: the run succeeds and registers nothing. Neither
    of the two conditions waits for the other, for SageMaker nests none, so both hold the model against the minimum.
    """
    metric = found(f"{GROUPS[model.training.hyperparameters.objective]}.{model.gate.metric}.value")
    enough: Step = {"Type": "GreaterThan", "LeftValue": metric, "RightValue": model.gate.minimum}
    register, refuse = _register(labels, model, image), _refuse(model)
    if model.gate.champion is None:
        return [_condition("Judge", [enough], [register], [refuse])]
    harmless = champion.outcome_is(champion.FIRST, champion.BETTER, champion.EQUAL)
    ahead = champion.outcome_is(champion.FIRST, champion.BETTER)
    return [
        _condition("Judge", [enough, harmless], [], [refuse]),
        _condition("Challenge", [enough, ahead], [register], []),
    ]


def _condition(name: str, conditions: list[Step], then: list[Step], otherwise: list[Step]) -> Step:
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": {"Conditions": conditions, "IfSteps": then, "ElseSteps": otherwise},
    }


def _refuse(model: ModelSpec) -> Step:
    gate = model.gate
    figure = found(f"lineage.{gate.metric}")
    said = [f"the gate refused the model: {gate.metric} is", figure, f"and has to exceed {gate.minimum}"]
    if gate.champion is not None:
        said += ["· beside the model in service:", champion.reason()]
    return {"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": joined(" ", *said)}}


def _register(labels: Labels, model: ModelSpec, image: Step) -> Step:
    """Add a version that tells where it comes from: data, code, job, digest and metrics."""
    reports, trained = output("Evaluate", "report"), Trained.of(ModelPlaces(labels, model))
    host = [model.training.instance_type]
    other = training_image(iam.Account.of(labels.environment), model)
    lineage: Step = {
        **({} if other is None else {"training-image": other[0]}),
        "data-version": parameter("DataVersion"),
        "image-digest": parameter("ImageDigest"),
        "training-job": trained.name,
        "code-version": found("lineage.code_version"),
        "model-sha256": found("lineage.model_sha256"),
        f"evaluation/{model.gate.metric}": found(f"lineage.{model.gate.metric}"),
        **(champion.lineage() if model.gate.champion else {}),
    }
    arguments: Step = {
        "ModelPackageGroupName": labels.package_group(model.name),
        "ModelPackageDescription": f"Passed the gate: {model.gate.metric} exceeds {model.gate.minimum}",
        "ModelCard": model_card(labels, model, image),
        "InferenceSpecification": {
            "Containers": [{"Image": image, "ModelDataUrl": trained.artefact}],
            "SupportedContentTypes": [CSV, JSON],
            "SupportedResponseMIMETypes": [CSV, JSON],
            "SupportedRealtimeInferenceInstanceTypes": host,
            "SupportedTransformInstanceTypes": host,
        },
        "ModelMetrics": {
            "ModelQuality": {"Statistics": report(joined("/", reports, f"{EVALUATION}.json"))},
            "ModelDataQuality": {"Statistics": report(joined("/", output("Process", "report"), "data.json"))},
        },
        "ModelApprovalStatus": APPROVAL[model.pipeline.approval],
        "CustomerMetadataProperties": lineage,
        "MetadataProperties": {"GeneratedBy": trained.arn, "CommitId": found("lineage.code_version")},
        "SkipModelValidation": "None",
    }
    return {"Name": "Register", "Type": "RegisterModel", "Arguments": arguments}

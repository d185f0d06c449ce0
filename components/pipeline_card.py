"""The model card that a pipeline registers with each version: what people say of the model, and what a run found.

The image tells what only it knows as JSON texts (`model_image/processing/card.py`); settings and jobs tell the rest.
The card of a package is a part of SageMaker's model card: no other key is taken (SageMaker developer guide, "Model
package model card schema").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from components import iam
from components.model_places import ModelPlaces
from components.pipeline_algorithm import training_image
from components.pipeline_metrics import GROUPS
from components.pipeline_tuning import Trained
from components.pipeline_words import Part, Step, found, output, parameter, result, text_of

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import ModelSpec

STATUS: Final = {"automatic": "Approved", "manual": "PendingReview"}
"""Approval in the settings → status of a new version's card."""


def model_card(labels: Labels, model: ModelSpec, image: Step) -> Step:
    """Content and status of the card, as `CreateModelPackage` takes them."""
    environment, told = labels.environment, model.card
    trained = Trained.of(ModelPlaces(labels, model))
    content = {
        "model_overview": {"model_creator": environment.owner, "model_artifact": [Part(trained.artefact)]},
        "intended_uses": {
            "purpose_of_model": told.purpose,
            "intended_uses": told.uses,
            "factors_affecting_model_efficiency": told.limits,
            "risk_rating": told.risk.capitalize(),
            "explanations_for_risk_rating": told.risk_reason,
        },
        "training_details": _training(iam.Account.of(environment), model, trained, image),
        "evaluation_details": [_evaluation(model)],
        "additional_information": {
            "custom_details": {
                "model": model.name,
                "environment": environment.name,
                "data-classification": environment.data_classification.value,
                "data-version": Part(parameter("DataVersion")),
                "model-sha256": Part(found("lineage.model_sha256")),
                "code-version": _of_the_image("code_version"),
            }
        },
    }
    return {"ModelCardContent": text_of(content), "ModelCardStatus": STATUS[model.pipeline.approval]}


def _training(account: iam.Account, model: ModelSpec, trained: Trained, image: Step) -> Step:
    trains = training_image(account, model)
    objective = model.training.hyperparameters.objective
    return {
        "objective_function": {"function": {"function": "Minimize", "facet": "Loss"}, "notes": objective},
        "training_observations": _of_the_image("training_observations"),
        "training_job_details": {
            "training_arn": Part(trained.arn),
            "training_datasets": [Part(output("Process", "train"))],
            "training_environment": {"container_image": [Part(image) if trains is None else trains[0]]},
            "training_metrics": _of_the_image("training_metrics"),
            "hyper_parameters": _of_the_image("hyper_parameters"),
        },
    }


def _evaluation(model: ModelSpec) -> Step:
    gate = model.gate
    return {
        "name": "pipeline",
        "evaluation_observation": f"Passed the gate: {gate.metric} exceeds {gate.minimum}",
        "evaluation_job_arn": Part(result("Evaluate", "ProcessingJobArn")),
        "datasets": [Part(output("Process", "test"))],
        "metric_groups": [
            {
                "name": GROUPS[model.training.hyperparameters.objective],
                "metric_data": _of_the_image("metric_data"),
            }
        ],
    }


def _of_the_image(name: str) -> Part:
    return Part(found(f"card.{name}"), quoted=False)

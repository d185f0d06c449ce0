"""The end of a model's pipeline: what decides about the trained model, and how it is registered.

Source: SageMaker developer guide, "Add a step" (condition, fail, register model); API reference, `CreateModelPackage`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.model_places import ModelPlaces
from components.pipeline_metrics import GROUPS
from components.pipeline_tuning import Trained
from components.pipeline_words import CSV, EVALUATION, JSON, Step, found, joined, output, parameter, report
from components.training_grants import APPROVAL

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import ModelSpec


def gate_step(labels: Labels, model: ModelSpec, image: Step) -> Step:
    """Register what is better than the gate, strictly; else fail, so that nobody takes the run for a success."""
    gate = model.gate
    metric = found(f"{GROUPS[model.training.hyperparameters.objective]}.{gate.metric}.value")
    refusal = f"the gate refused the model: {gate.metric} has to exceed {gate.minimum}; it is"
    return {
        "Name": "Judge",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [{"Type": "GreaterThan", "LeftValue": metric, "RightValue": gate.minimum}],
            "IfSteps": [_register(labels, model, image)],
            "ElseSteps": [
                {
                    "Name": "Refuse",
                    "Type": "Fail",
                    "Arguments": {"ErrorMessage": joined(" ", refusal, found(f"lineage.{gate.metric}"))},
                }
            ],
        },
    }


def _register(labels: Labels, model: ModelSpec, image: Step) -> Step:
    """Add a version that tells where it comes from: data, code, job, digest and metrics."""
    reports, trained = output("Evaluate", "report"), Trained.of(ModelPlaces(labels, model))
    host = [model.training.instance_type]
    lineage: Step = {
        "data-version": parameter("DataVersion"),
        "image-digest": parameter("ImageDigest"),
        "training-job": trained.name,
        "model-sha256": found("lineage.model_sha256"),
        f"evaluation/{model.gate.metric}": found(f"lineage.{model.gate.metric}"),
    }
    arguments: Step = {
        "ModelPackageGroupName": labels.package_group(model.name),
        "ModelPackageDescription": f"Passed the gate: {model.gate.metric} exceeds {model.gate.minimum}",
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
        "MetadataProperties": {"GeneratedBy": trained.arn},
        "SkipModelValidation": "None",
    }
    return {"Name": "Register", "Type": "RegisterModel", "Arguments": arguments}

"""The model card of a version as a person reads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sagemaker import SageMakerClient


def shown(sagemaker: SageMakerClient, arn: str) -> dict[str, str]:
    """The card that the registry holds of a version; empty where it holds none."""
    card = sagemaker.describe_model_package(ModelPackageName=arn).get("ModelCard", {})
    content: dict[str, Any] = json.loads(card.get("ModelCardContent", "{}"))
    if not content:
        return {}
    uses, training = content["intended_uses"], content["training_details"]
    (evaluation,) = content["evaluation_details"]
    return {
        "owner": content["model_overview"]["model_creator"],
        "purpose": uses["purpose_of_model"],
        "intended uses": uses["intended_uses"],
        "limits": uses["factors_affecting_model_efficiency"],
        "risk": f"{uses['risk_rating']}: {uses['explanations_for_risk_rating']}",
        "data": f"version {content['additional_information']['custom_details']['data-version']}",
        "training": f"{training['training_observations']}, {training['objective_function']['notes']}",
        "hyperparameters": _chosen(training["training_job_details"]["hyper_parameters"]),
        "evaluation": _metrics(evaluation["metric_groups"][0]["metric_data"]),
        "status": card.get("ModelCardStatus", ""),
    }


def _metrics(found: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"{each['name']} {each['value']:.4f}" for each in found)


def _chosen(parameters: Sequence[dict[str, str]]) -> str:
    return ", ".join(f"{each['name']}={each['value']}" for each in parameters)

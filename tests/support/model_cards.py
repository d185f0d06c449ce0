"""What SageMaker takes as the card of a model package, for `jsonschema`.

Source: SageMaker developer guide, "View and update the details of a model version", "Model package model card schema",
version 0.1.0; of the metrics only the kinds that are used here.
"""

from __future__ import annotations

from typing import Any, Final


def _closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": longest}


def _list(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": most}


_PROSE: Final = _text(2048)
_PLACES: Final = _list(_text(1024), 15)
_NAME: Final = {"type": "string", "pattern": "^.{1,255}$"}
_TRAINING_METRICS: Final = _list(
    _closed({"name": _NAME, "notes": _text(1024), "value": {"type": "number"}}, "name", "value"), 50
)
_PARAMETERS: Final = _list(_closed({"name": _NAME, "value": _NAME}, "name", "value"), 100)
_METRIC: Final = _closed(
    {"name": _NAME, "notes": _text(1024), "type": {"const": "number"}, "value": {"type": "number"}},
    *("name", "type", "value"),
)
_OBJECTIVE: Final = _closed(
    {
        "function": _closed(
            {"function": {"enum": ["Maximize", "Minimize"]}, "facet": _text(63), "condition": _text(63)}
        ),
        "notes": _text(1024),
    }
)
_EVALUATION: Final = _closed(
    {
        "name": {"type": "string", "pattern": "^.{1,63}$"},
        "evaluation_observation": _text(2096),
        "evaluation_job_arn": _text(256),
        "datasets": _list(_text(1024), 10),
        "metadata": {"type": "object", "additionalProperties": _text(1024)},
        "metric_groups": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "metric_data"],
                "properties": {
                    "name": {"type": "string", "pattern": "^.{1,63}$"},
                    "metric_data": {"type": "array", "items": _METRIC},
                },
            },
        },
    },
    "name",
)

CARD_SCHEMA: Final = _closed(
    {
        "model_overview": _closed({"model_creator": _text(1024), "model_artifact": _PLACES}),
        "intended_uses": _closed(
            {
                "purpose_of_model": _PROSE,
                "intended_uses": _PROSE,
                "factors_affecting_model_efficiency": _PROSE,
                "risk_rating": {"enum": ["High", "Medium", "Low", "Unknown"]},
                "explanations_for_risk_rating": _PROSE,
            }
        ),
        "business_details": _closed(
            {"business_problem": _PROSE, "business_stakeholders": _PROSE, "line_of_business": _PROSE}
        ),
        "training_details": _closed(
            {
                "objective_function": _OBJECTIVE,
                "training_observations": _text(1024),
                "training_job_details": _closed(
                    {
                        "training_arn": _text(1024),
                        "training_datasets": _PLACES,
                        "training_environment": _closed({"container_image": _PLACES}),
                        "training_metrics": _TRAINING_METRICS,
                        "user_provided_training_metrics": _TRAINING_METRICS,
                        "hyper_parameters": _PARAMETERS,
                        "user_provided_hyper_parameters": _PARAMETERS,
                    }
                ),
            }
        ),
        "evaluation_details": {"type": "array", "items": _EVALUATION},
        "additional_information": _closed(
            {
                "ethical_considerations": _PROSE,
                "caveats_and_recommendations": _PROSE,
                "custom_details": {"type": "object", "additionalProperties": _text(1024)},
            }
        ),
    }
)
"""The content of a card."""

LONGEST: Final = 100_000
"""Characters of a card (API reference, `ModelPackageModelCard`)."""

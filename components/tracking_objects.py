"""What the function that copies versions into MLflow is told and made of, what starts it, and what its alarms watch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from components.function_archive import Program
from components.labels import MODELS, fitted
from components.lambda_functions import MAX_FUNCTION_NAME
from components.watches import Watch

if TYPE_CHECKING:
    from components.labels import Labels

THING: Final = "tracking"
"""Last part of the names of function, role and log group."""
APP_DUTY: Final = f"{THING}-app"
"""Last part of the name of the app's own role."""
DEAD: Final = f"{THING}-dead"
"""The same of the queue for what was not copied."""
ARTEFACTS: Final = "_mlflow/"
"""Prefix of the models bucket with what people add to runs; no model's name begins so."""
PROGRAM: Final = Program(
    THING,
    ("tracking/*.py", *(f"lifecycle/{name}.py" for name in ("__init__", "evaluation", "steps", "training_log"))),
)
HANDLER: Final = "tracking.handler.lambda_handler"


def function_name(labels: Labels) -> str:
    """Name of the function."""
    return fitted(f"{labels.cluster}-{THING}", MAX_FUNCTION_NAME)


def artefact_uri(labels: Labels) -> str:
    """Where the app keeps artefacts."""
    return f"s3://{labels.bucket(MODELS)}/{ARTEFACTS.rstrip('/')}"


def version_pattern(group: str) -> str:
    """Events of a version of one group: it was registered, approved or rejected, or something was noted with it.

    Source: SageMaker developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge".
    """
    kind = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model Package State Change"]}
    return json.dumps({**kind, "detail": {"ModelPackageGroupName": [group]}})


def watches(labels: Labels) -> list[Watch]:
    """What somebody has to hear of: a version that is missing in MLflow, and one of which nobody would know."""
    return [
        Watch(
            name="dead-letters",
            says="versions that were not copied into MLflow: docs/registry.md says what to do",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": labels.queue(DEAD)},
            statistic="Maximum",
        ),
        Watch(
            name="lost",
            says="events about versions that were neither handled nor kept",
            namespace="AWS/Lambda",
            metric="DeadLetterErrors",
            dimensions={"FunctionName": function_name(labels)},
            statistic="Sum",
        ),
    ]

"""What the function that decides about retraining is told, what reaches it, and what its alarms watch.

Words of events are those of `functions/retraining/events.py`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from components.labels import DATA, fitted
from components.lambda_functions import MAX_FUNCTION_NAME
from components.watches import PERIOD_SECONDS, Watch, alarm_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.labels import Labels
    from settings.model import ModelSpec

THING: Final = "retraining"
"""Last part of the names of queue, table, function and log group."""
DEAD: Final = f"{THING}-dead"
MODEL_KEY: Final = "model"
WHAT_KEY: Final = "what"
EXPIRES: Final = "expires"
"""Keys of the table, and the attribute after whose time an item is removed."""
SETTINGS_PARTITION: Final = " settings"
SOURCE: Final = "slipway"
TICK: Final = "Retraining Tick"
SCHEDULED: Final = "Retraining Scheduled"
REQUESTED: Final = "Retraining Requested"
SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"
EXECUTION: Final = "<aws.scheduler.execution-id>"
"""What EventBridge Scheduler fills in; the time is the same for each attempt (its user guide, "context attributes")."""
BY_HAND_DAILY: Final = 4
BY_HAND_MONTHLY: Final = 30
"""Trainings at most of a model with `retraining: null`, in 24 hours and 30 days: whoever asks in a loop is stopped."""
NAMESPACE: Final = "Slipway"
SERVICE: Final = {"service": THING}
"""Namespace and dimension of the function's own metrics."""
OLD_SECONDS: Final = 1800
"""Age of a message that should have been handled or be dead: five receipts take as many visibility timeouts at most."""


def function_name(labels: Labels) -> str:
    """Name of the function."""
    return fitted(f"{labels.cluster}-{THING}", MAX_FUNCTION_NAME)


def table_name(labels: Labels) -> str:
    """Name of the table of the records."""
    return f"{labels.cluster}-{THING}"


def data_prefixes(model: ModelSpec) -> list[str]:
    """Prefixes of the data bucket with what a model is trained and validated on."""
    return [f"{model.dataset_prefix}{channel}/" for channel in model.data.delivered]


def model_document(labels: Labels, model: ModelSpec) -> str:
    """A model's settings, as `retraining.facts.ModelSettings` reads them."""
    spec = model.retraining
    data = spec.new_data if spec is not None else None
    return json.dumps(
        {
            "name": model.name,
            "pipeline": labels.pipeline(model.name),
            "packageGroup": labels.package_group(model.name),
            "bucket": labels.bucket(DATA),
            "prefixes": data_prefixes(model),
            "newData": data
            and {
                "quietSeconds": data.debounce_minutes * 60,
                "longestSeconds": data.longest_wait_minutes * 60,
                "minimumObjects": data.minimum_objects,
            },
            "drift": spec is not None and spec.drift,
            "dailyRuns": BY_HAND_DAILY if spec is None else spec.daily_runs,
            "monthlyRuns": BY_HAND_MONTHLY if spec is None else spec.monthly_runs,
            "instances": model.training.instance_types,
        }
    )


def settings_item(labels: Labels, model: ModelSpec) -> str:
    """The item of the table with these settings, in DynamoDB's JSON."""
    keys = {MODEL_KEY: {"S": SETTINGS_PARTITION}, WHAT_KEY: {"S": model.name}}
    return json.dumps({**keys, "document": {"S": model_document(labels, model)}})


def data_pattern(labels: Labels, model: ModelSpec) -> str:
    """Events of objects that a model is trained or validated on.

    Source: S3 user guide, "Using EventBridge"; EventBridge user guide, "Content filtering".
    """
    keys = [{"prefix": prefix} for prefix in data_prefixes(model)]
    detail = {"bucket": {"name": [labels.bucket(DATA)]}, "object": {"key": keys}}
    return json.dumps({"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail})


def drift_pattern(labels: Labels, model: ModelSpec) -> str:
    """Events of the model's alarms about drift that begin."""
    detail = {"alarmName": [{"prefix": f"{alarm_prefix(labels)}{model.name}-drift-"}], "state": {"value": ["ALARM"]}}
    kind = {"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"]}
    return json.dumps({**kind, "detail": detail})


def request_pattern() -> str:
    """Requests by people and by programs of ours."""
    return json.dumps({"source": [SOURCE], "detail-type": [REQUESTED]})


def _clocked(kind: str, detail: Mapping[str, str]) -> str:
    event = {"version": "0", "id": EXECUTION, "source": SOURCE, "detail-type": kind, "time": SCHEDULED_TIME}
    return json.dumps({**event, "detail": detail})


def tick_input() -> str:
    """What the clock tells: look at every model."""
    return _clocked(TICK, {})


def schedule_input(model: ModelSpec) -> str:
    """What a model's schedule tells."""
    return _clocked(SCHEDULED, {"model": model.name})


def watches(labels: Labels, tick_minutes: int) -> list[Watch]:
    """What somebody has to hear of."""
    function: dict[str, Any] = {
        "namespace": "AWS/Lambda",
        "dimensions": {"FunctionName": function_name(labels)},
        "statistic": "Sum",
    }
    own: dict[str, Any] = {"namespace": NAMESPACE, "dimensions": SERVICE, "statistic": "Sum"}
    queue: dict[str, Any] = {"namespace": "AWS/SQS", "statistic": "Maximum"}
    silence = -(-3 * tick_minutes * 60 // PERIOD_SECONDS)
    return [
        Watch(
            name="dead-letters",
            says="events that nobody could act on: docs/retraining.md says what to do",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": labels.queue(DEAD)},
            **queue,
        ),
        Watch(
            name="old-events",
            says="an event has waited for half an hour",
            metric="ApproximateAgeOfOldestMessage",
            dimensions={"QueueName": labels.queue(THING)},
            threshold=OLD_SECONDS,
            **queue,
        ),
        Watch(name="errors", says="the function ended with an error", metric="Errors", **function),
        Watch(name="throttles", says="the function was not started", metric="Throttles", periods=3, **function),
        Watch(
            name="silence",
            says="the clock has ticked three times without an answer",
            metric="Invocations",
            periods=silence,
            missing="breaching",
            less=True,
            **function,
        ),
        Watch(name="troubles", says="a model's next step fails again and again", metric="Troubles", periods=3, **own),
        Watch(name="failed-runs", says="a training failed, or was stopped", metric="RunsFailed", **own),
    ]

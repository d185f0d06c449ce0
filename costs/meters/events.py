"""Queues, topics, functions, tables, state machines, builds, alarms and dashboards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from costs.meters.base import Context, Finding, Gap, monthly
from costs.usage import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costs.meters.base import Meter
    from costs.plan import Planned

_MINUTE: Final = 60
"""Shortest period of a standard alarm, seconds; a shorter one is a high-resolution alarm."""
_ANOMALY_METRICS: Final = 3
"""CloudWatch pricing: an alarm on an anomaly band is paid as three."""
_BUILD_SIZES: Final = {
    "BUILD_GENERAL1_SMALL": "small",
    "BUILD_GENERAL1_MEDIUM": "medium",
    "BUILD_GENERAL1_LARGE": "large",
}


def queue(resource: Planned, context: Context) -> Iterator[Finding]:
    """Requests to a queue."""
    kind = "fifo" if resource.inputs.get("fifoQueue") else "standard"
    yield from context.assume(
        Quantity.QUEUE_REQUESTS, resource.name, meter="requests", what="requests to the queue", price=f"sqs.{kind}"
    )


def topic(resource: Planned, context: Context) -> Iterator[Finding]:
    """Requests to a topic; deliveries by e-mail and text message are left out."""
    if resource.inputs.get("fifoTopic"):
        yield Gap(what="requests to the topic", why="no price for FIFO topics")
        return
    yield from context.assume(
        Quantity.TOPIC_REQUESTS, resource.name, meter="requests", what="requests to the topic", price="sns.request"
    )


def function(resource: Planned, context: Context) -> Iterator[Finding]:
    """Calls of a Lambda function and the memory that they hold."""
    kind = "arm" if "arm64" in (resource.inputs.get("architectures") or ()) else "x86"
    yield from context.assume(
        Quantity.FUNCTION_REQUESTS, resource.name, meter="calls", what="calls", price="lambda.request"
    )
    yield from context.assume(
        Quantity.FUNCTION_SECONDS, resource.name, meter="seconds", what="time of calls", price=f"lambda.{kind}"
    )


def table(resource: Planned, context: Context) -> Iterator[Finding]:
    """Requests to a DynamoDB table on demand, and what it holds with its backup of every second."""
    if resource.inputs.get("billingMode") != "PAY_PER_REQUEST":
        yield Gap(what="capacity of the table", why="no price for provisioned capacity")
        return
    counted = (
        (Quantity.TABLE_WRITES, "writes", "dynamodb.write"),
        (Quantity.TABLE_READS, "reads", "dynamodb.read"),
        (Quantity.TABLE_STORAGE, "storage", "dynamodb.storage"),
        (Quantity.TABLE_STORAGE, "backup", "dynamodb.backup"),
    )
    for quantity, what, price in counted:
        yield from context.assume(quantity, resource.name, meter=what, what=f"{what} of the table", price=price)


def state_machine(resource: Planned, context: Context) -> Iterator[Finding]:
    """Transitions of a standard state machine."""
    if resource.inputs.get("type", "STANDARD") != "STANDARD":
        yield Gap(what="runs of the state machine", why="no price for express state machines")
        return
    yield from context.assume(
        Quantity.TRANSITIONS, resource.name, meter="transitions", what="transitions", price="sfn.transition"
    )


def build_project(resource: Planned, context: Context) -> Iterator[Finding]:
    """Minutes of builds."""
    kind: str = resource.inputs["environment"]["computeType"]
    if kind not in _BUILD_SIZES:
        yield Gap(what="builds", why=f"no price for {kind}")
        return
    size = _BUILD_SIZES[kind]
    yield from context.assume(
        Quantity.BUILD_MINUTES, resource.name, meter="builds", what=f"builds, {size}", price=f"codebuild.{size}"
    )


def alarm(resource: Planned, _context: Context) -> Iterator[Finding]:
    """An alarm, paid per metric that it reads; one on an anomaly band reads the metric and both edges of the band."""
    queries: list[Any] = list(resource.inputs.get("metricQueries") or ())
    metrics = max(sum(1 for query in queries if query.get("metric")), 1)
    if resource.inputs.get("thresholdMetricId"):
        metrics *= _ANOMALY_METRICS
    fast = int(resource.inputs.get("period") or _MINUTE) < _MINUTE
    yield monthly("alarm", "alarm", "cloudwatch.alarm.fast" if fast else "cloudwatch.alarm", metrics)


def dashboard(_resource: Planned, _context: Context) -> Iterator[Finding]:
    """A dashboard."""
    yield monthly("dashboard", "dashboard", "cloudwatch.dashboard")


def addon(resource: Planned, context: Context) -> Iterator[Finding]:
    """Observations of Container Insights, where the add-on makes them; other add-ons cost nothing by themselves."""
    inputs = resource.inputs
    if inputs.get("addonName") != "amazon-cloudwatch-observability":
        return
    values = json.loads(inputs.get("configurationValues") or "{}")
    if values.get("containerInsights", {}).get("enabled", True):
        yield from context.assume(
            Quantity.OBSERVATIONS,
            resource.name,
            meter="observations",
            what="observations of Container Insights",
            price="cloudwatch.observation",
        )


METERS: Final[dict[str, Meter]] = {
    "aws:eks/addon:Addon": addon,
    "aws:sqs/queue:Queue": queue,
    "aws:sns/topic:Topic": topic,
    "aws:lambda/function:Function": function,
    "aws:dynamodb/table:Table": table,
    "aws:sfn/stateMachine:StateMachine": state_machine,
    "aws:codebuild/project:Project": build_project,
    "aws:cloudwatch/metricAlarm:MetricAlarm": alarm,
    "aws:cloudwatch/dashboard:Dashboard": dashboard,
}
"""Type token → meter."""

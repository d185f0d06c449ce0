"""What starts the looks for drift: for each model a schedule, and a function that finds out which version serves.

A building block of `components.drift`. Scheduler hands an event to Lambda and is done; what the function cannot do,
Lambda tries again. What neither brought to an end lies in one queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import drift_grants
from components import drift_objects as objects
from components.clock_roles import ClockPolicies, create_clock_role
from components.dead_letters import create_dead_queue
from components.drift_definition import THING
from components.lambda_functions import FunctionRole, PythonFunction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.labels import Labels
    from settings.model import ApprovedSpec, DriftSpec, ModelSpec

RETRY_SECONDS: Final = 3600
"""For so long a look is tried to be started; the next one compares nearly the same hours."""
RETRIES: Final = 185
"""The most that EventBridge Scheduler takes (its user guide, "RetryPolicy")."""
FUNCTION_RETRIES: Final = 2
"""The most that Lambda takes (its API reference, `PutFunctionEventInvokeConfig`)."""
MEMORY_MIB: Final = 512
"""Start and one look at the registry are mostly imports and waiting."""
TIMEOUT_SECONDS: Final = 300
"""Every version of the model is described, each by a call."""
CONCURRENCY: Final = 1
KEY_USES: Final = {"s3": True, "lambda": False}
"""The placeholder of a memory, and the variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A model that is looked at."""

    model: ModelSpec
    spec: DriftSpec
    approved: ApprovedSpec
    """The version that the place of its service began with."""
    pipeline: aws.sagemaker.Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What all looks need."""

    labels: Labels
    key_arn: pulumi.Output[str]
    log_retention_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What the looks share."""

    labels: Labels
    key_arn: pulumi.Output[str]
    log_group: pulumi.Output[str]
    dead_arn: pulumi.Output[str]
    child: pulumi.ResourceOptions


def create_looks(name: str, args: Around, looks: Sequence[Look], child: pulumi.ResourceOptions) -> None:
    """Create the queue of what was not started, the log, and for each model function and schedule."""
    log_group = aws.cloudwatch.LogGroup(
        f"{name}-logs",
        name=args.labels.log_group(THING),
        retention_in_days=args.log_retention_days,
        kms_key_id=args.key_arn,
        opts=child,
    )
    dead = create_dead_queue(name, args.labels.queue(objects.DEAD), child)
    shared = _Shared(labels=args.labels, key_arn=args.key_arn, log_group=log_group.name, dead_arn=dead.arn, child=child)
    for look in looks:
        function = _create_function(f"{name}-{look.model.name}", look, shared)
        _create_schedule(f"{name}-{look.model.name}", look, function, shared)


def _create_function(name: str, look: Look, shared: _Shared) -> aws.lambda_.Function:
    """Create the function of one model, with a role that reaches this model alone."""
    labels, model, child = shared.labels, look.model, shared.child
    role, rights = FunctionRole(
        labels=labels,
        duty=objects.function_role(model),
        description=f"Finds out which version of {model.name} serves, and starts the look for its drift",
        abilities=drift_grants.look(labels, model),
        key_arn=shared.key_arn,
        key_uses=KEY_USES,
    ).create(f"{name}-look", child)
    function = PythonFunction(
        name=objects.function_name(labels, model),
        description=f"Starts the look for drift of the version of {model.name} that serves",
        program=objects.PROGRAM,
        handler=objects.HANDLER,
        memory_mib=MEMORY_MIB,
        timeout_seconds=TIMEOUT_SECONDS,
        concurrency=CONCURRENCY,
        variables={"PIPELINE": look.pipeline.pipeline_name, **objects.variables(labels, model, look.approved)},
        key_arn=shared.key_arn,
        log_group=shared.log_group,
        dead_arn=shared.dead_arn,
    ).create(f"{name}-look", role, pulumi.ResourceOptions(parent=child.parent, depends_on=rights))
    aws.lambda_.FunctionEventInvokeConfig(
        f"{name}-look-retries",
        function_name=function.name,
        maximum_event_age_in_seconds=RETRY_SECONDS,
        maximum_retry_attempts=FUNCTION_RETRIES,
        opts=child,
    )
    return function


def _create_schedule(name: str, look: Look, function: aws.lambda_.Function, shared: _Shared) -> None:
    """Create what calls the function."""
    labels, model, spec, child = shared.labels, look.model, look.spec, shared.child
    may = ClockPolicies(labels=labels, key_arn=shared.key_arn, abilities=drift_grants.tick(labels, model))
    said = f"Calls the function that starts the looks for drift of {model.name}"
    role, rights = create_clock_role(f"{name}-clock", objects.clock_role(labels, model), said, may, child)
    aws.scheduler.Schedule(
        name,
        name=labels.rule(f"{model.name}-{THING}"),
        schedule_expression=f"cron({spec.schedule.cron})",
        schedule_expression_timezone=spec.schedule.timezone,
        flexible_time_window=_window(spec.flexible_minutes),
        kms_key_arn=shared.key_arn,
        target=aws.scheduler.ScheduleTargetArgs(
            arn=function.arn,
            role_arn=role.arn,
            input=objects.TICK,
            retry_policy=aws.scheduler.ScheduleTargetRetryPolicyArgs(
                maximum_event_age_in_seconds=RETRY_SECONDS, maximum_retry_attempts=RETRIES
            ),
            dead_letter_config=aws.scheduler.ScheduleTargetDeadLetterConfigArgs(arn=shared.dead_arn),
        ),
        opts=pulumi.ResourceOptions(parent=child.parent, depends_on=rights),
    )


def _window(minutes: int | None) -> aws.scheduler.ScheduleFlexibleTimeWindowArgs:
    if minutes is None:
        return aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF")
    return aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="FLEXIBLE", maximum_window_in_minutes=minutes)

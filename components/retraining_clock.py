"""The clock of retraining: a tick for all models, and a schedule for each that has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import retraining_objects as objects
from components.clock_roles import ClockPolicies, create_clock_role
from components.retraining_grants import tick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.labels import Labels
    from settings.model import ModelSpec

RETRY_SECONDS: Final = 24 * 3600
RETRIES: Final = 185
"""EventBridge's own limits of time and number, the same for rules and schedules (its user guide, "Retry policy")."""
TICK_SECONDS: Final = 60
"""A tick that could not be delivered for so long is not worth delivering: the next one comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockArgs:
    """What schedules need."""

    labels: Labels
    key_arn: pulumi.Output[str]
    queue_arn: pulumi.Input[str]
    """Queue that they tell."""
    dead_arn: pulumi.Input[str]
    """Queue for what could not be delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bell:
    """One schedule."""

    thing: str
    expression: str
    timezone: str
    said: str
    """Message."""
    seconds: int
    """For how long a delivery is tried."""


def create_schedules(
    name: str, args: ClockArgs, tick_minutes: int, models: Sequence[ModelSpec], child: pulumi.ResourceOptions
) -> None:
    """Create the tick, and the schedules of those models that have one."""
    role, policies = create_clock_role(
        f"{name}-clock",
        args.labels.role("retraining-clock"),
        "Puts ticks and schedules into the queue of retraining",
        ClockPolicies(labels=args.labels, key_arn=args.key_arn, abilities=tick(args.labels)),
        child,
    )
    opts = pulumi.ResourceOptions(parent=child.parent, depends_on=policies)
    for bell in _bells(tick_minutes, models):
        aws.scheduler.Schedule(
            f"{name}-{bell.thing}",
            name=args.labels.rule(bell.thing),
            schedule_expression=bell.expression,
            schedule_expression_timezone=bell.timezone,
            flexible_time_window=aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
            kms_key_arn=args.key_arn,
            target=aws.scheduler.ScheduleTargetArgs(
                arn=args.queue_arn,
                role_arn=role.arn,
                input=bell.said,
                retry_policy=aws.scheduler.ScheduleTargetRetryPolicyArgs(
                    maximum_event_age_in_seconds=bell.seconds, maximum_retry_attempts=RETRIES
                ),
                dead_letter_config=aws.scheduler.ScheduleTargetDeadLetterConfigArgs(arn=args.dead_arn),
            ),
            opts=opts,
        )


def _bells(tick_minutes: int, models: Sequence[ModelSpec]) -> list[_Bell]:
    every = f"rate({tick_minutes} {'minute' if tick_minutes == 1 else 'minutes'})"
    clock = _Bell(thing="tick", expression=every, timezone="UTC", said=objects.tick_input(), seconds=TICK_SECONDS)
    scheduled = (
        _Bell(
            thing=f"{model.name}-retrain",
            expression=f"cron({model.retraining.schedule.cron})",
            timezone=model.retraining.schedule.timezone,
            said=objects.schedule_input(model),
            seconds=RETRY_SECONDS,
        )
        for model in models
        if model.retraining is not None and model.retraining.schedule is not None
    )
    return [clock, *scheduled]

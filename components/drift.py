"""Drift: each model's captured requests and answers are held against what it was trained on, on a schedule.

Creates: for each model that is watched a SageMaker pipeline of one processing job, the roles of both, alarms about
drift of data, predictions and quality, and objects where captures, truth and memory will lie; once a version is
approved, a schedule that starts the pipeline for it, with a role, and an alarm about silence; a queue for runs that
could not be started, with an alarm.
Does not create: captures and truth; what hears of the alarms (`components.retraining`); SageMaker's own log group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws

from components import drift_definition as definition
from components import drift_grants, grants
from components import drift_objects as objects
from components.clock_roles import ClockPolicies, create_clock_role
from components.dead_letters import create_dead_queue
from components.duty_roles import create_duty_role
from components.model_places import Duty, ModelPlaces
from components.pipeline_champion import PLACEHOLDER
from components.pipeline_jobs import Surroundings
from components.placeholders import LINES, create_placeholder
from components.watches import Watch, alarm_prefix, create_alarms

if TYPE_CHECKING:
    from components.alarm_handle import AlarmsHandle
    from components.handles import NetworkHandle, StoreHandle, TrainingHandle
    from components.labels import Labels
    from settings.model import ApprovedSpec, DriftSpec, ModelSpec

RETRY_SECONDS: Final = 3600
"""For so long a run is tried to be started; the next one compares nearly the same hours."""
RETRIES: Final = 185
"""The most that EventBridge Scheduler takes (its user guide, "RetryPolicy")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftArgs:
    """Arguments of `Drift`."""

    labels: Labels
    """Names and tags."""
    models: tuple[ModelSpec, ...]
    """Models; `drift` of each says whether and how it is watched."""
    store: StoreHandle
    """Key of volumes, reports and schedules, and the models bucket."""
    network: NetworkHandle
    """Subnets of the jobs."""
    training: TrainingHandle
    """Security group of the jobs."""
    alarms: AlarmsHandle
    """Who hears of alarms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """An approved version that is looked at."""

    model: ModelSpec
    spec: DriftSpec
    approved: ApprovedSpec
    pipeline: aws.sagemaker.Pipeline


class Drift(pulumi.ComponentResource):
    """What watches the models; see the module for what is created."""

    def __init__(self, name: str, args: DriftArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:drift:Drift", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        watched = [(model, model.drift) for model in args.models if model.drift is not None]
        pipelines = {model.name: self._create_pipeline(model, spec) for model, spec in watched}
        for model, _ in watched:
            self._alarm("", *objects.watches(args.labels, model))
        looks = [
            _Look(model=model, spec=spec, approved=model.approved, pipeline=pipelines[model.name])
            for model, spec in watched
            if model.approved is not None
        ]
        if looks:
            self._look_regularly(looks)
        self.register_outputs({"pipelines": {model: each.pipeline_name for model, each in pipelines.items()}})

    def _look_regularly(self, looks: list[_Look]) -> None:
        """Create the schedules, the queue of runs that did not start, and the alarms about those and about silence."""
        labels = self._args.labels
        dead = create_dead_queue(self._name, labels.queue(objects.DEAD), self._child)
        self._alarm(f"{definition.THING}-", objects.not_started(labels))
        for look in looks:
            self._create_schedule(look, dead)
            if look.spec.silence_hours is not None:
                self._alarm(f"{definition.THING}-", objects.silence(labels, look.model, look.spec.silence_hours))

    def _alarm(self, part: str, *watches: Watch) -> None:
        """Create alarms whose names have a part between the environment and their own."""
        args = self._args
        create_alarms(self._name, f"{alarm_prefix(args.labels)}{part}", watches, args.alarms, self._child)

    def _create_pipeline(self, model: ModelSpec, spec: DriftSpec) -> aws.sagemaker.Pipeline:
        args, places = self._args, ModelPlaces(self._args.labels, model)
        name = definition.pipeline_name(args.labels, model)
        role, rights = self._create_roles(model, spec)
        there = [
            self._hold(model, what, prefix, LINES)
            for what, prefix in (("captures", places.captures), ("truth", places.truth))
        ]

        def define(known: dict[str, Any]) -> str:
            return definition.drift_definition(args.labels, model, spec, Surroundings(**known))

        around = pulumi.Output.all(
            key_arn=args.store.key_arn,
            subnets=pulumi.Output.all(*args.network.private_subnet_ids),
            security_group=args.training.security_group,
        )
        return aws.sagemaker.Pipeline(
            f"{self._name}-{model.name}",
            pipeline_name=name,
            pipeline_display_name=name,
            pipeline_description=f"Looks for drift of {model.name}",
            role_arn=role.arn,
            pipeline_definition=around.apply(define),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*rights, *there]),
        )

    def _create_roles(self, model: ModelSpec, spec: DriftSpec) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """The role of the pipeline, and what it and its job need to have first."""
        labels, places = self._args.labels, ModelPlaces(self._args.labels, model)
        may = grants.inline_policies({Duty.DRIFT: drift_grants.compare(labels, model)})
        may["use-key"] = self._args.store.key_arn.apply(grants.use_key)
        _, compare = create_duty_role(self._name, places, Duty.DRIFT, may, self._child)
        starts = grants.inline_policies({Duty.DRIFT_PIPELINE: drift_grants.orchestrate(labels, model, spec)})
        role, start = create_duty_role(self._name, places, Duty.DRIFT_PIPELINE, starts, self._child)
        return role, [*compare, *start]

    def _hold(self, model: ModelSpec, what: str, prefix: str, file: str) -> pulumi.Resource:
        """Let a place of inputs hold something, as SageMaker asks."""
        name, bucket = f"{self._name}-{model.name}-{what}", self._args.store.models_bucket
        return create_placeholder(name, bucket, prefix, self._child, file)

    def _create_schedule(self, look: _Look, dead: aws.sqs.Queue) -> None:
        """Create what starts the looks at one approved version."""
        model, spec, approved = look.model, look.spec, look.approved
        args, places = self._args, ModelPlaces(self._args.labels, model)
        name = f"{self._name}-{model.name}"
        may = ClockPolicies(
            labels=args.labels, key_arn=args.store.key_arn, abilities=drift_grants.start(args.labels, model)
        )
        said = f"Starts the pipeline that looks for drift of {model.name}"
        role_name = objects.clock_role(args.labels, model)
        role, policies = create_clock_role(f"{name}-clock", role_name, said, may, self._child)
        memory = self._hold(
            model, f"memory-{approved.version}", f"{places.drift_memory}{approved.version}/", PLACEHOLDER
        )
        aws.scheduler.Schedule(
            name,
            name=args.labels.rule(f"{model.name}-drift"),
            schedule_expression=f"cron({spec.schedule.cron})",
            schedule_expression_timezone=spec.schedule.timezone,
            flexible_time_window=_window(spec.flexible_minutes),
            kms_key_arn=args.store.key_arn,
            target=aws.scheduler.ScheduleTargetArgs(
                arn=look.pipeline.arn,
                role_arn=role.arn,
                sagemaker_pipeline_parameters=_Parameters(
                    pipeline_parameters=[
                        _Parameter(name=each, value=value) for each, value in definition.given(approved).items()
                    ]
                ),
                retry_policy=aws.scheduler.ScheduleTargetRetryPolicyArgs(
                    maximum_event_age_in_seconds=RETRY_SECONDS, maximum_retry_attempts=RETRIES
                ),
                dead_letter_config=aws.scheduler.ScheduleTargetDeadLetterConfigArgs(arn=dead.arn),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*policies, memory]),
        )


_Parameters = aws.scheduler.ScheduleTargetSagemakerPipelineParametersArgs
_Parameter = aws.scheduler.ScheduleTargetSagemakerPipelineParametersPipelineParameterArgs


def _window(minutes: int | None) -> aws.scheduler.ScheduleFlexibleTimeWindowArgs:
    if minutes is None:
        return aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF")
    return aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="FLEXIBLE", maximum_window_in_minutes=minutes)

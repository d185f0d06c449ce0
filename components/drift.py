"""Drift: each model's captured requests and answers are held against what it was trained on, on a schedule.

Creates: for each model that is watched a SageMaker pipeline of one processing job, the roles of both, alarms about
drift of data, predictions and quality, and objects where captures and truth will lie; once a version is approved, what
starts the pipeline for the version in service (`components.drift_looks`), and alarms about silence and about looks
that were not started.
Does not create: captures and truth; what hears of the alarms (`components.retraining`); SageMaker's own log group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from components import drift_definition as definition
from components import drift_grants, grants
from components import drift_objects as objects
from components.drift_looks import Around, Look, create_looks
from components.duty_roles import create_duty_role
from components.model_places import Duty, ModelPlaces
from components.pipeline_jobs import Surroundings
from components.placeholders import LINES, create_placeholder
from components.watches import Watch, alarm_prefix, create_alarms

if TYPE_CHECKING:
    from components.alarm_handle import AlarmsHandle
    from components.handles import NetworkHandle, StoreHandle, TrainingHandle
    from components.labels import Labels
    from settings.model import DriftSpec, ModelSpec


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
    log_retention_days: int
    """How long it is kept in the log which versions were looked at, and why."""


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
            Look(model=model, spec=spec, approved=model.approved, pipeline=pipelines[model.name])
            for model, spec in watched
            if model.approved is not None
        ]
        if looks:
            self._look_regularly(looks)
        self.register_outputs({"pipelines": {model: each.pipeline_name for model, each in pipelines.items()}})

    def _look_regularly(self, looks: list[Look]) -> None:
        """Create what starts looks, and the alarms about those that were not started and about silence."""
        args = self._args
        around = Around(
            labels=args.labels,
            key_arn=args.store.key_arn,
            log_retention_days=args.log_retention_days,
        )
        create_looks(self._name, around, looks, self._child)
        self._alarm(f"{definition.THING}-", objects.not_started(args.labels))
        for look in looks:
            self._alarm(f"{definition.THING}-", objects.lost(args.labels, look.model))
            if look.spec.silence_hours is not None:
                self._alarm(f"{definition.THING}-", objects.silence(args.labels, look.model, look.spec.silence_hours))

    def _alarm(self, part: str, *watches: Watch) -> None:
        """Create alarms whose names have a part between the environment and their own."""
        args = self._args
        create_alarms(self._name, f"{alarm_prefix(args.labels)}{part}", watches, args.alarms, self._child)

    def _create_pipeline(self, model: ModelSpec, spec: DriftSpec) -> aws.sagemaker.Pipeline:
        args, places = self._args, ModelPlaces(self._args.labels, model)
        name = definition.pipeline_name(args.labels, model)
        role, rights = self._create_roles(model, spec)
        there = [
            self._hold(model, what, prefix) for what, prefix in (("captures", places.captures), ("truth", places.truth))
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

    def _hold(self, model: ModelSpec, what: str, prefix: str) -> pulumi.Resource:
        """Let a place of inputs hold something, as SageMaker asks; memories are begun with the looks."""
        name, bucket = f"{self._name}-{model.name}-{what}", self._args.store.models_bucket
        return create_placeholder(name, bucket, prefix, self._child, LINES)

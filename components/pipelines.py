"""Pipelines: for each model the steps from data to a registered version, as SageMaker runs them.

Creates: one SageMaker pipeline per model of the settings, an object where its champion will lie, and its script where
one trains it.
Does not create: executions; what starts them is told the pipeline's name and gives it data and image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from components.handles import NetworkHandle, PipelinesHandle, RegistryHandle, StoreHandle, TrainingHandle
from components.model_places import Duty, ModelPlaces
from components.pipeline_definition import pipeline_definition
from components.pipeline_jobs import Surroundings
from components.placeholders import create_placeholder
from components.script_source import ScriptSource

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelinesArgs:
    """Arguments of `Pipelines`."""

    labels: Labels
    """Names and tags."""
    models: tuple[ModelSpec, ...]
    """Models; each has a pipeline."""
    store: StoreHandle
    """Key of everything that jobs write, and the models bucket."""
    network: NetworkHandle
    """Subnets of jobs."""
    training: TrainingHandle
    """What pipelines and jobs run as."""
    registry: RegistryHandle
    """Where versions are registered."""


class Pipelines(pulumi.ComponentResource):
    """One pipeline per model; see the module for what is created."""

    handle: PipelinesHandle
    """What starts executions uses this."""

    def __init__(self, name: str, args: PipelinesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:pipelines:Pipelines", name, None, opts)
        self._name, self._args = name, args
        made = {model.name: self._create(model) for model in args.models}
        self.handle = PipelinesHandle(names={model: pipeline.pipeline_name for model, pipeline in made.items()})
        self.register_outputs({"names": self.handle.names})

    def _create(self, model: ModelSpec) -> aws.sagemaker.Pipeline:
        args = self._args
        roles = args.training.roles[model.name]
        pipeline_name = args.labels.pipeline(model.name)

        def define(known: dict[str, Any]) -> str:
            return pipeline_definition(args.labels, model, Surroundings(**known))

        around = pulumi.Output.all(
            key_arn=args.store.key_arn,
            subnets=pulumi.Output.all(*args.network.private_subnet_ids),
            security_group=args.training.security_group,
        )
        ready = [*roles.ready, *args.registry.ready[model.name]]
        ready += [*self._create_placeholder(model), *self._upload_script(model)]
        return aws.sagemaker.Pipeline(
            f"{self._name}-{model.name}",
            pipeline_name=pipeline_name,
            pipeline_display_name=pipeline_name,
            pipeline_description=f"From data to a registered version of {model.name}",
            role_arn=roles.arns[Duty.PIPELINE],
            pipeline_definition=around.apply(define),
            opts=pulumi.ResourceOptions(parent=self, depends_on=ready),
        )

    def _create_placeholder(self, model: ModelSpec) -> list[pulumi.Resource]:
        if model.gate.champion is None:
            return []
        champion = ModelPlaces(self._args.labels, model).champion
        name, bucket = f"{self._name}-{model.name}", self._args.store.models_bucket
        return [create_placeholder(name, bucket, champion, pulumi.ResourceOptions(parent=self))]

    def _upload_script(self, model: ModelSpec) -> list[pulumi.Resource]:
        algorithm = model.training.algorithm
        if algorithm is None or algorithm.script is None:
            return []
        source = ScriptSource.of(algorithm.script)
        return [
            aws.s3.BucketObjectv2(
                f"{self._name}-{model.name}-script",
                bucket=self._args.store.models_bucket,
                key=ModelPlaces(self._args.labels, model).sources + source.key,
                content_base64=source.content(),
                content_type="application/gzip",
                opts=pulumi.ResourceOptions(parent=self),
            )
        ]

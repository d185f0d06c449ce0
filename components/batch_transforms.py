"""Batch transforms: what is needed to run a model over data that lie in S3.

Creates: for each model with target `batch` and an approved version a role that starts, watches and stops jobs of it.
Does not create: jobs, which are no resource; `lifecycle.transforms` asks for them by what this component says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from components import grants, iam
from components.batch_objects import plan
from components.model_places import ModelPlaces
from components.served_grants import start_batches, targeted
from components.served_models import served_model
from components.serving_handles import BatchTransformsHandle
from settings.model import Target

if TYPE_CHECKING:
    from components.handles import RegistryHandle, StoreHandle
    from components.labels import Labels
    from settings.model import BatchSpec, ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTransformsArgs:
    """Arguments of `BatchTransforms`."""

    labels: Labels
    """Names and tags."""
    models: tuple[ModelSpec, ...]
    """Models; those whose target is `batch` and that have an approved version."""
    store: StoreHandle
    """Key of volumes and answers."""
    registry: RegistryHandle
    """The SageMaker models."""


class BatchTransforms(pulumi.ComponentResource):
    """Roles and requests of batch transform jobs; see the module for what is created."""

    handle: BatchTransformsHandle
    """What starts jobs uses this."""

    def __init__(self, name: str, args: BatchTransformsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:batchtransforms:BatchTransforms", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        plans: dict[str, pulumi.Output[dict[str, Any]]] = {}
        for model in targeted(args.models, Target.BATCH):
            if model.approved is not None and model.serving is not None and model.serving.batch is not None:
                served = served_model(args.labels, model, model.approved).name
                self._create_role(model, start_batches(args.labels, model, served, model.serving.batch.instance_type))
                plans[model.name] = self._plan(model, model.serving.batch)
        self.handle = BatchTransformsHandle(plans=plans)
        self.register_outputs({"plans": plans})

    def _create_role(self, model: ModelSpec, may: list[iam.Statement]) -> None:
        labels, name = self._args.labels, f"{self._name}-{model.name}"
        account = iam.Account.of(labels.environment)
        role = aws.iam.Role(
            name,
            name=labels.role(f"{model.name}-batch"),
            description=f"Starts batch transform jobs of {model.name}",
            assume_role_policy=iam.function_trust(),
            opts=self._child,
        )

        def use_key(key_arn: str) -> str:
            return grants.use_key_through(account, key_arn, "s3")

        policies = {
            **grants.inline_policies({"start-batches": may}),
            "use-key": self._args.store.key_arn.apply(use_key),
        }
        for ability, policy in policies.items():
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=self._child)

    def _plan(self, model: ModelSpec, spec: BatchSpec) -> pulumi.Output[dict[str, Any]]:
        """What every job of a model has in common, as `lifecycle.transforms.Plan` reads it."""
        places = ModelPlaces(self._args.labels, model)

        def planned(known: dict[str, str]) -> dict[str, Any]:
            return plan(places, spec, model_name=known["model"], key_arn=known["key"])

        return pulumi.Output.all(key=self._args.store.key_arn, model=self._args.registry.model_names[model.name]).apply(
            planned
        )

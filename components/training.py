"""Training: what the pipelines of models and their jobs run as.

Creates: for each model one execution role per duty (pipeline, process, train, evaluate), so that no job of a model
reaches another's data and the roles of many models stay within IAM's limits; the security group of jobs in the VPC.
Does not create: pipelines; SageMaker's own log groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import grants, iam
from components.duty_roles import create_duty_role
from components.firewall import HTTPS, Traffic, let_in, let_out
from components.handles import EndpointsHandle, ModelRolesHandle, NetworkHandle, StoreHandle, TrainingHandle
from components.model_places import Duty, ModelPlaces
from components.training_grants import duties

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingArgs:
    """Arguments of `Training`."""

    labels: Labels
    """Names and tags."""
    models: tuple[ModelSpec, ...]
    """Models; each has roles of its own."""
    store: StoreHandle
    """Key of data and models."""
    network: NetworkHandle
    """The VPC that jobs run in."""
    endpoints: EndpointsHandle
    """The only way out of a job: AWS services by their endpoints."""


class Training(pulumi.ComponentResource):
    """Identities and network of pipelines and jobs; see the module for what is created."""

    handle: TrainingHandle
    """What runs pipelines uses this."""

    def __init__(self, name: str, args: TrainingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:training:Training", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        roles = {model.name: self._create_roles(model) for model in args.models}
        group = self._create_security_group()
        self.handle = TrainingHandle(roles=roles, security_group=group.id)
        self.register_outputs({"roles": {model: handle.arns for model, handle in roles.items()}})

    def _create_roles(self, model: ModelSpec) -> ModelRolesHandle:
        made = {duty: self._create_role(model, duty, may) for duty, may in duties(self._args.labels, model).items()}
        return ModelRolesHandle(
            arns={duty: role.arn for duty, (role, _) in made.items()},
            ready=tuple(policy for _, policies in made.values() for policy in policies),
        )

    def _create_role(
        self, model: ModelSpec, duty: Duty, may: list[iam.Statement]
    ) -> tuple[aws.iam.Role, list[aws.iam.RolePolicy]]:
        labels = self._args.labels
        account = iam.Account.of(labels.environment)

        def use_key(key_arn: str) -> str:
            """The pipeline itself only reads reports; jobs write, and their volumes are encrypted too."""
            if duty is Duty.PIPELINE:
                return grants.use_key_through(account, key_arn, "s3")
            return grants.use_key(key_arn)

        policies = {**grants.inline_policies({duty: may}), "use-key": self._args.store.key_arn.apply(use_key)}
        return create_duty_role(self._name, ModelPlaces(labels, model), duty, policies, self._child)

    def _create_security_group(self) -> aws.ec2.SecurityGroup:
        name, labels, endpoints = self._name, self._args.labels, self._args.endpoints
        group = aws.ec2.SecurityGroup(
            f"{name}-jobs",
            description="Training jobs",
            vpc_id=self._args.network.vpc_id,
            tags=labels.named("training"),
            opts=self._child,
        )
        services = Traffic(description="AWS services by endpoint", port=HTTPS, group=endpoints.security_group)
        s3 = Traffic(description="S3 by gateway endpoint", port=HTTPS, prefix_list=endpoints.s3_prefix_list)
        hosts = Traffic(description="Hosts of one distributed job", port=None, group=group.id)
        let_out(f"{name}-jobs-to-endpoints", group.id, services, self._child)
        let_out(f"{name}-jobs-to-s3", group.id, s3, self._child)
        let_out(f"{name}-jobs-to-jobs", group.id, hosts, self._child)
        let_in(f"{name}-jobs-from-jobs", group.id, hosts, self._child)
        return group

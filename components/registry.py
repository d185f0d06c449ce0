"""Model registry: where versions of a model are registered, and the approved one as SageMaker deploys it.

Creates: one model package group per model, which the next environment may read; the execution role and security group
of served models; one SageMaker model per approved version, from the image with that digest, isolated from the network
unless it is served without instances.
Does not create: model packages (pipelines and promotions do), endpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import grants, iam
from components.firewall import HTTPS, Traffic, let_out
from components.handles import EndpointsHandle, NetworkHandle, RegistryHandle, StoreHandle
from components.promotion_policies import neighbour, package_group_policy
from components.served_grants import abilities
from components.served_models import served_model

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import ApprovedSpec, ModelSpec, NeighbourSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRegistryArgs:
    """Arguments of `ModelRegistry`."""

    labels: Labels
    """Names and tags."""
    models: tuple[ModelSpec, ...]
    """Models; each gets a package group, each approved version a SageMaker model."""
    promotes_to: NeighbourSpec | None
    """Environment whose promotion role reads versions."""
    store: StoreHandle
    """Key and image repositories."""
    network: NetworkHandle
    """Subnets of served models."""
    endpoints: EndpointsHandle
    """The only way out of a served model."""


class ModelRegistry(pulumi.ComponentResource):
    """Package groups and approved models; see the module for what is created."""

    handle: RegistryHandle
    """What registers or deploys models uses this."""

    def __init__(self, name: str, args: ModelRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:registry:ModelRegistry", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._role, self._attached = self._create_role()
        self._group = self._create_security_group()
        groups = {model.name: self._create_package_group(model) for model in args.models}
        approved = {model.name: self._create_model(model, model.approved) for model in args.models if model.approved}
        self.handle = RegistryHandle(
            package_groups={model: group.model_package_group_name for model, group in groups.items()},
            ready={model: (group,) for model, group in groups.items()},
            model_arns={model: deployed.arn for model, deployed in approved.items()},
            model_names={model: deployed.name for model, deployed in approved.items()},
        )
        self.register_outputs({"package_groups": self.handle.package_groups, "model_arns": self.handle.model_arns})

    def _create_package_group(self, model: ModelSpec) -> aws.sagemaker.ModelPackageGroup:
        labels, target, name = self._args.labels, self._args.promotes_to, f"{self._name}-{model.name}"
        group = aws.sagemaker.ModelPackageGroup(
            name,
            model_package_group_name=labels.package_group(model.name),
            model_package_group_description=f"Versions of {model.name}",
            opts=self._child,
        )
        if target is not None:
            aws.sagemaker.ModelPackageGroupPolicy(
                f"{name}-readers",
                model_package_group_name=group.model_package_group_name,
                resource_policy=package_group_policy(labels, model, neighbour(labels, target)),
                opts=self._child,
            )
        return group

    def _create_role(self) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        labels = self._args.labels
        account = iam.Account.of(labels.environment)
        role = aws.iam.Role(
            f"{self._name}-model-role",
            name=labels.role("model"),
            description="Models served by SageMaker",
            assume_role_policy=iam.service_trust(account, "sagemaker.amazonaws.com"),
            opts=self._child,
        )
        policies = {
            **grants.inline_policies(abilities(labels, self._args.models)),
            "use-key": self._args.store.key_arn.apply(grants.use_key),
        }
        attached: list[pulumi.Resource] = [
            aws.iam.RolePolicy(
                f"{self._name}-model-{ability}", name=ability, role=role.name, policy=policy, opts=self._child
            )
            for ability, policy in policies.items()
        ]
        return role, attached

    def _create_security_group(self) -> aws.ec2.SecurityGroup:
        name, endpoints = f"{self._name}-models", self._args.endpoints
        group = aws.ec2.SecurityGroup(
            name,
            description="Models served by SageMaker",
            vpc_id=self._args.network.vpc_id,
            tags=self._args.labels.named("models"),
            opts=self._child,
        )
        services = Traffic(description="AWS services by endpoint", port=HTTPS, group=endpoints.security_group)
        s3 = Traffic(description="S3 by gateway endpoint", port=HTTPS, prefix_list=endpoints.s3_prefix_list)
        let_out(f"{name}-to-endpoints", group.id, services, self._child)
        let_out(f"{name}-to-s3", group.id, s3, self._child)
        return group

    def _create_model(self, model: ModelSpec, approved: ApprovedSpec) -> aws.sagemaker.Model:
        """The approved version; its name carries all that it is, so that the next one exists before this one goes."""
        deployed = served_model(self._args.labels, model, approved)
        network = aws.sagemaker.ModelVpcConfigArgs(
            subnets=self._args.network.private_subnet_ids, security_group_ids=[self._group.id]
        )
        return aws.sagemaker.Model(
            f"{self._name}-{model.name}-approved",
            name=deployed.name,
            execution_role_arn=self._role.arn,
            primary_container=deployed.primary,
            containers=deployed.row,
            inference_execution_config=aws.sagemaker.ModelInferenceExecutionConfigArgs(mode=deployed.mode)
            if deployed.mode is not None
            else None,
            vpc_config=network if deployed.in_network else None,
            enable_network_isolation=deployed.in_network,
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._attached),
        )

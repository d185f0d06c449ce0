"""Model registry: where versions of a model are registered, and the approved one as SageMaker deploys it.

Creates: one model package group per model, which the next environment may read; the execution role and security group
of served models; one SageMaker model per approved version, from the image with that digest, isolated from the network.
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
from components.labels import MODELS, Labels
from components.promotion_policies import neighbour, package_group_policy

if TYPE_CHECKING:
    from settings.model import ApprovedSpec, ModelSpec, NeighbourSpec

LOG_GROUP_PREFIX = "/aws/sagemaker/Endpoints"
"""Log groups of endpoints, one each; SageMaker fixes their names and creates them."""
METRICS_NAMESPACE = "/aws/sagemaker/Endpoints"
"""CloudWatch namespace of what a served model publishes; SageMaker fixes it."""


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
        approved = {
            model.name: self._create_model(model.name, model.approved) for model in args.models if model.approved
        }
        self.handle = RegistryHandle(
            package_groups={model: group.model_package_group_name for model, group in groups.items()},
            ready={model: (group,) for model, group in groups.items()},
            model_arns={model: deployed.arn for model, deployed in approved.items()},
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
            **grants.inline_policies(self._abilities(account)),
            "use-key": self._args.store.key_arn.apply(grants.use_key),
        }
        attached: list[pulumi.Resource] = [
            aws.iam.RolePolicy(
                f"{self._name}-model-{ability}", name=ability, role=role.name, policy=policy, opts=self._child
            )
            for ability, policy in policies.items()
        ]
        return role, attached

    def _abilities(self, account: iam.Account) -> dict[str, list[iam.Statement]]:
        """What a served model may do, beside the use of the key."""
        labels, models = self._args.labels, self._args.models
        log_groups = f"{LOG_GROUP_PREFIX}/{labels.cluster}-*"
        return {
            "read-models": grants.read_objects(account, labels.bucket(MODELS), [f"{model.name}/" for model in models]),
            "pull-images": grants.pull_images(account, [labels.repository(model.name) for model in models]),
            "write-logs": grants.create_log_group(account, log_groups) + grants.write_logs(account, log_groups),
            "put-metrics": grants.put_metrics(METRICS_NAMESPACE),
            "attach-to-network": grants.attach_to_network(account, labels.ownership),
        }

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

    def _create_model(self, model: str, approved: ApprovedSpec) -> aws.sagemaker.Model:
        """The approved version; its name carries the version, so that the next one exists before this one goes."""
        labels = self._args.labels
        image = f"{iam.Account.of(labels.environment).registry}/{labels.repository(model)}@{approved.image_digest}"
        return aws.sagemaker.Model(
            f"{self._name}-{model}-approved",
            name=labels.model(model, approved.version),
            execution_role_arn=self._role.arn,
            primary_container=aws.sagemaker.ModelPrimaryContainerArgs(image=image, model_data_url=approved.model_data),
            vpc_config=aws.sagemaker.ModelVpcConfigArgs(
                subnets=self._args.network.private_subnet_ids, security_group_ids=[self._group.id]
            ),
            enable_network_isolation=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._attached),
        )

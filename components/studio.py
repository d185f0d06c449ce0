"""Studio: notebooks in the VPC, where the settings ask for them.

Creates, for a domain: a SageMaker Studio domain without a network of its own, encrypted, whose idle notebooks are shut
down; a user profile per user; the role that notebooks run as; their security group.
Does not create: who may open a profile (`sagemaker:CreatePresignedDomainUrl`, the account's own identities); spaces,
which people make; lifecycle scripts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import grants, iam
from components.firewall import ANYWHERE, HTTPS, Traffic, let_in, let_out
from components.studio_grants import abilities
from components.training_grants import SAGEMAKER

if TYPE_CHECKING:
    from components.handles import EndpointsHandle, NetworkHandle, StoreHandle
    from components.labels import Labels
    from settings.model import ModelSpec, StudioDomainSpec, StudioSpec

NFS: Final = 2049
"""Home folders lie on a file system that SageMaker makes with the domain (SageMaker developer guide, "VpcOnly")."""

SMALLEST_DISK_GIB: Final = 5
"""Of a space, unless its owner asks for more (SageMaker API reference, `DefaultEbsStorageSettings`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioArgs:
    """Arguments of `Studio`."""

    labels: Labels
    """Names and tags."""
    spec: StudioSpec
    """The domain, if any."""
    models: tuple[ModelSpec, ...]
    """Models whose data notebooks may read."""
    store: StoreHandle
    """Key of disks and home folders."""
    network: NetworkHandle
    """Private subnets, in which notebooks have their interfaces."""
    endpoints: EndpointsHandle
    """AWS services by their endpoints."""
    protect: bool
    """Whether home folders outlive the domain."""


class Studio(pulumi.ComponentResource):
    """Domain, users, role, security group; see the module."""

    def __init__(self, name: str, args: StudioArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:studio:Studio", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        spec = args.spec.domain
        if spec is not None:
            role, allowed = self._create_role(spec)
            self._create_domain(spec, role, self._create_security_group(spec), allowed)
        self.register_outputs({})

    def _create_role(self, spec: StudioDomainSpec) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        labels = self._args.labels
        account = iam.Account.of(labels.environment)
        role = aws.iam.Role(
            f"{self._name}-role",
            name=labels.role("studio"),
            description="Notebooks",
            assume_role_policy=iam.service_trust(account, SAGEMAKER),
            opts=self._child,
        )
        policies = {
            **grants.inline_policies(abilities(labels, spec, self._args.models)),
            "use-key": self._args.store.key_arn.apply(grants.use_key),
        }
        attached: list[pulumi.Resource] = [
            aws.iam.RolePolicy(f"{self._name}-{ability}", name=ability, role=role.name, policy=policy, opts=self._child)
            for ability, policy in policies.items()
        ]
        return role, attached

    def _create_security_group(self, spec: StudioDomainSpec) -> aws.ec2.SecurityGroup:
        name, endpoints = self._name, self._args.endpoints
        group = aws.ec2.SecurityGroup(
            f"{name}-notebooks",
            description="Notebooks",
            vpc_id=self._args.network.vpc_id,
            tags=self._args.labels.named("notebooks"),
            opts=self._child,
        )
        home = Traffic(description="Home folders", port=NFS, group=group.id)
        let_in(f"{name}-home-in", group.id, home, self._child)
        let_out(f"{name}-home-out", group.id, home, self._child)
        if spec.internet:
            outside = Traffic(description="AWS services and packages", port=HTTPS, cidr=ANYWHERE)
            let_out(f"{name}-to-outside", group.id, outside, self._child)
        else:
            services = Traffic(description="AWS services by endpoint", port=HTTPS, group=endpoints.security_group)
            s3 = Traffic(description="S3 by gateway endpoint", port=HTTPS, prefix_list=endpoints.s3_prefix_list)
            let_out(f"{name}-to-endpoints", group.id, services, self._child)
            let_out(f"{name}-to-s3", group.id, s3, self._child)
        return group

    def _create_domain(
        self,
        spec: StudioDomainSpec,
        role: aws.iam.Role,
        group: aws.ec2.SecurityGroup,
        allowed: list[pulumi.Resource],
    ) -> None:
        network, labels = self._args.network, self._args.labels
        domain = aws.sagemaker.Domain(
            self._name,
            domain_name=labels.cluster,
            auth_mode="IAM",
            app_network_access_type="VpcOnly",
            vpc_id=network.vpc_id,
            subnet_ids=network.private_subnet_ids,
            kms_key_id=self._args.store.key_arn,
            tag_propagation="ENABLED",
            domain_settings=aws.sagemaker.DomainDomainSettingsArgs(
                docker_settings=aws.sagemaker.DomainDomainSettingsDockerSettingsArgs(enable_docker_access="DISABLED")
            ),
            default_user_settings=_user_settings(spec, role.arn, group.id),
            retention_policy=aws.sagemaker.DomainRetentionPolicyArgs(
                home_efs_file_system="Retain" if self._args.protect else "Delete"
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=allowed, protect=self._args.protect),
        )
        for user in spec.users:
            aws.sagemaker.UserProfile(
                f"{self._name}-{user}", domain_id=domain.id, user_profile_name=user, opts=self._child
            )


def _user_settings(
    spec: StudioDomainSpec, role: pulumi.Input[str], group: pulumi.Input[str]
) -> aws.sagemaker.DomainDefaultUserSettingsArgs:
    """JupyterLab in private spaces: no shared outputs, no home folder of others, shut down when idle."""
    idle = aws.sagemaker.DomainDefaultUserSettingsJupyterLabAppSettingsAppLifecycleManagementIdleSettingsArgs(
        lifecycle_management="ENABLED",
        idle_timeout_in_minutes=spec.idle_minutes,
        min_idle_timeout_in_minutes=60,
        max_idle_timeout_in_minutes=spec.idle_minutes,
    )
    lifecycle = aws.sagemaker.DomainDefaultUserSettingsJupyterLabAppSettingsAppLifecycleManagementArgs(
        idle_settings=idle
    )
    disk = aws.sagemaker.DomainDefaultUserSettingsSpaceStorageSettingsDefaultEbsStorageSettingsArgs(
        default_ebs_volume_size_in_gb=SMALLEST_DISK_GIB, maximum_ebs_volume_size_in_gb=spec.volume_gib
    )
    return aws.sagemaker.DomainDefaultUserSettingsArgs(
        execution_role=role,
        security_groups=[group],
        auto_mount_home_efs="Disabled",
        default_landing_uri="studio::",
        studio_web_portal="ENABLED",
        jupyter_lab_app_settings=aws.sagemaker.DomainDefaultUserSettingsJupyterLabAppSettingsArgs(
            app_lifecycle_management=lifecycle,
            default_resource_spec=aws.sagemaker.DomainDefaultUserSettingsJupyterLabAppSettingsDefaultResourceSpecArgs(
                instance_type=spec.instance_types[0]
            ),
        ),
        sharing_settings=aws.sagemaker.DomainDefaultUserSettingsSharingSettingsArgs(notebook_output_option="Disabled"),
        space_storage_settings=aws.sagemaker.DomainDefaultUserSettingsSpaceStorageSettingsArgs(
            default_ebs_storage_settings=disk
        ),
    )

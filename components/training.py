"""Training: what a SageMaker training job runs as.

Creates: the execution role of training jobs with one inline policy per ability; the security group of jobs in the VPC.
Does not create: jobs or pipelines; SageMaker's own log group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import iam
from components.handles import EndpointsHandle, NetworkHandle, StoreHandle, TrainingHandle
from components.labels import DATA, MODELS, Labels

if TYPE_CHECKING:
    from settings.model import ModelSpec

HTTPS = 443
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
"""Log group of every training job of an account; SageMaker fixes its name and creates it."""
METRICS_NAMESPACE = "/aws/sagemaker/TrainingJobs"
"""CloudWatch namespace of algorithm metrics; SageMaker fixes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingArgs:
    """Arguments of `Training`."""

    labels: Labels
    """Names and tags."""
    models: tuple[ModelSpec, ...]
    """Models; their prefixes and repositories are all that a job may touch."""
    store: StoreHandle
    """Key of data and models."""
    network: NetworkHandle
    """The VPC that jobs run in."""
    endpoints: EndpointsHandle
    """The only way out of a job: AWS services by their endpoints."""


class Training(pulumi.ComponentResource):
    """Identity and network of training jobs; see the module for what is created."""

    handle: TrainingHandle
    """What starts jobs uses this."""

    def __init__(self, name: str, args: TrainingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:training:Training", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        account = iam.Account.of(args.labels.environment)
        role = aws.iam.Role(
            f"{name}-role",
            name=args.labels.role("training"),
            description="SageMaker training jobs",
            assume_role_policy=iam.service_trust(account, "sagemaker.amazonaws.com"),
            opts=self._child,
        )
        for ability, policy in self._grants(account).items():
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=self._child)
        group = self._create_security_group()
        self.handle = TrainingHandle(role_arn=role.arn, security_group=group.id)
        self.register_outputs({"role_arn": role.arn})

    def _grants(self, account: iam.Account) -> dict[str, pulumi.Input[str]]:
        """What a job may do, one policy per ability; all but the use of the key are known before anything exists."""
        labels, models = self._args.labels, self._args.models
        datasets = [model.dataset_prefix for model in models]
        artefacts = [f"{model.name}/" for model in models]
        repositories = [labels.repository(model.name) for model in models]
        tags = {"Project": labels.tags["Project"], "Environment": labels.tags["Environment"]}
        return {
            "read-datasets": iam.document(*iam.read_objects(account, labels.bucket(DATA), datasets)),
            "write-models": iam.document(*iam.write_objects(account, labels.bucket(MODELS), artefacts)),
            "pull-images": iam.document(*iam.pull_images(account, repositories)),
            "write-logs": iam.document(*iam.write_logs(account, LOG_GROUP, create=True)),
            "put-metrics": iam.document(*iam.put_metrics(METRICS_NAMESPACE)),
            "attach-to-network": iam.document(*iam.attach_to_network(account, tags)),
            "use-key": self._args.store.key_arn.apply(iam.use_key),
        }

    def _create_security_group(self) -> aws.ec2.SecurityGroup:
        name, labels, endpoints = self._name, self._args.labels, self._args.endpoints
        group = aws.ec2.SecurityGroup(
            f"{name}-jobs",
            description="Training jobs",
            vpc_id=self._args.network.vpc_id,
            tags=labels.named("training"),
            opts=self._child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-jobs-to-endpoints",
            description="AWS services by interface endpoint",
            security_group_id=group.id,
            referenced_security_group_id=endpoints.security_group,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            opts=self._child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-jobs-to-s3",
            description="S3 by gateway endpoint",
            security_group_id=group.id,
            prefix_list_id=endpoints.s3_prefix_list,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            opts=self._child,
        )
        for direction, rule in (
            ("from", aws.vpc.SecurityGroupIngressRule),
            ("to", aws.vpc.SecurityGroupEgressRule),
        ):
            rule(
                f"{name}-jobs-{direction}-jobs",
                description="Hosts of one distributed job",
                security_group_id=group.id,
                referenced_security_group_id=group.id,
                ip_protocol="-1",
                opts=self._child,
            )
        return group

"""Training: what a SageMaker training job runs as.

Creates: the execution role of training jobs with one inline policy per ability; the security group of jobs in the VPC.
Does not create: jobs or pipelines; SageMaker's own log group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import grants, iam
from components.firewall import HTTPS, Traffic, let_in, let_out
from components.handles import EndpointsHandle, NetworkHandle, StoreHandle, TrainingHandle
from components.labels import DATA, MODELS, Labels

if TYPE_CHECKING:
    from settings.model import ModelSpec

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
        policies = {
            **grants.inline_policies(self._abilities(account)),
            "use-key": args.store.key_arn.apply(grants.use_key),
        }
        for ability, policy in policies.items():
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=self._child)
        group = self._create_security_group()
        self.handle = TrainingHandle(role_arn=role.arn, security_group=group.id)
        self.register_outputs({"role_arn": role.arn})

    def _abilities(self, account: iam.Account) -> dict[str, list[iam.Statement]]:
        """What a job may do, beside the use of the key."""
        labels, models = self._args.labels, self._args.models
        artefacts = [f"{model.name}/" for model in models]
        bucket = labels.bucket(MODELS)
        return {
            "read-datasets": grants.read_objects(
                account, labels.bucket(DATA), [model.dataset_prefix for model in models]
            ),
            "resume-checkpoints": grants.read_objects(
                account, bucket, [f"{prefix}checkpoints/" for prefix in artefacts]
            ),
            "write-models": grants.write_objects(account, bucket, artefacts),
            "pull-images": grants.pull_images(account, [labels.repository(model.name) for model in models]),
            "write-logs": grants.create_log_group(account, LOG_GROUP) + grants.write_logs(account, LOG_GROUP),
            "put-metrics": grants.put_metrics(METRICS_NAMESPACE),
            "attach-to-network": grants.attach_to_network(account, labels.ownership),
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
        services = Traffic(description="AWS services by endpoint", port=HTTPS, group=endpoints.security_group)
        s3 = Traffic(description="S3 by gateway endpoint", port=HTTPS, prefix_list=endpoints.s3_prefix_list)
        hosts = Traffic(description="Hosts of one distributed job", port=None, group=group.id)
        let_out(f"{name}-jobs-to-endpoints", group.id, services, self._child)
        let_out(f"{name}-jobs-to-s3", group.id, s3, self._child)
        let_out(f"{name}-jobs-to-jobs", group.id, hosts, self._child)
        let_in(f"{name}-jobs-from-jobs", group.id, hosts, self._child)
        return group

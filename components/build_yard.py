"""Where builds of AWS CodeBuild run, and the parts that the builds of one component share.

Sources: CodeBuild user guide, "Amazon S3 source" and "VPC".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi_aws as aws

from components import grants, iam
from components.dead_letters import create_dead_queue
from components.firewall import ANYWHERE, HTTPS, Traffic, let_out
from components.labels import MODELS
from components.resource_policies import queue_policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pulumi

    from components.handles import NetworkHandle, StoreHandle
    from components.labels import Labels


def run_grants(labels: Labels, *, program: str, log_group: str) -> dict[str, list[iam.Statement]]:
    """Abilities that every build needs: to read its program, to write its log, to have an address in the VPC."""
    account, bucket = iam.Account.of(labels.environment), labels.bucket(MODELS)
    where: iam.Statement = {
        "Effect": "Allow",
        "Action": ["s3:GetBucketAcl", "s3:GetBucketLocation"],
        "Resource": account.bucket(bucket),
    }
    return {
        "read-program": [*grants.read_objects(account, bucket, [program]), where],
        "write-logs": grants.write_logs(account, log_group),
        "attach-to-network": grants.attach_to_network(account, labels.ownership),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Yard:
    """Where the builds of one component run, and what makes their parts."""

    name: str
    """Name of the component, which the names of its resources begin with."""
    labels: Labels
    store: StoreHandle
    network: NetworkHandle
    child: pulumi.ResourceOptions
    """Options of the component's resources."""

    def create_log_group(self, days: int) -> aws.cloudwatch.LogGroup:
        """Create the log group of all builds."""
        return aws.cloudwatch.LogGroup(
            f"{self.name}-logs",
            name=self.labels.log_group(self.name),
            retention_in_days=days,
            kms_key_id=self.store.key_arn,
            opts=self.child,
        )

    def create_security_group(self, description: str, reached: str) -> aws.ec2.SecurityGroup:
        """Create the security group of all builds, which nobody reaches and which reach the world by HTTPS."""
        group = aws.ec2.SecurityGroup(
            f"{self.name}-builds",
            description=description,
            vpc_id=self.network.vpc_id,
            tags=self.labels.named(self.name),
            opts=self.child,
        )
        let_out(
            f"{self.name}-builds-out",
            group.id,
            Traffic(description=reached, port=HTTPS, cidr=ANYWHERE),
            self.child,
        )
        return group

    def upload(self, prefix: str, files: Mapping[str, str]) -> list[pulumi.Resource]:
        """Put a program into the models bucket."""
        return [
            aws.s3.BucketObjectv2(
                f"{self.name}-{path}",
                bucket=self.store.models_bucket,
                key=f"{prefix}{path}",
                content=content,
                opts=self.child,
            )
            for path, content in files.items()
        ]

    def create_dead_queue(self, rules: Sequence[str]) -> tuple[aws.sqs.Queue, list[pulumi.Resource]]:
        """Create the queue of events that started nothing, and what lets `rules` (as their ARNs end) send to it."""
        queue_name = self.labels.queue(f"{self.name}-dead")
        queue = create_dead_queue(self.name, queue_name, self.child)
        if not rules:
            return queue, []
        policy = queue_policy(iam.Account.of(self.labels.environment), queue_name, rules)
        return queue, [aws.sqs.QueuePolicy(f"{self.name}-dead", queue_url=queue.url, policy=policy, opts=self.child)]

    def create_starter(self, duty: str, projects: Sequence[str]) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """Create the role by which EventBridge starts these projects, and does nothing else."""
        account = iam.Account.of(self.labels.environment)
        arns = [account.arn("codebuild", f"project/{project}") for project in projects]
        may: iam.Statement = {"Effect": "Allow", "Action": "codebuild:StartBuild", "Resource": arns}
        return self.create_role(duty, "events.amazonaws.com", {duty: [may] if arns else []})

    def create_role(
        self, duty: str, service: str, may: Mapping[str, list[iam.Statement]]
    ) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """Create the role of one duty, which a service takes; return it with its policies."""
        name = f"{self.name}-{duty}"
        role = aws.iam.Role(
            f"{name}-role",
            name=self.labels.role(duty),
            description=f"Images of models: {duty}",
            assume_role_policy=iam.service_trust(iam.Account.of(self.labels.environment), service),
            opts=self.child,
        )
        policies: list[pulumi.Resource] = [
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=self.child)
            for ability, policy in grants.inline_policies(may).items()
        ]
        return role, policies

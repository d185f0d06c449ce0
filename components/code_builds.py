"""Programs of ours as builds of AWS CodeBuild: inside the VPC, without privileges, started by events, with an end.

A build takes its program from the models bucket, where it lies by its content, so that one that runs keeps its own.
Sources: CodeBuild API reference, `Project`; EventBridge user guide, "Retry policy".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pulumi_aws as aws

from components.labels import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pulumi

    from components.build_yard import Yard

BUILD_IMAGE: Final = "aws/codebuild/amazonlinux-x86_64-standard:6.0"
"""Image of a build; AWS patches it and keeps Go, Python and boto3 in it (aws/aws-codebuild-docker-images)."""
FUNCTIONS: Final = Path(__file__).resolve().parent.parent / "functions"
RETRY_SECONDS: Final = 24 * 3600
RETRIES: Final = 185
"""EventBridge's own limits of time and number."""


def read_program(paths: Iterable[str]) -> dict[str, str]:
    """Text of every file of a program by its path below `functions`."""
    return {path: (FUNCTIONS / path).read_text(encoding="utf-8") for path in paths}


def sources(prefix: str, files: Mapping[str, str]) -> str:
    """Where a program lies; another one lies elsewhere."""
    return f"{prefix}{fingerprint(*(part for file in sorted(files.items()) for part in file))}/"


def override(told: Mapping[str, str]) -> str:
    """What an event tells a build (CodeBuild API reference, `StartBuild`)."""
    overrides = [{"name": name, "type": "PLAINTEXT", "value": value} for name, value in told.items()]
    return json.dumps({"environmentVariablesOverride": overrides})


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One project."""

    name: str
    description: str
    role: pulumi.Input[str]
    """ARN of what its builds run as."""
    program: str
    """Prefix of the models bucket."""
    specification: str
    """Path of the build specification, below `functions`."""
    variables: Mapping[str, str]
    compute_type: str
    timeout_minutes: int
    log_group: pulumi.Input[str]
    """Name of the log group."""
    security_group: pulumi.Input[str]

    def create(self, name: str, yard: Yard, opts: pulumi.ResourceOptions) -> aws.codebuild.Project:
        """Create it."""
        return aws.codebuild.Project(
            name,
            name=self.name,
            description=self.description,
            service_role=self.role,
            artifacts=aws.codebuild.ProjectArtifactsArgs(type="NO_ARTIFACTS"),
            source=aws.codebuild.ProjectSourceArgs(
                type="S3",
                location=yard.store.models_bucket.apply(lambda bucket: f"{bucket}/{self.program}"),
                buildspec=(FUNCTIONS / self.specification).read_text(encoding="utf-8"),
            ),
            environment=aws.codebuild.ProjectEnvironmentArgs(
                type="LINUX_CONTAINER",
                compute_type=self.compute_type,
                image=BUILD_IMAGE,
                privileged_mode=False,
                environment_variables=[
                    aws.codebuild.ProjectEnvironmentEnvironmentVariableArgs(name=key, value=value)
                    for key, value in self.variables.items()
                ],
            ),
            vpc_config=aws.codebuild.ProjectVpcConfigArgs(
                vpc_id=yard.network.vpc_id,
                subnets=yard.network.private_subnet_ids,
                security_group_ids=[self.security_group],
            ),
            logs_config=aws.codebuild.ProjectLogsConfigArgs(
                cloudwatch_logs=aws.codebuild.ProjectLogsConfigCloudwatchLogsArgs(group_name=self.log_group)
            ),
            encryption_key=yard.store.key_arn,
            build_timeout=self.timeout_minutes,
            opts=opts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a rule starts."""

    project: pulumi.Input[str]
    """ARN of the CodeBuild project."""
    role: pulumi.Input[str]
    """ARN of the role that EventBridge starts it by."""
    dead: pulumi.Input[str]
    """ARN of the queue for events that started nothing."""
    bus: pulumi.Input[str] | None = None
    """Bus of the rules; None for the account's own."""

    def start(
        self,
        name: str,
        rule: aws.cloudwatch.EventRule,
        opts: pulumi.ResourceOptions,
        told: aws.cloudwatch.EventTargetInputTransformerArgs | str = "{}",
    ) -> aws.cloudwatch.EventTarget:
        """Create the target of a rule, which tells the build always the same or what it takes from the event."""
        return aws.cloudwatch.EventTarget(
            name,
            rule=rule.name,
            event_bus_name=self.bus,
            arn=self.project,
            role_arn=self.role,
            input=told if isinstance(told, str) else None,
            input_transformer=None if isinstance(told, str) else told,
            retry_policy=aws.cloudwatch.EventTargetRetryPolicyArgs(
                maximum_event_age_in_seconds=RETRY_SECONDS, maximum_retry_attempts=RETRIES
            ),
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(arn=self.dead),
            opts=opts,
        )

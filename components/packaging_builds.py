"""One model's builds: the project, and what starts it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi_aws as aws

from components.packaging_objects import approval_input, approval_pattern, specification, variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from components.handles import NetworkHandle, StoreHandle
    from components.model_places import ModelPlaces
    from settings.model import PackagingSpec

BUILD_IMAGE: Final = "aws/codebuild/amazonlinux-x86_64-standard:6.0"
"""Image of a build; AWS patches it and keeps Go, Python and boto3 in it (aws/aws-codebuild-docker-images)."""
RETRY_SECONDS: Final = 24 * 3600
RETRIES: Final = 185
"""EventBridge's own limits of time and number (EventBridge user guide, "Retry policy")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the builds of all models share."""

    spec: PackagingSpec
    store: StoreHandle
    network: NetworkHandle
    log_group: pulumi.Input[str]
    """Name of the log group."""
    security_group: pulumi.Input[str]
    sources: str
    """Prefix of the models bucket with the program."""
    signing: str | None
    """ARN of the signing profile."""


def create_project(
    name: str,
    places: ModelPlaces,
    around: Surroundings,
    role: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> aws.codebuild.Project:
    """Create the project of a model; `role` is the ARN of what its builds run as."""
    return aws.codebuild.Project(
        name,
        name=places.labels.package_build(places.model.name),
        description=f"Images of {places.model.name}",
        service_role=role,
        artifacts=aws.codebuild.ProjectArtifactsArgs(type="NO_ARTIFACTS"),
        source=aws.codebuild.ProjectSourceArgs(
            type="S3",
            location=around.store.models_bucket.apply(lambda bucket: f"{bucket}/{around.sources}"),
            buildspec=specification(),
        ),
        environment=_host(around.spec, variables(places, around.spec, around.signing)),
        vpc_config=aws.codebuild.ProjectVpcConfigArgs(
            vpc_id=around.network.vpc_id,
            subnets=around.network.private_subnet_ids,
            security_group_ids=[around.security_group],
        ),
        logs_config=aws.codebuild.ProjectLogsConfigArgs(
            cloudwatch_logs=aws.codebuild.ProjectLogsConfigCloudwatchLogsArgs(group_name=around.log_group)
        ),
        encryption_key=around.store.key_arn,
        build_timeout=around.spec.timeout_minutes,
        opts=opts,
    )


def _host(spec: PackagingSpec, told: Mapping[str, str]) -> aws.codebuild.ProjectEnvironmentArgs:
    return aws.codebuild.ProjectEnvironmentArgs(
        type="LINUX_CONTAINER",
        compute_type=spec.compute_type,
        image=BUILD_IMAGE,
        privileged_mode=False,
        environment_variables=[
            aws.codebuild.ProjectEnvironmentEnvironmentVariableArgs(name=key, value=value)
            for key, value in told.items()
        ],
    )


def start_when_approved(
    name: str, rule: str, group: str, target: Target, opts: pulumi.ResourceOptions
) -> aws.cloudwatch.EventTarget:
    """Start a build when a version of a package group is approved."""
    made = aws.cloudwatch.EventRule(
        name,
        name=rule,
        description=f"A version of {group} is approved",
        event_pattern=approval_pattern(group),
        opts=opts,
    )
    transformer = aws.cloudwatch.EventTargetInputTransformerArgs(
        input_paths={"package": "$.detail.ModelPackageArn"}, input_template=approval_input()
    )
    return target.start(name, made, opts, transformer)


def start_every(
    name: str, rule: str, days: int, target: Target, opts: pulumi.ResourceOptions
) -> aws.cloudwatch.EventTarget:
    """Start a build every so many days, which looks for a newer base."""
    made = aws.cloudwatch.EventRule(
        name,
        name=rule,
        description="A newer base is looked for",
        schedule_expression=f"rate({days} {'day' if days == 1 else 'days'})",
        opts=opts,
    )
    return target.start(name, made, opts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a rule starts."""

    project: pulumi.Input[str]
    """ARN of the CodeBuild project."""
    role: pulumi.Input[str]
    """ARN of the role that EventBridge starts it by."""
    dead: pulumi.Input[str]
    """ARN of the queue for events that started nothing."""

    def start(
        self,
        name: str,
        rule: aws.cloudwatch.EventRule,
        opts: pulumi.ResourceOptions,
        transformer: aws.cloudwatch.EventTargetInputTransformerArgs | None = None,
    ) -> aws.cloudwatch.EventTarget:
        """Create the target of a rule."""
        return aws.cloudwatch.EventTarget(
            name,
            rule=rule.name,
            arn=self.project,
            role_arn=self.role,
            input=None if transformer else json.dumps({}),
            input_transformer=transformer,
            retry_policy=aws.cloudwatch.EventTargetRetryPolicyArgs(
                maximum_event_age_in_seconds=RETRY_SECONDS, maximum_retry_attempts=RETRIES
            ),
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(arn=self.dead),
            opts=opts,
        )

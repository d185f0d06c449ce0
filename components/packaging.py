"""Packaging: an approved version of a model becomes an image by digest, and whoever releases it hears of it.

Creates: for each model a CodeBuild project without privileged mode, with a role of its own; rules that start it when a
version is approved, and on a schedule for a newer base; the bus of the announcements; a queue for events that started
nothing; the program of the builds in the models bucket; a log group; a security group; a signing profile where images
are signed.
Does not create: the registry's signing configuration, which has no resource in the provider; what listens to the bus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import grants, iam
from components.firewall import ANYWHERE, HTTPS, Traffic, let_out
from components.handles import NetworkHandle, PackagingHandle, StoreHandle
from components.model_places import ModelPlaces
from components.packaging_builds import Surroundings, Target, create_project, start_every, start_when_approved
from components.packaging_grants import package
from components.packaging_objects import program, sources
from components.resource_policies import queue_policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.labels import Labels
    from settings.model import ModelSpec, PackagingSpec

SIGNING_PLATFORM: Final = "Notation-OCI-SHA384-ECDSA"
"""AWS Signer's platform for container images."""
DEAD_RETENTION_SECONDS: Final = 14 * 24 * 3600
"""The longest that SQS keeps: an approval that started nothing is looked at and sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagingArgs:
    """Arguments of `Packaging`."""

    labels: Labels
    """Names and tags."""
    spec: PackagingSpec
    """Hosts, gate and renewal."""
    models: tuple[ModelSpec, ...]
    """Models; each has builds of its own."""
    store: StoreHandle
    """Key, models bucket and repositories."""
    network: NetworkHandle
    """Subnets of build hosts, with a way out."""


class Packaging(pulumi.ComponentResource):
    """Builds of images; see the module for what is created."""

    handle: PackagingHandle
    """What releases images uses this."""

    def __init__(self, name: str, args: PackagingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:packaging:Packaging", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._account = iam.Account.of(args.labels.environment)
        self._bus = aws.cloudwatch.EventBus(name, name=args.labels.event_bus, opts=self._child)
        prefix, self._program = self._upload()
        self._around = Surroundings(
            spec=args.spec,
            store=args.store,
            network=args.network,
            log_group=self._create_log_group().name,
            security_group=self._create_security_group().id,
            sources=prefix,
            signing=self._create_signing_profile(),
        )
        self._allowed: list[pulumi.Resource] = []
        self._dead = self._create_dead_queue()
        self._starter = self._create_starter()
        projects = {model.name: self._create_builds(ModelPlaces(args.labels, model)) for model in args.models}
        self.handle = PackagingHandle(event_bus=self._bus.name, projects=projects)
        self.register_outputs({"event_bus": self._bus.name, "projects": projects})

    def _create_signing_profile(self) -> str | None:
        """ARN of the profile, built of its name so that policies can be read before it exists."""
        if not self._args.spec.signing:
            return None
        profile = self._args.labels.signing_profile
        aws.signer.SigningProfile(self._name, name=profile, platform_id=SIGNING_PLATFORM, opts=self._child)
        return self._account.arn("signer", f"/signing-profiles/{profile}")

    def _create_log_group(self) -> aws.cloudwatch.LogGroup:
        return aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            name=self._args.labels.log_group("packaging"),
            retention_in_days=self._args.spec.log_retention_days,
            kms_key_id=self._args.store.key_arn,
            opts=self._child,
        )

    def _create_security_group(self) -> aws.ec2.SecurityGroup:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-builds",
            description="Builds of images",
            vpc_id=self._args.network.vpc_id,
            tags=self._args.labels.named("packaging"),
            opts=self._child,
        )
        out = Traffic(description="AWS services, Go modules and the base image", port=HTTPS, cidr=ANYWHERE)
        let_out(f"{self._name}-builds-out", group.id, out, self._child)
        return group

    def _upload(self) -> tuple[str, list[pulumi.Resource]]:
        files = program()
        prefix = sources(files)
        objects: list[pulumi.Resource] = [
            aws.s3.BucketObjectv2(
                f"{self._name}-{path}",
                bucket=self._args.store.models_bucket,
                key=f"{prefix}{path}",
                content=content,
                opts=self._child,
            )
            for path, content in files.items()
        ]
        return prefix, objects

    def _rule_names(self, model: str) -> dict[str, str]:
        events = ("approved", "refresh") if self._args.spec.refresh_days is not None else ("approved",)
        return {event: self._args.labels.rule(f"{model}-{event}") for event in events}

    def _create_dead_queue(self) -> aws.sqs.Queue:
        queue_name = self._args.labels.queue("packaging-dead")
        queue = aws.sqs.Queue(
            f"{self._name}-dead",
            name=queue_name,
            message_retention_seconds=DEAD_RETENTION_SECONDS,
            # EventBridge cannot use the key that AWS manages for SQS; SQS's own encryption needs none.
            sqs_managed_sse_enabled=True,
            opts=self._child,
        )
        rules = [rule for model in self._args.models for rule in self._rule_names(model.name).values()]
        if rules:
            policy = queue_policy(self._account, queue_name, rules)
            self._allowed.append(
                aws.sqs.QueuePolicy(f"{self._name}-dead", queue_url=queue.url, policy=policy, opts=self._child)
            )
        return queue

    def _create_starter(self) -> aws.iam.Role:
        """The role by which EventBridge starts builds, and does nothing else."""
        labels = self._args.labels
        names = [labels.package_build(model.name) for model in self._args.models]
        may: iam.Statement = {
            "Effect": "Allow",
            "Action": "codebuild:StartBuild",
            "Resource": [self._account.arn("codebuild", f"project/{name}") for name in names],
        }
        role, policies = self._create_role(
            "start-builds", "events.amazonaws.com", {"start-builds": [may] if names else []}
        )
        self._allowed += policies
        return role

    def _create_role(
        self, duty: str, service: str, may: Mapping[str, list[iam.Statement]]
    ) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        name = f"{self._name}-{duty}"
        role = aws.iam.Role(
            f"{name}-role",
            name=self._args.labels.role(duty),
            description=f"Images of models: {duty}",
            assume_role_policy=iam.service_trust(self._account, service),
            opts=self._child,
        )
        policies: list[pulumi.Resource] = [
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=self._child)
            for ability, policy in grants.inline_policies(may).items()
        ]
        return role, policies

    def _create_builds(self, places: ModelPlaces) -> pulumi.Output[str]:
        args, model = self._args, places.model.name
        around, log_group = self._around, args.labels.log_group("packaging")
        may = package(places, sources=around.sources, log_group=log_group, signing=around.signing)
        role, policies = self._create_role(f"{model}-package", "codebuild.amazonaws.com", may)
        key = aws.iam.RolePolicy(
            f"{self._name}-{model}-use-key",
            name="use-key",
            role=role.name,
            policy=args.store.key_arn.apply(
                lambda key_arn: grants.use_key_through(self._account, key_arn, "s3", write=True)
            ),
            opts=self._child,
        )
        ready = pulumi.ResourceOptions(parent=self, depends_on=[*policies, key, *self._program])
        project = create_project(f"{self._name}-{model}", places, self._around, role.arn, ready)
        target = Target(project=project.arn, role=self._starter.arn, dead=self._dead.arn)
        rules, allowed = self._rule_names(model), pulumi.ResourceOptions(parent=self, depends_on=self._allowed)
        name = f"{self._name}-{model}"
        start_when_approved(f"{name}-approved", rules["approved"], args.labels.package_group(model), target, allowed)
        if args.spec.refresh_days is not None:
            start_every(f"{name}-refresh", rules["refresh"], args.spec.refresh_days, target, allowed)
        return project.name

"""Packaging: an approved version of a model becomes an image by digest, and whoever releases it hears of it.

Creates: for each model a CodeBuild project without privileged mode, with a role of its own; rules that start it when a
version is approved or rejected, and on a schedule for a newer base; the bus of the announcements; a queue for events
that started nothing; the program of the builds in the models bucket; a log group; a security group; a signing profile
where images are signed.
Does not create: the registry's signing configuration, which has no resource in the provider; what listens to the bus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import grants, iam
from components.build_yard import Yard, run_grants
from components.code_builds import Project, Target, read_program, sources
from components.handles import NetworkHandle, PackagingHandle, StoreHandle
from components.model_places import ModelPlaces
from components.packaging_builds import start_every, start_when_approved
from components.packaging_grants import package
from components.packaging_objects import PROGRAM, SOURCES, SPECIFICATION, variables

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import ModelSpec, PackagingSpec

SIGNING_PLATFORM: Final = "Notation-OCI-SHA384-ECDSA"
"""AWS Signer's platform for container images."""


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
        self._yard = Yard(name=name, labels=args.labels, store=args.store, network=args.network, child=self._child)
        files = read_program(PROGRAM)
        self._sources = sources(SOURCES, files)
        self._program = self._yard.upload(self._sources, files)
        self._log_group = self._yard.create_log_group(args.spec.log_retention_days)
        reached = "AWS services, Go modules and the base image"
        self._security_group = self._yard.create_security_group("Builds of images", reached)
        self._signing = self._create_signing_profile()
        rules = [rule for model in args.models for rule in self._rule_names(model.name).values()]
        self._dead, allowed = self._yard.create_dead_queue(rules)
        builds = [args.labels.package_build(model.name) for model in args.models]
        self._starter, policies = self._yard.create_starter("start-builds", builds)
        self._allowed = [*allowed, *policies]
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

    def _rule_names(self, model: str) -> dict[str, str]:
        events = ("approved", "refresh") if self._args.spec.refresh_days is not None else ("approved",)
        return {event: self._args.labels.rule(f"{model}-{event}") for event in events}

    def _create_builds(self, places: ModelPlaces) -> pulumi.Output[str]:
        args, model = self._args, places.model.name
        name = f"{self._name}-{model}"
        needed = run_grants(args.labels, program=self._sources, log_group=args.labels.log_group(self._name))
        may = {**package(places, signing=self._signing), **needed}
        role, policies = self._yard.create_role(f"{model}-package", "codebuild.amazonaws.com", may)
        key = aws.iam.RolePolicy(
            f"{name}-use-key",
            name="use-key",
            role=role.name,
            policy=args.store.key_arn.apply(
                lambda key_arn: grants.use_key_through(self._account, key_arn, "s3", write=True)
            ),
            opts=self._child,
        )
        ready = pulumi.ResourceOptions(parent=self, depends_on=[*policies, key, *self._program])
        project = self._project(places, role.arn).create(name, self._yard, ready)
        target = Target(project=project.arn, role=self._starter.arn, dead=self._dead.arn)
        rules, allowed = self._rule_names(model), pulumi.ResourceOptions(parent=self, depends_on=self._allowed)
        start_when_approved(f"{name}-approved", rules["approved"], args.labels.package_group(model), target, allowed)
        if args.spec.refresh_days is not None:
            start_every(f"{name}-refresh", rules["refresh"], args.spec.refresh_days, target, allowed)
        return project.name

    def _project(self, places: ModelPlaces, role: pulumi.Output[str]) -> Project:
        spec, model = self._args.spec, places.model.name
        return Project(
            name=places.labels.package_build(model),
            description=f"Images of {model}",
            role=role,
            program=self._sources,
            specification=SPECIFICATION,
            variables=variables(places, spec, self._signing),
            compute_type=spec.compute_type,
            timeout_minutes=spec.timeout_minutes,
            log_group=self._log_group.name,
            security_group=self._security_group.id,
        )

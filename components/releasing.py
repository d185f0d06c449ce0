"""Releasing: an image that was announced goes to the pods of its model by the release step, without a person.

Creates, where the settings ask for it and pods serve a model: for each such model a CodeBuild project with a role of
its own, the access entry by which EKS knows that role, a Role in the namespace of the pods for the one Deployment, a
rule on the platform's bus that starts it, a rule that lets it look back after each look for drift, and an alarm on its
failure; a queue for events that started nothing, with an alarm; the program of the step in the models bucket; a log
group; a security group with its way to the API server.
Does not create: the Deployment; who hears of alarms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import grants, iam
from components import releasing_objects as objects
from components.build_yard import Yard, run_grants
from components.code_builds import Project, Target, read_program, sources
from components.firewall import HTTPS, Traffic, let_in
from settings.release_times import release_minutes

if TYPE_CHECKING:
    from components.alarm_handle import AlarmsHandle
    from components.handles import ClusterHandle, NetworkHandle, PackagingHandle, StoreHandle, TenancyHandle
    from components.labels import Labels
    from settings.model import EksServingSpec, ModelSpec, ReleasesSpec, RolloutsSpec

_META = kubernetes.meta.v1.ObjectMetaArgs
_RBAC = "rbac.authorization.k8s.io"
_PERIOD_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasingArgs:
    """Arguments of `Releasing`."""

    labels: Labels
    """Names and tags."""
    spec: RolloutsSpec
    """Hosts of release steps, or none."""
    models: tuple[ModelSpec, ...]
    """Models; those that pods serve are released."""
    store: StoreHandle
    """Key and models bucket."""
    network: NetworkHandle
    """Subnets of hosts, with a way out."""
    cluster: ClusterHandle
    """The cluster, whose API server is reached from these subnets."""
    packaging: PackagingHandle
    """The bus of the announcements."""
    tenancy: TenancyHandle
    """Namespaces of the models."""
    alarms: AlarmsHandle
    """Who hears of alarms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What the release steps of all models share."""

    spec: ReleasesSpec
    program: str
    uploaded: list[pulumi.Resource]
    log_group: pulumi.Output[str]
    security_group: pulumi.Output[str]
    api: pulumi.Resource
    starter: pulumi.Output[str]
    dead: pulumi.Output[str]
    allowed: list[pulumi.Resource]


class Releasing(pulumi.ComponentResource):
    """Release steps; see the module for what is created. Needs both providers."""

    def __init__(self, name: str, args: ReleasingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:releasing:Releasing", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._account = iam.Account.of(args.labels.environment)
        self._yard = Yard(name=name, labels=args.labels, store=args.store, network=args.network, child=self._child)
        served = [(model, spec) for model in args.models if (spec := model.pods) is not None]
        projects: dict[str, pulumi.Output[str]] = {}
        if args.spec.releases is not None and served:
            around = self._create_surroundings(args.spec.releases, [model for model, _ in served])
            projects = {model.name: self._create_release(model, spec, around) for model, spec in served}
        self.register_outputs({"projects": projects})

    def _create_surroundings(self, spec: ReleasesSpec, models: list[ModelSpec]) -> _Around:
        labels, yard, files = self._args.labels, self._yard, read_program(objects.PROGRAM)
        program = sources(objects.SOURCES, files)
        group = yard.create_security_group("Release steps", "AWS services and the API server")
        call = Traffic(description="Release steps to the API server", port=HTTPS, group=group.id)
        api = let_in(f"{self._name}-api", self._args.cluster.control_plane_security_group, call, self._child)
        rules = [f"{labels.event_bus}/{self._rule(model)}" for model in models]
        looks = [labels.rule(f"{model.name}-recall") for model in models if model.drift is not None]
        dead, allowed = yard.create_dead_queue([*rules, *looks])
        builds = [objects.project_name(labels, model.name) for model in models]
        starter, policies = yard.create_starter("start-releases", builds)
        self._create_alarm("dead-letters", objects.dead_letters(labels))
        return _Around(
            spec=spec,
            program=program,
            uploaded=yard.upload(program, files),
            log_group=yard.create_log_group(spec.log_retention_days).name,
            security_group=group.id,
            api=api,
            starter=starter.arn,
            dead=dead.arn,
            allowed=[*allowed, *policies],
        )

    def _rule(self, model: ModelSpec) -> str:
        return self._args.labels.rule(f"{model.name}-release")

    def _create_release(self, model: ModelSpec, spec: EksServingSpec, around: _Around) -> pulumi.Output[str]:
        labels, name = self._args.labels, f"{self._name}-{model.name}"
        role, rights = self._create_role(model, around)
        rights += self._admit(model.name, spec.namespace, role)
        project = Project(
            name=objects.project_name(labels, model.name),
            description=f"Releases of {model.name}",
            role=role.arn,
            program=around.program,
            specification=objects.SPECIFICATION,
            variables=objects.variables(labels, model, spec),
            compute_type=around.spec.compute_type,
            timeout_minutes=release_minutes(spec),
            log_group=around.log_group,
            security_group=around.security_group,
        ).create(name, self._yard, self._after(*rights, *around.uploaded, around.api))
        bus = self._args.packaging.event_bus
        rule = aws.cloudwatch.EventRule(
            name,
            name=self._rule(model),
            description=f"An image of {model.name} is ready",
            event_bus_name=bus,
            event_pattern=objects.announcement_pattern(model.name),
            opts=self._child,
        )
        told = aws.cloudwatch.EventTargetInputTransformerArgs(
            input_paths=objects.ANNOUNCED, input_template=objects.announcement_input()
        )
        target = Target(project=project.arn, role=around.starter, dead=around.dead, bus=bus)
        target.start(name, rule, self._after(*around.allowed), told)
        if model.drift is not None:
            self._look_back(model, project, around)
        self._create_alarm(model.name, objects.failures(labels, model.name))
        return project.name

    def _look_back(self, model: ModelSpec, project: aws.codebuild.Project, around: _Around) -> None:
        """Let the release step see, after each look for drift, whether the version in service has to go."""
        name = f"{self._name}-{model.name}-recall"
        rule = aws.cloudwatch.EventRule(
            name,
            name=self._args.labels.rule(f"{model.name}-recall"),
            description=f"Drift of {model.name} was looked for",
            event_pattern=objects.look_pattern(self._args.labels, model),
            opts=self._child,
        )
        target = Target(project=project.arn, role=around.starter, dead=around.dead)
        target.start(name, rule, self._after(*around.allowed), objects.look_input())

    def _create_role(self, model: ModelSpec, around: _Around) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """The role of a model's release step, and what it may do in AWS."""
        labels, store = self._args.labels, self._args.store
        needed = run_grants(labels, program=around.program, log_group=labels.log_group(self._name))
        judged = objects.recall(labels, model) if model.drift is not None else {}
        may = {**objects.report(labels, model), **judged, **needed}
        role, policies = self._yard.create_role(f"{model.name}-release", "codebuild.amazonaws.com", may)
        key = aws.iam.RolePolicy(
            f"{self._name}-{model.name}-use-key",
            name="use-key",
            role=role.name,
            policy=store.key_arn.apply(lambda key_arn: grants.use_key_through(self._account, key_arn, "s3")),
            opts=self._child,
        )
        return role, [*policies, key]

    def _admit(self, model: str, namespace: str, role: aws.iam.Role) -> list[pulumi.Resource]:
        """Let EKS know the role, and let it change the model's Deployment and nothing else."""
        name, may = f"{self._name}-{model}", f"release-{model}"
        entry = aws.eks.AccessEntry(
            name,
            cluster_name=self._args.cluster.name,
            principal_arn=role.arn,
            type="STANDARD",
            kubernetes_groups=[objects.group(model)],
            opts=self._child,
        )
        rules = kubernetes.rbac.v1.Role(
            name,
            metadata=_META(name=may, namespace=namespace),
            rules=objects.role_rules(model),
            opts=self._after(*self._args.tenancy.namespaces[namespace]),
        )
        bound = kubernetes.rbac.v1.RoleBinding(
            name,
            metadata=_META(name=may, namespace=namespace),
            role_ref=kubernetes.rbac.v1.RoleRefArgs(api_group=_RBAC, kind="Role", name=may),
            subjects=[kubernetes.rbac.v1.SubjectArgs(api_group=_RBAC, kind="Group", name=objects.group(model))],
            opts=self._after(rules),
        )
        return [entry, bound]

    def _create_alarm(self, name: str, watched: dict[str, Any]) -> None:
        told = list(self._args.alarms.actions)
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{name}",
            comparison_operator="GreaterThanThreshold",
            threshold=0,
            period=_PERIOD_SECONDS,
            evaluation_periods=1,
            # Without a build, or a message, there is no datum, and nothing is wrong.
            treat_missing_data="notBreaching",
            alarm_actions=told,
            ok_actions=told,
            opts=self._child,
            **watched,
        )

    def _after(self, *ready: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(ready))

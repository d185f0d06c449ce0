"""Tenancy: the namespaces of the teams, what each may use, and who may work there.

Creates per namespace: the namespace, closed but for the flows that its kind needs; quotas, limits and defaults of
containers; a service account for workloads, with an IAM role where the settings name what it reaches; the secrets that
this role reads (`NamespaceSecrets`); per duty (view, deploy, release) a Role and a RoleBinding to the team's group. Per
IAM role of a team: the access entry by which EKS puts it into its groups. Per team: an image repository, from which its
roles pull and to which those that deploy push.
Does not create: workloads; cluster-wide rights, which only administrators have; values of secrets; rights of people to
read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import grants, iam, resource_policies, tenancy_objects
from components.address_plan import AddressPlan, plan_addresses
from components.handles import TenancyHandle
from components.irsa import ServiceAccountRole, ServiceAccountRoleArgs
from components.labels import DATA, MODELS
from components.namespace_secrets import NamespaceSecrets, NamespaceSecretsArgs
from components.namespaces import create_namespace, create_policies
from components.repositories import create_repository
from components.served_grants import invoke_endpoints

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.handles import ClusterHandle, Ready
    from components.labels import Labels
    from settings.model import ModelSpec, NamespaceSpec, NetworkSpec, StoreSpec, TeamSpec

_META = kubernetes.meta.v1.ObjectMetaArgs
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenancyArgs:
    """Arguments of `Tenancy`."""

    labels: Labels
    """Names and tags."""
    teams: tuple[TeamSpec, ...]
    """The teams."""
    models: tuple[ModelSpec, ...]
    """Models, whose endpoints namespaces may ask."""
    store: StoreSpec
    """Retention and deletion of images."""
    network: NetworkSpec
    """Address plan, from which the ranges of load balancers and endpoints follow."""
    kubernetes_version: str
    """Minor version that the Pod Security standard is read at."""
    key_arn: pulumi.Output[str]
    """Key of data, models and images."""
    cluster: ClusterHandle
    """The cluster."""
    protect: bool
    """Whether repositories refuse deletion."""
    after: Ready
    """The CNI, which enforces the network policies, and controllers that remove what objects of the teams brought."""


class Tenancy(pulumi.ComponentResource):
    """Teams and their namespaces; see the module for what is created. Needs the AWS and the cluster's provider."""

    handle: TenancyHandle
    """What lives in the namespaces waits for this."""

    def __init__(self, name: str, args: TenancyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:tenancy:Tenancy", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        network = args.network
        plan = plan_addresses(
            network.cidr, network.zones, private_prefix=network.private_prefix, public_prefix=network.public_prefix
        )
        elsewhere = [peering.cidr for peering in network.peerings if peering.runtime_endpoint_group]
        self._endpoint_ranges = tenancy_objects.aws_ranges(plan, elsewhere)
        self._questions = tenancy_objects.questions(args.teams, args.models)
        namespaces: dict[str, Ready] = {}
        for team in args.teams:
            for namespace in team.namespaces:
                inside = self._create_namespace(team, namespace, plan)
                namespaces[namespace.name] = inside
                self._bound(namespace, inside)
                self._identify(namespace, inside)
                self._keep_secrets(namespace, inside)
                self._admit(team, namespace.name, inside)
        self._create_access_entries()
        repositories = {team.name: self._create_repository(team).repository_url for team in args.teams}
        self.handle = TenancyHandle(
            namespaces=namespaces, repositories=repositories, endpoint_ranges=self._endpoint_ranges
        )
        self.register_outputs(
            {
                "namespaces": [spec.name for team in args.teams for spec in team.namespaces],
                "repositories": repositories,
            }
        )

    def _create_namespace(self, team: TeamSpec, namespace: NamespaceSpec, plan: AddressPlan) -> Ready:
        name = f"{self._name}-{namespace.name}"
        ready = create_namespace(
            name,
            namespace.name,
            labels=tenancy_objects.namespace_labels(team, namespace),
            kubernetes_version=self._args.kubernetes_version,
            parent=self,
            after=self._args.after,
        )
        policies = tenancy_objects.flows(namespace, plan, self._endpoint_ranges)
        policies |= self._questions.get(namespace.name, {})
        create_policies(name, namespace.name, policies, parent=self, after=ready)
        return ready

    def _bound(self, namespace: NamespaceSpec, inside: Ready) -> None:
        core, name, opts = kubernetes.core.v1, f"{self._name}-{namespace.name}", self._after(inside)
        quotas = {
            "quota": core.ResourceQuotaSpecArgs(hard=tenancy_objects.quota(namespace.quota)),
            "foreign-priorities": tenancy_objects.foreign_priorities(namespace),
        }
        for kind, spec in quotas.items():
            core.ResourceQuota(
                f"{name}-{kind}", metadata=_META(name=kind, namespace=namespace.name), spec=spec, opts=opts
            )
        core.LimitRange(
            f"{name}-limits",
            metadata=_META(name="limits", namespace=namespace.name),
            spec=core.LimitRangeSpecArgs(limits=[tenancy_objects.container_limits(namespace.limits)]),
            opts=opts,
        )

    def _identify(self, namespace: NamespaceSpec, inside: Ready) -> None:
        """The service account of workloads; EKS brings its AWS token along, so it needs none of Kubernetes."""
        name, labels = f"{self._name}-{namespace.name}-{tenancy_objects.WORKLOAD}", self._args.labels
        role_name = labels.role(f"team-{namespace.name}")
        role_arn = iam.Account.of(labels.environment).role(role_name)
        kubernetes.core.v1.ServiceAccount(
            name,
            metadata=_META(
                name=tenancy_objects.WORKLOAD,
                namespace=namespace.name,
                annotations={"eks.amazonaws.com/role-arn": role_arn} if namespace.calls_aws else None,
            ),
            automount_service_account_token=False,
            opts=self._after(inside),
        )
        if not namespace.calls_aws:
            return
        args = ServiceAccountRoleArgs(
            cluster=self._args.cluster,
            role_name=role_name,
            description=f"Workloads of the namespace {namespace.name}",
            namespace=namespace.name,
            service_account=tenancy_objects.WORKLOAD,
        )
        role = ServiceAccountRole(name, args, self._child).role
        for ability, policy in self._abilities(namespace).items():
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=self._child)

    def _keep_secrets(self, namespace: NamespaceSpec, inside: Ready) -> None:
        if namespace.secrets:
            NamespaceSecrets(
                f"{self._name}-{namespace.name}-secrets",
                NamespaceSecretsArgs(
                    labels=self._args.labels, namespace=namespace, key_arn=self._args.key_arn, after=inside
                ),
                self._child,
            )

    def _abilities(self, namespace: NamespaceSpec) -> Mapping[str, pulumi.Input[str]]:
        labels, buckets = self._args.labels, namespace.buckets
        account, write, key = iam.Account.of(labels.environment), bool(buckets.write_models), self._args.key_arn
        secrets = [labels.secret(namespace.name, secret.name) for secret in namespace.secrets]
        policies = grants.inline_policies(
            {
                "read-data": grants.read_objects(account, labels.bucket(DATA), buckets.read_data),
                "read-models": grants.read_objects(account, labels.bucket(MODELS), buckets.read_models),
                "write-models": grants.write_objects(account, labels.bucket(MODELS), buckets.write_models),
                "read-secrets": grants.read_secrets(account, secrets),
                "invoke-endpoints": invoke_endpoints(
                    labels, [model for model in self._args.models if model.name in namespace.invokes]
                ),
            }
        )
        if not buckets.empty:
            policies["use-key"] = key.apply(lambda arn: grants.use_key_through(account, arn, "s3", write=write))
        if namespace.secrets:
            policies["decrypt-secrets"] = key.apply(lambda arn: grants.use_key_through(account, arn, "secretsmanager"))
        return policies

    def _admit(self, team: TeamSpec, namespace: str, inside: Ready) -> None:
        for duty in tenancy_objects.DUTIES:
            role = kubernetes.rbac.v1.Role(
                f"{self._name}-{namespace}-{duty}",
                metadata=_META(name=duty, namespace=namespace),
                rules=tenancy_objects.role_rules(duty),
                opts=self._after(inside),
            )
            kubernetes.rbac.v1.RoleBinding(
                f"{self._name}-{namespace}-{duty}",
                metadata=_META(name=duty, namespace=namespace),
                role_ref=kubernetes.rbac.v1.RoleRefArgs(api_group=_RBAC, kind="Role", name=duty),
                subjects=[
                    kubernetes.rbac.v1.SubjectArgs(
                        api_group=_RBAC, kind="Group", name=tenancy_objects.group(team.name, duty)
                    )
                ],
                opts=self._after((role,)),
            )

    def _create_access_entries(self) -> None:
        for arn, groups in tenancy_objects.groups_of_roles(self._args.teams).items():
            aws.eks.AccessEntry(
                f"{self._name}-{arn.rpartition(':role/')[2]}",
                cluster_name=self._args.cluster.name,
                principal_arn=arn,
                type="STANDARD",
                kubernetes_groups=groups,
                opts=self._child,
            )

    def _create_repository(self, team: TeamSpec) -> aws.ecr.Repository:
        """The nodes pull from it with a role of their own."""
        args, access, name = self._args, team.access, f"{self._name}-{team.name}-images"
        repository = create_repository(
            name,
            args.labels.team_repository(team.name),
            spec=args.store,
            key_arn=args.key_arn,
            protect=args.protect,
            parent=self,
        )
        policy = resource_policies.repository_policy(
            pull=(*access.view, *access.deploy, *access.release), push=access.deploy
        )
        if policy is not None:
            aws.ecr.RepositoryPolicy(f"{name}-policy", repository=repository.name, policy=policy, opts=self._child)
        return repository

    def _after(self, ready: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(ready))

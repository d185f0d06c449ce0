"""Fargate: pods of serving without nodes, where the settings ask for them.

Creates, for a profile: the pod execution role, which Fargate alone assumes, for this cluster alone; a Fargate profile
in the private subnets; a log group and the route that brings the pods' logs there; a security group for the pods, in
place of network policies, which nothing enforces there; the rules by which they find DNS and the API server.
Does not create: an access entry (EKS makes one with the profile), the pods, what calls them from load balancers (the
load balancer controller opens the security group, which carries the cluster's tag).

What pods lose there is in `docs/fargate.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import fargate_objects, grants, iam
from components.firewall import ANYWHERE, HTTPS, TRANSPORTS, Traffic, let_in, let_out
from components.handles import ClusterHandle, FargateHandle, NetworkHandle, Ready
from components.labels import fingerprint
from components.namespaces import create_namespace

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import FargateProfileSpec, FargateSpec

POLICY = "AmazonEKSFargatePodExecutionRolePolicy"
"""The one managed policy of the role: pull images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FargateArgs:
    """Arguments of `Fargate`."""

    labels: Labels
    """Names and tags."""
    spec: FargateSpec
    """Which pods, if any."""
    kubernetes_version: str
    """Minor version that the Pod Security standard of the log route's namespace is read at."""
    cluster: ClusterHandle
    """The cluster."""
    network: NetworkHandle
    """Private subnets, in which the pods get their addresses."""
    key_arn: pulumi.Output[str]
    """Key of the logs."""
    after: Ready
    """The namespaces of the pods."""


class Fargate(pulumi.ComponentResource):
    """Profile, role, log route, security group; see the module. Needs the AWS and the cluster's provider."""

    handle: FargateHandle
    """What runs on Fargate waits for this."""

    def __init__(self, name: str, args: FargateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:fargate:Fargate", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        ready: Ready = ()
        group: pulumi.Output[str] | None = None
        if args.spec.profile is not None:
            group, ready = self._create(args.spec.profile)
        self.handle = FargateHandle(security_group=group, ready=ready)
        self.register_outputs({"profiles": 1 if ready else 0})

    def _create(self, spec: FargateProfileSpec) -> tuple[pulumi.Output[str], Ready]:
        role, granted = self._create_execution_role()
        route = self._route_logs(spec.log_retention_days)
        group, closed = self._close(spec) if spec.pod_security_groups else self._share()
        profile = self._create_profile(spec, role, after=(*granted, *route, *closed))
        return group, (profile, *route, *closed)

    def _create_execution_role(self) -> tuple[aws.iam.Role, Ready]:
        name, labels = self._name, self._args.labels
        account = iam.Account.of(labels.environment)
        role = aws.iam.Role(
            f"{name}-pods",
            name=labels.role("fargate-pods"),
            description=f"Fargate: starts pods of {labels.cluster}, pulls their images, writes their logs",
            assume_role_policy=iam.fargate_trust(account, labels.cluster),
            opts=self._child,
        )
        pull = aws.iam.RolePolicyAttachment(
            f"{name}-pods-pull",
            role=role.name,
            policy_arn=account.aws_managed("iam", f"policy/{POLICY}"),
            opts=self._child,
        )
        write = aws.iam.RolePolicy(
            f"{name}-pods-write-logs",
            name="write-logs",
            role=role.name,
            policy=iam.document(*grants.write_logs(account, labels.log_group("fargate-pods"))),
            opts=self._child,
        )
        return role, (pull, write)

    def _create_profile(self, spec: FargateProfileSpec, role: aws.iam.Role, *, after: Ready) -> aws.eks.FargateProfile:
        labels, network = self._args.labels, self._args.network
        selectors = [f"{item.namespace}:{sorted(item.labels.items())}" for item in spec.selectors]
        return aws.eks.FargateProfile(
            f"{self._name}-profile",
            cluster_name=self._args.cluster.name,
            # EKS changes no profile: another name lets the new one exist before the old one goes.
            fargate_profile_name=f"serving-{fingerprint(labels.cluster, selectors, tuple(network.private_subnets))}",
            pod_execution_role_arn=role.arn,
            subnet_ids=network.private_subnet_ids,
            selectors=[
                aws.eks.FargateProfileSelectorArgs(namespace=item.namespace, labels=item.labels or None)
                for item in spec.selectors
            ],
            tags=labels.named("fargate"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )

    def _route_logs(self, retention_days: int) -> Ready:
        name, labels = self._name, self._args.labels
        log_group = labels.log_group("fargate-pods")
        group = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=log_group,
            kms_key_id=self._args.key_arn,
            retention_in_days=retention_days,
            opts=self._child,
        )
        place = fargate_objects.LOG_NAMESPACE
        inside = create_namespace(
            f"{name}-log-route",
            place,
            labels={place: "enabled"},
            kubernetes_version=self._args.kubernetes_version,
            parent=self,
            after=(),
        )
        route = kubernetes.core.v1.ConfigMap(
            f"{name}-log-route",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(namespace=place, name=fargate_objects.LOG_CONFIG_MAP),
            data=fargate_objects.log_route(log_group, labels.environment.region),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(inside)),
        )
        return (group, route)

    def _close(self, spec: FargateProfileSpec) -> tuple[pulumi.Output[str], Ready]:
        """Give the pods a security group of their own, which lets in and out what serving needs."""
        name, args = self._name, self._args
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description="Pods on Fargate",
            vpc_id=args.network.vpc_id,
            tags=args.labels.named("fargate", **{f"kubernetes.io/cluster/{args.labels.cluster}": "owned"}),
            opts=self._child,
        )
        bound: list[pulumi.Resource] = []
        for item in spec.selectors:
            role = f"{item.namespace}-{fingerprint(*(f'{key}={value}' for key, value in sorted(item.labels.items())))}"
            policy = kubernetes.apiextensions.CustomResource(
                f"{name}-{role}",
                api_version=fargate_objects.SECURITY_GROUP_POLICY,
                kind="SecurityGroupPolicy",
                metadata=kubernetes.meta.v1.ObjectMetaArgs(namespace=item.namespace, name=f"fargate-{role}"),
                spec=fargate_objects.security_group_policy(item.labels, group.id),
                opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
            )
            bound.append(policy)
        return group.id, (*self._let_ask_dns(group.id, own=True), *self._open(group.id, spec.pod_ports), *bound)

    def _share(self) -> tuple[pulumi.Output[str], Ready]:
        """Leave the pods in the group that EKS gives them, which is that of the control plane."""
        group = self._args.cluster.control_plane_security_group
        return group, self._let_ask_dns(group, own=False)

    def _open(self, group: pulumi.Output[str], ports: tuple[int, ...]) -> Ready:
        name, child, cluster = self._name, self._child, self._args.cluster
        nodes, control_plane = cluster.node_security_group, cluster.control_plane_security_group
        out = Traffic(description="Registries, AWS services, control plane", port=HTTPS, cidr=ANYWHERE)
        api = Traffic(description="Pods on Fargate to the API server", port=HTTPS, group=group)
        kubelet = Traffic(description="Control plane: logs, exec", port=fargate_objects.KUBELET, group=control_plane)
        opened: list[pulumi.Resource] = [
            let_out(f"{name}-https", group, out, child),
            let_in(f"{name}-control-plane", control_plane, api, child),
            let_in(f"{name}-kubelet", group, kubelet, child),
        ]
        for port in ports:
            call = "Pods on nodes to pods on Fargate"
            opened += [
                let_in(f"{name}-{port}-in", group, Traffic(description=call, port=port, group=nodes), child),
                let_out(f"{name}-{port}-out", nodes, Traffic(description=call, port=port, group=group), child),
            ]
        return tuple(opened)

    def _let_ask_dns(self, group: pulumi.Output[str], *, own: bool) -> Ready:
        """Let members of `group` ask CoreDNS, which runs on nodes; a group of EKS's own lets everything out."""
        nodes, asks = self._args.cluster.node_security_group, "Pods on Fargate to DNS"
        rules: list[pulumi.Resource] = []
        for transport in TRANSPORTS:
            asked = Traffic(description=asks, port=fargate_objects.DNS, transport=transport, group=group)
            asking = Traffic(description=asks, port=fargate_objects.DNS, transport=transport, group=nodes)
            rules.append(let_in(f"{self._name}-dns-{transport}-in", nodes, asked, self._child))
            if own:
                rules.append(let_out(f"{self._name}-dns-{transport}-out", group, asking, self._child))
        return tuple(rules)

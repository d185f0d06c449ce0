"""Rollouts: the controller that gives a new version of a model its share of the requests, step by step.

Creates, where the settings ask for it: a closed namespace with Pod Security `restricted`; the release of Argo Rollouts
with its custom resource definitions; the IAM role by which it sees what load balancers really do; its right to read
what it watches, and to change what it has to in the namespaces of the models that it rolls out; the way to Prometheus.
Does not create: Rollouts and analyses, which belong to each model (`components.serving`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import iam, rollouts_objects
from components.address_plan import plan_addresses
from components.irsa import ServiceAccountRole, ServiceAccountRoleArgs
from components.namespaces import create_namespace, create_policies
from components.releases import create_release
from components.rollouts_objects import CHART, NAMESPACE
from components.serving_handles import RolloutsHandle

if TYPE_CHECKING:
    from components.handles import (
        ClusterHandle,
        MonitoringHandle,
        NodePoolsHandle,
        PodNetworkHandle,
        Ready,
        TenancyHandle,
    )
    from components.labels import Labels
    from settings.model import ChartSpec, ClusterSpec, ModelSpec, NetworkSpec, RolloutControllerSpec, RolloutsSpec

_META = kubernetes.meta.v1.ObjectMetaArgs
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutsArgs:
    """Arguments of `Rollouts`."""

    labels: Labels
    """Names and tags."""
    spec: RolloutsSpec
    """The controller, or none."""
    chart: ChartSpec
    """Chart of the controller."""
    models: tuple[ModelSpec, ...]
    """Models; those with a rollout of their own say which namespaces the controller may change."""
    cluster_spec: ClusterSpec
    """Kubernetes version, at which the Pod Security standard is read, and range of service addresses."""
    network: NetworkSpec
    """The address plan."""
    cluster: ClusterHandle
    """The cluster."""
    pod_network: PodNetworkHandle
    """The CNI, which enforces the network policies."""
    pools: NodePoolsHandle
    """Managed groups; the controller runs on the system ones."""
    monitoring: MonitoringHandle
    """Prometheus, which it asks."""
    tenancy: TenancyHandle
    """Namespaces of the models."""


class Rollouts(pulumi.ComponentResource):
    """Argo Rollouts; see the module for what is created. Needs both providers."""

    handle: RolloutsHandle
    """What is rolled out uses this."""

    def __init__(self, name: str, args: RolloutsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:rollouts:Rollouts", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        controllers = [self._create_controller(spec) for spec in (args.spec.controller,) if spec is not None]
        self.handle = RolloutsHandle(
            prometheus_url=args.monitoring.prometheus_url, ready=tuple(r for ready in controllers for r in ready)
        )
        self.register_outputs({"controllers": len(controllers)})

    def _create_controller(self, spec: RolloutControllerSpec) -> Ready:
        args, name = self._args, self._name
        inside = self._create_namespace()
        role_arn, granted = self._create_role()
        release = create_release(
            f"{name}-controller",
            chart=args.chart,
            chart_name=CHART,
            namespace=NAMESPACE,
            values=rollouts_objects.controller_values(spec, role_arn=role_arn),
            parent=self,
            after=(*inside, granted, *self._grant(inside), *args.pools.system_ready, *args.monitoring.crds),
        )
        return (release,)

    def _create_namespace(self) -> Ready:
        args, name = self._args, f"{self._name}-{NAMESPACE}"
        closed = create_namespace(
            name,
            NAMESPACE,
            kubernetes_version=args.cluster_spec.version,
            parent=self,
            after=args.pod_network.ready,
        )
        network = args.network
        plan = plan_addresses(
            network.cidr, network.zones, private_prefix=network.private_prefix, public_prefix=network.public_prefix
        )
        flows = rollouts_objects.controller_flows(list(plan.private.values()), args.cluster_spec.service_cidr)
        # Only an analysis needs Prometheus, so the controller does not wait for it.
        asked = {"prometheus-from-rollouts": rollouts_objects.judged_from_here()}
        create_policies(self._name, args.monitoring.namespace, asked, parent=self, after=args.monitoring.ready)
        return (*closed, *create_policies(name, NAMESPACE, flows, parent=self, after=closed))

    def _create_role(self) -> tuple[str, pulumi.Resource]:
        """Create the role of the controller; return its ARN and the grant."""
        labels, name = self._args.labels, f"{self._name}-controller"
        args = ServiceAccountRoleArgs(
            cluster=self._args.cluster,
            role_name=labels.role(CHART),
            description="Argo Rollouts: what load balancers really do",
            namespace=NAMESPACE,
            service_account=CHART,
        )
        role = ServiceAccountRole(name, args, self._child).role
        granted = aws.iam.RolePolicy(
            f"{name}-read-targets",
            name="read-targets",
            role=role.name,
            policy=iam.document(*rollouts_objects.read_targets()),
            opts=self._child,
        )
        return iam.Account.of(labels.environment).role(labels.role(CHART)), granted

    def _grant(self, inside: Ready) -> Ready:
        """Let the controller read what it watches, and change what it has to; return what it starts after."""
        watching = kubernetes.rbac.v1.ClusterRole(
            f"{self._name}-watch",
            metadata=_META(name=f"{CHART}-watch"),
            rules=rollouts_objects.watched(),
            opts=self._child,
        )
        everywhere = kubernetes.rbac.v1.ClusterRoleBinding(
            f"{self._name}-watch",
            metadata=_META(name=f"{CHART}-watch"),
            role_ref=kubernetes.rbac.v1.RoleRefArgs(api_group=_RBAC, kind="ClusterRole", name=f"{CHART}-watch"),
            subjects=[_controller()],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[watching]),
        )
        own = self._admit(NAMESPACE, "keep", rollouts_objects.kept(), inside)
        for namespace in _namespaces(self._args.models):
            self._admit(namespace, "change", rollouts_objects.changed(), self._args.tenancy.namespaces[namespace])
        return (everywhere, own)

    def _admit(
        self, namespace: str, duty: str, rules: list[kubernetes.rbac.v1.PolicyRuleArgs], inside: Ready
    ) -> pulumi.Resource:
        name, role_name = f"{self._name}-{namespace}-controller", f"{CHART}-{duty}"
        metadata = _META(name=role_name, namespace=namespace)
        role = kubernetes.rbac.v1.Role(
            name, metadata=metadata, rules=rules, opts=pulumi.ResourceOptions(parent=self, depends_on=list(inside))
        )
        return kubernetes.rbac.v1.RoleBinding(
            name,
            metadata=metadata,
            role_ref=kubernetes.rbac.v1.RoleRefArgs(api_group=_RBAC, kind="Role", name=role_name),
            subjects=[_controller()],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
        )


def _controller() -> kubernetes.rbac.v1.SubjectArgs:
    return kubernetes.rbac.v1.SubjectArgs(kind="ServiceAccount", name=CHART, namespace=NAMESPACE)


def _namespaces(models: tuple[ModelSpec, ...]) -> list[str]:
    """Namespaces of models that the controller rolls out, each once."""
    pods = [model.pods for model in models]
    return list(dict.fromkeys(spec.namespace for spec in pods if spec is not None and spec.rollout is not None))

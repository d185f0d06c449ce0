"""Load balancing: how requests from outside the cluster reach pods.

Creates: a role for the AWS Load Balancer Controller; the controller's release; the class `alb` of Ingress with
parameters that fix what no team may choose: scheme, ranges, TLS, logs, protection, and that only namespaces for
inference use it.
Does not create: load balancers. The controller makes one for each Ingress of the class, and removes it with the
Ingress; so on destroy every Ingress has to go while the controller still runs, which waiting for `ready` ensures, and a
hook proves before the controller goes.

The custom resource definitions come with the chart: Helm installs them with the first release, leaves them when the
release goes, and never upgrades them. Before a newer chart, apply those of its folder `crds/`
(`helm show crds eks/aws-load-balancer-controller --version <version> | kubectl apply --server-side -f -`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import iam
from components.front_ends import LoadBalancingHandle
from components.irsa import ServiceAccountRole, ServiceAccountRoleArgs
from components.load_balancing_grants import BalancerDuty, controller_policies
from components.load_balancing_objects import (
    CHART,
    CONTROLLER,
    INGRESS_CLASS,
    NAMESPACE,
    PARAMETERS_GROUP,
    PARAMETERS_KIND,
    SERVICE_ACCOUNT,
    SERVICE_CLASS,
    class_parameters,
    controller_values,
    ingress_annotations,
    service_annotations,
)
from components.releases import create_release

if TYPE_CHECKING:
    from components.handles import ClusterHandle, NodePoolsHandle, Ready
    from components.labels import Labels
    from settings.model import ChartSpec, FrontEndSpec, LoadBalancingSpec, ModelSpec

ROLE = "load-balancing"
"""Duty of the controller's role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancingArgs:
    """Arguments of `LoadBalancing`."""

    labels: Labels
    """Names and tags."""
    spec: LoadBalancingSpec
    """Controller, and what load balancers have to be."""
    chart: ChartSpec
    """Chart of the controller."""
    cluster: ClusterHandle
    """The cluster."""
    pools: NodePoolsHandle
    """Managed groups; the controller runs on the system ones."""
    models: tuple[ModelSpec, ...]
    """Models; one behind a Network Load Balancer gives the controller rights that it has not otherwise."""
    log_bucket: pulumi.Input[str]
    """Bucket that accepts access logs; known to the caller only once it does."""
    before_delete: pulumi.ResourceHook
    """Runs before the controller is deleted, which alone removes its load balancers."""


class LoadBalancing(pulumi.ComponentResource):
    """Controller and class of Ingress; see the module for what is created. Needs both providers."""

    handle: LoadBalancingHandle
    """What is reached from outside uses this."""

    def __init__(self, name: str, args: LoadBalancingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:loadbalancing:LoadBalancing", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        labels, account = args.labels, iam.Account.of(args.labels.environment)
        self._services = any(front is not None and front.kind == "nlb" for front in map(_front_end, args.models))
        granted = self._create_controller_role(account)
        controller = create_release(
            f"{name}-controller",
            chart=args.chart,
            chart_name=CHART,
            namespace=NAMESPACE,
            values=controller_values(
                labels, args.spec, role_arn=account.role(labels.role(ROLE)), services=self._services
            ),
            parent=self,
            after=(*granted, *args.pools.system_ready),
            skip_crds=False,
            before_delete=args.before_delete,
        )
        ingress_class = self._create_class(controller)
        self.handle = LoadBalancingHandle(
            ingress_class=INGRESS_CLASS,
            ingress_annotations=ingress_annotations(args.spec),
            service_class=SERVICE_CLASS,
            service_annotations=service_annotations(args.spec, log_bucket=args.log_bucket),
            callers=tuple(str(cidr) for cidr in args.spec.inbound_cidrs),
            encrypted=bool(args.spec.certificate_arns),
            ready=(controller, ingress_class),
        )
        self.register_outputs({"ingress_class": self.handle.ingress_class})

    def _create_controller_role(self, account: iam.Account) -> Ready:
        name, labels, spec = self._name, self._args.labels, self._args.spec
        args = ServiceAccountRoleArgs(
            cluster=self._args.cluster,
            role_name=labels.role(ROLE),
            description="AWS Load Balancer Controller: load balancers of the cluster",
            namespace=NAMESPACE,
            service_account=SERVICE_ACCOUNT,
        )
        role = ServiceAccountRole(f"{name}-controller", args, self._child).role
        duty = BalancerDuty(
            account=account,
            cluster=labels.cluster,
            vpc_tags=labels.ownership,
            scheme=spec.scheme,
            tls_policy=spec.tls_policy,
            web_acl_arn=spec.web_acl_arn,
            services=self._services,
        )
        return tuple(
            aws.iam.RolePolicy(
                f"{name}-controller-{ability}", name=ability, role=role.name, policy=policy, opts=self._child
            )
            for ability, policy in controller_policies(duty).items()
        )

    def _create_class(self, controller: kubernetes.helm.v3.Release) -> kubernetes.networking.v1.IngressClass:
        """Create the class and its parameters, which the controller admits itself."""
        metadata = kubernetes.meta.v1.ObjectMetaArgs(name=INGRESS_CLASS)
        parameters = kubernetes.apiextensions.CustomResource(
            f"{self._name}-parameters",
            api_version=f"{PARAMETERS_GROUP}/v1beta1",
            kind=PARAMETERS_KIND,
            metadata=metadata,
            spec=class_parameters(self._args.spec, log_bucket=self._args.log_bucket),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[controller]),
        )
        return kubernetes.networking.v1.IngressClass(
            f"{self._name}-class",
            metadata=metadata,
            spec=kubernetes.networking.v1.IngressClassSpecArgs(
                controller=CONTROLLER,
                parameters=kubernetes.networking.v1.IngressClassParametersReferenceArgs(
                    api_group=PARAMETERS_GROUP, kind=PARAMETERS_KIND, name=INGRESS_CLASS
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[parameters]),
        )


def _front_end(model: ModelSpec) -> FrontEndSpec | None:
    return model.pods.front_end if model.pods else None

"""Serving by pods: the approved version of each model, its way in, and how many pods it has.

Creates per model that the switch sends to the cluster: a service account. With an approved version beside it: the
Deployment, its autoscaler and disruption budget, a Service, the monitor by which Prometheus finds it, the rules by
which it records and alerts where there are objectives, and exactly one front end where the settings name one: an
Ingress, or the Service itself with a Network Load Balancer. With a rollout by
shares of requests also a Service for the new version, the analyses that judge it, and the Rollout that owns the pods.
Where requests are captured, what lets a sidecar bring them to S3 (`Captures`): the image holds the model, and the
server itself calls nothing of AWS.
Does not create: network policies, which the namespace has; the namespace; images.

The first version comes from the settings. From then on releases change image and version (`CHANGED_BY_RELEASES`); how
many pods there are, the autoscaler alone decides. A Deployment that is made anew starts with the version of the
settings again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pulumi
import pulumi_kubernetes as kubernetes

from components import capture_objects, serving_objects, serving_rollouts
from components.captures import Captures, CapturesArgs
from components.front_ends import ServingHandle
from components.serving_pods import CHANGED_BY_RELEASES, Workload, account, deployment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.front_ends import LoadBalancingHandle
    from components.handles import (
        ClusterHandle,
        DomainsHandle,
        KarpenterHandle,
        PrioritiesHandle,
        Ready,
        TenancyHandle,
    )
    from components.labels import Labels
    from components.serving_handles import RolloutsHandle
    from components.serving_pods import Object
    from settings.model import EksServingSpec, ModelSpec

_MONITOR = "monitoring.coreos.com/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingArgs:
    """Arguments of `Serving`."""

    labels: Labels
    """Names of the environment."""
    models: tuple[ModelSpec, ...]
    """The models; those whose target is not the cluster are left out."""
    monitor_crds: Ready
    """Definitions of monitors and of rules."""
    load_balancing: LoadBalancingHandle
    """Classes of load balancers."""
    domains: DomainsHandle
    """What keeps hosted zones up to date."""
    priorities: PrioritiesHandle
    """The class of the pods."""
    karpenter: KarpenterHandle
    """Nodes beyond the managed ones."""
    tenancy: TenancyHandle
    """The namespaces."""
    rollouts: RolloutsHandle
    """What carries out rollouts by shares of requests."""
    cluster: ClusterHandle
    """The cluster."""
    key_arn: pulumi.Output[str]
    """Key of the models bucket."""


class Serving(pulumi.ComponentResource):
    """Pods that serve models; see the module for what is created. Needs the cluster's Kubernetes provider."""

    handle: ServingHandle
    """Where the models answer."""

    def __init__(self, name: str, args: ServingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:serving:Serving", name, None, opts)
        self._name, self._args = name, args
        addresses: dict[str, pulumi.Output[str]] = {}
        for model in args.models:
            spec = model.pods
            if spec is None:
                continue
            identified = self._create_account(model, spec)
            workload = Workload.of(args.labels, model, spec)
            if workload is not None:
                self._create_captures(model, workload)
                pods = self._create_deployment(workload, identified)
                address, ways = self._create_way_in(workload)
                self._create_keepers(workload, self._create_rollout(workload, (pods, *ways)) or pods)
                addresses |= {} if address is None else {model.name: address}
        self.handle = ServingHandle(addresses=addresses)
        self.register_outputs({"addresses": addresses})

    def _create_account(self, model: ModelSpec, spec: EksServingSpec) -> pulumi.Resource:
        """An account of its own: what one model is granted, no other model has."""
        notes = capture_objects.account_annotations(self._args.labels, model, spec)
        metadata = kubernetes.meta.v1.ObjectMetaArgs(
            name=account(model.name), namespace=spec.namespace, annotations=notes
        )
        return kubernetes.core.v1.ServiceAccount(
            f"{self._name}-{model.name}-account",
            metadata=metadata,
            automount_service_account_token=False,
            opts=self._inside(spec.namespace),
        )

    def _create_captures(self, model: ModelSpec, workload: Workload) -> None:
        of = self._args
        if workload.spec.capture is None:
            return
        args = CapturesArgs(
            labels=of.labels, model=model, workload=workload, cluster=of.cluster, key_arn=of.key_arn, tenancy=of.tenancy
        )
        Captures(f"{self._name}-{workload.name}-captures", args, pulumi.ResourceOptions(parent=self))

    def _create_deployment(self, workload: Workload, identified: pulumi.Resource) -> pulumi.Resource:
        args = self._args
        return kubernetes.apps.v1.Deployment(
            f"{self._name}-{workload.name}",
            metadata=serving_objects.metadata(workload, labels=workload.version_labels),
            spec=cast("kubernetes.apps.v1.DeploymentSpecArgsDict", deployment(workload)),
            opts=self._inside(
                workload.spec.namespace,
                *(identified, *args.priorities.ready, *args.karpenter.ready),
                ignored=CHANGED_BY_RELEASES,
            ),
        )

    def _create_keepers(self, workload: Workload, pods: pulumi.Resource) -> None:
        """Create what scales, protects and reads the pods; `pods` is what has them."""
        name = f"{self._name}-{workload.name}"
        kubernetes.autoscaling.v2.HorizontalPodAutoscaler(
            name,
            metadata=serving_objects.metadata(workload),
            spec=cast(
                "kubernetes.autoscaling.v2.HorizontalPodAutoscalerSpecArgsDict", serving_objects.autoscaler(workload)
            ),
            opts=self._inside(workload.spec.namespace, pods),
        )
        kubernetes.policy.v1.PodDisruptionBudget(
            name,
            metadata=serving_objects.metadata(workload),
            spec=cast(
                "kubernetes.policy.v1.PodDisruptionBudgetSpecArgsDict", serving_objects.disruption_budget(workload)
            ),
            opts=self._inside(workload.spec.namespace),
        )
        for ending, (kind, spec) in serving_objects.observed(workload).items():
            self._create_custom((_MONITOR, kind), f"{name}-{ending}", workload, spec, self._args.monitor_crds)

    def _create_rollout(self, workload: Workload, after: Ready) -> pulumi.Resource | None:
        """Create the analyses of a model and its Rollout; None where the Deployment has the pods."""
        rollout, args = workload.spec.rollout, self._args
        if rollout is None:
            return None
        analyses = [
            self._create_argo("AnalysisTemplate", workload, template, spec, args.rollouts.ready)
            for template, spec in serving_rollouts.analyses(workload, rollout, args.rollouts.prometheus_url).items()
        ]
        spec = serving_rollouts.rollout(workload, rollout, port=serving_objects.SERVICE_PORT)
        return self._create_argo(
            serving_rollouts.KIND, workload, workload.name, spec, (*after, *analyses, *args.rollouts.ready)
        )

    def _create_argo(self, kind: str, workload: Workload, name: str, spec: Object, after: Ready) -> pulumi.Resource:
        custom = serving_rollouts.API, kind
        return self._create_custom(custom, f"{self._name}-{name}", workload, spec, after, called=name)

    def _create_custom(
        self, kind: tuple[str, str], name: str, workload: Workload, spec: Object, after: Ready, *, called: str = ""
    ) -> pulumi.Resource:
        return kubernetes.apiextensions.CustomResource(
            name,
            api_version=kind[0],
            kind=kind[1],
            metadata=serving_objects.metadata(workload, name=called),
            spec=spec,
            opts=self._inside(workload.spec.namespace, *after),
        )

    def _create_way_in(self, workload: Workload) -> tuple[pulumi.Output[str] | None, Ready]:
        """Create Services and front end; return the base URL for callers outside the cluster, and what was created."""
        front, balancing = workload.spec.front_end, self._args.load_balancing
        if front is None or front.kind == "alb":
            services = [
                self._create_service(workload, serving_objects.service(workload), name=name)
                for name in serving_rollouts.services(workload)
            ]
            if front is None:
                return None, tuple(services)
            way = self._create_ingress(workload)
        else:
            services = []
            port = serving_objects.TLS_PORT if balancing.encrypted else serving_objects.SERVICE_PORT
            spec = serving_objects.balanced_service(
                workload, balancer_class=balancing.service_class, ranges=balancing.callers, port=port
            )
            notes = {**balancing.service_annotations, **serving_objects.service_annotations(workload.spec.pod)}
            way = self._create_service(workload, spec, notes)
        host = pulumi.Output.from_input(front.host) if front.host else way.status.load_balancer.ingress[0].hostname
        return pulumi.Output.concat("https://" if balancing.encrypted else "http://", host), (*services, way)

    def _create_service(
        self, workload: Workload, spec: Object, notes: Mapping[str, pulumi.Input[str]] | None = None, name: str = ""
    ) -> kubernetes.core.v1.Service:
        return kubernetes.core.v1.Service(
            f"{self._name}-{name or workload.name}",
            metadata=serving_objects.metadata(workload, annotations=notes, name=name),
            spec=cast("kubernetes.core.v1.ServiceSpecArgsDict", spec),
            opts=self._inside(
                workload.spec.namespace,
                *(self._balancers() if notes else ()),
                ignored=serving_rollouts.CHANGED_BY_ROLLOUTS if workload.spec.rollout else (),
            ),
        )

    def _create_ingress(self, workload: Workload) -> kubernetes.networking.v1.Ingress:
        balancing = self._args.load_balancing
        notes = {
            **balancing.ingress_annotations,
            **serving_objects.ingress_annotations(workload.spec.pod),
            **serving_rollouts.variant_annotations(workload, serving_objects.SERVICE_PORT),
        }
        spec = serving_objects.ingress(workload, ingress_class=balancing.ingress_class)
        return kubernetes.networking.v1.Ingress(
            f"{self._name}-{workload.name}",
            metadata=serving_objects.metadata(workload, annotations=notes),
            spec=cast("kubernetes.networking.v1.IngressSpecArgsDict", spec),
            opts=self._inside(workload.spec.namespace, *self._balancers()),
        )

    def _balancers(self) -> Ready:
        return (*self._args.load_balancing.ready, *self._args.domains.ready)

    def _inside(self, namespace: str, *ready: pulumi.Resource, ignored: Sequence[str] = ()) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=[*self._args.tenancy.namespaces[namespace], *ready],
            ignore_changes=list(ignored),
        )

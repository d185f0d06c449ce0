"""Karpenter: nodes that come when pods wait, and go when they are not needed.

Creates: the interruption queue with its rules; a role, an instance profile and an access entry for the nodes; a role
for the controller; the release of the custom resource definitions, then that of the controller; per elastic pool an
EC2NodeClass and a NodePool, and where the stack file asks for it what sharing makes of its GPUs (NodeOverlays).
Does not create: the service-linked role of EC2 Spot, of which an account has one (`aws iam create-service-linked-role
--aws-service-name spot.amazonaws.com`, once per account).

The nodes have a role of their own: the controller may hand out this one only, and their access entry does not come and
go with a managed group. The instance profile is made here, so the controller needs no right to make one, and none is
left behind. On destroy the order is the reverse: pools go while the controller still runs and ends their nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import iam
from components.handles import ClusterHandle, KarpenterHandle, NodePoolsHandle, Ready
from components.interruptions import Interruptions, InterruptionsArgs
from components.irsa import ServiceAccountRole, ServiceAccountRoleArgs
from components.karpenter_grants import ControllerDuty, controller_policies, encrypt_node_volumes
from components.karpenter_objects import (
    CRD_VALUES,
    NAMESPACE,
    NODE_CLASS_GROUP,
    NODE_CLASS_KIND,
    SERVICE_ACCOUNT,
    controller_values,
    node_class,
    node_overlays,
    node_pool,
)
from components.nodes import create_node_role
from components.releases import create_release
from settings.sharing import profile_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.labels import Labels
    from settings.model import AcceleratorsSpec, ChartSpec, ElasticPoolSpec, KarpenterSpec

DRAIN_TIMEOUT = "60m"
"""How long the deletion of a pool may take: its nodes are drained first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KarpenterArgs:
    """Arguments of `Karpenter`."""

    labels: Labels
    """Names and tags."""
    spec: KarpenterSpec
    """Controller and pools."""
    accelerators: AcceleratorsSpec
    """How pods share GPUs."""
    chart: ChartSpec
    """Charts of the controller and of its custom resource definitions: one version for both."""
    cluster: ClusterHandle
    """The cluster that nodes join."""
    pools: NodePoolsHandle
    """Managed groups; the controller runs on the system ones."""
    key_arn: pulumi.Output[str]
    """Key of the root volumes."""
    before_delete: pulumi.ResourceHook
    """Runs before the controller is deleted, which alone ends its nodes."""
    monitor_crds: Ready
    """Definition of the ServiceMonitor that the controller's chart brings."""


class Karpenter(pulumi.ComponentResource):
    """Controller and elastic pools; see the module for what is created. Needs the AWS and the cluster's provider."""

    handle: KarpenterHandle
    """What relies on elastic nodes uses this."""

    def __init__(self, name: str, args: KarpenterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:karpenter:Karpenter", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        labels = args.labels
        interruptions = Interruptions(f"{name}-interruptions", InterruptionsArgs(labels=labels), self._child).handle
        duty = ControllerDuty(
            account=iam.Account.of(labels.environment),
            cluster=labels.cluster,
            queue=interruptions.queue,
            node_role=labels.role("karpenter-node"),
            instance_profile=labels.role("karpenter-node"),
        )
        node_role, profile, joined = self._admit_nodes(duty)
        granted = self._create_controller_role(duty)
        crds = self._release("definitions", "karpenter-crd", CRD_VALUES)
        values = controller_values(
            labels,
            args.spec,
            queue=duty.queue,
            role_arn=duty.account.role(labels.role("karpenter")),
            overlays=args.accelerators.node_overlays,
        )
        controller = self._release(
            "controller",
            "karpenter",
            values,
            after=(crds, *granted, *interruptions.ready, *args.monitor_crds, *args.pools.system_ready),
            before_delete=args.before_delete,
        )
        pools = tuple(
            self._create_pool(pool, profile.name, after=(crds, controller, *joined)) for pool in args.spec.pools
        )
        self.handle = KarpenterHandle(node_role_arn=node_role.arn, ready=pools)
        self.register_outputs({"node_role_arn": node_role.arn})

    def _admit_nodes(self, duty: ControllerDuty) -> tuple[aws.iam.Role, aws.iam.InstanceProfile, Ready]:
        name = f"{self._name}-node"
        role, grants = create_node_role(f"{name}-role", duty.node_role, self._args.labels, self._child)
        profile = aws.iam.InstanceProfile(
            f"{name}-profile", name=duty.instance_profile, role=role.name, opts=self._child
        )
        entry = aws.eks.AccessEntry(
            name,
            cluster_name=self._args.cluster.name,
            principal_arn=role.arn,
            type="EC2_LINUX",
            opts=self._child,
        )
        return role, profile, (*grants, entry)

    def _create_controller_role(self, duty: ControllerDuty) -> Ready:
        name, labels = self._name, self._args.labels
        args = ServiceAccountRoleArgs(
            cluster=self._args.cluster,
            role_name=labels.role("karpenter"),
            description="Karpenter: starts and ends nodes",
            namespace=NAMESPACE,
            service_account=SERVICE_ACCOUNT,
        )
        role = ServiceAccountRole(f"{name}-controller", args, self._child).role
        policies: dict[str, pulumi.Input[str]] = {
            **controller_policies(duty),
            "encrypt-node-volumes": self._args.key_arn.apply(lambda key: encrypt_node_volumes(duty.account, key)),
        }
        return tuple(
            aws.iam.RolePolicy(
                f"{name}-controller-{ability}", name=ability, role=role.name, policy=policy, opts=self._child
            )
            for ability, policy in policies.items()
        )

    def _release(
        self,
        role: str,
        chart: str,
        values: Mapping[str, object],
        *,
        after: Sequence[pulumi.Resource] = (),
        before_delete: pulumi.ResourceHook | None = None,
    ) -> kubernetes.helm.v3.Release:
        return create_release(
            f"{self._name}-{role}",
            chart=self._args.chart,
            chart_name=chart,
            namespace=NAMESPACE,
            values=values,
            parent=self,
            after=after,
            before_delete=before_delete,
        )

    def _create_pool(
        self, pool: ElasticPoolSpec, instance_profile: pulumi.Output[str], *, after: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        args, metadata = self._args, kubernetes.meta.v1.ObjectMetaArgs(name=pool.name)
        profile = profile_of(args.accelerators, pool.name)
        built_from = kubernetes.apiextensions.CustomResource(
            f"{self._name}-{pool.name}-class",
            api_version=f"{NODE_CLASS_GROUP}/v1",
            kind=NODE_CLASS_KIND,
            metadata=metadata,
            spec=node_class(
                args.labels,
                pool,
                profile=profile,
                ami_alias=args.spec.ami_alias,
                instance_profile=instance_profile,
                key_arn=args.key_arn,
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )
        if args.accelerators.node_overlays:
            self._announce_sharing(pool, after=after)
        return kubernetes.apiextensions.CustomResource(
            f"{self._name}-{pool.name}",
            api_version="karpenter.sh/v1",
            kind="NodePool",
            metadata=metadata,
            spec=node_pool(pool, profile=profile, ami_alias=args.spec.ami_alias),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[built_from, *after],
                custom_timeouts=pulumi.CustomTimeouts(delete=DRAIN_TIMEOUT),
            ),
        )

    def _announce_sharing(self, pool: ElasticPoolSpec, *, after: Sequence[pulumi.Resource]) -> None:
        for name, spec in node_overlays(pool, profile_of(self._args.accelerators, pool.name)).items():
            kubernetes.apiextensions.CustomResource(
                f"{self._name}-{name}",
                api_version="karpenter.sh/v1alpha1",
                kind="NodeOverlay",
                metadata=kubernetes.meta.v1.ObjectMetaArgs(name=name),
                spec=spec,
                opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
            )

"""CloudWatch: logs of containers and nodes, and Container Insights, for whoever looks at the account as a whole.

Creates, where the settings ask for it: the log groups, with the environment's key and an end; a namespace, of whose
pods the operator alone has an address of its own and reaches the API server only; the role of the agents; the EKS
add-on amazon-cloudwatch-observability. Otherwise nothing.
Does not create: logs of the control plane (`Cluster`) and of pods on Fargate (`Fargate`); alarms and dashboards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import cloudwatch_objects, iam
from components.address_plan import plan_addresses
from components.cloudwatch_objects import ADDON, NAMESPACE, POD_SECURITY_LEVEL, SERVICE_ACCOUNT, WEBHOOK_PORT
from components.irsa import ServiceAccountRole, ServiceAccountRoleArgs
from components.namespaces import create_namespace, create_policies
from components.network_flows import call_api_server, take_requests
from components.releases import create_addon

if TYPE_CHECKING:
    from components.handles import ClusterHandle, NodePoolsHandle, PodNetworkHandle, Ready
    from components.labels import Labels
    from settings.model import CloudWatchSpec, ClusterSpec, NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudWatchArgs:
    """Arguments of `CloudWatch`."""

    labels: Labels
    """Names of the environment."""
    spec: CloudWatchSpec | None
    """What goes to CloudWatch; None for nothing."""
    cluster_spec: ClusterSpec
    """Version that the Pod Security standard is read at, and addresses of services."""
    network: NetworkSpec
    """Address plan, from which the ways to and from the API server follow."""
    cluster: ClusterHandle
    """The cluster."""
    pod_network: PodNetworkHandle
    """The CNI, which enforces the network policies."""
    pools: NodePoolsHandle
    """Managed groups; the operator runs on the system ones."""
    key_arn: pulumi.Input[str]
    """Key of the log groups."""


class CloudWatch(pulumi.ComponentResource):
    """Add-on, role and log groups; see the module. Needs the AWS and the cluster's provider."""

    def __init__(self, name: str, args: CloudWatchArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:cloudwatch:CloudWatch", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        if args.spec is not None:
            self._create(args.spec)
        self.register_outputs({})

    def _create(self, spec: CloudWatchSpec) -> None:
        groups = self._create_log_groups(spec)
        role, granted = self._create_role(spec)
        create_addon(
            f"{self._name}-addon",
            addon=ADDON,
            version=spec.addon_version,
            cluster=self._args.cluster,
            parent=self,
            values=cloudwatch_objects.addon_values(spec),
            role=role.arn,
            after=(*groups, *granted, *self._create_namespace(), *self._args.pools.system_ready),
        )

    def _create_log_groups(self, spec: CloudWatchSpec) -> Ready:
        return tuple(
            aws.cloudwatch.LogGroup(
                f"{self._name}-{kind}",
                name=group,
                kms_key_id=self._args.key_arn,
                retention_in_days=spec.log_retention_days,
                opts=self._child,
            )
            for kind, group in cloudwatch_objects.log_groups(self._args.labels, spec).items()
        )

    def _create_role(self, spec: CloudWatchSpec) -> tuple[aws.iam.Role, Ready]:
        name, labels = self._name, self._args.labels
        role = ServiceAccountRole(
            name,
            ServiceAccountRoleArgs(
                cluster=self._args.cluster,
                role_name=labels.role("cloudwatch"),
                description=f"{ADDON}: logs and metrics of nodes and pods",
                namespace=NAMESPACE,
                service_account=SERVICE_ACCOUNT,
            ),
            self._child,
        ).role
        policies = cloudwatch_objects.policies(iam.Account.of(labels.environment), labels, spec)
        granted = tuple(
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=self._child)
            for ability, policy in policies.items()
        )
        return role, granted

    def _create_namespace(self) -> Ready:
        network, cluster, name = self._args.network, self._args.cluster_spec, f"{self._name}-namespace"
        plan = plan_addresses(
            network.cidr, network.zones, private_prefix=network.private_prefix, public_prefix=network.public_prefix
        )
        private = [str(block) for block in plan.private.values()]
        closed = create_namespace(
            name,
            NAMESPACE,
            kubernetes_version=cluster.version,
            parent=self,
            after=self._args.pod_network.ready,
            level=POD_SECURITY_LEVEL,
        )
        flows = {
            "manage-agents": call_api_server(private, cluster.service_cidr),
            # The control plane asks from its interfaces in these subnets.
            "answer-api-server": take_requests(private, WEBHOOK_PORT),
        }
        return (*closed, *create_policies(name, NAMESPACE, flows, parent=self, after=closed))

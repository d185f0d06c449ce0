"""Cluster: the EKS control plane and who may use it.

Creates: the encrypted log group of the control plane; the control plane by `pulumi_eks.Cluster`; the security group of
nodes and the rules between nodes and control plane; the IAM identity provider for service accounts; an access entry
with cluster administration per administrator role; a Kubernetes provider.
Does not create: nodes, add-ons, an aws-auth ConfigMap, access for whoever created the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as kubernetes

from components import iam
from components.firewall import ANYWHERE, HTTPS, Traffic, let_in, let_out
from components.handles import ClusterHandle, NetworkHandle
from components.kubeconfig import exec_kubeconfig
from components.labels import KARPENTER_DISCOVERY, Labels
from components.transforms import no_access_for_creator

if TYPE_CHECKING:
    from settings.model import ClusterSpec

CONTROL_PLANE_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
CONTROL_PLANE_TO_NODE = {"load-balancing-webhook": 9443, "kubelet-and-webhooks": 10250, "metrics-api": 10251}
"""TCP ports on which the API server calls what runs on nodes.

9443: admission of the load balancer controller and of the CloudWatch agent's operator. 10250: kubelet, and the
admission of cert-manager and of the Prometheus operator. 10251: metrics-server as EKS installs it (EKS user guide,
"Kubernetes Metrics Server").
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterArgs:
    """Arguments of `Cluster`."""

    labels: Labels
    """Names and tags."""
    spec: ClusterSpec
    """Version, endpoints, logs, administrators."""
    network: NetworkHandle
    """VPC and subnets; the control plane's interfaces live in the private ones."""
    key_arn: pulumi.Input[str]
    """Key for Kubernetes secrets and control-plane logs."""
    protect: bool
    """Whether the control plane and its identity provider refuse deletion."""


class Cluster(pulumi.ComponentResource):
    """EKS control plane; see the module for what is created."""

    handle: ClusterHandle
    """What joins the cluster or lives in it uses this."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:cluster:Cluster", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._guarded = pulumi.ResourceOptions(parent=self, protect=args.protect)
        control_plane = self._create_control_plane(self._create_log_group())
        cluster_name = control_plane.eks_cluster.name
        node_group = self._create_node_security_group(control_plane.cluster_security_group_id)
        identity = aws.iam.OpenIdConnectProvider(
            f"{name}-identity",
            url=control_plane.oidc_provider_url,
            client_id_lists=["sts.amazonaws.com"],
            tags=args.labels.named("identity"),
            opts=self._guarded,
        )
        access = self._admit_administrators(cluster_name)
        kubeconfig = self._write_kubeconfig(control_plane)
        provider = kubernetes.Provider(
            f"{name}-kubernetes",
            kubeconfig=kubeconfig,
            # Keeps the provider, and with it everything in the cluster, when the kubeconfig changes.
            cluster_identifier=args.labels.cluster,
            opts=pulumi.ResourceOptions(parent=self, depends_on=access),
        )
        self.handle = ClusterHandle(
            name=cluster_name,
            endpoint=control_plane.eks_cluster.endpoint,
            kubeconfig=kubeconfig,
            oidc_provider_arn=identity.arn,
            oidc_issuer=control_plane.oidc_issuer,
            node_security_group=node_group,
            control_plane_security_group=control_plane.cluster_security_group_id,
            kubernetes=provider,
        )
        self.register_outputs({"name": self.handle.name, "endpoint": self.handle.endpoint, "kubeconfig": kubeconfig})

    def _write_kubeconfig(self, control_plane: eks.Cluster) -> pulumi.Output[str]:
        parts = pulumi.Output.all(
            self._args.labels.cluster,
            self._args.labels.environment.region,
            control_plane.eks_cluster.endpoint,
            control_plane.eks_cluster.certificate_authority.data,
        )
        return pulumi.Output.secret(parts.apply(lambda known: exec_kubeconfig(*known)))

    def _create_log_group(self) -> aws.cloudwatch.LogGroup:
        # EKS would create this group itself, unencrypted and without an end.
        return aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            name=self._args.labels.cluster_log_group,
            kms_key_id=self._args.key_arn,
            retention_in_days=self._args.spec.log_retention_days,
            opts=self._child,
        )

    def _create_control_plane(self, logs: aws.cloudwatch.LogGroup) -> eks.Cluster:
        labels, spec = self._args.labels, self._args.spec
        cidrs = [str(cidr) for cidr in spec.public_endpoint_cidrs]
        return eks.Cluster(
            f"{self._name}-control-plane",
            name=labels.cluster,
            version=spec.version,
            vpc_id=self._args.network.vpc_id,
            private_subnet_ids=self._args.network.private_subnet_ids,
            kubernetes_service_ip_address_range=str(spec.service_cidr),
            endpoint_private_access=True,
            endpoint_public_access=spec.public_endpoint,
            public_access_cidrs=cidrs if spec.public_endpoint else None,
            authentication_mode=eks.AuthenticationMode.API,
            encryption_config_key_arn=self._args.key_arn,
            enabled_cluster_log_types=list(CONTROL_PLANE_LOGS),
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            deletion_protection=spec.deletion_protection,
            cluster_tags={"Name": labels.cluster},
            # The component insists on an answer when the AWS provider is explicit; this adds neither profile nor role.
            provider_credential_opts=eks.KubeconfigOptionsArgs(),
            # Only the control plane comes from the component: it looks the versions of its add-ons up at every run, its
            # identity provider dials the issuer, its security groups let everything out.
            bootstrap_self_managed_addons=False,
            use_default_vpc_cni=True,
            kube_proxy_addon_options=eks.KubeProxyAddonOptionsArgs(enabled=False),
            coredns_addon_options=eks.CoreDnsAddonOptionsArgs(enabled=False),
            create_oidc_provider=False,
            skip_default_node_group=True,
            create_instance_role=False,
            skip_default_security_groups=True,
            opts=pulumi.ResourceOptions(
                parent=self, protect=self._args.protect, depends_on=[logs], transforms=[no_access_for_creator]
            ),
        )

    def _create_node_security_group(self, control_plane_group: pulumi.Output[str]) -> pulumi.Output[str]:
        name, labels = self._name, self._args.labels
        nodes = aws.ec2.SecurityGroup(
            f"{name}-nodes",
            description="Nodes and pods",
            vpc_id=self._args.network.vpc_id,
            tags=labels.named(
                "nodes", **{KARPENTER_DISCOVERY: labels.cluster, f"kubernetes.io/cluster/{labels.cluster}": "owned"}
            ),
            opts=self._child,
        )
        for role, port in CONTROL_PLANE_TO_NODE.items():
            call = Traffic(description=f"Control plane to nodes: {role}", port=port, group=control_plane_group)
            let_in(f"{name}-nodes-from-control-plane-{role}", nodes.id, call, self._child)
        pods = Traffic(description="Pods to pods; network policies narrow this", port=None, group=nodes.id)
        out = Traffic(description="Registries, AWS services, control plane", port=HTTPS, cidr=ANYWHERE)
        api = Traffic(description="Nodes and pods to the API server", port=HTTPS, group=nodes.id)
        let_in(f"{name}-nodes-from-nodes", nodes.id, pods, self._child)
        let_out(f"{name}-nodes-to-nodes", nodes.id, pods, self._child)
        let_out(f"{name}-nodes-to-https", nodes.id, out, self._child)
        let_in(f"{name}-control-plane-from-nodes", control_plane_group, api, self._child)
        return nodes.id

    def _admit_administrators(self, cluster_name: pulumi.Output[str]) -> list[pulumi.Resource]:
        account = iam.Account.of(self._args.labels.environment)
        policy = account.aws_managed("eks", "cluster-access-policy/AmazonEKSClusterAdminPolicy")
        associations: list[pulumi.Resource] = []
        for role_arn in self._args.spec.admin_role_arns:
            role = role_arn.rsplit("/", maxsplit=1)[-1]
            entry = aws.eks.AccessEntry(
                f"{self._name}-admin-{role}",
                cluster_name=cluster_name,
                principal_arn=role_arn,
                type="STANDARD",
                opts=self._child,
            )
            association = aws.eks.AccessPolicyAssociation(
                f"{self._name}-admin-{role}",
                cluster_name=cluster_name,
                principal_arn=entry.principal_arn,
                policy_arn=policy,
                access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                opts=self._child,
            )
            associations.append(association)
        return associations

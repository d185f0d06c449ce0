"""Provider plugin `eks` of the sandbox: the component `eks:index:Cluster` with the children of the real one.

Children, their names and parents follow pulumi-eks 4.x for a cluster without default node group. What the platform
never asks of the component (default node group, Fargate, Auto Mode, aws-auth, add-ons looked up by version) is
refused by name.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from typing import TYPE_CHECKING, Any, Final, cast

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pulumi.errors import InputPropertiesError
from pulumi.provider import ConstructResult, Provider
from pulumi.provider import main as serve
from pulumi_eks.cluster import ClusterArgs

from sandbox.providers.plugin import leave_with_parent
from sandbox.schema import structure_failures
from sandbox.wire import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN: Final = "eks:index:Cluster"  # noqa: S105 - a Pulumi type token
_WORLD: Final = ["0.0.0.0/0"]
_KUBELET_PORTS: Final = (1025, 65535)
_CLUSTER_POLICY_SUFFIX: Final = "4b490823"
"""What the real component appends to the name of the attachment of AmazonEKSClusterPolicy."""

_NOT_BUILT: Final = ("autoMode", "fargate", "nodeGroupOptions", "creationRoleProvider", "roleMappings", "userMappings")
_MUST_BE_OFF: Final = {"useDefaultVpcCni": True, "skipDefaultNodeGroup": True}


class ServiceRole(pulumi.ComponentResource):
    """Role of the control plane, as the real component wraps it."""

    def __init__(self, name: str, tags: pulumi.Input[Mapping[str, str]] | None, opts: pulumi.ResourceOptions) -> None:
        super().__init__("eks:index:ServiceRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "eks.amazonaws.com"},
                    "Action": ["sts:AssumeRole", "sts:TagSession"],
                }
            ],
        }
        self.role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=json.dumps(trust),
            description="Allows EKS to manage clusters on your behalf.",
            tags=tags,
            opts=child,
        )
        self.attachment = aws.iam.RolePolicyAttachment(
            f"{name}-{_CLUSTER_POLICY_SUFFIX}",
            role=self.role.name,
            policy_arn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
            opts=child,
        )
        self.register_outputs({})


class Cluster(pulumi.ComponentResource):
    """Control plane, its role and its security groups."""

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__(TOKEN, name, dict(inputs), opts)
        self._name, self._inputs = name, inputs
        self._child = pulumi.ResourceOptions(parent=self)
        self.cluster_group = self._cluster_group()
        self.cluster = self._control_plane()
        self.node_group = None if inputs.get("skipDefaultSecurityGroups") else self._node_group()
        self.issuer = self.cluster.identities[0].oidcs[0].issuer
        self.oidc_provider = self._oidc_provider() if inputs.get("createOidcProvider") else None
        self.kubeconfig = pulumi.Output.all(
            name=self.cluster.name,
            endpoint=self.cluster.endpoint,
            authority=self.cluster.certificate_authority,
            arn=self.cluster.arn,
        ).apply(_kubeconfig)
        self.provider = kubernetes.Provider(
            f"{name}-eks-k8s", kubeconfig=self.kubeconfig.apply(json.dumps), opts=self._child
        )
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Any]:
        """Returns the component's outputs under the names of the real one."""
        default_group = self.cluster.vpc_config.cluster_security_group_id
        return {
            "eksCluster": self.cluster,
            "core": {"cluster": self.cluster, "endpoint": self.cluster.endpoint, "provider": self.provider},
            "clusterSecurityGroupId": self.cluster_group.id if self.cluster_group else default_group,
            "nodeSecurityGroupId": self.node_group.id if self.node_group else default_group,
            "clusterSecurityGroup": self.cluster_group,
            "nodeSecurityGroup": self.node_group,
            "kubeconfig": self.kubeconfig,
            "kubeconfigJson": self.kubeconfig.apply(json.dumps),
            "oidcProviderArn": self.oidc_provider.arn if self.oidc_provider else "",
            "oidcProviderUrl": self.issuer,
            "oidcIssuer": self.issuer.apply(lambda url: url.removeprefix("https://")),
        }

    def _tags(self, role: str) -> dict[str, Any]:
        return {"Name": f"{self._name}-{role}", **self._map("tags")}

    def _map(self, name: str) -> dict[str, Any]:
        return self._inputs.get(name) or {}

    def _list(self, name: str) -> list[Any]:
        return self._inputs.get(name) or []

    def _cluster_group(self) -> aws.ec2.SecurityGroup | None:
        given = self._inputs.get("clusterSecurityGroup")
        if given is not None or self._inputs.get("skipDefaultSecurityGroups"):
            return given
        group = aws.ec2.SecurityGroup(
            f"{self._name}-eksClusterSecurityGroup",
            vpc_id=self._inputs.get("vpcId"),
            revoke_rules_on_delete=True,
            tags=self._tags("eksClusterSecurityGroup") | self._map("clusterSecurityGroupTags"),
            opts=self._child,
        )
        self._rule("eksClusterInternetEgressRule", "egress", group.id, cidr_blocks=_WORLD)
        return group

    def _control_plane(self) -> aws.eks.Cluster:
        given = self._inputs
        role = (
            None if given.get("serviceRole") else ServiceRole(f"{self._name}-eksRole", given.get("tags"), self._child)
        )
        role_arn = role.role.arn if role else pulumi.Output.from_input(given["serviceRole"]).arn
        key, service_range = given.get("encryptionConfigKeyArn"), given.get("kubernetesServiceIpAddressRange")
        mode = given.get("authenticationMode")
        subnets = self._list("subnetIds") or [*self._list("publicSubnetIds"), *self._list("privateSubnetIds")]
        return aws.eks.Cluster(
            f"{self._name}-eksCluster",
            name=given.get("name"),
            role_arn=role_arn,
            version=given.get("version"),
            bootstrap_self_managed_addons=given.get("bootstrapSelfManagedAddons", True),
            enabled_cluster_log_types=given.get("enabledClusterLogTypes"),
            deletion_protection=given.get("deletionProtection"),
            upgrade_policy=given.get("upgradePolicy"),
            vpc_config={
                "subnet_ids": subnets,
                "security_group_ids": [self.cluster_group.id] if self.cluster_group else None,
                "endpoint_private_access": given.get("endpointPrivateAccess"),
                "endpoint_public_access": given.get("endpointPublicAccess"),
                "public_access_cidrs": given.get("publicAccessCidrs"),
            },
            kubernetes_network_config=(
                {"service_ipv4_cidr": service_range, "ip_family": given.get("ipFamily", "ipv4")}
                if service_range
                else None
            ),
            encryption_config={"provider": {"key_arn": key}, "resources": ["secrets"]} if key else None,
            access_config=(
                {"authentication_mode": mode, "bootstrap_cluster_creator_admin_permissions": True} if mode else None
            ),
            tags=self._tags("eksCluster") | self._map("clusterTags"),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[role.attachment] if role else None,
                ignore_changes=["accessConfig.bootstrapClusterCreatorAdminPermissions", "bootstrapSelfManagedAddons"],
            ),
        )

    def _node_group(self) -> aws.ec2.SecurityGroup:
        cluster_group = self.cluster_group
        if cluster_group is None:
            raise ValueError("clusterSecurityGroup is required unless skipDefaultSecurityGroups is set")
        owner = pulumi.Output.concat("kubernetes.io/cluster/", self.cluster.name)
        tags = self._tags("nodeSecurityGroup") | self._map("nodeSecurityGroupTags")
        group = aws.ec2.SecurityGroup(
            f"{self._name}-nodeSecurityGroup",
            vpc_id=self._inputs.get("vpcId"),
            revoke_rules_on_delete=True,
            tags=owner.apply(lambda key: {**tags, key: "owned"}),
            opts=self._child,
        )
        low, high = _KUBELET_PORTS
        source = cluster_group.id
        self._rule("eksNodeIngressRule", "ingress", group.id, self_=True)
        self._rule("eksNodeClusterIngressRule", "ingress", group.id, ports=(low, high), protocol="tcp", source=source)
        self._rule(
            "eksExtApiServerClusterIngressRule", "ingress", group.id, ports=(443, 443), protocol="tcp", source=source
        )
        self._rule("eksNodeInternetEgressRule", "egress", group.id, cidr_blocks=_WORLD)
        self._rule("eksClusterIngressRule", "ingress", source, ports=(443, 443), protocol="tcp", source=group.id)
        return group

    def _rule(
        self,
        name: str,
        direction: str,
        group: pulumi.Input[str],
        *,
        ports: tuple[int, int] = (0, 0),
        protocol: str = "-1",
        source: pulumi.Input[str] | None = None,
        cidr_blocks: list[str] | None = None,
        self_: bool | None = None,
    ) -> None:
        aws.ec2.SecurityGroupRule(
            f"{self._name}-{name}",
            type=direction,
            from_port=ports[0],
            to_port=ports[1],
            protocol=protocol,
            security_group_id=group,
            source_security_group_id=source,
            cidr_blocks=cidr_blocks,
            self=self_,
            opts=self._child,
        )

    def _oidc_provider(self) -> aws.iam.OpenIdConnectProvider:
        return aws.iam.OpenIdConnectProvider(
            f"{self._name}-oidcProvider",
            client_id_lists=["sts.amazonaws.com"],
            url=self.issuer,
            opts=self._child,
        )


def _kubeconfig(parts: dict[str, Any]) -> dict[str, Any]:
    region, name = parts["arn"].split(":")[3], parts["name"]
    command = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "aws",
        "clusters": [
            {
                "name": "kubernetes",
                "cluster": {"server": parts["endpoint"], "certificate-authority-data": parts["authority"]["data"]},
            }
        ],
        "contexts": [{"name": "aws", "context": {"cluster": "kubernetes", "user": "aws"}}],
        "users": [{"name": "aws", "user": {"exec": command}}],
    }


class EksProvider(Provider):
    """Constructs the component."""

    def construct(
        self, name: str, resource_type: str, inputs: Mapping[str, Any], options: pulumi.ResourceOptions | None = None
    ) -> ConstructResult:
        """Builds a cluster, or refuses the inputs all at once."""
        if resource_type != TOKEN:
            raise ValueError(f"{resource_type} is not built by the sandbox; it knows {TOKEN}")
        problems = [(f.path, f.reason) for f in structure_failures(ClusterArgs, _plain(inputs))]
        problems += [(key, "not built by the sandbox") for key in _NOT_BUILT if inputs.get(key)]
        problems += [
            (key, f"the sandbox builds the component with {key} = {json.dumps(value)} only")
            for key, value in _MUST_BE_OFF.items()
            if inputs.get(key) is not value
        ]
        addon: dict[str, Any] = inputs.get("kubeProxyAddonOptions") or {}
        if addon.get("enabled") is not False:
            problems.append(("kubeProxyAddonOptions.enabled", "the sandbox looks no add-on versions up: set false"))
        if problems:
            raise InputPropertiesError(
                f"{TOKEN} {name} is refused", [{"property_path": path, "reason": reason} for path, reason in problems]
            )
        cluster = Cluster(name, inputs, options or pulumi.ResourceOptions())
        return ConstructResult(cluster.urn, cluster.outputs())


def _plain(value: Any) -> Any:  # noqa: ANN401 - property values of any shape
    """Replaces what only the engine can resolve by the sentinel of an unknown value."""
    if isinstance(value, pulumi.Output | pulumi.Resource):
        return UNKNOWN
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    return value


if __name__ == "__main__":
    leave_with_parent()
    serve(EksProvider(importlib.metadata.version("pulumi-eks")), sys.argv[1:])

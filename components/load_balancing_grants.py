"""Grants of the load balancer controller: the statements that the project publishes, narrowed to one cluster.

Source: `docs/install/iam_policy.json` of the controller 3.5; how its calls can be narrowed by tags is taken from
AWS's own policy for load balancers of EKS Auto Mode (`AmazonEKSLoadBalancingPolicy`) and from the service
authorization reference of Elastic Load Balancing. The controller puts the tag `elbv2.k8s.aws/cluster` on everything
that it makes. Left out are the abilities that this platform has switched off: reserved capacity, address
pools, Outposts, Cognito, IAM server certificates, trust stores, AWS WAF Classic and Shield.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from components import iam

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settings.model import Scheme

_OWNER: Final = "elbv2.k8s.aws/cluster"
"""Tag with which the controller marks what it makes; its value is the cluster's name."""
_NETWORK: Final = (
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVpcPeeringConnections",
    "ec2:DescribeVpcs",
)
_LOAD_BALANCING: Final = tuple(
    f"elasticloadbalancing:Describe{thing}"
    for thing in (
        "ListenerAttributes",
        "ListenerCertificates",
        "Listeners",
        "LoadBalancerAttributes",
        "LoadBalancers",
        "Rules",
        "SSLPolicies",
        "Tags",
        "TargetGroupAttributes",
        "TargetGroups",
        "TargetHealth",
    )
)
_PARTS: Final = ("loadbalancer", "targetgroup", "listener", "listener-rule")
_CHANGES: Final = (
    "AddListenerCertificates",
    "DeleteListener",
    "DeleteLoadBalancer",
    "DeleteRule",
    "DeleteTargetGroup",
    "DeregisterTargets",
    "ModifyListenerAttributes",
    "ModifyLoadBalancerAttributes",
    "ModifyRule",
    "ModifyTargetGroup",
    "ModifyTargetGroupAttributes",
    "RegisterTargets",
    "RemoveListenerCertificates",
    "SetIpAddressType",
    "SetRulePriorities",
    "SetSecurityGroups",
    "SetSubnets",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerDuty:
    """What the controller is responsible for."""

    account: iam.Account
    """Account and region."""
    cluster: str
    """Name of the cluster; the value of the tags on what belongs to it."""
    vpc_tags: Mapping[str, str]
    """Tags that the environment's VPC carries, and no other."""
    scheme: Scheme
    """The only kind of load balancer that it may make."""
    tls_policy: str
    """The only security policy that an HTTPS listener may have."""
    web_acl_arn: str | None
    """The only web ACL that it may put in front of a load balancer."""
    services: bool = False
    """Whether it makes Network Load Balancers, too, for Services."""

    @property
    def requested(self) -> iam.Condition:
        """The request marks what it makes as the cluster's."""
        return {"StringEquals": {f"aws:RequestTag/{_OWNER}": self.cluster}}

    @property
    def owned(self) -> iam.Condition:
        """The resource is marked as the cluster's."""
        return {"StringEquals": {f"aws:ResourceTag/{_OWNER}": self.cluster}}

    @property
    def owned_and_kept(self) -> iam.Condition:
        """The resource is the cluster's, and the request does not mark it as another one's."""
        return {**self.owned, "StringEqualsIfExists": {f"aws:RequestTag/{_OWNER}": self.cluster}}

    @property
    def owned_and_marked(self) -> iam.Condition:
        """The resource is the cluster's, and the request does not take the mark away."""
        return {**self.owned, "ForAllValues:StringNotEquals": {"aws:TagKeys": _OWNER}}

    @property
    def in_vpc(self) -> iam.Condition:
        """The resource is the environment's VPC."""
        return {"StringEquals": {f"aws:ResourceTag/{key}": value for key, value in self.vpc_tags.items()}}

    def balancers(self, *kinds: str) -> list[str]:
        """ARNs of the load balancers' parts: `loadbalancer`, `listener`, `listener-rule` or `targetgroup`."""
        types = ("app", "net") if self.services else ("app",)
        paths = {"targetgroup": ("targetgroup/*",)}
        return [
            self.account.arn("elasticloadbalancing", path)
            for kind in kinds
            for path in paths.get(kind, tuple(f"{kind}/{type_}/*" for type_ in types))
        ]


def controller_policies(duty: BalancerDuty) -> Mapping[str, str]:
    """Inline policies of the controller by ability."""
    abilities = {
        "find-network": find_network(duty),
        "make-load-balancers": make_load_balancers(duty),
        "change-load-balancers": change_load_balancers(duty),
        "open-node-ports": open_node_ports(duty),
    }
    if duty.web_acl_arn is not None:
        abilities["use-web-acl"] = use_web_acl(duty, duty.web_acl_arn)
    return {ability: iam.document(*statements) for ability, statements in abilities.items()}


def find_network(duty: BalancerDuty) -> list[iam.Statement]:
    """Read the region's network, load balancers and certificates; most of these actions know no resources."""
    account = duty.account
    here: iam.Condition = {"StringEquals": {"aws:RequestedRegion": account.region}}
    reads = [*_NETWORK, *_LOAD_BALANCING, "acm:ListCertificates"]
    vpc = account.arn("ec2", "vpc/*")
    return [
        {"Effect": "Allow", "Action": reads, "Resource": "*", "Condition": here},
        {"Effect": "Allow", "Action": "ec2:GetSecurityGroupsForVpc", "Resource": vpc, "Condition": duty.in_vpc},
        {"Effect": "Allow", "Action": "acm:DescribeCertificate", "Resource": account.arn("acm", "certificate/*")},
    ]


def make_load_balancers(duty: BalancerDuty) -> list[iam.Statement]:
    """Make load balancers of one scheme with listeners, rules and target groups, all marked as the cluster's."""
    requested, own, allow = duty.requested["StringEquals"], duty.owned["StringEquals"], iam.Statement(Effect="Allow")
    action, service = "elasticloadbalancing:{}".format, "elasticloadbalancing.amazonaws.com"
    own_role = duty.account.role(f"aws-service-role/{service}/AWSServiceRoleForElasticLoadBalancing")
    conditions: dict[tuple[str, str], iam.Condition] = {
        ("CreateLoadBalancer", "loadbalancer"): {
            "StringEquals": {**requested, "elasticloadbalancing:Scheme": duty.scheme.value}
        },
        ("CreateTargetGroup", "targetgroup"): {"StringEquals": requested},
        ("CreateListener", "loadbalancer"): {"StringEquals": {**requested, **own}, **_secured(duty)},
        ("CreateRule", "listener"): {"StringEquals": {**requested, **own}},
    }
    creations: list[iam.Statement] = [
        {**allow, "Action": action(creation), "Resource": duty.balancers(place), "Condition": condition}
        for (creation, place), condition in conditions.items()
    ]
    creators = [creation for creation, _ in conditions]
    while_made: iam.Condition = {"StringEquals": {**requested, "elasticloadbalancing:CreateAction": creators}}
    by_elb: iam.Condition = {"StringEquals": {"iam:AWSServiceName": service}}
    return [
        *creations,
        {**allow, "Action": action("AddTags"), "Resource": duty.balancers(*_PARTS), "Condition": while_made},
        {**allow, "Action": "iam:CreateServiceLinkedRole", "Resource": own_role, "Condition": by_elb},
    ]


def change_load_balancers(duty: BalancerDuty) -> list[iam.Statement]:
    """Change, tag and delete what is marked as the cluster's, and give it to no other cluster."""
    action, owned, allow = "elasticloadbalancing:{}".format, duty.owned, iam.Statement(Effect="Allow")
    changes, everything = [action(change) for change in _CHANGES], duty.balancers(*_PARTS)
    listener: iam.Condition = {**owned, **_secured(duty)}
    return [
        {**allow, "Action": changes, "Resource": everything, "Condition": owned},
        {**allow, "Action": action("ModifyListener"), "Resource": duty.balancers("listener"), "Condition": listener},
        {**allow, "Action": action("AddTags"), "Resource": everything, "Condition": duty.owned_and_kept},
        {**allow, "Action": action("RemoveTags"), "Resource": everything, "Condition": duty.owned_and_marked},
    ]


def open_node_ports(duty: BalancerDuty) -> list[iam.Statement]:
    """Make security groups for load balancers, and let these reach the nodes; no other group is touched."""
    account, requested, owned = duty.account, duty.requested, duty.owned
    allow, groups = iam.Statement(Effect="Allow"), account.arn("ec2", "security-group/*")
    ingress = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    nodes: iam.Condition = {"StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{duty.cluster}": "owned"}}
    while_made: iam.Condition = {
        "StringEquals": {**requested["StringEquals"], "ec2:CreateAction": "CreateSecurityGroup"}
    }
    return [
        {
            **allow,
            "Action": "ec2:CreateSecurityGroup",
            "Resource": account.arn("ec2", "vpc/*"),
            "Condition": duty.in_vpc,
        },
        {**allow, "Action": "ec2:CreateSecurityGroup", "Resource": groups, "Condition": requested},
        {**allow, "Action": "ec2:CreateTags", "Resource": groups, "Condition": while_made},
        {**allow, "Action": "ec2:CreateTags", "Resource": groups, "Condition": duty.owned_and_kept},
        {**allow, "Action": "ec2:DeleteTags", "Resource": groups, "Condition": duty.owned_and_marked},
        {**allow, "Action": [*ingress, "ec2:DeleteSecurityGroup"], "Resource": groups, "Condition": owned},
        {**allow, "Action": ingress, "Resource": groups, "Condition": nodes},
    ]


def use_web_acl(duty: BalancerDuty, web_acl_arn: str) -> list[iam.Statement]:
    """Put one web ACL in front of load balancers, and take it away; `SetWebAcl` knows no resources."""
    balancers = duty.balancers("loadbalancer")
    uses = ["wafv2:AssociateWebACL", "wafv2:DisassociateWebACL", "wafv2:GetWebACL", "wafv2:GetWebACLForResource"]
    here: iam.Condition = {"StringEquals": {"aws:RequestedRegion": duty.account.region}}
    return [
        {"Effect": "Allow", "Action": uses, "Resource": [web_acl_arn, *balancers]},
        {"Effect": "Allow", "Action": "elasticloadbalancing:SetWebAcl", "Resource": "*", "Condition": here},
    ]


def _secured(duty: BalancerDuty) -> iam.Condition:
    """A listener with TLS has the one security policy; the listener that redirects from HTTP has none."""
    return {"StringEqualsIfExists": {"elasticloadbalancing:SecurityPolicy": duty.tls_policy}}

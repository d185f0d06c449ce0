"""Grants of the Karpenter controller: the statements that the project publishes, narrowed to one cluster.

Source: Karpenter documentation 1.14, "CloudFormation" reference. Left out are the abilities that this platform has no
use for: managing instance profiles (nodes get one that the program makes, so the controller can give no instance
another role), capacity reservations, placement groups and zonal shift. Narrowed are subnets and security groups to
those that carry the cluster's discovery tag, parameters to the machine images of EKS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from components import iam
from components.labels import KARPENTER_DISCOVERY

if TYPE_CHECKING:
    from collections.abc import Mapping

_STARTED: Final = ("fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request")
"""EC2 resources that the start of a node brings."""
_CREATIONS: Final = ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerDuty:
    """What the controller is responsible for."""

    account: iam.Account
    """Account and region."""
    cluster: str
    """Name of the cluster; the value of the tags that mark its nodes."""
    queue: str
    """Name of the interruption queue."""
    node_role: str
    """Name of the only role that nodes may get."""
    instance_profile: str
    """Name of the instance profile that holds it."""

    def requested(self) -> iam.Condition:
        """The request tags what it makes as a node of the cluster."""
        return {
            "StringEquals": {
                f"aws:RequestTag/kubernetes.io/cluster/{self.cluster}": "owned",
                "aws:RequestTag/eks:eks-cluster-name": self.cluster,
            },
            "StringLike": {"aws:RequestTag/karpenter.sh/nodepool": "*"},
        }

    def owned(self) -> iam.Condition:
        """The resource carries the tags of a node of the cluster."""
        return {
            "StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{self.cluster}": "owned"},
            "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"},
        }


def controller_policies(duty: ControllerDuty) -> Mapping[str, str]:
    """Inline policies of the controller by ability; all but the use of the key, whose ARN AWS numbers."""
    abilities = {
        "start-nodes": start_nodes(duty),
        "tag-nodes": tag_nodes(duty),
        "end-nodes": end_nodes(duty),
        "hand-out-node-role": hand_out_node_role(duty),
        "read-interruptions": read_interruptions(duty),
        "find-capacity": find_capacity(duty),
    }
    return {ability: iam.document(*statements) for ability, statements in abilities.items()}


def start_nodes(duty: ControllerDuty) -> list[iam.Statement]:
    """Start instances from public images in the cluster's own subnets, tagged as the cluster's nodes."""
    account = duty.account
    start: iam.Statement = {"Effect": "Allow", "Action": ["ec2:RunInstances", "ec2:CreateFleet"]}
    discovered: iam.Condition = {"StringEquals": {f"aws:ResourceTag/{KARPENTER_DISCOVERY}": duty.cluster}}
    places = [account.arn("ec2", "subnet/*"), account.arn("ec2", "security-group/*")]
    made = [account.arn("ec2", f"{kind}/*") for kind in _STARTED]
    return [
        {**start, "Resource": [account.public_arn("ec2", "image/*"), account.public_arn("ec2", "snapshot/*")]},
        {**start, "Resource": places, "Condition": discovered},
        {**start, "Resource": account.arn("ec2", "launch-template/*"), "Condition": duty.owned()},
        {
            "Effect": "Allow",
            "Action": [f"ec2:{creation}" for creation in _CREATIONS],
            "Resource": made,
            "Condition": duty.requested(),
        },
    ]


def tag_nodes(duty: ControllerDuty) -> list[iam.Statement]:
    """Tag what a start makes while it is made, and afterwards name the cluster's own instances."""
    requested, owned = duty.requested(), duty.owned()
    while_made: iam.Condition = {
        **requested,
        "StringEquals": {**requested["StringEquals"], "ec2:CreateAction": _CREATIONS},
    }
    names: iam.Condition = {
        **owned,
        "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": duty.cluster},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"]},
    }
    tag: iam.Statement = {"Effect": "Allow", "Action": "ec2:CreateTags"}
    made = [duty.account.arn("ec2", f"{kind}/*") for kind in _STARTED]
    return [
        {**tag, "Resource": made, "Condition": while_made},
        {**tag, "Resource": duty.account.arn("ec2", "instance/*"), "Condition": names},
    ]


def end_nodes(duty: ControllerDuty) -> list[iam.Statement]:
    """End instances and delete launch templates that Karpenter made for the cluster, and no others."""
    resources = [duty.account.arn("ec2", f"{kind}/*") for kind in ("instance", "launch-template")]
    return [
        {
            "Effect": "Allow",
            "Action": ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            "Resource": resources,
            "Condition": duty.owned(),
        }
    ]


def hand_out_node_role(duty: ControllerDuty) -> list[iam.Statement]:
    """Give EC2 instances the node role, and nothing else any role."""
    account = duty.account
    return [
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": account.role(duty.node_role),
            "Condition": {"StringEquals": {"iam:PassedToService": f"ec2.{account.dns_suffix}"}},
        },
        {
            "Effect": "Allow",
            "Action": "iam:GetInstanceProfile",
            "Resource": account.instance_profile(duty.instance_profile),
        },
    ]


def read_interruptions(duty: ControllerDuty) -> list[iam.Statement]:
    """Take messages from the interruption queue."""
    return [
        {
            "Effect": "Allow",
            "Action": ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
            "Resource": duty.account.arn("sqs", duty.queue),
        }
    ]


def find_capacity(duty: ControllerDuty) -> list[iam.Statement]:
    """Read what EC2 offers in the region, what it costs, the images of EKS, and the cluster's endpoint.

    The reading actions of EC2 and the price list know no resources. `iam:ListInstanceProfiles` is published unscoped:
    the controller looks for profiles below paths of its own, of which it makes none here.
    """
    account = duty.account
    reads = [
        f"ec2:Describe{thing}"
        for thing in (
            "Images",
            "Instances",
            "InstanceStatus",
            "InstanceTypeOfferings",
            "InstanceTypes",
            "LaunchTemplates",
            "SecurityGroups",
            "SpotPriceHistory",
            "Subnets",
        )
    ]
    images = account.public_arn("ssm", "parameter/aws/service/eks/optimized-ami/*")
    allow: iam.Statement = {"Effect": "Allow"}
    return [
        {
            **allow,
            "Action": reads,
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": account.region}},
        },
        {**allow, "Action": "pricing:GetProducts", "Resource": "*"},
        {**allow, "Action": "iam:ListInstanceProfiles", "Resource": "*"},
        {**allow, "Action": "ssm:GetParameter", "Resource": images},
        {**allow, "Action": "eks:DescribeCluster", "Resource": account.arn("eks", f"cluster/{duty.cluster}")},
    ]


def encrypt_node_volumes(account: iam.Account, key_arn: str) -> str:
    """Let EC2 encrypt the volumes of the controller's nodes with one key, and the controller use it for nothing else.

    Source: Karpenter documentation, "Troubleshooting", on nodes with encrypted volumes that end at once.
    """
    through_ec2: iam.Condition = {"StringEquals": {"kms:ViaService": account.service("ec2")}}
    use: iam.Statement = {"Effect": "Allow", "Resource": key_arn}
    actions = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    for_aws: iam.Condition = {**through_ec2, "Bool": {"kms:GrantIsForAWSResource": "true"}}
    return iam.document(
        {**use, "Action": actions, "Condition": through_ec2},
        {**use, "Action": "kms:CreateGrant", "Condition": for_aws},
    )

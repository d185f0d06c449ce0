"""What a cluster has left in its account: things that controllers made, which no stack knows of.

Each question names what it found as a person would look it up in the console. Tags are those that the controllers set:
Karpenter (`karpenter.sh/nodepool` with `kubernetes.io/cluster/<name>`), the AWS Load Balancer Controller
(`elbv2.k8s.aws/cluster`); detached interfaces of the VPC CNI carry the description `aws-K8S-<instance>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, cast

from botocore.session import get_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_resourcegroupstaggingapi import ResourceGroupsTaggingAPIClient
    from mypy_boto3_resourcegroupstaggingapi.type_defs import TagFilterTypeDef
    from mypy_boto3_sts import STSClient

_ALIVE: Final = ["pending", "running", "shutting-down", "stopping", "stopped"]
_TAGGED_AT_ONCE: Final = 20
"""Load balancers whose tags one request may ask for (ELB API reference, `DescribeTags`)."""


class WrongAccountError(Exception):
    """The credentials belong to another account than the stack."""


@dataclass(frozen=True, slots=True)
class Remains:
    """Questions about one cluster."""

    cluster: str
    ec2: EC2Client
    balancing: ElasticLoadBalancingv2Client
    tagging: ResourceGroupsTaggingAPIClient

    @classmethod
    def connect(cls, cluster: str, account_id: str, region: str) -> Self:
        """Connect with the credentials of the environment.

        Raises:
            WrongAccountError: They belong to another account.
        """
        session = get_session()
        identity = cast("STSClient", session.create_client("sts", region_name=region)).get_caller_identity()
        found = identity["Account"]
        if found != account_id:
            raise WrongAccountError(
                f"the credentials belong to account {found}, the stack to {account_id}; log in to {account_id}"
            )
        return cls(
            cluster,
            cast("EC2Client", session.create_client("ec2", region_name=region)),
            cast("ElasticLoadBalancingv2Client", session.create_client("elbv2", region_name=region)),
            cast(
                "ResourceGroupsTaggingAPIClient", session.create_client("resourcegroupstaggingapi", region_name=region)
            ),
        )

    def nodes(self) -> list[str]:
        """Instances that Karpenter started and that are not terminated."""
        pages = self.ec2.get_paginator("describe_instances").paginate(
            Filters=[
                {"Name": f"tag:kubernetes.io/cluster/{self.cluster}", "Values": ["owned"]},
                {"Name": "tag-key", "Values": ["karpenter.sh/nodepool"]},
                {"Name": "instance-state-name", "Values": _ALIVE},
            ]
        )
        return sorted(
            instance.get("InstanceId", "")
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation.get("Instances", [])
        )

    def load_balancers(self) -> list[str]:
        """Load balancers that the controller made for Ingresses, Gateways and Services."""
        return sorted(name for name, tags in self._tagged() if tags.get("elbv2.k8s.aws/cluster") == self.cluster)

    def _tagged(self) -> Iterator[tuple[str, dict[str, str]]]:
        pages = self.balancing.get_paginator("describe_load_balancers").paginate()
        names = {
            balancer.get("LoadBalancerArn", ""): balancer.get("LoadBalancerName", "")
            for page in pages
            for balancer in page["LoadBalancers"]
        }
        arns = list(names)
        for first in range(0, len(arns), _TAGGED_AT_ONCE):
            for described in self.balancing.describe_tags(ResourceArns=arns[first : first + _TAGGED_AT_ONCE])[
                "TagDescriptions"
            ]:
                tags = {tag["Key"]: tag.get("Value", "") for tag in described.get("Tags", [])}
                yield names[described.get("ResourceArn", "")], tags

    def free_interfaces(self, subnet_id: str) -> list[str]:
        """Network interfaces of a subnet that the VPC CNI made and that no instance uses any more."""
        pages = self.ec2.get_paginator("describe_network_interfaces").paginate(
            Filters=[
                {"Name": "subnet-id", "Values": [subnet_id]},
                {"Name": "status", "Values": ["available"]},
                {"Name": "description", "Values": ["aws-K8S-*"]},
            ]
        )
        return sorted(
            interface.get("NetworkInterfaceId", "") for page in pages for interface in page["NetworkInterfaces"]
        )

    def owned(self) -> list[str]:
        """ARNs of all that carries the cluster's tag, as the tagging API knows them; it forgets with some delay."""
        filters: tuple[TagFilterTypeDef, ...] = (
            {"Key": f"kubernetes.io/cluster/{self.cluster}"},
            {"Key": "elbv2.k8s.aws/cluster", "Values": [self.cluster]},
        )
        pages = (self.tagging.get_paginator("get_resources").paginate(TagFilters=[one]) for one in filters)
        return sorted(
            {
                resource.get("ResourceARN", "")
                for each in pages
                for page in each
                for resource in page["ResourceTagMappingList"]
            }
        )

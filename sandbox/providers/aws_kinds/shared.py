"""What rows of several services share: type tokens, ARN prefixes and forms of ids."""

from __future__ import annotations

from typing import Final

from sandbox.providers.kinds import Birth, Kind, joined

VPC: Final = "aws:ec2/vpc:Vpc"
SUBNET: Final = "aws:ec2/subnet:Subnet"
ROUTE_TABLE: Final = "aws:ec2/routeTable:RouteTable"
PEERING: Final = "aws:ec2/vpcPeeringConnection:VpcPeeringConnection"
GROUP: Final = "aws:ec2/securityGroup:SecurityGroup"
BUCKET: Final = "aws:s3/bucket:Bucket"
ROLE: Final = "aws:iam/role:Role"
POLICY: Final = "aws:iam/policy:Policy"
KEY: Final = "aws:kms/key:Key"
REPOSITORY: Final = "aws:ecr/repository:Repository"
CLUSTER: Final = "aws:eks/cluster:Cluster"
SECRET: Final = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a type token
QUEUE: Final = "aws:sqs/queue:Queue"
TABLE: Final = "aws:dynamodb/table:Table"
FUNCTION: Final = "aws:lambda/function:Function"
RULE: Final = "aws:cloudwatch/eventRule:EventRule"
EC2: Final = "arn:{partition}:ec2:{region}:{account}:"
IAM: Final = "arn:{partition}:iam::{account}:"


def uuid(birth: Birth) -> str:
    """Return an id in the form of RFC 9562."""
    digits = birth.hex(32, "uuid")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def suffix(birth: Birth) -> str:
    """Domain of the partition's endpoints."""
    return "amazonaws.com.cn" if birth.place.partition == "aws-cn" else "amazonaws.com"


def side(of: str, name: str = "bucket", api: tuple[str, str, str] | None = None, *more: str) -> Kind:
    """A resource that configures another one and has its id."""
    return Kind(identify=joined(name), immutable=frozenset({name, *more}), needs={name: of}, api=api)

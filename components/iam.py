"""IAM: ARNs and policy documents as pure functions of partition, account and names.

A grant is a function named after the ability that it gives; its docstring says how far it reaches. Documents are JSON
text, the same for the same arguments, and refuse to outgrow the size that AWS accepts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict

from settings.model import Partition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from settings.model import EnvironmentSpec

MAX_ROLE_POLICY: Final = 10_240
"""Characters of all inline policies of a role together (IAM user guide, quotas)."""
MAX_TRUST_POLICY: Final = 2_048
"""Characters of a trust policy without a quota increase (IAM user guide, quotas)."""
MAX_BUCKET_POLICY: Final = 20_480
"""Bytes of a bucket policy (S3 user guide, "Policies and permissions")."""
MAX_KEY_POLICY: Final = 32_768
"""Bytes of a key policy (KMS developer guide, quotas)."""

_DNS_SUFFIX: Final = {
    Partition.AWS: "amazonaws.com",
    Partition.CHINA: "amazonaws.com.cn",
    Partition.GOV_CLOUD: "amazonaws.com",
}

Condition = dict[str, dict[str, "str | list[str]"]]
"""Condition operator → condition key → allowed values."""


class Statement(TypedDict, total=False):
    """One statement of a policy document, in IAM's own spelling."""

    Sid: str
    Effect: str
    Principal: dict[str, str]
    Action: str | list[str]
    Resource: str | list[str]
    Condition: Condition


@dataclass(frozen=True, slots=True)
class Account:
    """The account and region that ARNs are built for."""

    partition: Partition
    account_id: str
    region: str

    @classmethod
    def of(cls, environment: EnvironmentSpec) -> Account:
        """The account of an environment."""
        return cls(environment.partition, environment.account_id, environment.region)

    @property
    def dns_suffix(self) -> str:
        """Domain of the partition's regional endpoints and service principals."""
        return _DNS_SUFFIX[self.partition]

    @property
    def root(self) -> str:
        """The account itself as a principal."""
        return self.global_arn("iam", "root")

    @property
    def registry(self) -> str:
        """Host of the account's private image registry in the region."""
        return f"{self.account_id}.dkr.ecr.{self.region}.{self.dns_suffix}"

    def arn(self, service: str, resource: str) -> str:
        """ARN of a regional resource."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """ARN of a resource that belongs to no region."""
        return f"arn:{self.partition}:{service}::{self.account_id}:{resource}"

    def aws_managed(self, service: str, resource: str) -> str:
        """ARN of something that AWS itself owns, such as a managed policy."""
        return f"arn:{self.partition}:{service}::aws:{resource}"

    def bucket(self, name: str, key: str | None = None) -> str:
        """ARN of a bucket, or of the objects in it that `key` (which may end in `*`) names."""
        return f"arn:{self.partition}:s3:::{name}" if key is None else f"arn:{self.partition}:s3:::{name}/{key}"

    def role(self, name: str) -> str:
        """ARN of a role."""
        return self.global_arn("iam", f"role/{name}")

    def log_group(self, name: str) -> str:
        """ARN of a log group; with `:*` appended, of its streams."""
        return self.arn("logs", f"log-group:{name}")

    def service(self, name: str) -> str:
        """Principal of a service that is named per region, such as CloudWatch Logs."""
        return f"{name}.{self.region}.{self.dns_suffix}"


def document(*statements: Statement, limit: int = MAX_ROLE_POLICY) -> str:
    """A policy document as compact JSON.

    Raises:
        ValueError: if it is longer than `limit`.
    """
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    if len(text) > limit:
        raise ValueError(
            f"policy document of {len(text)} characters exceeds the {limit} that AWS accepts: {text[:120]}…"
        )
    return text


# Trust: who may become a role


def service_trust(account: Account, service: str) -> str:
    """`service` may assume the role, and only on behalf of this account (confused deputy)."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account.account_id}},
        },
        limit=MAX_TRUST_POLICY,
    )


def instance_trust(account: Account) -> str:
    """EC2 instances may assume the role; EC2 sends no source condition."""
    return document(
        {"Effect": "Allow", "Principal": {"Service": f"ec2.{account.dns_suffix}"}, "Action": "sts:AssumeRole"},
        limit=MAX_TRUST_POLICY,
    )


def service_account_trust(provider_arn: str, issuer: str, namespace: str, service_account: str) -> str:
    """Exactly one Kubernetes service account may assume the role, with a token made for STS.

    Args:
        provider_arn: The cluster's OIDC provider in IAM.
        issuer: The cluster's issuer without `https://`.
        namespace: Namespace of the service account.
        service_account: Name of the service account.
    """
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{issuer}:sub": f"system:serviceaccount:{namespace}:{service_account}",
                    f"{issuer}:aud": "sts.amazonaws.com",
                }
            },
        },
        limit=MAX_TRUST_POLICY,
    )


# Resource policies


def key_policy(account: Account, log_group_prefixes: Sequence[str]) -> str:
    """Policy of the environment's key.

    The account decides by IAM who uses the key. CloudWatch Logs may use it for log groups below `log_group_prefixes`.
    EC2 may use it for volumes that the Auto Scaling service-linked role launches: that role has no policy of ours, and
    it is named by a condition because KMS refuses a principal that does not exist yet.
    """
    launched: Condition = {
        "StringEquals": {
            "kms:CallerAccount": account.account_id,
            "kms:ViaService": account.service("ec2"),
            "aws:PrincipalArn": account.role("aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"),
        }
    }
    use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    return document(
        {
            "Sid": "AccountDecidesByIam",
            "Effect": "Allow",
            "Principal": {"AWS": account.root},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "EncryptLogGroups",
            "Effect": "Allow",
            "Principal": {"Service": account.service("logs")},
            "Action": use,
            "Resource": "*",
            "Condition": {
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": [
                        account.log_group(f"{prefix}*") for prefix in log_group_prefixes
                    ]
                }
            },
        },
        {
            "Sid": "EncryptNodeVolumes",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": use,
            "Resource": "*",
            "Condition": launched,
        },
        {
            "Sid": "AttachNodeVolumes",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": "kms:CreateGrant",
            "Resource": "*",
            "Condition": {**launched, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
        limit=MAX_KEY_POLICY,
    )


def tls_only(account: Account, bucket: str) -> list[Statement]:
    """Nobody reads or writes the bucket without TLS 1.2 or newer."""
    everything = [account.bucket(bucket), account.bucket(bucket, "*")]
    deny: Statement = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:*", "Resource": everything}
    return [
        {**deny, "Sid": "OnlyTls", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {**deny, "Sid": "OnlyTls12", "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
    ]


def receive_access_logs(account: Account, bucket: str, sources: Sequence[str]) -> Statement:
    """S3 may deliver the access logs of the account's buckets `sources`, each below its own prefix."""
    return {
        "Sid": "AccessLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": [account.bucket(bucket, f"{source}/*") for source in sources],
        "Condition": {
            "StringEquals": {"aws:SourceAccount": account.account_id},
            "ArnEquals": {"aws:SourceArn": [account.bucket(source) for source in sources]},
        },
    }


def bucket_policy(*statements: Statement) -> str:
    """Policy of a bucket."""
    return document(*statements, limit=MAX_BUCKET_POLICY)


# Grants: what a role may do


def read_objects(account: Account, bucket: str, prefixes: Sequence[str]) -> list[Statement]:
    """Read objects below `prefixes` of one bucket, and list those prefixes only."""
    return [
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": [account.bucket(bucket, f"{prefix}*") for prefix in prefixes],
        },
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": account.bucket(bucket),
            "Condition": {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        },
    ]


def write_objects(account: Account, bucket: str, prefixes: Sequence[str]) -> list[Statement]:
    """Write objects below `prefixes` of one bucket; no deletion, no reading."""
    return [
        {
            "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
            "Resource": [account.bucket(bucket, f"{prefix}*") for prefix in prefixes],
        }
    ]


def pull_images(account: Account, repositories: Sequence[str]) -> list[Statement]:
    """Pull images of the named repositories; a registry token is not bound to a repository."""
    return [
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Resource": [account.arn("ecr", f"repository/{repository}") for repository in repositories],
        },
    ]


def write_logs(account: Account, log_group: str, *, create: bool) -> list[Statement]:
    """Write to one log group; `create` where the service, not the program, makes it."""
    actions = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    return [
        {
            "Effect": "Allow",
            "Action": [*actions, "logs:CreateLogGroup"] if create else actions,
            "Resource": [account.log_group(log_group), account.log_group(f"{log_group}:*")],
        }
    ]


def put_metrics(namespace: str) -> list[Statement]:
    """Publish CloudWatch metrics in one namespace; the action knows no resources."""
    return [
        {
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": namespace}},
        }
    ]


def attach_to_network(account: Account, required_tags: Mapping[str, str]) -> list[Statement]:
    """Let SageMaker put network interfaces into subnets and security groups that carry `required_tags`.

    Source: SageMaker developer guide, "Give SageMaker training jobs access to resources in your Amazon VPC".
    """
    interfaces = account.arn("ec2", "network-interface/*")
    ours: Condition = {"StringEquals": {f"aws:ResourceTag/{key}": value for key, value in required_tags.items()}}
    return [
        {
            "Effect": "Allow",
            "Action": "ec2:CreateNetworkInterface",
            "Resource": [account.arn("ec2", "subnet/*"), account.arn("ec2", "security-group/*")],
            "Condition": ours,
        },
        {
            "Effect": "Allow",
            "Action": [
                "ec2:CreateNetworkInterface",
                "ec2:CreateNetworkInterfacePermission",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteNetworkInterfacePermission",
            ],
            "Resource": interfaces,
        },
        {
            "Effect": "Allow",
            "Action": [
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            "Resource": "*",
        },
    ]


def use_key(key_arn: str) -> str:
    """Encrypt and decrypt data with one key, and let AWS services do so for the volumes of a job."""
    return document(
        {
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            "Resource": key_arn,
        },
        {
            "Effect": "Allow",
            "Action": "kms:CreateGrant",
            "Resource": key_arn,
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    )

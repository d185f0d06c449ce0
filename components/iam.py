"""IAM: ARNs, policy documents and trust as pure functions of partition, account and names.

Documents are JSON text, the same for the same arguments, and refuse to outgrow the size that AWS accepts. What a role
may do is in `components.grants`, what a key or a bucket allows in `components.resource_policies`.
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
    Principal: Mapping[str, str | list[str]]
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

    def public_arn(self, service: str, resource: str) -> str:
        """ARN of a regional resource that belongs to no account, such as a machine image or a public parameter."""
        return f"arn:{self.partition}:{service}:{self.region}::{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """ARN of a resource that belongs to no region."""
        return f"arn:{self.partition}:{service}::{self.account_id}:{resource}"

    def aws_managed(self, service: str, resource: str) -> str:
        """ARN of something that AWS itself owns, such as a managed policy."""
        return f"arn:{self.partition}:{service}::aws:{resource}"

    def bucket(self, name: str, key: str | None = None) -> str:
        """ARN of a bucket, or of the objects in it that `key` (which may end in `*`) names."""
        return f"arn:{self.partition}:s3:::{name}" if key is None else f"arn:{self.partition}:s3:::{name}/{key}"

    def route53(self, resource: str) -> str:
        """ARN of something of Route 53, which knows neither region nor account."""
        return f"arn:{self.partition}:route53:::{resource}"

    def instance_profile(self, name: str) -> str:
        """ARN of an instance profile."""
        return self.global_arn("iam", f"instance-profile/{name}")

    def role(self, name: str) -> str:
        """ARN of a role."""
        return self.global_arn("iam", f"role/{name}")

    def repository(self, name: str) -> str:
        """ARN of an image repository."""
        return self.arn("ecr", f"repository/{name}")

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


def role_trust(arns: Sequence[str]) -> str:
    """Exactly the roles `arns` may assume the role; IAM refuses one that does not exist."""
    return document(
        {"Effect": "Allow", "Principal": {"AWS": list(arns)}, "Action": "sts:AssumeRole"}, limit=MAX_TRUST_POLICY
    )


def instance_trust(account: Account) -> str:
    """EC2 instances may assume the role; EC2 sends no source condition."""
    return document(
        {"Effect": "Allow", "Principal": {"Service": f"ec2.{account.dns_suffix}"}, "Action": "sts:AssumeRole"},
        limit=MAX_TRUST_POLICY,
    )


def function_trust() -> str:
    """Lambda functions may assume the role; Lambda sends no source condition."""
    return document(
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
        limit=MAX_TRUST_POLICY,
    )


def fargate_trust(account: Account, cluster: str) -> str:
    """Fargate may assume the role for pods of one cluster's profiles.

    Source: EKS user guide, "Amazon EKS Pod execution IAM role".
    """
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "eks-fargate-pods.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "ArnLike": {"aws:SourceArn": account.arn("eks", f"fargateprofile/{cluster}/*")},
                "StringEquals": {"aws:SourceAccount": account.account_id},
            },
        },
        limit=MAX_TRUST_POLICY,
    )


def service_account_trust(provider_arn: str, issuer: str, namespace: str, *service_accounts: str) -> str:
    """Exactly the named Kubernetes service accounts may assume the role, with a token made for STS.

    Args:
        provider_arn: The cluster's OIDC provider in IAM.
        issuer: The cluster's issuer without `https://`.
        namespace: Namespace of the service accounts.
        service_accounts: Names of the service accounts, at least one.
    """
    subjects = [f"system:serviceaccount:{namespace}:{name}" for name in service_accounts]
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{issuer}:sub": subjects if len(subjects) > 1 else subjects[0],
                    f"{issuer}:aud": "sts.amazonaws.com",
                }
            },
        },
        limit=MAX_TRUST_POLICY,
    )

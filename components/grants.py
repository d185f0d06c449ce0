"""Grants: what a role may do.

A grant is a function named after the ability that it gives; its docstring says how far it reaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi

from components import iam
from components.resource_policies import PULL_IMAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_USE_KEY_CHARACTERS: Final = 600
"""Upper bound for the document of `use_key`, whose key is not known when sizes are checked."""


def inline_policies(abilities: Mapping[str, Sequence[iam.Statement]]) -> dict[str, pulumi.Input[str]]:
    """Inline policies of one role by ability; an ability without statements (no model, no prefix) has none.

    Raises:
        pulumi.RunError: if they leave no room for the policy of `use_key` within what AWS accepts for a role.
    """
    policies = {ability: iam.document(*statements) for ability, statements in abilities.items() if statements}
    size = sum(len(policy) for policy in policies.values()) + _USE_KEY_CHARACTERS
    if size > iam.MAX_ROLE_POLICY:
        raise pulumi.RunError(
            f"slipway:models · the policies {', '.join(policies)} of one role take {size} characters · "
            f"allowed: {iam.MAX_ROLE_POLICY} · list fewer models in this environment"
        )
    return dict(policies)


def get_objects(account: iam.Account, bucket: str, prefixes: Sequence[str]) -> list[iam.Statement]:
    """Read objects below `prefixes` of one bucket whose keys are known; list nothing."""
    if not prefixes:
        return []
    resources = [account.bucket(bucket, f"{prefix}*") for prefix in prefixes]
    return [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": resources}]


def read_objects(account: iam.Account, bucket: str, prefixes: Sequence[str]) -> list[iam.Statement]:
    """Read objects below `prefixes` of one bucket, and list those prefixes only."""
    if not prefixes:
        return []
    return [
        *get_objects(account, bucket, prefixes),
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": account.bucket(bucket),
            "Condition": {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        },
    ]


def write_objects(account: iam.Account, bucket: str, prefixes: Sequence[str]) -> list[iam.Statement]:
    """Write objects below `prefixes` of one bucket; no deletion, no reading."""
    if not prefixes:
        return []
    return [
        {
            "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
            "Resource": [account.bucket(bucket, f"{prefix}*") for prefix in prefixes],
        }
    ]


def pull_images(account: iam.Account, repositories: Sequence[str]) -> list[iam.Statement]:
    """Pull images of the named repositories of the account."""
    return pull_from([account.repository(each) for each in repositories])


def pull_from(repositories: Sequence[str]) -> list[iam.Statement]:
    """Pull images of repositories by their ARNs; a registry token is not bound to a repository."""
    if not repositories:
        return []
    return [
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Effect": "Allow", "Action": PULL_IMAGES, "Resource": list(repositories)},
    ]


def read_secrets(account: iam.Account, names: Sequence[str]) -> list[iam.Statement]:
    """Read the named secrets, whose ARNs end in six characters that Secrets Manager draws (its user guide, "ARN")."""
    if not names:
        return []
    return [
        {
            "Effect": "Allow",
            "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
            "Resource": [account.arn("secretsmanager", f"secret:{name}-??????") for name in names],
        }
    ]


def write_logs(account: iam.Account, *log_groups: str) -> list[iam.Statement]:
    """Write to existing log groups, at least one."""
    return [
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            "Resource": [account.log_group(f"{group}{streams}") for group in log_groups for streams in ("", ":*")],
        }
    ]


def create_log_group(account: iam.Account, log_group: str) -> list[iam.Statement]:
    """Create one log group, where a service and not the program makes it."""
    return [{"Effect": "Allow", "Action": "logs:CreateLogGroup", "Resource": account.log_group(log_group)}]


def find_log_groups(account: iam.Account) -> list[iam.Statement]:
    """List the log groups of the account and region; flow logs look for theirs before they write.

    Source: VPC user guide, "IAM role for publishing flow logs to CloudWatch Logs".
    """
    return [{"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": account.log_group("*")}]


def put_metrics(namespace: str) -> list[iam.Statement]:
    """Publish CloudWatch metrics in one namespace; the action knows no resources."""
    return [
        {
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": namespace}},
        }
    ]


def publish(topic_arns: Sequence[str]) -> list[iam.Statement]:
    """Publish to the topics."""
    return [{"Effect": "Allow", "Action": "sns:Publish", "Resource": list(topic_arns)}] if topic_arns else []


def watch_alarms(alarm_arns: Sequence[str]) -> list[iam.Statement]:
    """See the state of alarms, by which SageMaker rolls a deployment back.

    Source: SageMaker developer guide, "Auto-Rollback Configuration and Monitoring".
    """
    if not alarm_arns:
        return []
    return [{"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": list(alarm_arns)}]


def attach_to_network(account: iam.Account, required_tags: Mapping[str, str]) -> list[iam.Statement]:
    """Let SageMaker put network interfaces into subnets and security groups that carry `required_tags`.

    Source: SageMaker developer guide, "Give SageMaker training jobs access to resources in your Amazon VPC".
    """
    interfaces = account.arn("ec2", "network-interface/*")
    ours: iam.Condition = {"StringEquals": {f"aws:ResourceTag/{key}": value for key, value in required_tags.items()}}
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
    return iam.document(
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


def use_key_through(account: iam.Account, key_arn: str, service: str, *, write: bool = False) -> str:
    """Decrypt what a service hands out, with `write` also encrypt what it takes; nothing outside of that service.

    Sources: S3 user guide, "Using server-side encryption with KMS keys": parts of an upload are decrypted again;
    Secrets Manager user guide, "Secret encryption and decryption".
    """
    return iam.document(
        {
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"] if write else "kms:Decrypt",
            "Resource": key_arn,
            "Condition": {"StringEquals": {"kms:ViaService": account.service(service)}},
        }
    )

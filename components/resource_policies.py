"""Resource policies: what the key, buckets, queues and repositories themselves allow and refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from components import iam

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BUCKET_POLICY: Final = 20_480
"""Bytes of a bucket policy (S3 user guide, "Policies and permissions")."""
MAX_KEY_POLICY: Final = 32_768
"""Bytes of a key policy (KMS developer guide, quotas)."""
MAX_FILE_SYSTEM_POLICY: Final = 20_000
"""Characters of a file system policy (EFS API reference, `PutFileSystemPolicy`)."""
MAX_REPOSITORY_POLICY: Final = 10_240
"""Characters of a repository policy (ECR API reference, `SetRepositoryPolicy`)."""
USE_KEY: Final = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
"""Actions of a service that encrypts and decrypts with the key."""
PULL_IMAGES: Final = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
"""Actions that pull an image; the registry token is no action on a repository."""

PUSH_IMAGES: Final = [
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
]
"""Actions of a push beside those of a pull (ECR user guide, "IAM permissions for pushing an image")."""

_LAUNCHERS: Final = (
    "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
    "spot.amazonaws.com/AWSServiceRoleForEC2Spot",
    "ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet",
)
"""Service-linked roles that launch nodes: for managed groups, on spot capacity, and as fleets for Karpenter."""


def key_policy(
    account: iam.Account,
    log_group_prefixes: Sequence[str],
    lustre_buckets: Sequence[str] = (),
    more: Sequence[iam.Statement] = (),
) -> str:
    """Policy of the environment's key.

    The account decides by IAM who uses the key. CloudWatch Logs may use it for log groups below `log_group_prefixes`.
    EC2 may use it for volumes that the service-linked roles of Auto Scaling, EC2 Spot and EC2 Fleet launch: these roles
    have no policy of ours, and they are named by a condition because KMS refuses a principal that does not exist yet.
    FSx may use it for the objects of `lustre_buckets`, which a Lustre file system reads with a role of its own.
    `more` are statements of other modules.
    """
    everything: iam.Statement = {
        "Sid": "AccountDecidesByIam",
        "Effect": "Allow",
        "Principal": {"AWS": account.root},
        "Action": "kms:*",
        "Resource": "*",
    }
    log_groups = [account.log_group(f"{prefix}*") for prefix in log_group_prefixes]
    logs: iam.Statement = {
        "Sid": "EncryptLogGroups",
        "Effect": "Allow",
        "Principal": {"Service": account.service("logs")},
        "Action": USE_KEY,
        "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
    }
    fsx = _read_for_lustre(account, lustre_buckets) if lustre_buckets else []
    return iam.document(everything, logs, *_encrypt_node_volumes(account), *fsx, *more, limit=MAX_KEY_POLICY)


def _encrypt_node_volumes(account: iam.Account) -> list[iam.Statement]:
    launchers = [account.role(f"aws-service-role/{role}") for role in _LAUNCHERS]
    launched: iam.Condition = {
        "StringEquals": {
            "kms:CallerAccount": account.account_id,
            "kms:ViaService": account.service("ec2"),
            "aws:PrincipalArn": launchers,
        }
    }
    statement: iam.Statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*"}
    for_aws: iam.Condition = {**launched, "Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [
        {**statement, "Sid": "EncryptNodeVolumes", "Action": USE_KEY, "Condition": launched},
        {**statement, "Sid": "AttachNodeVolumes", "Action": "kms:CreateGrant", "Condition": for_aws},
    ]


def _read_for_lustre(account: iam.Account, buckets: Sequence[str]) -> list[iam.Statement]:
    """Each file system has a service-linked role of its own, whose name ends in the file system's id.

    Source: FSx for Lustre user guide, "Working with server-side encrypted Amazon S3 buckets". With bucket keys the
    context is the bucket, without them the object.
    """
    role = account.role("aws-service-role/s3.data-source.lustre.fsx.amazonaws.com/AWSServiceRoleForFSxS3Access_fs-*")
    contexts = [account.bucket(bucket, key) for bucket in buckets for key in (None, "*")]
    return [
        {
            "Sid": "ReadDataForLustre",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            # Without kms:DescribeKey, which has no context to hold it to.
            "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            "Resource": "*",
            "Condition": {
                "StringEquals": {"kms:CallerAccount": account.account_id, "kms:ViaService": account.service("s3")},
                "ArnLike": {"aws:PrincipalArn": role},
                "StringLike": {"kms:EncryptionContext:aws:s3:arn": contexts},
            },
        }
    ]


def tls_only(account: iam.Account, bucket: str) -> list[iam.Statement]:
    """Nobody reads or writes the bucket without TLS 1.2 or newer."""
    everything = [account.bucket(bucket), account.bucket(bucket, "*")]
    deny: iam.Statement = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:*", "Resource": everything}
    return [
        {**deny, "Sid": "OnlyTls", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {**deny, "Sid": "OnlyTls12", "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
    ]


def receive_access_logs(account: iam.Account, bucket: str, sources: Sequence[str]) -> iam.Statement:
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


def receive_load_balancer_logs(account: iam.Account, bucket: str, prefix: str) -> iam.Statement:
    """Elastic Load Balancing may deliver the access logs of the account's load balancers below `prefix`.

    The account in the path is that of the load balancer, so no other account's logs come here (user guide for
    Application Load Balancers, "Enable access logs").
    """
    return {
        "Sid": "LoadBalancerLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": account.bucket(bucket, f"{prefix}/AWSLogs/{account.account_id}/*"),
    }


def bucket_policy(*statements: iam.Statement) -> str:
    """Policy of a bucket."""
    return iam.document(*statements, limit=MAX_BUCKET_POLICY)


def file_system_policy(file_system_arn: str, driver_arn: str) -> str:
    """Policy of an EFS file system: one role mounts it and writes, through a mount target, and nobody without TLS.

    With a policy of its own a file system lets no anonymous client in (EFS user guide, "Using IAM to control file
    system data access").
    """
    everything: iam.Statement = {"Principal": {"AWS": "*"}, "Action": "*", "Resource": file_system_arn}
    return iam.document(
        {
            "Sid": "Driver",
            "Effect": "Allow",
            "Principal": {"AWS": driver_arn},
            "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
            "Resource": file_system_arn,
            "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}},
        },
        {**everything, "Sid": "OnlyTls", "Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        limit=MAX_FILE_SYSTEM_POLICY,
    )


def repository_policy(*, pull: Sequence[str], push: Sequence[str]) -> str | None:
    """Policy of an image repository: roles of its own account pull, and some of them push; None where nobody does.

    A condition names the roles, because ECR refuses a policy with a principal that does not exist yet. The principal
    is everybody and not the account: to name the account leaves the decision to the roles' own policies, while this
    policy is to suffice (IAM user guide, "AWS JSON policy elements: Principal"). A registry token is bound to no
    repository: each role needs `ecr:GetAuthorizationToken` of its own. No statement names a resource; ECR refuses one.

    Args:
        pull: ARNs of the roles that pull.
        push: ARNs of the roles that push; whoever pushes must stand in `pull` too.
    """
    statements: list[iam.Statement] = [
        {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": actions,
            "Condition": {"ArnEquals": {"aws:PrincipalArn": list(roles)}},
        }
        for sid, actions, roles in (("Pull", PULL_IMAGES, pull), ("Push", PUSH_IMAGES, push))
        if roles
    ]
    return iam.document(*statements, limit=MAX_REPOSITORY_POLICY) if statements else None


def queue_policy(account: iam.Account, queue: str, rules: Sequence[str]) -> str:
    """Policy of a queue: the account's EventBridge rules `rules` send to it, and nobody uses it without TLS.

    Source: EventBridge user guide, "Amazon SQS permissions".
    """
    arn = account.arn("sqs", queue)
    senders = [account.arn("events", f"rule/{rule}") for rule in rules]
    return iam.document(
        {
            "Sid": "EventsOfTheAccount",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": senders}},
        },
        {
            "Sid": "OnlyTls",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "sqs:*",
            "Resource": arn,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )

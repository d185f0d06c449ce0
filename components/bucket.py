"""Private bucket: the one way in which this platform makes an S3 bucket.

Creates: a bucket that belongs to its account, is never public, is encrypted, keeps versions, forgets old ones and
unfinished uploads, and refuses requests without TLS 1.2; with a log target, its access log goes there.
A building block of other components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import iam, placeholders, resource_policies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.labels import Labels
    from settings.model import StoreSpec

ABORT_UPLOAD_DAYS = 7
"""Days after which the parts of an upload that nobody completed are removed."""

_DefaultEncryption = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs
_AbortUpload = aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs
_ForgetVersions = aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs
_Expire = aws.s3.BucketLifecycleConfigurationRuleExpirationArgs


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateBucketArgs:
    """Arguments of `PrivateBucket`."""

    labels: Labels
    """Names and tags."""
    kind: str
    """Last part of the bucket's name, and its `Purpose` tag."""
    spec: StoreSpec
    """Retention and deletion."""
    key_arn: pulumi.Input[str] | None
    """Key for the objects; None means keys that S3 manages, the only kind that access logs can be delivered under."""
    expire_days: int | None
    """Age at which objects are removed; None keeps them."""
    expiring: Mapping[str, int]
    """Prefix → age at which objects below it are removed, other than placeholders (`components.placeholders`)."""
    grants: tuple[iam.Statement, ...]
    """Statements beside the refusal of plain-text requests."""
    log_to: PrivateBucket | None
    """Bucket that receives the access log, below a prefix with this bucket's name."""
    protect: bool
    """Whether the bucket refuses deletion."""


class PrivateBucket(pulumi.ComponentResource):
    """A bucket with everything that makes it private; see the module for what is created."""

    bucket: aws.s3.Bucket
    """The bucket."""
    policy: aws.s3.BucketPolicy
    """Its policy; log delivery works only after this."""

    def __init__(self, name: str, args: PrivateBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:bucket:PrivateBucket", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        physical_name = args.labels.bucket(args.kind)
        self.bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=physical_name,
            force_destroy=args.spec.force_destroy,
            tags={"Purpose": args.kind},
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self._close()
        self._encrypt()
        self._keep()
        self.policy = aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.bucket.bucket,
            policy=resource_policies.bucket_policy(
                *resource_policies.tls_only(iam.Account.of(args.labels.environment), physical_name), *args.grants
            ),
            opts=self._child,
        )
        if args.log_to:
            aws.s3.BucketLogging(
                f"{name}-access-log",
                bucket=self.bucket.bucket,
                target_bucket=args.log_to.bucket.bucket,
                target_prefix=f"{physical_name}/",
                opts=pulumi.ResourceOptions(parent=self, depends_on=[args.log_to.policy]),
            )
        self.register_outputs({"bucket": self.bucket.bucket})

    def _close(self) -> None:
        aws.s3.BucketOwnershipControls(
            f"{self._name}-ownership",
            bucket=self.bucket.bucket,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=self._child,
        )
        aws.s3.BucketPublicAccessBlock(
            f"{self._name}-private",
            bucket=self.bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )

    def _encrypt(self) -> None:
        key_arn = self._args.key_arn
        default = (
            _DefaultEncryption(sse_algorithm="AES256")
            if key_arn is None
            else _DefaultEncryption(sse_algorithm="aws:kms", kms_master_key_id=key_arn)
        )
        rule = aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
            apply_server_side_encryption_by_default=default, bucket_key_enabled=key_arn is not None
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{self._name}-encryption", bucket=self.bucket.bucket, rules=[rule], opts=self._child
        )

    def _keep(self) -> None:
        versions = aws.s3.BucketVersioning(
            f"{self._name}-versions",
            bucket=self.bucket.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=self._child,
        )
        age = self._args.expire_days
        whole = aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="retention",
            status="Enabled",
            filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
            abort_incomplete_multipart_upload=_AbortUpload(days_after_initiation=ABORT_UPLOAD_DAYS),
            noncurrent_version_expiration=_ForgetVersions(noncurrent_days=self._args.spec.noncurrent_version_days),
            expiration=None if age is None else _Expire(days=age),
        )
        # S3 accepts a rule about noncurrent versions only for a versioned bucket.
        aws.s3.BucketLifecycleConfiguration(
            f"{self._name}-lifecycle",
            bucket=self.bucket.bucket,
            rules=[whole, *(_removed(prefix, days) for prefix, days in self._args.expiring.items())],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versions]),
        )


def _removed(prefix: str, days: int) -> aws.s3.BucketLifecycleConfigurationRuleArgs:
    """Remove what lies below a prefix after some days."""
    below = aws.s3.BucketLifecycleConfigurationRuleFilterAndArgs(
        prefix=prefix, object_size_greater_than=placeholders.LARGEST
    )
    return aws.s3.BucketLifecycleConfigurationRuleArgs(
        id=prefix,
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(and_=below),
        expiration=_Expire(days=days),
    )

"""Stack rules in a first preview of the real engine, where names are unknown and only edges join resources."""

from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest

from sandbox.engine import Engine, PolicyPack
from tests.policies.state import TAGS

POLICIES = Path(__file__).parents[2] / "policies"
_AbortUpload = aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs
_ForgetVersions = aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs


def program() -> None:
    """A guarded bucket and a bare one, both named by the provider."""
    protected = pulumi.ResourceOptions(protect=True)
    key = aws.kms.Key("key", enable_key_rotation=True, tags=TAGS, opts=protected)
    guarded = aws.s3.Bucket("guarded", tags=TAGS, opts=protected)
    aws.s3.BucketPublicAccessBlock(
        "guarded",
        bucket=guarded.id,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
    )
    default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
        sse_algorithm="aws:kms", kms_master_key_id=key.arn
    )
    rule = aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
        apply_server_side_encryption_by_default=default, bucket_key_enabled=True
    )
    aws.s3.BucketServerSideEncryptionConfiguration("guarded", bucket=guarded.id, rules=[rule])
    document = guarded.arn.apply(lambda arn: '{"Statement":[{"Effect":"Deny","Resource":"' + arn + '"}]}')
    aws.s3.BucketPolicy("guarded", bucket=guarded.id, policy=document)
    enabled = aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled")
    aws.s3.BucketVersioning("guarded", bucket=guarded.id, versioning_configuration=enabled)
    retention = aws.s3.BucketLifecycleConfigurationRuleArgs(
        id="retention",
        status="Enabled",
        abort_incomplete_multipart_upload=_AbortUpload(days_after_initiation=7),
        noncurrent_version_expiration=_ForgetVersions(noncurrent_days=30),
    )
    aws.s3.BucketLifecycleConfiguration("guarded", bucket=guarded.id, rules=[retention])
    aws.s3.BucketLogging("guarded", bucket=guarded.id, target_bucket="logs", target_prefix="guarded/")
    aws.s3.Bucket("bare")


@pytest.mark.engine
def test_a_first_preview_blocks_the_bare_bucket_and_passes_its_guarded_neighbour(tmp_path: Path) -> None:
    stack_file = tmp_path / "Pulumi.prod.yaml"
    stack_file.write_text("config: {}\n", encoding="utf-8")
    engine = Engine(tmp_path / "sandbox", "prod", stack_file=stack_file, program=program)
    outcome = engine.preview(PolicyPack(POLICIES, POLICIES / "config" / "prod.json"))
    blocked = {(each.policy, each.urn.rpartition("::")[2]) for each in outcome.mandatory}
    assert blocked == {
        ("s3-public-access-block", "bare"),
        ("s3-kms-encryption", "bare"),
        ("s3-tls-only", "bare"),
        ("required-tags", "bare"),
        ("s3-versioning", "bare"),
        ("s3-lifecycle", "bare"),
        ("stateful-protected", "bare"),
    }
    advice = {(each.policy, each.urn.rpartition("::")[2]) for each in outcome.violations if not each.mandatory}
    assert advice == {("undecided", "guarded"), ("undecided-in-stack", "guarded"), ("s3-access-logs", "bare")}
    assert not engine.export().resources

"""S3: encryption at rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.resources import Resource, Stack
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    Severity,
    StackRule,
    require,
    require_attached,
    require_true,
)
from guardrails.view import Unknown, Value

_BUCKET = "aws:s3/bucket:Bucket"
_ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"


@dataclass(frozen=True, slots=True)
class EncryptionFacts:
    """Which buckets cannot use a key of ours."""

    log_tag: Annotated[str, "Tag of buckets that AWS delivers access logs to, which allows SSE-S3 only."] = "Purpose"
    log_value: Annotated[str, "Value of that tag."] = "logs"


def _judge(rule: Value, bucket: Resource) -> Iterator[Finding]:
    """One encryption rule: KMS, a key of ours, and the bucket key, which double-layer encryption does not have."""
    default = rule.get("applyServerSideEncryptionByDefault")
    algorithm = default.get("sseAlgorithm")
    yield from require(algorithm, lambda value: value.text() in {"aws:kms", "aws:kms:dsse"}, "aws:kms", at=bucket)
    key = default.get("kmsMasterKeyId")
    if not isinstance(key, Unknown):  # a key that is not known yet is some resource's, so not the one AWS manages
        own = bool(key.text()) and not (key.text() or "").endswith("alias/aws/s3")
        yield from require(key, lambda _: own, "the ARN of a key of ours", at=bucket)
    if algorithm.text() != "aws:kms:dsse":
        yield from require_true(rule.get("bucketKeyEnabled"), at=bucket)


def _check(stack: Stack, facts: EncryptionFacts) -> Iterator[Finding]:
    for bucket in stack.of(_BUCKET):
        if bucket.tag(facts.log_tag).text() == facts.log_value:
            continue
        sides = stack.attached(bucket, _ENCRYPTION, "bucket")
        rules = [rule for side in sides.sure for rule in side.select("rules[*]")]
        rules += [] if rules else bucket.given("serverSideEncryptionConfiguration").child("rule").elements()
        for rule in rules:
            yield from _judge(rule, bucket)
        if not rules:
            wanted = "a BucketServerSideEncryptionConfiguration with aws:kms"
            yield from require_attached(sides, found="no encryption configuration", wanted=wanted, at=bucket)


ENC_01 = StackRule(
    id="ENC-01",
    name="s3-kms-encryption",
    title="Every bucket encrypts with a key of ours",
    tokens=(_BUCKET,),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:S3.17", "soc2:CC6.1", "gdpr:32-1-a"),
    why="with a key of ours, access to the data can be revoked and is audited apart from access to the bucket",
    fix="add aws.s3.BucketServerSideEncryptionConfiguration with aws:kms, kms_master_key_id and bucket_key_enabled",
    facts=EncryptionFacts,
    check=_check,
    traps=(
        "the configuration is a resource of its own, or stands in the bucket",
        "aws:kms without a key, and alias/aws/s3, mean the key that AWS manages",
        "buckets that receive access logs can only use SSE-S3; they carry the log tag",
    ),
)

"""S3: public access."""

from collections.abc import Iterator

from guardrails.facts import NoFacts
from guardrails.resources import Resource, Stack
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    StackRule,
    require_attached,
    require_true,
)

_BUCKET = "aws:s3/bucket:Bucket"
_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def _check_flags(block: Resource, _: NoFacts) -> Iterator[Finding]:
    for flag in _FLAGS:
        yield from require_true(block.get(flag))


def _check_presence(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    for bucket in stack.of(_BUCKET):
        sides = stack.attached(bucket, _BLOCK, "bucket")
        found, wanted = "no public access block", "a BucketPublicAccessBlock"
        yield from require_attached(sides, found=found, wanted=wanted, at=bucket)


DATA_01 = StackRule(
    id="DATA-01",
    name="s3-public-access-block",
    title="Every bucket has a public access block",
    tokens=(_BUCKET,),
    severity=Severity.CRITICAL,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:S3.8", "soc2:CC6.1", "gdpr:32"),
    why="one wrong ACL or policy later would publish the bucket",
    fix="add aws.s3.BucketPublicAccessBlock for the bucket with all four flags true",
    facts=NoFacts,
    check=_check_presence,
    traps=("the block is a resource of its own; nothing in the bucket's own inputs shows it",),
)

DATA_01_FLAGS = ResourceRule(
    id="DATA-01",
    name="s3-public-access-block-complete",
    title="A public access block sets all four flags",
    tokens=(_BLOCK,),
    severity=Severity.CRITICAL,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:S3.8", "soc2:CC6.1", "gdpr:32"),
    why="each flag closes another way of publishing the bucket",
    fix="set block_public_acls, block_public_policy, ignore_public_acls and restrict_public_buckets to true",
    facts=NoFacts,
    check=_check_flags,
    traps=("a flag that is not written is false",),
)

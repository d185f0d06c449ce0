"""What is kept has an end: logs and objects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from guardrails.resources import Resource, Stack
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    StackRule,
    Violation,
    decide,
    require,
    require_attached,
)
from guardrails.view import Known, Missing, Unknown, Value, any_of

_LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
_BUCKET = "aws:s3/bucket:Bucket"
_LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


@dataclass(frozen=True, slots=True)
class LogFacts:
    """How long logs are kept."""

    shortest_days: Annotated[int, "The shortest time that logs are kept."] = 1
    longest_days: Annotated[int, "The longest time that logs are kept."] = 400
    remedy_days: Annotated[int, "What remediation sets where nothing is written; 0 for no remedy."] = 0

    def allow(self, value: Value) -> bool:
        """Whether a time is allowed; what is not written, and zero, are for ever."""
        days = value.number() or 0
        return days > 0 and self.shortest_days <= days <= self.longest_days


def _fixed(group: Resource) -> bool:
    """Whether CloudWatch itself fixes the retention of a log group."""
    return group.get("logGroupClass").text() == "DELIVERY"


def _check_logs(group: Resource, facts: LogFacts) -> Iterator[Finding]:
    if not _fixed(group):
        wanted = f"{facts.shortest_days} to {facts.longest_days} days (nothing and 0 mean for ever)"
        yield from require(group.get("retentionInDays"), facts.allow, wanted)


def _remedy(group: Resource, facts: LogFacts) -> Mapping[tuple[str, ...], object]:
    open_end = isinstance(group.get("retentionInDays"), Missing) or group.get("retentionInDays").number() == 0
    return {("retentionInDays",): facts.remedy_days} if open_end and facts.remedy_days and not _fixed(group) else {}


COST_07 = ResourceRule(
    id="COST-07",
    name="log-retention",
    title="Logs are kept as long as somebody reads them, and no longer",
    tokens=(_LOG_GROUP,),
    severity=Severity.LOW,
    levels=Levels(dev=Level.REMEDIATE, prod=Level.MANDATORY),
    frameworks=("gdpr:5-1-e", "soc2:CC6.5"),
    why="logs without an end are paid for and answer requests about people who left long ago",
    fix="set retention_in_days",
    facts=LogFacts,
    check=_check_logs,
    remedy=_remedy,
    traps=("0 is for ever; log groups of class DELIVERY are kept for two days, whatever is written",),
)


@dataclass(frozen=True, slots=True)
class LifecycleFacts:
    """Which buckets hold data with an end."""

    retention_tag: Annotated[str, "Tag that says after how many days a bucket's objects expire."] = "RetentionDays"
    data_tag: Annotated[str, "Tag that tells buckets of data from others."] = "Purpose"
    data_values: Annotated[tuple[str, ...], "Values of that tag whose buckets must have the retention tag."] = ()


def _whole(rule: Value) -> bool:
    """Whether an enabled rule is about every object of the bucket."""
    prefixes = [rule.get("filter.prefix"), rule.get("prefix")]
    narrow = [rule.get(f"filter.{each}") for each in ("tag", "and", "objectSizeGreaterThan", "objectSizeLessThan")]
    return rule.child("status").text() == "Enabled" and all(isinstance(each, Missing) for each in (*prefixes, *narrow))


def _check_bucket(bucket: Resource, rules: Sequence[Value], facts: LifecycleFacts) -> Iterator[Finding]:
    days = [each.get("abortIncompleteMultipartUpload.daysAfterInitiation") for each in rules]
    aborts = any_of(None if isinstance(each, Unknown) else each.number() is not None for each in days)
    place = Missing("abortIncompleteMultipartUpload")
    wanted = "a rule for all objects that ends uploads which nobody completed"
    yield from decide(aborts, place, found="no such rule", wanted=wanted, at=bucket)
    retention = bucket.tag(facts.retention_tag)
    if isinstance(retention, Missing):
        if bucket.tag(facts.data_tag).text() in facts.data_values:
            yield Violation(path=retention.path, found="nothing", wanted="days that objects are kept", resource=bucket)
        return
    ends = [each.get("expiration.days") for each in rules]
    open_yet = isinstance(retention, Unknown)
    matches = any_of(
        None if open_yet or isinstance(each, Unknown) else each.number() == retention.number() for each in ends
    )
    found = f"no rule that ends objects after {retention.text()} days"
    yield from decide(matches, Missing("expiration.days"), found=found, wanted="the days of the tag", at=bucket)


def _check_buckets(stack: Stack, facts: LifecycleFacts) -> Iterator[Finding]:
    for bucket in stack.of(_BUCKET):
        sides = stack.attached(bucket, _LIFECYCLE, "bucket")
        yield from require_attached(sides, found="no lifecycle", wanted="a BucketLifecycleConfiguration", at=bucket)
        if sides.sure:
            listed = [rule for side in sides.sure for rule in side.select("rules[*]")]
            rules = [each for each in listed if isinstance(each, Unknown) or (isinstance(each, Known) and _whole(each))]
            yield from _check_bucket(bucket, rules, facts)


COST_07_STACK = StackRule(
    id="COST-07",
    name="s3-lifecycle",
    title="Buckets end unfinished uploads, and data that has an end expires then",
    tokens=(_BUCKET,),
    severity=Severity.LOW,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:S3.13", "gdpr:5-1-e", "soc2:CC6.5"),
    why="parts of an upload that nobody completed are invisible and paid for; data without an end is a liability",
    fix="add aws.s3.BucketLifecycleConfiguration with abort_incomplete_multipart_upload, and expiration as tagged",
    facts=LifecycleFacts,
    check=_check_buckets,
    traps=("a rule that is disabled, or about some objects only, does not count", "image repositories are SUP-03's"),
)

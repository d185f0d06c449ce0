"""Regions: where data may be."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.resources import Resource
from guardrails.rule import EVERY_TYPE, Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, require
from guardrails.view import Missing, Unknown, Value

_PROVIDER = "pulumi:providers:aws"
_PLACES = {
    "aws:ecr/replicationConfiguration:ReplicationConfiguration": (
        "replicationConfiguration.rules[*].destinations[*].region",
    ),
    "aws:secretsmanager/secret:Secret": ("replicas[*].region",),
    "aws:dynamodb/table:Table": ("replicas[*].regionName",),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("serviceRegion",),
}
_REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
_COPIES = {
    "aws:kms/replicaKey:ReplicaKey": "primaryKeyArn",
    "aws:kms/replicaExternalKey:ReplicaExternalKey": "primaryKeyArn",
}
_REGION_OF_ARN = 3
_KEYS = ("aws:kms/key:Key", "aws:kms/externalKey:ExternalKey")


@dataclass(frozen=True, slots=True)
class RegionFacts:
    """Where data may be."""

    regions: Annotated[tuple[str, ...], "Regions that data may be kept and processed in."] = ()
    elsewhere: Annotated[
        tuple[str, ...], "Types (wildcards allowed) that may be in any region, such as certificates of CloudFront."
    ] = ()
    replicas: Annotated[tuple[str, ...], "ARNs of buckets in these regions that may receive copies."] = ()
    multi_region_keys: Annotated[bool, "May keys be copied to other regions?"] = False


def _judge(value: Value, facts: RegionFacts) -> Iterator[Finding]:
    if isinstance(value, Missing):
        return
    if not facts.regions:
        yield Undetermined(path=value.path, why="the configuration names no regions")
    else:
        yield from require(value, lambda each: each.text() in facts.regions, f"one of {', '.join(facts.regions)}")


def _check_copy(primary: Value, facts: RegionFacts) -> Iterator[Finding]:
    """The key that a key is a copy of is in one of the regions as well."""

    def at_home(arn: Value) -> bool:
        parts = (arn.text() or "").split(":")
        return len(parts) > _REGION_OF_ARN and parts[_REGION_OF_ARN] in facts.regions

    if not isinstance(primary, Missing):
        yield from require(primary, at_home, "a key of one of the regions")


def _check(resource: Resource, facts: RegionFacts) -> Iterator[Finding]:
    token = resource.token
    if not token.startswith(("aws:", _PROVIDER)) or any(fnmatchcase(token, each) for each in facts.elsewhere):
        return
    region = resource.get("region")
    if not isinstance(region, Unknown):  # outputs alone compute it; the provider's own is then judged
        yield from _judge(region, facts)
    for path in _PLACES.get(token, ()):
        for value in resource.select(path):
            yield from _judge(value, facts)
    if token in _COPIES and not facts.multi_region_keys:
        yield from _check_copy(resource.get(_COPIES[token]), facts)
    if token == _REPLICATION:
        for target in resource.select("rules[*].destination.bucket"):
            allowed = "a bucket that the configuration names as replica"
            yield from require(target, lambda each: each.text() in facts.replicas, allowed)
    if token in _KEYS and resource.get("multiRegion").flag() and not facts.multi_region_keys:
        yield Violation(path="multiRegion", found="true", wanted="false: the key would be usable elsewhere")


DATA_04 = ResourceRule(
    id="DATA-04",
    name="data-residency",
    title="Data and its copies stay in the regions of the configuration",
    tokens=(EVERY_TYPE,),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("gdpr:44", "gdpr:45", "gdpr:46", "soc2:C1.1"),
    why="a copy in another region is a transfer, whether anybody meant it or not",
    fix="use a region of the configuration, and remove the copy",
    facts=RegionFacts,
    check=_check,
    traps=(
        "since version 7 every AWS resource has a region of its own, beside its provider's",
        "a bucket's ARN does not tell its region, so replicas are listed",
    ),
)

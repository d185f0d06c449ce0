"""Data that survives mistakes: versions, access logs, and no shortcuts for deletion."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.disposal import DisposalFacts
from guardrails.resources import Resource, Stack
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    StackRule,
    Undetermined,
    Violation,
    decide,
    require,
    show,
)
from guardrails.view import Unknown, Value, all_of, any_of

_BUCKET = "aws:s3/bucket:Bucket"
_VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
_LOGGING = "aws:s3/bucketLogging:BucketLogging"
_LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """Which buckets only receive logs."""

    log_tag: Annotated[str, "Tag of buckets that receive access logs."] = "Purpose"
    log_value: Annotated[str, "Value of that tag."] = "logs"

    def is_log(self, bucket: Resource) -> bool:
        """Whether a bucket receives access logs."""
        return bucket.tag(self.log_tag).text() == self.log_value


def _status(value: Value) -> bool | None:
    return None if isinstance(value, Unknown) else value.text() == "Enabled"


def _check_versions(stack: Stack, facts: BucketFacts) -> Iterator[Finding]:
    for bucket in stack.of(_BUCKET):
        if facts.is_log(bucket):
            continue
        sides, inline = stack.attached(bucket, _VERSIONING, "bucket"), bucket.given("versioning.enabled")
        if sides.maybe and not sides.sure:
            yield Undetermined(path=f"{sides.maybe[0].name}.bucket", resource=bucket)
            continue
        states = [_status(each.get("versioningConfiguration.status")) for each in sides.sure]
        answer = any_of([*states, None if isinstance(inline, Unknown) else inline.flag() is True])
        yield from decide(answer, inline, found="one version of each object", wanted="versioning", at=bucket)
        ends = [
            rule.get("noncurrentVersionExpiration.noncurrentDays")
            for each in stack.attached(bucket, _LIFECYCLE, "bucket").sure
            for rule in each.select("rules[*]")
            if rule.child("status").text() != "Disabled"
        ]
        kept = any_of(None if isinstance(each, Unknown) else each.number() is not None for each in ends)
        maybe = stack.attached(bucket, _LIFECYCLE, "bucket").maybe
        fix = "add noncurrent_version_expiration to the bucket's lifecycle"
        wanted = "a lifecycle that ends old versions"
        place = bucket.get("lifecycleRules")
        answer = None if maybe and not kept else kept
        yield from decide(answer, place, found="versions without an end", wanted=wanted, at=bucket, fix=fix)


DATA_03 = StackRule(
    id="DATA-03",
    name="s3-versioning",
    title="Buckets keep old versions of objects, for a time",
    tokens=(_BUCKET,),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:S3.14", "soc2:A1.2", "gdpr:32-1-c"),
    why="one wrong write or one wrong delete is otherwise the end of a data set or a model",
    fix="add aws.s3.BucketVersioning with status Enabled",
    facts=BucketFacts,
    check=_check_versions,
    traps=("Suspended keeps no new versions", "buckets that receive access logs are left out"),
)


def _check_logging(stack: Stack, facts: BucketFacts) -> Iterator[Finding]:
    for bucket in stack.of(_BUCKET):
        sides, inline = stack.attached(bucket, _LOGGING, "bucket"), bucket.given("logging.targetBucket")
        if facts.is_log(bucket) or sides.sure or inline.text():
            continue
        if sides.maybe or isinstance(inline, Unknown):
            yield Undetermined(path="logging", resource=bucket)
        else:
            yield Violation(path="", found="no access log", wanted="a BucketLogging", resource=bucket)


DATA_03_LOGS = StackRule(
    id="DATA-03",
    name="s3-access-logs",
    title="Buckets log who reads them",
    tokens=(_BUCKET,),
    severity=Severity.LOW,
    levels=Levels(dev=Level.ADVISORY, prod=Level.ADVISORY),
    frameworks=("fsbp:S3.9", "soc2:CC7.2", "gdpr:33"),
    why="after an incident somebody will ask which objects were read",
    fix="add aws.s3.BucketLogging with a log bucket as target",
    facts=BucketFacts,
    check=_check_logging,
    traps=("a log bucket that logged itself would never end",),
)

_Test = Callable[[Value], bool]


def _off(value: Value) -> bool:
    return value.flag() is not True


_SHORTCUTS: dict[str, tuple[str, _Test, str]] = {
    _BUCKET: ("forceDestroy", _off, "false"),
    "aws:s3/directoryBucket:DirectoryBucket": ("forceDestroy", _off, "false"),
    "aws:ecr/repository:Repository": ("forceDelete", _off, "false"),
    "aws:rds/instance:Instance": ("skipFinalSnapshot", _off, "false"),
    "aws:rds/cluster:Cluster": ("skipFinalSnapshot", _off, "false"),
    "aws:sagemaker/domain:Domain": (
        "retentionPolicy.homeEfsFileSystem",
        lambda value: value.text() != "Delete",
        "Retain",
    ),
}
_WINDOWS = {
    "aws:kms/key:Key": "deletionWindowInDays",
    "aws:kms/replicaKey:ReplicaKey": "deletionWindowInDays",
    "aws:secretsmanager/secret:Secret": "recoveryWindowInDays",
}


@dataclass(frozen=True, slots=True)
class DeletionFacts(DisposalFacts):
    """How long a mistake may be undone."""

    shortest_key_window: Annotated[int, "Days that a deleted key can be brought back."] = 30
    shortest_secret_window: Annotated[int, "Days that a deleted secret can be brought back."] = 7


def _check_deletion(resource: Resource, facts: DeletionFacts) -> Iterator[Finding]:
    if facts.covers(resource):
        return
    if resource.token in _SHORTCUTS:
        path, holds, wanted = _SHORTCUTS[resource.token]
        yield from require(resource.get(path), holds, wanted)
        return
    secret = resource.token == "aws:secretsmanager/secret:Secret"  # noqa: S105 - a type token
    least = facts.shortest_secret_window if secret else facts.shortest_key_window

    def long_enough(value: Value) -> bool:
        days = value.number()
        return (30 if days is None else days) >= least  # AWS waits 30 days when nothing is written

    yield from require(resource.get(_WINDOWS[resource.token]), long_enough, f"{least} days or more")


DATA_05 = ResourceRule(
    id="DATA-05",
    name="no-destructive-flags",
    title="Deleting a resource does not delete what nobody can bring back",
    tokens=(*_SHORTCUTS, *_WINDOWS),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:CC7.5", "gdpr:32-1-b"),
    why="a rename in the program is a deletion in the cloud",
    fix="set the flag to false, or the window to its longest",
    facts=DeletionFacts,
    check=_check_deletion,
    traps=(
        "AWS waits 30 days for keys and secrets when nothing is written; 0 means at once",
        "skipDestroy of a log group keeps its logs",
    ),
)

_LUSTRE = "aws:fsx/lustreFileSystem:LustreFileSystem"
_LINK = "aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation"


def _backed_up(stack: Stack, system: Resource) -> bool | None:
    """Whether FSx can take backups of a file system: a persistent one without a link to a bucket."""
    kind, bucket = system.get("deploymentType"), system.get("importPath")
    persistent = None if isinstance(kind, Unknown) else (kind.text() or "").startswith("PERSISTENT")
    links = stack.attached(system, _LINK, "fileSystemId")
    linked = any_of([bool(links.sure), *(None for _ in links.maybe), bool(bucket.text())])
    return all_of([persistent, None if linked is None else not linked])


def _check_backups(stack: Stack, facts: DisposalFacts) -> Iterator[Finding]:
    for system in stack.of(_LUSTRE):
        skipped = system.get("skipFinalBackup")
        if facts.covers(system) or skipped.flag() is False:
            continue
        possible = _backed_up(stack, system)
        answer = None if possible is None or (possible and isinstance(skipped, Unknown)) else not possible
        yield from decide(answer, skipped, found=show(skipped), wanted="false (the provider assumes true)", at=system)


DATA_05_BACKUP = StackRule(
    id="DATA-05",
    name="fsx-last-backup",
    title="A file system that is the only copy of its data is backed up before it is deleted",
    tokens=(_LUSTRE,),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:CC7.5", "gdpr:32-1-b"),
    why="a rename in the program is a deletion in the cloud",
    fix="set skip_final_backup false",
    facts=DisposalFacts,
    check=_check_backups,
    traps=(
        "skipFinalBackup is true when it is not written",
        "FSx takes no backups of scratch file systems, nor of those that are linked to a bucket",
    ),
)

"""Buckets, file systems, image repositories, logs, keys and secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from costs.meters.base import Context, Finding, Gap, monthly
from costs.usage import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costs.meters.base import Meter
    from costs.plan import Planned


def bucket(resource: Planned, context: Context) -> Iterator[Finding]:
    """Objects of a bucket in the standard class, and requests to it."""
    name = resource.name
    yield from context.assume(
        Quantity.BUCKET_STORAGE, name, meter="objects", what="objects, standard class", price="s3.standard"
    )
    yield from context.assume(Quantity.BUCKET_WRITES, name, meter="writes", what="write requests", price="s3.write")
    yield from context.assume(Quantity.BUCKET_READS, name, meter="reads", what="read requests", price="s3.read")


def file_system(resource: Planned, context: Context) -> Iterator[Finding]:
    """Files in the standard class; throughput beyond what storage brings is left out."""
    yield from context.assume(
        Quantity.FILE_STORAGE, resource.name, meter="files", what="files, standard class", price="efs.standard"
    )
    if resource.inputs.get("throughputMode", "bursting") != "bursting":
        yield Gap(what="throughput of the file system", why="no price for elastic or provisioned throughput")


def repository(resource: Planned, context: Context) -> Iterator[Finding]:
    """Images of a repository."""
    yield from context.assume(Quantity.IMAGE_STORAGE, resource.name, meter="images", what="images", price="ecr.storage")


def log_group(resource: Planned, context: Context) -> Iterator[Finding]:
    """What a log group takes in, and what it holds."""
    yield from context.assume(
        Quantity.LOG_INGEST, resource.name, meter="ingest", what="logs taken in", price="logs.ingest"
    )
    yield from context.assume(
        Quantity.LOG_STORAGE, resource.name, meter="kept", what="logs kept, compressed", price="logs.storage"
    )


def key(resource: Planned, context: Context) -> Iterator[Finding]:
    """A KMS key and requests to it; kept versions of a rotated key are left out."""
    yield monthly("key", "KMS key", "kms.key")
    yield from context.assume(
        Quantity.KEY_REQUESTS, resource.name, meter="requests", what="requests to the key", price="kms.request"
    )


def secret(resource: Planned, context: Context) -> Iterator[Finding]:
    """A secret and requests to it."""
    yield monthly("secret", "secret", "secretsmanager.secret")
    yield from context.assume(
        Quantity.SECRET_REQUESTS,
        resource.name,
        meter="requests",
        what="requests to the secret",
        price="secretsmanager.request",
    )


METERS: Final[dict[str, Meter]] = {
    "aws:s3/bucket:Bucket": bucket,
    "aws:efs/fileSystem:FileSystem": file_system,
    "aws:ecr/repository:Repository": repository,
    "aws:cloudwatch/logGroup:LogGroup": log_group,
    "aws:kms/key:Key": key,
    "aws:secretsmanager/secret:Secret": secret,
}
"""Type token → meter."""

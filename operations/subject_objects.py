"""A subject's records in versioned buckets: finds them in every version, and takes them out of every version.

Order makes a killed run harmless: the cleaned version is written before the ones that hold the records go, and labels
go before the captures by which they are found, so that a second run finds all that is left. A version that is retained
or held stays, as do the captures by which it is found, and is told.
Source: Amazon S3 User Guide, "Deleting object versions", "Object Lock", "Conditional writes".
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from operations.subject_records import READABLE, Subject, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

LARGEST: Final = 512 * 1024 * 1024
"""Bytes of an object that is searched."""
_SHOWN_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Place:
    """A prefix of a bucket."""

    bucket: str
    prefix: str
    learnt_from: bool
    """Whether models have been trained on what lies there."""
    header: bool = True
    """Whether CSV files there begin with the names of their columns; False where callers put what they ask, in any of
    the formats and under any name."""


@dataclass(frozen=True, slots=True)
class Found:
    """A version of an object that holds records of a subject."""

    place: Place
    key: str
    version: str
    latest: bool
    records: int
    etag: str
    retained: str
    """Until when, or why, it cannot be deleted; empty if it can."""
    names: tuple[str, ...] = ()
    """Names of the requests that its records are about."""

    @property
    def identity(self) -> tuple[str, str, str]:
        """Bucket, key and version."""
        return self.place.bucket, self.key, self.version

    def found_by(self, other: Found) -> bool:
        """Whether another one tells that this one is about the subject."""
        return any(name in other.names for name in self.names)

    def to_json(self) -> dict[str, Any]:
        """What is shown and proven; no part of any record."""
        retained = {"retained": self.retained} if self.retained else {}
        return {
            "bucket": self.place.bucket,
            "key": self.key,
            "version": self.version,
            "records": self.records,
            **retained,
        }


@dataclass(frozen=True, slots=True)
class Search:
    """All versions that hold records of a subject, and what could not be searched."""

    found: tuple[Found, ...]
    records: tuple[dict[str, Any], ...]
    """The records of all versions, each once."""
    unread: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Changes with what is found."""
        content = json.dumps([each.to_json() for each in self.found], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:_SHOWN_DIGITS]


def search(s3: S3Client, places: Iterable[Place], subject: Subject) -> Search:
    """Look through every version of every object; captures have to come before the labels that belong to them."""
    found: list[Found] = []
    unread: list[str] = []
    records: dict[str, dict[str, Any]] = {}
    for place in places:
        for version in _versions(s3, place):
            key, name = version["Key"], f"s3://{place.bucket}/{version['Key']}"
            told = key.endswith(READABLE) or not place.header
            if not told or version["Size"] > LARGEST:
                unread.append(name)
                continue
            answer = s3.get_object(Bucket=place.bucket, Key=key, VersionId=version["VersionId"])
            try:
                taken = split(key, answer["Body"].read(), subject, header=place.header).taken
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                unread.append(f"{name}: {error}")
                continue
            records |= {json.dumps(record, sort_keys=True): {"object": key, "record": record} for record in taken}
            if taken:
                identity = (key, version["VersionId"], version["IsLatest"])
                what = (len(taken), version["ETag"], _retained(answer), _names(taken))
                found.append(Found(place, *identity, *what))
    return Search(tuple(found), tuple(records.values()), tuple(dict.fromkeys(unread)))


def _versions(s3: S3Client, place: Place) -> Iterator[Any]:
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=place.bucket, Prefix=place.prefix)
    for page in pages:
        yield from (each for each in page.get("Versions", []) if not each.get("Key", "").endswith("/"))


def _names(taken: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    events = [cast("dict[str, Any] | str", each.get("eventMetadata", "")) for each in taken]
    return tuple(str(each["inferenceId"]) for each in events if isinstance(each, dict) and "inferenceId" in each)


def _retained(answer: GetObjectOutputTypeDef) -> str:
    if answer.get("ObjectLockLegalHoldStatus") == "ON":
        return "legal hold"
    until = answer.get("ObjectLockRetainUntilDate")
    return until.isoformat() if until and until > datetime.now(UTC) else ""


def erase(s3: S3Client, found: Sequence[Found], subject: Subject) -> tuple[list[Found], list[Found]]:
    """Take the records out of every version, beginning with what is found by something else.

    Returns:
        Versions that are gone, and versions that have to stay for now.
    """
    for each in found:
        if each.latest:
            _replace(s3, each, subject)
    gone: list[Found] = []
    kept: list[Found] = []
    for each in reversed(found):
        if each.retained:
            kept.append(each)
        elif any(other.place != each.place and other.found_by(each) for other in kept):
            kept.append(replace(each, retained="labels that are found by it cannot go yet"))
        else:
            s3.delete_object(Bucket=each.place.bucket, Key=each.key, VersionId=each.version)
            gone.append(each)
    return gone[::-1], kept[::-1]


def _replace(s3: S3Client, each: Found, subject: Subject) -> None:
    """Write what is left as the newest version, unless somebody has written another one meanwhile.

    Where nothing is left there is none, and the object goes with its versions.
    """
    answer = s3.get_object(Bucket=each.place.bucket, Key=each.key, VersionId=each.version)
    content = split(each.key, answer["Body"].read(), subject, header=each.place.header).content
    if not content:
        return
    key = answer.get("SSEKMSKeyId")
    encryption: dict[str, Any] = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
    s3.put_object(
        Bucket=each.place.bucket,
        Key=each.key,
        Body=content,
        ContentType=answer["ContentType"],
        Metadata=answer["Metadata"],
        IfMatch=each.etag,
        **encryption,
    )

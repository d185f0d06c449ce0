"""Proof of what was done for a subject: records in a chain, in which a change of any of them shows.

Each record holds the SHA-256 of the one before. Whom it is about is told by an HMAC with a receipt that only the
subject keeps: with the receipt it proves something, without it says nothing about anybody.
Source: RFC 2104 (HMAC); Amazon S3 User Guide, "Conditional writes": two runs at a time cannot fork the chain.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FIRST: Final = "0" * 64
"""What the first record holds in the place of a digest."""
BEGUN, ERASED, EXPORTED = "erasure begun", "erased", "exported"
"""Actions; an erasure has two records, so that one that was killed shows."""
_RECEIPT_BYTES: Final = 16


def new_receipt() -> str:
    """A receipt that nobody can guess."""
    return secrets.token_hex(_RECEIPT_BYTES)


class Chain:
    """The records of one model."""

    def __init__(self, s3: S3Client, bucket: str, prefix: str) -> None:
        """Look at nothing yet."""
        self._s3, self._bucket, self._prefix = s3, bucket, prefix

    def add(self, record: dict[str, Any], key: str, receipt: str) -> str:
        """Add a record about somebody; where it lies.

        Args:
            record: What was done, without anything personal.
            key: What the subject is called in the data; it is not written down.
            receipt: For the subject; it is not written down either.
        """
        contents = self._contents()
        previous = digest(contents[-1]) if contents else FIRST
        document = {"number": len(contents) + 1, "previous": previous, "subject": mark(receipt, key), **record}
        name = f"{self._prefix}{len(contents) + 1:08}.json"
        content = json.dumps(document, sort_keys=True, indent=1).encode()
        self._s3.put_object(Bucket=self._bucket, Key=name, Body=content, IfNoneMatch="*")
        return f"s3://{self._bucket}/{name}"

    def begun(self, subject: str) -> dict[str, Any] | None:
        """The record of an erasure that has no end yet; None if there is none.

        Args:
            subject: What the record calls the subject, by `mark`.
        """
        documents = [json.loads(content) for content in self._contents()]
        about = [each for each in documents if each.get("subject") == subject]
        return about[-1] if about and about[-1].get("action") == BEGUN else None

    def problems(self) -> list[str]:
        """Where the chain is broken, and what was begun and has no end; empty if all is well."""
        found: list[str] = []
        begun: dict[str, int] = {}
        expected = FIRST
        for place, content in enumerate(self._contents(), start=1):
            document = json.loads(content)
            if (document.get("number"), document.get("previous")) != (place, expected):
                found.append(f"record {place} does not follow the one before it")
            expected = digest(content)
            if document.get("action") == BEGUN:
                begun[document["subject"]] = place
            else:
                begun.pop(document.get("subject", ""), None)
        return [*found, *(f"the erasure of record {place} was begun and has no end" for place in begun.values())]

    def _contents(self) -> list[bytes]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        keys = sorted(item.get("Key", "") for page in pages for item in page.get("Contents", []))
        return [self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read() for key in keys]


def mark(receipt: str, key: str) -> str:
    """What a record calls a subject."""
    return hmac.new(bytes.fromhex(receipt), key.encode(), hashlib.sha256).hexdigest()


def digest(content: bytes) -> str:
    """SHA-256 of a record as it is stored."""
    return hashlib.sha256(content).hexdigest()

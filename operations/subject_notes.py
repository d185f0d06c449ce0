"""Notes of erasures that are going on: what is needed to go on with one that was interrupted.

A note holds the receipt, which names nobody, and goes in all its versions when its erasure has ended: then the receipt
is the person's alone. It is called what the proofs call the person, so that whoever knows the key finds it again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from operations.proof import mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client


class Notes:
    """The notes of one model."""

    def __init__(self, s3: S3Client, bucket: str, prefix: str) -> None:
        """Look at nothing yet."""
        self._s3, self._bucket, self._prefix = s3, bucket, prefix

    def receipts(self, key: str) -> Iterator[str]:
        """Receipts of the erasures of somebody that may have no end yet.

        Args:
            key: What the subject is called in the data.
        """
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        for name in [item.get("Key", "") for page in pages for item in page.get("Contents", [])]:
            receipt = json.loads(self._s3.get_object(Bucket=self._bucket, Key=name)["Body"].read())["receipt"]
            if name == self._name(receipt, key):
                yield receipt

    def write(self, receipt: str, key: str) -> None:
        """Keep a receipt until `remove`."""
        content = json.dumps({"receipt": receipt}).encode()
        self._s3.put_object(Bucket=self._bucket, Key=self._name(receipt, key), Body=content)

    def remove(self, receipt: str, key: str) -> None:
        """Forget a receipt; one that is not kept is forgotten already."""
        name = self._name(receipt, key)
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=name)
        for version in [each for page in pages for each in page.get("Versions", [])]:
            self._s3.delete_object(Bucket=self._bucket, Key=name, VersionId=version.get("VersionId", "null"))

    def _name(self, receipt: str, key: str) -> str:
        return f"{self._prefix}{mark(receipt, key)}.json"

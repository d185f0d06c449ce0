"""The champion of a model: the newest approved version that was made ready to serve, at an address that stays.

The next model is held against it. Builds end in any order and at the same time, so what lies there is replaced only
while it is what was looked at. A version that is rejected, as a release does with one that it takes back, leaves its
place to the newest one that serves.
Source: Amazon S3 user guide, "How to prevent object overwrites with conditional writes".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from lifecycle import steps
from lifecycle.steps import LifecycleError, Package

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

PACKAGE: Final = "model-package"
"""Metadata of the object: ARN of the version."""
IMAGE_PROPERTY: Final = "packaged-image"
"""Customer metadata of a model package: digest of the image with the model; there once the image was announced."""
RELEASED: Final = "release-"
PROMOTED: Final = "promoted "
"""How the name and the value of customer metadata begin that a release leaves with a version that serves."""
ATTEMPTS: Final = 10
"""Builds that may get in between before one gives up; a model has a handful of approvals a day."""
_OVERTAKEN: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """Where the champion of a model lies, and where its versions are registered."""

    s3: S3Client
    sagemaker: SageMakerClient
    bucket: str
    model: str
    group: str
    """Model package group."""

    @property
    def key(self) -> str:
        """Key of the object."""
        return f"{self.model}/champion/model.tar.gz"

    def replace(self, package: Package) -> bool:
        """Make a version the champion, unless it is, or a newer one that is still approved is.

        Raises:
            LifecycleError: Others were faster every time.
        """
        content = b""
        for _ in range(ATTEMPTS):
            found = self._found()
            if found and (found[0] == package.arn or self._outranks(found[0], package)):
                return False
            content = content or steps.fetch(self.s3, package.artefact_uri)
            try:
                self._put(package.arn, content, found[1] if found else None)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _OVERTAKEN:
                    raise
            else:
                return True
        raise LifecycleError(f"s3://{self.bucket}/{self.key} was replaced by others {ATTEMPTS} times; build again")

    def settle(self) -> bool:
        """Give the place of a version that is not approved any more to the newest one that is, and is ready to serve.

        What a release has promoted comes first: a later version may be approved without that anybody has judged it.

        Raises:
            LifecycleError: Others were faster every time.
        """
        find = partial(steps.find_package, self.sagemaker, self.group)
        found = find(lambda each: _ready(each) and _promoted(each)) or find(_ready)
        return found is not None and self.replace(found)

    def _put(self, arn: str, content: bytes, replaced: str | None) -> None:
        """Write the object in the place of the one with the ETag `replaced`, or of none."""
        bucket, told = self.bucket, {PACKAGE: arn}
        if replaced is None:
            self.s3.put_object(Bucket=bucket, Key=self.key, Body=content, Metadata=told, IfNoneMatch="*")
        else:
            self.s3.put_object(Bucket=bucket, Key=self.key, Body=content, Metadata=told, IfMatch=replaced)

    def _found(self) -> tuple[str, str] | None:
        """Version and ETag of the champion; None before the first.

        It is listed first: whoever may list only below a prefix is told that an object that is not there is forbidden.
        """
        if not self.s3.list_objects_v2(Bucket=self.bucket, Prefix=self.key).get("Contents"):
            return None
        head = self.s3.head_object(Bucket=self.bucket, Key=self.key)
        return head["Metadata"].get(PACKAGE, ""), head["ETag"]

    def _outranks(self, arn: str, package: Package) -> bool:
        newer = steps.find_package(self.sagemaker, self.group, lambda each: each.arn == arn)
        return newer is not None and newer.status == "Approved" and newer.version > package.version


def _ready(package: Package) -> bool:
    return package.status == "Approved" and IMAGE_PROPERTY in package.properties


def _promoted(package: Package) -> bool:
    told = package.properties.items()
    return any(name.startswith(RELEASED) and value.startswith(PROMOTED) for name, value in told)

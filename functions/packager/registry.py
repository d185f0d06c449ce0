"""What the image registry is asked beside pulls and pushes: what a tag names, what scans found, who signed."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.steps import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

BILL_TYPE: Final = "application/vnd.cyclonedx+json"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
IMAGE_TYPES: Final = [MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json"]


_SCANNED: Final = frozenset({"COMPLETE", "ACTIVE"})
"""With basic scanning, and with Amazon Inspector's (ECR API reference, `ImageScanStatus`)."""
_UNDER_WAY: Final = frozenset({"PENDING", "IN_PROGRESS"})


class RefusedError(LifecycleError):
    """An image does not pass the gate; the version before it goes on serving."""


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository of the account's registry."""

    ecr: ECRClient
    name: str

    def digest(self, tag: str) -> str | None:
        """Digest of what a tag names; None where nothing is."""
        try:
            found = self.ecr.describe_images(repositoryName=self.name, imageIds=[{"imageTag": tag}])
        except self.ecr.exceptions.ImageNotFoundException:
            return None
        return found["imageDetails"][0].get("imageDigest")

    def age_days(self, digest: str, now: float) -> float:
        """Days since an image was pushed."""
        found = self.ecr.describe_images(repositoryName=self.name, imageIds=[{"imageDigest": digest}])
        return (now - found["imageDetails"][0]["imagePushedAt"].timestamp()) / 86_400  # pyright: ignore[reportTypedDictNotRequiredAccess] - ECR always says when

    def wait_for_scan(self, digest: str, blocked: Collection[str], timeout_seconds: float, poll_seconds: float) -> None:
        """Wait until an image has been scanned.

        Raises:
            RefusedError: It has a finding of a blocked severity, cannot be scanned, or is not scanned in time.
        """
        image: ImageIdentifierTypeDef = {"imageDigest": digest}

        def answer() -> str:
            try:
                found = self.ecr.describe_image_scan_findings(repositoryName=self.name, imageId=image)
            except self.ecr.exceptions.ScanNotFoundException:
                return "PENDING"
            status = found.get("imageScanStatus", {}).get("status", "PENDING")
            if status not in {*_SCANNED, *_UNDER_WAY}:
                raise RefusedError(f"{digest} cannot be scanned: {status}")
            counts = found.get("imageScanFindings", {}).get("findingSeverityCounts", {})
            bad = {severity: count for severity, count in counts.items() if severity in blocked and count}
            if status in _SCANNED and bad:
                listed = ", ".join(f"{count} {severity}" for severity, count in sorted(bad.items()))
                raise RefusedError(f"{digest} has findings: {listed}; rebuild the model image on a patched base")
            return status

        _wait(answer, _SCANNED, f"the scan of {digest}", timeout_seconds, poll_seconds)

    def wait_for_signature(self, digest: str, profile_arn: str, timeout_seconds: float, poll_seconds: float) -> None:
        """Wait until ECR has signed an image with a profile, as the registry's signing configuration tells it to.

        Source: ECR user guide, "Managed signing"; API reference, `DescribeImageSigningStatus`.

        Raises:
            RefusedError: It was not signed, or not in time.
        """
        image: ImageIdentifierTypeDef = {"imageDigest": digest}

        def answer() -> str:
            found = self.ecr.describe_image_signing_status(repositoryName=self.name, imageId=image)
            by_profile = {each.get("signingProfileArn"): each for each in found.get("signingStatuses", [])}
            status = by_profile.get(profile_arn, {})
            if status.get("status") == "FAILED":
                raise RefusedError(
                    f"{digest} was not signed: {status.get('failureReason') or status.get('failureCode')}"
                )
            return status.get("status", "PENDING")

        _wait(answer, {"COMPLETE"}, f"the signature of {digest} by {profile_arn}", timeout_seconds, poll_seconds)

    def attach(self, digest: str, bill: str) -> None:
        """Attach a bill of materials to an image, as a manifest that names the image as its subject.

        Source: OCI Image Specification 1.1, "Guidelines for Artifact Usage". The same bill is attached once.
        """
        subject = self.ecr.batch_get_image(
            repositoryName=self.name, imageIds=[{"imageDigest": digest}], acceptedMediaTypes=IMAGE_TYPES
        )["images"][0]
        text = subject.get("imageManifest", "")
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": BILL_TYPE,
            "config": self._blob(EMPTY_TYPE, b"{}"),
            "layers": [self._blob(BILL_TYPE, bill.encode())],
            "subject": {
                "mediaType": subject.get("imageManifestMediaType", MANIFEST_TYPE),
                "digest": digest,
                "size": len(text.encode()),
            },
        }
        try:
            self.ecr.put_image(
                repositoryName=self.name,
                imageManifest=json.dumps(manifest, sort_keys=True),
                imageManifestMediaType=MANIFEST_TYPE,
            )
        except self.ecr.exceptions.ImageAlreadyExistsException:
            return

    def _blob(self, media_type: str, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        descriptor: dict[str, object] = {"mediaType": media_type, "digest": digest, "size": len(content)}
        upload = self.ecr.initiate_layer_upload(repositoryName=self.name)["uploadId"]
        self.ecr.upload_layer_part(
            repositoryName=self.name,
            uploadId=upload,
            partFirstByte=0,
            partLastByte=len(content) - 1,
            layerPartBlob=content,
        )
        try:
            self.ecr.complete_layer_upload(repositoryName=self.name, uploadId=upload, layerDigests=[digest])
        except self.ecr.exceptions.LayerAlreadyExistsException:
            return descriptor
        return descriptor


def _wait(
    answer: Callable[[], str], wanted: Collection[str], what: str, timeout_seconds: float, poll_seconds: float
) -> None:
    deadline = time.monotonic() + timeout_seconds
    while (status := answer()) not in wanted:
        if time.monotonic() > deadline:
            raise RefusedError(f"{what} is still {status} after {timeout_seconds:.0f} s")
        time.sleep(poll_seconds)

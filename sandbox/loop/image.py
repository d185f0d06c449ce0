"""What stands for a pushed model image: a manifest whose digest is a function of the image's source and locks.

A training request names its image by digest, and a digest of the source makes that mean the same as for a real image:
other code is another image, hence another training job and another model version. There are no layers to pull: the
job runner runs the source.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.loop.files import digest_of
from sandbox.loop.processes import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_ecr import ECRClient

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
"""Source: OCI Image Format Specification, "Image Manifest"."""

_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_LOCK = REPOSITORY / "requirements" / "image.txt"
_TAG_LENGTH = 12


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image of the present source."""

    source_digest: str
    """SHA-256 over source and lock."""
    manifest: str
    """OCI image manifest."""

    @property
    def digest(self) -> str:
        """Digest of the image: of its manifest, as registries compute it."""
        return f"sha256:{hashlib.sha256(self.manifest.encode()).hexdigest()}"

    @property
    def tag(self) -> str:
        """Tag of the image; one source has one tag, so tags can be immutable."""
        return f"source-{self.source_digest[:_TAG_LENGTH]}"


def build(source: Path) -> BuiltImage:
    """Describe the image of the source below `source` with the locked packages."""
    files = [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    code = digest_of(files, source)
    lock = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    blobs = {_CONFIG_TYPE: hashlib.sha256(f"{code}{lock}".encode()).hexdigest(), "lock": lock, "code": code}
    entries = {
        name: {
            "mediaType": _CONFIG_TYPE if name == _CONFIG_TYPE else _LAYER_TYPE,
            "digest": f"sha256:{digest}",
            "size": 0,
        }
        for name, digest in blobs.items()
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": entries[_CONFIG_TYPE],
        "layers": [entries["lock"], entries["code"]],
    }
    return BuiltImage(blobs[_CONFIG_TYPE], json.dumps(manifest, sort_keys=True))


def variables(digest: str) -> dict[str, str]:
    """What an image sets in its own environment.

    `OMP_WAIT_POLICY=PASSIVE` (OpenMP specification, environment variables): threads that wait for each other sleep
    instead of spinning. This machine does other things too, and spinning threads then wait for the very cores that
    they occupy: training took four times as long.
    """
    return {"SLIPWAY_CODE_VERSION": digest.rpartition(":")[2][:_TAG_LENGTH], "OMP_WAIT_POLICY": "PASSIVE"}


def push(ecr: ECRClient, repository: str, image: BuiltImage) -> bool:
    """Make sure that the repository holds the image; whether it had to be pushed."""
    try:
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": image.digest}])
    except ecr.exceptions.ImageNotFoundException:
        ecr.put_image(
            repositoryName=repository,
            imageManifest=image.manifest,
            imageManifestMediaType=MANIFEST_TYPE,
            imageTag=image.tag,
            imageDigest=image.digest,
        )
        return True
    return False

"""The image of an approved version, made by the steps of the build that AWS would run, as far as they go here.

The steps are those of `functions/packager`, told by the variables of the build project that the stack declares. There
is no registry with layers on loopback, so the image is its manifest, whose digest is that of its layer and of the image
below; nothing scans or signs it, and nothing pulls it.
Source: OCI Image Format Specification, "Image Manifest".
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from lifecycle.steps import LifecycleError
from packager.build import STEPS, Build, Order
from packager.registry import MANIFEST_TYPE, Repository
from sandbox.loop.files import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mypy_boto3_ecr import ECRClient

    from sandbox.console import Console
    from sandbox.loop.loopback import Clients
    from sandbox.loop.spec import LoopSpec

NOT_HERE: Final = ("gate",)
"""Steps that ECR itself would answer: its scan of the image and its signature."""
_LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"


def package(clients: Clients, spec: LoopSpec, arn: str, work: Path, console: Console) -> bool:
    """Build the image of an approved version, unless it was built before; whether it had to be.

    Args:
        clients: The AWS APIs.
        spec: What the stack declares.
        arn: The version.
        work: Folder for what a step leaves to the next.
        console: Shows what each step did.
    """
    order = Order.read({**spec.packaging, "MODEL_PACKAGE_ARN": arn, "REASON": "approval"})
    work.mkdir(parents=True, exist_ok=True)
    repository = order.repository.partition("/")[2]
    build = Build(
        order=order,
        work=work,
        sagemaker=clients.sagemaker,
        s3=clients.s3,
        events=Announcements(work / "announcement.json"),
        images=Manifests(clients.ecr, repository),
        crane=Layers(ecr=clients.ecr, repository=repository),
    )
    with console.step(f"Package {order.model} version {arn.rpartition('/')[2]}") as step:
        said = {name: run(build) for name, run in STEPS.items() if name not in NOT_HERE}
        made = build.planned().made
        step.summary = said["finish"] if made else said["plan"]
    if made:
        console.info("\n".join(f"    {name:9} {text}" for name, text in said.items()))
        console.info(f"    not here: {', '.join(NOT_HERE)} (ECR scans and signs); layers are pushed to no registry")
    return bool(made)


@dataclass(frozen=True, slots=True)
class Announcements:
    """In place of the event bus: a file with what was last announced."""

    file: Path

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - the name in the API
        """Keep the announcement."""
        write_json(self.file, Entries)
        return {"FailedEntryCount": 0, "Entries": Entries}


class Manifests(Repository):
    """The repository without uploads: the bill of materials is in the layer, and is attached to nothing."""

    def attach(self, digest: str, bill: str) -> None:
        """Attach nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """In place of crane: writes manifests, and keeps the layers where they were made."""

    ecr: ECRClient
    repository: str
    made: dict[str, str] = field(default_factory=dict[str, str])
    """Manifest by digest."""

    def digest(self, image: str) -> str:
        """Refuse: a newer base is looked for in AWS."""
        raise LifecycleError(f"{image}: no base of an image is looked for here")

    def labels(self, image: str) -> dict[str, str]:
        """Refuse, as `digest` does."""
        raise LifecycleError(f"{image}: no base of an image is looked for here")

    def rebase(self, image: str, old_base: str, new_base: str) -> str:
        """Refuse, as `digest` does."""
        raise LifecycleError(f"{image}: {old_base} is not replaced by {new_base} here")

    def append(self, base: str, layer: Path, *, env: Mapping[str, str], labels: Mapping[str, str]) -> str:
        """Add a layer and settings to the manifest of `base`; gives the image by digest."""
        name, _, digest = base.rpartition("@")
        found = self.ecr.batch_get_image(repositoryName=self.repository, imageIds=[{"imageDigest": digest}])
        manifest = cast("dict[str, Any]", json.loads(found["images"][0].get("imageManifest", "")))
        content = layer.read_bytes()
        settings = json.dumps([manifest["config"]["digest"], dict(env), dict(labels)], sort_keys=True).encode()
        manifest["layers"].append({"mediaType": _LAYER_TYPE, "digest": _digest(content), "size": len(content)})
        manifest["config"]["digest"] = _digest(settings)
        text = json.dumps(manifest, sort_keys=True)
        self.made[_digest(text.encode())] = text
        return f"{name}@{_digest(text.encode())}"

    def tag(self, image: str, tag: str) -> None:
        """Put the image into the repository under a name.

        Raises:
            LifecycleError: It was put there before.
        """
        digest = image.rpartition("@")[2]
        if digest not in self.made:
            raise LifecycleError(f"{image} was named by an earlier run")
        self.ecr.put_image(
            repositoryName=self.repository,
            imageManifest=self.made[digest],
            imageManifestMediaType=MANIFEST_TYPE,
            imageTag=tag,
            imageDigest=digest,
        )


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"

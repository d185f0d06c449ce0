"""An account around a real image registry on loopback: ECR's calls are answered from what crane pushed there.

Requests pass botocore's own validation before they are answered. Scan and signature are what a test says.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.kube.control_plane import programs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


def crane(*arguments: str) -> str:
    done = subprocess.run(
        [programs().path("crane"), *arguments], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


@contextlib.contextmanager
def serve_registry(folder: Path) -> Generator[str]:
    """An empty registry; gives its address."""
    command = [programs().path("crane"), "registry", "serve", "--address", "127.0.0.1:0"]
    log = folder / "registry.log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield f"127.0.0.1:{_port(log)}"
        finally:
            process.terminate()


def _port(log: Path) -> int:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := re.search(r"serving on port (\d+)", log.read_text(encoding="utf-8")):
            return int(found[1])
        time.sleep(0.05)
    raise AssertionError(log.read_text(encoding="utf-8"))


class RefusalError(Exception):
    """ECR's answer is an error."""


@dataclass
class FakeEcr:
    """ECR in front of a registry: immutable tags, scans and signatures as a test sets them."""

    registry: str
    scan: dict[str, Any] = field(default_factory=lambda: {"status": "COMPLETE", "findingSeverityCounts": {"LOW": 3}})
    signature: str = "COMPLETE"
    pushed: datetime = field(default_factory=lambda: datetime.now(UTC))
    uploads: dict[str, bytes] = field(default_factory=dict[str, bytes])
    artefacts: dict[str, Any] = field(default_factory=dict[str, Any])
    """What was pushed by ECR's own API, by digest."""
    calls: list[str] = field(default_factory=list[str])

    def answer(self, model: Any, params: Mapping[str, Any], **_: object) -> tuple[Any, dict[str, Any]]:
        """For botocore's event `before-call`."""
        self.calls.append(model.name)
        ask = json.loads(params["body"])
        operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "GetAuthorizationToken": lambda _: {"authorizationData": [{"authorizationToken": "QVdTOng="}]},
            "DescribeImages": self._describe,
            "BatchGetImage": self._get,
            "InitiateLayerUpload": lambda _: {"uploadId": str(len(self.uploads))},
            "UploadLayerPart": self._upload,
            "CompleteLayerUpload": self._complete,
            "PutImage": self._put,
            "DescribeImageScanFindings": self._findings,
            "DescribeImageSigningStatus": self._signing,
        }
        try:
            return SimpleNamespace(status_code=HTTPStatus.OK, headers={}), operations[model.name](ask)
        except RefusalError as error:
            return SimpleNamespace(status_code=HTTPStatus.BAD_REQUEST, headers={}), {
                "Error": {"Code": str(error), "Message": str(error)},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }

    def _http(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[Any, bytes]:
        request = urllib.request.Request(f"http://{self.registry}/v2/{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
                return answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            raise RefusalError(
                "ImageNotFoundException" if error.code == HTTPStatus.NOT_FOUND else str(error.code)
            ) from None

    def _manifest(self, ask: Mapping[str, Any]) -> tuple[Any, bytes]:
        image = ask["imageIds"][0]
        reference = image.get("imageDigest") or image["imageTag"]
        return self._http("GET", f"{ask['repositoryName']}/manifests/{reference}", Accept=f"{MANIFEST},{DOCKER}")

    def _describe(self, ask: dict[str, Any]) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(self._manifest(ask)[1]).hexdigest()}"
        return {"imageDetails": [{"imageDigest": digest, "imagePushedAt": self.pushed}]}

    def _get(self, ask: dict[str, Any]) -> dict[str, Any]:
        headers, content = self._manifest(ask)
        return {"images": [{"imageManifest": content.decode(), "imageManifestMediaType": headers["Content-Type"]}]}

    def _upload(self, ask: dict[str, Any]) -> dict[str, Any]:
        self.uploads[ask["uploadId"]] = base64.b64decode(ask["layerPartBlob"])
        return {}

    def _complete(self, ask: dict[str, Any]) -> dict[str, Any]:
        (digest,) = ask["layerDigests"]
        location = self._http("POST", f"{ask['repositoryName']}/blobs/uploads/", b"")[0]["Location"]
        path = location.partition("/v2/")[2]
        self._http("PUT", f"{path}?digest={digest}", self.uploads[ask["uploadId"]])
        return {"layerDigest": digest}

    def _put(self, ask: dict[str, Any]) -> dict[str, Any]:
        content = ask["imageManifest"].encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        path, kind = f"{ask['repositoryName']}/manifests/{digest}", ask["imageManifestMediaType"]
        if digest in self.artefacts:
            raise RefusalError("ImageAlreadyExistsException")
        self._http("PUT", path, content, **{"Content-Type": kind})
        self.artefacts[digest] = json.loads(content)
        return {}

    def _findings(self, _ask: dict[str, Any]) -> dict[str, Any]:
        counts = self.scan.get("findingSeverityCounts", {})
        return {
            "imageScanStatus": {"status": self.scan["status"]},
            "imageScanFindings": {"findingSeverityCounts": counts},
        }

    def _signing(self, _ask: dict[str, Any]) -> dict[str, Any]:
        return {"signingStatuses": [{"signingProfileArn": PROFILE, "status": self.signature, "failureCode": "Denied"}]}


PROFILE = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/slipway"


def push_base(registry: str, repository: str, folder: Path, files: Mapping[str, bytes], **labels: str) -> str:
    """Push an image of some files; gives its reference by digest."""
    archive = folder / f"{hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:8]}.tar"
    with tarfile.open(archive, "w") as tar:
        for name, content in files.items():
            source = folder / "entry"
            source.write_bytes(content)
            tar.add(source, name)
    tag = f"{registry}/{repository}:base-{archive.stem}"
    crane("append", "--oci-empty-base", "--platform", "linux/amd64", "-f", str(archive), "-t", tag)
    options = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    return crane("mutate", tag, "--set-platform", "linux/amd64", "--repo", f"{registry}/{repository}", *options)

"""The part of an API server that a release step asks: one Deployment, whose pods are server processes behind Envoy.

Its controller replaces process by process as `sandbox.rollout` does, and a pod's files are those of its image, found by
digest. Not here: TLS, rights and validation, which `tests/kube` has of the real API server.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

from packager.layer import MODEL_FOLDER
from release import record as records
from release.api import DEPLOYMENTS
from rollout.plan import Phase
from sandbox.loop.processes import LOOPBACK
from sandbox.rollout.driver import Driver
from scoring.metrics import LATENCY_BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from mypy_boto3_ecr import ECRClient

    from release.record import Version
    from sandbox.rollout.fleet import Fleet
    from sandbox.rollout.proxy import Proxy

Object = dict[str, Any]

REPLICAS = 2
READY_SECONDS = 60.0


class PlainConnection(http.client.HTTPConnection):
    """In place of the one with TLS."""

    def __init__(self, host: str, *, timeout: float, context: object) -> None:
        assert context is None
        super().__init__(host, timeout=timeout)


def pull(ecr: ECRClient, image: str, layers: Path, target: Path) -> Path:
    """Find an image by its digest, and unpack the model of its last layer; where the model lies then.

    Args:
        ecr: The registry, which holds manifests here.
        image: By digest.
        layers: Folder below which builds left what would be pushed.
        target: Folder of the pod's files.
    """
    name, _, digest = image.partition("@")
    found = ecr.batch_get_image(repositoryName=name.partition("/")[2], imageIds=[{"imageDigest": digest}])
    text = found["images"][0].get("imageManifest", "")
    assert _digest(text.encode()) == digest
    wanted = json.loads(text)["layers"][-1]["digest"]
    (layer,) = {content for path in layers.rglob("layer.tar") if _digest(content := path.read_bytes()) == wanted}
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        tar.extractall(target, filter="data")
    return target / MODEL_FOLDER


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Cluster:
    """The Deployment, the processes that it runs now, and how often it was told to run others."""

    def __init__(
        self, deployment: Object, container: str, proxy: Proxy, start: Callable[[Version], Fleet], tell: list[str]
    ) -> None:
        """Start the first pods.

        Args:
            deployment: As the program declares it.
            container: The server.
            proxy: Whom callers ask.
            start: Prepares the pods of a version, none of which runs yet.
            tell: Gets a line at every step.
        """
        spec = {**deployment["spec"], "replicas": REPLICAS}
        metadata = {**deployment["metadata"], "generation": 1, "resourceVersion": "1"}
        self.deployment: Object = {**deployment, "metadata": metadata, "spec": spec}
        self._container, self._proxy, self._start, self._tell = container, proxy, start, tell
        self._changed = threading.Condition()
        self._ended = False
        self.fleet = start(self._wanted())
        assert self._driver(self.fleet).serve(REPLICAS, READY_SECONDS)
        self._observe(1, {})
        self._controller = threading.Thread(target=self._control, name="deployment controller")
        self._controller.start()

    @property
    def generation(self) -> int:
        """Grows with every change of the pods."""
        return self.deployment["metadata"]["generation"]

    def stop(self) -> None:
        """End controller and pods."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._controller.join()
        self.fleet.stop()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Object]:
        """Answer one request."""
        about = {name: self.deployment["metadata"][name] for name in ("namespace", "name")}
        if path.partition("?")[0] != DEPLOYMENTS.format(**about):
            return http.client.NOT_FOUND, {}
        with self._changed:
            return self._apply(json.loads(body)) if method == "PATCH" else (http.client.OK, self.deployment)

    def _apply(self, wanted: Object) -> tuple[int, Object]:
        """Server-side apply with force, of fields that are there."""
        live = self.deployment
        version, generation = live["metadata"]["resourceVersion"], live["metadata"]["generation"]
        if wanted["metadata"]["resourceVersion"] != version:
            return http.client.CONFLICT, {}
        found = applied(live, wanted)
        generation += found["spec"] != live["spec"]
        found["metadata"] |= {"resourceVersion": str(int(version) + 1), "generation": generation}
        self.deployment = found
        self._changed.notify()
        return http.client.OK, found

    def _wanted(self) -> Version:
        found = records.running(self.deployment, self._container)
        assert found is not None, "the Deployment names its image by digest"
        return found

    def _driver(self, challenger: Fleet) -> Driver:
        return Driver(
            proxy=self._proxy,
            champion=self.fleet,
            challenger=challenger,
            bounds=LATENCY_BUCKETS,
            tell=self._tell.append,
        )

    def _control(self) -> None:
        """Bring what runs to what the Deployment says, whenever it says something else."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._observed() != self.generation)
                if self._ended:
                    return
                generation, wanted = self.generation, self._wanted()
            new = self._start(wanted)
            ended = self._driver(new).rolling(READY_SECONDS)
            if ended.phase is Phase.PROMOTED:
                self.fleet = new
            self._observe(generation, {} if ended.phase is Phase.PROMOTED else _given_up(ended.reason))

    def _observed(self) -> int:
        return self.deployment["status"]["observedGeneration"]

    def _observe(self, generation: int, more: Object) -> None:
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), REPLICAS)
        with self._changed:
            self.deployment = {**self.deployment, "status": {"observedGeneration": generation, **counts, **more}}


def _given_up(reason: str) -> Object:
    return {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": reason}]}


def applied(live: Object, wanted: Object) -> Object:
    """A document with the fields of another one; items of lists are known by their names."""
    return {**live, **{name: _applied(live.get(name), value) for name, value in wanted.items()}}


def _applied(live: Any, wanted: Any) -> Any:
    if isinstance(wanted, dict):
        return applied(live or {}, cast("Object", wanted))
    if isinstance(wanted, list):
        named = {each["name"]: each for each in cast("list[Object]", wanted)}
        return [applied(each, named.get(each["name"], {})) for each in live]
    return wanted


@contextmanager
def serving(cluster: Cluster) -> Generator[str]:
    """Answer as the cluster's API server; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            status, found = cluster.answer(self.command, self.path, self.rfile.read(length))
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_PATCH(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the name in the base class

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

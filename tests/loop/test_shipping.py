"""The shipper's own process against S3 on loopback: away, throttling, lying; and killed over and over."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from moto.moto_server.werkzeug_app import (  # pyright: ignore[reportMissingTypeStubs] - typed, without __init__.py
    DomainDispatcherApplication,
    create_backend_app,
)
from werkzeug.serving import make_server

from sandbox.loop.loopback import Clients
from sandbox.loop.processes import LOOPBACK, REPOSITORY, free_port, wait_until
from scoring.capture import Capture
from scoring.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.loop

BUCKET, PREFIX = "models", "flight-delay/captures/eks/main/"
KEYS = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
SLOW = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
THROTTLED, LOST = "throttled", "the answer is lost"


class Faults:
    """S3 that refuses uploads, or takes them and says otherwise, as often as it is told."""

    def __init__(self) -> None:
        self.real: Any = DomainDispatcherApplication(create_backend_app)
        self.left: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        creation = environ["REQUEST_METHOD"] == "PUT" and "HTTP_IF_NONE_MATCH" in environ
        fault = self.left.pop(0) if creation and self.left else ""
        if fault == THROTTLED:
            environ["wsgi.input"].read()
        elif fault == LOST:
            list(self.real(environ, _unheard))
        else:
            return self.real(environ, start_response)
        start_response("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW)))])
        return [SLOW]


def _unheard(*_answer: object) -> None:
    """Where an answer's status goes that nobody gets."""


@contextmanager
def answering(faults: Faults, port: int) -> Generator[S3Client]:
    server = make_server(LOOPBACK, port, faults, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Clients(f"http://{LOOPBACK}:{port}", KEYS["AWS_REGION"]).s3
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Pod:
    """A folder that a server captures to, and the sidecar beside it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.capture = Capture(
            folder,
            percent=100,
            max_queued_bytes=10**6,
            max_file_bytes=10**6,
            max_file_s=0.2,
            max_disk_bytes=10**8,
        )
        self.asked = 0

    def ask(self, count: int) -> None:
        for _ in range(count):
            self.asked += 1
            request = Request(b"POST", b"/invocations", b"text/csv", b"", str(self.asked).encode(), 0.0)
            self.capture.offer(request, Response(200, b"0.5\n", b"text/csv"), "7", ())

    def ship(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "shipping",
            "--source",
            str(self.folder),
            "--target",
            f"s3://{BUCKET}/{PREFIX}",
        ]
        environment = {**KEYS, "PYTHONPATH": str(REPOSITORY / "model_image"), "PATH": os.environ["PATH"]}
        environment["AWS_ENDPOINT_URL"] = f"http://{LOOPBACK}:{self.port}"
        return subprocess.Popen(command, env=environment)


def killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def test_every_record_arrives_once_whatever_s3_says_and_however_often_the_sidecar_is_killed(tmp_path: Path) -> None:
    port, faults = free_port(), Faults()
    pod = Pod(tmp_path, port)
    pod.ask(10)
    away = pod.ship()
    assert not wait_until(lambda: away.poll() is not None, 3), "S3 is away, and it waits"
    killed(away)
    with answering(faults, port) as s3:
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        for fault in (LOST, THROTTLED, LOST):
            faults.left = [fault]
            pod.ask(10)
            sidecar = pod.ship()
            assert wait_until(lambda: not faults.left, 20)
            killed(sidecar)
        left_by_a_killed_server = tmp_path / "2026/11/22/21/00-00-000000-killed.jsonl.part"
        left_by_a_killed_server.parent.mkdir(parents=True, exist_ok=True)
        left_by_a_killed_server.write_text(line("0") + line("half")[:40])
        pod.ask(10)
        last = pod.ship()
        assert wait_until(lambda: _handles(last.pid, signal.SIGTERM), 10)
        pod.ask(10)
        pod.capture.close()
        last.send_signal(signal.SIGTERM)
        assert last.wait(30) == 0
        versions = s3.list_object_versions(Bucket=BUCKET).get("Versions", [])
        keys = [each.get("Key", "") for each in versions]
        bodies = [s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode() for key in keys]
    assert len(set(keys)) == len(keys), "no object was written twice"
    assert all(key.startswith(PREFIX) for key in keys)
    records = [json.loads(text) for body in bodies for text in body.splitlines()]
    asked = [int(each["captureData"]["endpointInput"]["data"]) for each in records]
    assert sorted(asked) == list(range(pod.asked + 1))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def _handles(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler (proc(5), `SigCgt`)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (caught,) = re.findall(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(caught, 16) >> (number - 1) & 1)


def line(data: str) -> str:
    return json.dumps({"captureData": {"endpointInput": {"data": data}}}) + "\n"

"""The real model server as a process on loopback, and small models for it."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xgboost

from scoring import artifact, sagemaker
from scoring.contract import Feature, Schema
from scoring.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[2]
NOT_IN_IMAGE = Path(__file__).with_name("not_in_image")
READY_SECONDS = 15.0
SMALL = Schema("y", (Feature("a"), Feature("b")))
SMALL_ROW = b"0.3,0.9"


def environment(**extra: str) -> dict[str, str]:
    """Give what a container's process would see, and nothing of this machine's settings."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "model_image"), **extra}


def write_model(directory: Path, seed: int, schema: Schema = SMALL) -> str:
    """Write a small model and give the text of its answer to the row, or to its first cells."""
    draw = np.random.default_rng(seed)
    rows = draw.random((200, schema.width), dtype=np.float32)
    labels = (rows[:, seed % schema.width] + 0.3 * draw.random(200) > 0.6).astype(np.float32)
    data = xgboost.DMatrix(rows, labels, feature_names=schema.names, feature_types=schema.xgboost_types, nthread=1)
    params = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, "seed": seed}
    model = bytes(xgboost.train(params, data, 3 + seed).save_raw("ubj"))
    provenance = artifact.Provenance(hyperparameters={}, seed=seed, code_version=None, data={}, metrics={})
    artifact.write(directory, model, schema, {}, provenance)
    cells = [float(x) for x in SMALL_ROW.split(b",")[: schema.width]]
    answer = Predictor(model, schema).predict(np.array([cells], np.float32))
    return str(answer[0])


@dataclass
class Server:
    """A running model server."""

    process: subprocess.Popen[str]
    port: int

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()

    def announced_port(self) -> int:
        """Read the next line that it prints, which ends with an address."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline().rpartition(":")[2])

    def memory_kib(self, which: str = "VmRSS") -> int:
        """Give its resident memory, or with ``VmHWM`` the most that it ever was."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(which)))

    def descriptors(self) -> int:
        """Count its open descriptors."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self) -> int:
        """Ask for a drain and give the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=10)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(timeout=10)
        if self.process.stdout is not None:
            self.process.stdout.close()


class NotStartedError(Exception):
    """The process ended before it listened."""


def start(directory: Path | None, **settings: str) -> Server:
    """Start a server and wait until it is ready.

    Raises:
        NotStartedError: it refused to start.
    """
    env = environment(**settings)
    env["PYTHONPATH"] = f"{NOT_IN_IMAGE}{os.pathsep}{env['PYTHONPATH']}"
    command = [sys.executable, "-m", "scoring", "serve", *(["--model-dir", str(directory)] if directory else [])]
    command += ["--host", "127.0.0.1", *([] if sagemaker.PORT in settings else ["--port", "0"])]
    process = subprocess.Popen(command, env=env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    server = Server(process, 0)
    assert process.stdout is not None
    announcement = process.stdout.readline()
    if not announcement:
        server.kill()
        raise NotStartedError(f"exit code {process.returncode}")
    server.port = int(announcement.rpartition(":")[2])
    wait_until_ready(server)
    return server


@contextlib.contextmanager
def serving(directory: Path | None, **settings: str) -> Generator[Server]:
    """Start a server for a while."""
    server = start(directory, **settings)
    try:
        yield server
    finally:
        server.kill()


def wait_until_ready(server: Server) -> None:
    """Poll readiness until it is 200 or time is over."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if server.request("GET", "/ping")[0] == 200:
                return
        time.sleep(0.02)
    raise AssertionError("the server did not become ready")

"""One small training job, run once as SageMaker would run it, and a way to start the server on what it wrote."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xgboost

from scoring import artifact
from scoring.contract import Feature, Schema
from scoring.predictor import Predictor
from tests.support.jobs import Job, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
READY_SECONDS = 15.0


def environment(**extra: str) -> dict[str, str]:
    """Give what a container's process would see, and nothing of this machine's settings."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "model_image"), **extra}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of its own for a test that changes it."""
    return prepare(tmp_path / "ml")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A finished job; read only."""
    done = prepare(tmp_path_factory.mktemp("trained"))
    code, errors = done.train()
    assert code == 0, errors
    return done


@pytest.fixture(scope="session")
def model(trained: Job) -> artifact.Artifact:
    """The model of the finished job."""
    return artifact.read(trained.base / "model")


SMALL = Schema("y", (Feature("a"), Feature("b")))
SMALL_ROW = b"0.3,0.9"


def write_model(directory: Path, seed: int) -> str:
    """Write a small model and give the text of its answer to the row."""
    draw = np.random.default_rng(seed)
    rows = draw.random((200, 2), dtype=np.float32)
    labels = (rows[:, seed % 2] + 0.3 * draw.random(200) > 0.6).astype(np.float32)
    data = xgboost.DMatrix(rows, labels, feature_names=SMALL.names, feature_types=SMALL.xgboost_types, nthread=1)
    params = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, "seed": seed}
    model = bytes(xgboost.train(params, data, 3 + seed).save_raw("ubj"))
    provenance = artifact.Provenance(hyperparameters={}, seed=seed, code_version=None, data={}, metrics={})
    artifact.write(directory, model, SMALL, {}, provenance)
    answer = Predictor(model, SMALL).predict(np.array([[float(x) for x in SMALL_ROW.split(b",")]], np.float32))
    return str(answer[0])


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Three models, one of them as SageMaker lays it out, and a damaged one; with the answers of the three."""
    folder = tmp_path_factory.mktemp("repository")
    places = {"one": folder / "one", "two": folder / "two", "three": folder / "three/model"}
    answers = {name: write_model(place, seed) for seed, (name, place) in enumerate(places.items())}
    shutil.copytree(folder / "one", folder / "damaged")
    (folder / "damaged" / artifact.MODEL).write_bytes(b"?")
    assert len(set(answers.values())) == len(answers)
    return folder, answers


@dataclass
class Server:
    """A running model server."""

    process: subprocess.Popen[str]
    port: int

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()

    def stop(self) -> int:
        """Ask for a drain and give the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=10)


def wait_until_ready(server: Server) -> None:
    """Poll readiness until it is 200 or time is over."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if server.request("GET", "/ping")[0] == 200:
                return
        time.sleep(0.02)
    raise AssertionError("the server did not become ready")


@pytest.fixture(scope="session")
def slim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hide what the image does not have: XGBoost imports both if it finds them, which takes seconds."""
    folder = tmp_path_factory.mktemp("slim")
    for name in ("pandas", "sklearn"):
        (folder / f"{name}.py").write_text('raise ImportError("not in the image")\n')
    return folder


@pytest.fixture(scope="session")
def start(trained: Job, slim: Path) -> Iterator[Callable[..., Server]]:
    """Start servers on the trained model; all are stopped at the end."""
    started: list[subprocess.Popen[str]] = []

    def start_one(directory: Path | None = trained.base / "model", **settings: str) -> Server:
        command = [sys.executable, "-m", "scoring", "serve", *(["--model-dir", str(directory)] if directory else [])]
        command += ["--host", "127.0.0.1", "--port", "0"]
        env = environment(**settings)
        env["PYTHONPATH"] = f"{slim}{os.pathsep}{env['PYTHONPATH']}"
        process = subprocess.Popen(
            command, env=env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        started.append(process)
        assert process.stdout is not None
        announcement = process.stdout.readline()
        server = Server(process, int(announcement.rpartition(":")[2]))
        wait_until_ready(server)
        return server

    yield start_one
    for process in started:
        process.kill()
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session")
def server(start: Callable[..., Server]) -> Server:
    """A server that tests share; it never drains."""
    return start()

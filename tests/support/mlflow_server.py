"""MLflow's own tracking server as a process on loopback, with its database in a file.

Its environment is a group of its own (`requirements/mlflow.txt`), installed into the cache of set-up when it is first
asked for. `mlflow server` would start it behind a second server with what serves language models, whose imports take
three times as long: Flask starts the tracking API alone, which is the same code.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox.loop.processes import LOOPBACK, clean_environment, free_port, last_lines, wait_until
from tools.artefacts import Cache, cache_root
from tools.commands import Commands
from tools.environments import Environments
from tools.progress import Board

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
APP: Final = "mlflow.server"
"""Module of MLflow's Flask application."""


@dataclass(frozen=True, slots=True)
class TrackingServer:
    """A running server, asked as anybody would."""

    endpoint: str

    def runs(self, group: str, order: str = "attributes.start_time ASC") -> list[dict[str, Any]]:
        """Runs of the experiment of one package group."""
        found = self.ask(f"experiments/get-by-name?experiment_name={group}")
        body = {"experiment_ids": [found["experiment"]["experiment_id"]], "order_by": [order]}
        return self.ask("runs/search", body).get("runs", [])

    def ask(self, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What one call of the API answers."""
        request = urllib.request.Request(  # noqa: S310 - an address of ours on loopback
            f"{self.endpoint}/api/2.0/mlflow/{call}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=READY_SECONDS) as answer:  # noqa: S310 - the same
            return json.load(answer)


@contextlib.contextmanager
def tracking_server(folder: Path) -> Generator[TrackingServer]:
    """Start a server with an empty database in `folder`, and end it."""
    cache = Cache(cache_root(), Board())
    python = cache.ensure(Environments(cache, Commands()).artefact("mlflow")) / "bin" / "python"
    port, log, database = free_port(), folder / "server.log", f"sqlite:///{folder / 'runs.db'}"
    told = {
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_REGISTRY_STORE": database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": str(folder / "artefacts"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    endpoint = f"http://{LOOPBACK}:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-m", "flask", "--app", APP, "run", "--host", LOOPBACK, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=clean_environment(folder / "home", told),
        )
    try:
        wait_until(lambda: _healthy(endpoint) or process.poll() is not None, READY_SECONDS)
        assert _healthy(endpoint), last_lines(log)
        server = TrackingServer(endpoint)
        server.ask("experiments/search", {"max_results": 1})  # the first question makes the tables
        yield server
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()


def _healthy(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/health", timeout=2):  # noqa: S310 - an address of ours on loopback
            return True
    except OSError:
        return False


def values(run: dict[str, Any], what: str) -> dict[str, Any]:
    """Parameters, metrics or tags of a run by name."""
    return {each["key"]: each["value"] for each in run["data"].get(what, [])}

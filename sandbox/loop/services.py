"""The two processes of the loop: started when missing, replaced when out of date, else left alone."""

from __future__ import annotations

import http.client
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.loop.container import ModelImage
from sandbox.loop.files import digest_of
from sandbox.loop.image import variables
from sandbox.loop.processes import (
    LOOPBACK,
    REPOSITORY,
    ProcessError,
    clean_environment,
    end,
    free_port,
    last_lines,
    recorded,
    running,
    start_daemon,
    wait_until,
)
from sandbox.loop.spec import HEALTH_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sandbox.loop.image import BuiltImage
    from sandbox.loop.spec import LoopPaths, LoopSpec

OK = 200

API_START_SECONDS = 60.0
SERVER_START_SECONDS = 30.0
STOP_SECONDS = 5.0

SERVER_SETTINGS = {"SLIPWAY_DRAIN_S": "0.2", "SLIPWAY_GRACE_S": "2"}
"""No load balancer has to notice anything here, so the server need not keep answering after SIGTERM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process that answers HTTP on loopback."""

    name: str
    command: Callable[[int], Sequence[str]]
    """Command line for a port."""
    env: Mapping[str, str]
    record: Path
    log: Path
    health: Callable[[int], bool]
    fingerprint: str
    """What the process is started from."""
    start_seconds: float
    """How long it may take to answer."""

    def ensure(self) -> tuple[str, bool]:
        """Make sure that it runs, up to date and healthy.

        Returns:
            Its address, and whether it had to be started.

        Raises:
            ProcessError: It does not become healthy; the message holds the end of its log.
        """
        found = running(self.record)
        if found is not None and found.fingerprint == self.fingerprint and self.health(found.port):
            return address(found.port), False
        last = recorded(self.record)
        end(self.record, STOP_SECONDS)
        port = free_port(0 if last is None else last.port)
        return address(self._start(port)), True

    def _start(self, port: int) -> int:
        """Start it and return its port: that of a start which a killed run had begun, where that one came first."""
        start_daemon(
            self.command(port),
            record=self.record,
            log=self.log,
            env=self.env,
            port=port,
            fingerprint=self.fingerprint,
        )
        if not wait_until(lambda: running(self.record) is not None, self.start_seconds):
            raise ProcessError(f"{self.name} did not start; the end of {self.log}:\n{last_lines(self.log)}")
        wait_until(lambda: (found := running(self.record)) is None or self.health(found.port), self.start_seconds)
        found = running(self.record)
        if found is None or found.fingerprint != self.fingerprint or not self.health(found.port):
            end(self.record, STOP_SECONDS)
            raise ProcessError(
                f"{self.name} does not answer on port {port}; the end of {self.log}:\n{last_lines(self.log)}"
            )
        return found.port


def address(port: int) -> str:
    """Address of a service."""
    return f"http://{LOOPBACK}:{port}"


def get(port: int, path: str, timeout_seconds: float = 5.0) -> tuple[int, bytes]:
    """Status and body of a GET request; status 0 when nobody answers. No proxy is ever asked."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def aws_api(spec: LoopSpec, paths: LoopPaths) -> Service:
    """The AWS APIs of the environment. They are replaced when their own code, or what they were told, has changed."""
    arguments = [
        *("--state-dir", str(spec.state_dir.resolve())),
        *("--account-id", spec.account_id),
        *("--region", spec.region),
        *(word for arn in spec.role_arns for word in ("--role-arn", arn)),
        *("--key-arn", spec.key_arn),
        *("--image-python", str(spec.image_python)),
        *("--image-source", str(spec.image_source)),
    ]
    code = digest_of((REPOSITORY / "sandbox" / "loop").glob("*.py"), REPOSITORY)
    fingerprint = f"{code[:16]} {' '.join(arguments)}"

    def healthy(port: int) -> bool:
        status, body = get(port, HEALTH_PATH)
        return status == OK and json.loads(body).get("fingerprint") == fingerprint

    return Service(
        name="the server of the AWS APIs",
        command=lambda port: [
            *(sys.executable, "-m", "sandbox.loop.aws_api", *arguments),
            *("--port", str(port), "--fingerprint", fingerprint),
        ],
        env=clean_environment(paths.home, {"PYTHONPATH": str(REPOSITORY), "MOTO_ACCOUNT_ID": spec.account_id}),
        record=paths.api_record,
        log=paths.api_log,
        health=healthy,
        fingerprint=fingerprint,
        start_seconds=API_START_SECONDS,
    )


def model_server(spec: LoopSpec, paths: LoopPaths, image: BuiltImage, model_dir: Path, version: int) -> Service:
    """The model server for one unpacked model. It is replaced when the model or the image has changed."""
    runtime = ModelImage(python=spec.image_python, source=spec.image_source)
    settings = {"SLIPWAY_MODEL_VERSION": str(version), **SERVER_SETTINGS, **variables(image.digest)}
    return Service(
        name=f"the server of {spec.model.name}",
        command=lambda port: runtime.command(
            "serve", "--model-dir", str(model_dir), "--host", LOOPBACK, "--port", str(port)
        ),
        env=runtime.environment(paths.home, settings),
        record=paths.server_record(spec.model.name),
        log=paths.server_log(spec.model.name),
        health=lambda port: get(port, "/ping")[0] == OK,
        fingerprint=f"{image.digest} {model_dir}",
        start_seconds=SERVER_START_SECONDS,
    )

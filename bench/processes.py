"""One server as a tree of processes: start it on a core, hold it while others are measured, count what it uses."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY_SECONDS = 90.0
STOP_SECONDS = 10.0
OK = 200
TICKS = os.sysconf("SC_CLK_TCK")
PARENT = 1
"""Place of the parent's id among the fields of `/proc/PID/stat` that follow the command, from 0."""


class ServerError(Exception):
    """A server did not start, or ended early."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a cold start took."""

    seconds: float
    cpu_seconds: float
    memory_mib: float
    """Resident, of all processes together, after the first answer."""


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    start: Start | None = None

    def tree(self) -> list[int]:
        """Ids of the server's processes, itself first."""
        children: dict[int, list[int]] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                with contextlib.suppress(OSError):
                    fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                    children.setdefault(int(fields[PARENT]), []).append(int(folder.name))
        found = [self.process.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def signal(self, number: signal.Signals) -> None:
        """Signal every process of the tree."""
        for pid in self.tree():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """End every process of the tree, by force if need be."""
        tree = self.tree()
        self.signal(signal.SIGCONT)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        for pid in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def cpu_seconds(tree: Sequence[int]) -> float:
    """Time on a processor of all threads of the processes, to the nanosecond (`/proc/PID/task/TID/schedstat`)."""
    total = 0
    for pid in tree:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(task.read_text(encoding="utf-8").split()[0])
    return total / 1e9


def busy_seconds() -> float:
    """Time that all processors together were not idle since the machine started."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
    return (sum(map(int, fields)) - int(fields[3]) - int(fields[4])) / TICKS


def memory_mib(tree: Sequence[int]) -> float:
    """Resident memory of the processes, summed."""
    kib = 0
    for pid in tree:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
                if line.startswith("VmRSS"):
                    kib += int(line.split()[1])
    return kib / 1024


def start(
    words: Sequence[str], *, core: int, port: int, ready: str, environment: Mapping[str, str], log: Path
) -> Server:
    """Start a server pinned to one core and wait for its first 200.

    Raises:
        ServerError: it ended, or was not ready in time; with the end of its log.
    """
    began = time.monotonic()
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})  # the child inherits it
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - a server of our own table
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=log.parent,
            start_new_session=True,
        )
    os.sched_setaffinity(0, own)
    server = Server(process, port)
    try:
        while not answers(port, ready):
            _check(process, began, log)
            time.sleep(0.005)
    except BaseException:
        server.stop()
        raise
    tree = server.tree()
    server.start = Start(time.monotonic() - began, cpu_seconds(tree), memory_mib(tree))
    return server


def _check(process: subprocess.Popen[bytes], began: float, log: Path) -> None:
    if process.poll() is not None or time.monotonic() - began > READY_SECONDS:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:]
        raise ServerError("did not become ready: " + " | ".join(tail))


def answers(port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status == OK
    return False

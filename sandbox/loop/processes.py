"""Processes that outlive the command that started them, known by process id *and* start time.

A process id alone is reused by the system; together with the start time it names one process for ever, so a stale
record is never mistaken for a running process and nothing else is ever signalled. Each process writes its own record
before it becomes the program (`sandbox.loop.leash`), so there is no moment at which one runs unrecorded.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.loop.files import write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

REPOSITORY = Path(__file__).resolve().parents[2]

LOOPBACK = "127.0.0.1"
"""The only address that anything here binds to or connects to."""
STEADY_PORTS = range(20_000, 30_000)
"""Below those that Linux gives to outgoing connections (ip(7), `ip_local_port_range`): none of these takes the port of
a service while that is down."""
ATTEMPTS = 20
"""Of these ports; then any port will do."""
RELEASE_SECONDS = 1.0
"""How long a killed process may take to close its sockets."""

_POLL_SECONDS = 0.02
_DEAD_STATES = frozenset("ZXx")


class ProcessError(Exception):
    """A process did not start or did not become healthy; the message names its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """What is known of a process that this package started."""

    pid: int
    """Process id; also the id of its session and process group."""
    started: str
    """Start time as the system tells it, opaque."""
    port: int
    """TCP port on loopback that it serves, 0 for none."""
    fingerprint: str
    """What it was started from; a different one means that it has to be replaced."""


def start_time(pid: int) -> str | None:
    """When process `pid` started, as an opaque text; None when there is no such process, or only its exit status.

    Linux: field 22 of `/proc/<pid>/stat` (proc(5)), clock ticks since boot. Elsewhere: `ps -o lstart`.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        except OSError:
            return None
        fields = stat[stat.rindex(")") + 2 :].split()  # the name in brackets may hold blanks and brackets itself
        return None if fields[0] in _DEAD_STATES else fields[19]
    shown = subprocess.run(  # noqa: S603 - a system program by its path, no shell
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = shown.stdout.strip().partition(" ")
    return None if not state or state[0] in _DEAD_STATES else started.strip()


def this_process(*, port: int = 0, fingerprint: str = "") -> ProcessRecord:
    """The record of the calling process."""
    started = start_time(os.getpid())
    if started is None:
        raise ProcessError("the system does not tell when this process started")
    return ProcessRecord(pid=os.getpid(), started=started, port=port, fingerprint=fingerprint)


def write_record(path: Path, record: ProcessRecord) -> None:
    """Keep `record` at `path`."""
    write_json(path, asdict(record))


def recorded(path: Path) -> ProcessRecord | None:
    """The process recorded at `path`, whether it still runs or not; None for a missing or unreadable record."""
    try:
        return ProcessRecord(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def running(path: Path) -> ProcessRecord | None:
    """The process recorded at `path` if it still runs; None for a missing, unreadable or stale record."""
    record = recorded(path)
    return record if record is not None and start_time(record.pid) == record.started else None


def end(path: Path, grace_seconds: float = 10.0) -> bool:
    """End exactly the process recorded at `path` and forget the record.

    SIGTERM first; SIGKILL to its whole process group after `grace_seconds`.

    Returns:
        Whether there was such a process.
    """
    record = running(path)
    if record is not None:
        _signal(record, signal.SIGTERM)
        if not wait_until(lambda: start_time(record.pid) != record.started, grace_seconds):
            _signal(record, signal.SIGKILL)
            wait_until(lambda: start_time(record.pid) != record.started, grace_seconds)
    path.unlink(missing_ok=True)
    return record is not None


def _signal(record: ProcessRecord, number: signal.Signals) -> None:
    """Signal the process if it is still the recorded one; with SIGKILL its group as well."""
    with contextlib.suppress(ProcessLookupError):
        if start_time(record.pid) == record.started:
            if number == signal.SIGKILL and os.getpgid(record.pid) == record.pid:
                os.killpg(record.pid, number)
            else:
                os.kill(record.pid, number)


def wait_until(condition: Callable[[], bool], seconds: float, poll_seconds: float = _POLL_SECONDS) -> bool:
    """Wait for `condition`; whether it came true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_seconds)
    return True


def start_daemon(
    command: Sequence[str], *, record: Path, log: Path, env: Mapping[str, str], port: int, fingerprint: str
) -> None:
    """Start `command` in a session of its own, recorded at `record`, its output in `log`, which starts empty.

    Returns as soon as the process exists; whether it works is for the caller to ask.

    Args:
        command: Program and arguments.
        record: Where its record goes. A process that already holds this record keeps it, and no second one starts.
        log: File for standard output and error.
        env: The whole environment of the process.
        port: Port that the command was told to serve.
        fingerprint: What the process is started from.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    leash = leash_command("daemon", record, port=port, fingerprint=fingerprint)
    with log.open("wb") as output:
        subprocess.run(  # noqa: S603 - our own command line, no shell
            [*leash, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(env),
            check=True,
        )


def leash_command(mode: str, record: Path, *, port: int = 0, fingerprint: str = "") -> list[str]:
    """Command line in front of a program that makes it record itself; see `sandbox.loop.leash`."""
    script = str(Path(__file__).with_name("leash.py"))
    options = json.dumps({"record": str(record), "port": port, "fingerprint": fingerprint, "parent": os.getpid()})
    return [sys.executable, "-I", script, mode, options]


def clean_environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """An environment for our own processes: of the caller's only where programs and temporary files are.

    `HOME` is an empty folder and no `AWS_*` variable passes, so no credentials of the machine are found; the instance
    metadata service is switched off for every AWS SDK (`AWS_EC2_METADATA_DISABLED`).
    """
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    fixed = {"HOME": str(home), "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1", "AWS_EC2_METADATA_DISABLED": "true"}
    return kept | fixed | dict(extra)


def free_port(preferred: int = 0) -> int:
    """A TCP port on loopback that nothing listens on: `preferred` if possible, so that addresses stay.

    A killed process counts as ended when its first thread has; its sockets are closed with the last one.
    """
    if preferred and wait_until(lambda: _bound(preferred) is not None, RELEASE_SECONDS):
        return preferred
    for candidate in (*secrets.SystemRandom().sample(STEADY_PORTS, ATTEMPTS), 0):
        if (port := _bound(candidate)) is not None:
            return port
    raise ProcessError(f"no free TCP port on {LOOPBACK}")


def _bound(port: int) -> int | None:
    """What a socket gets that asks for a port, 0 for any; None where another one listens."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))
        return int(probe.getsockname()[1])
    return None


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, for an error message."""
    try:
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-count:])
    except OSError:
        return "(no log was written)"

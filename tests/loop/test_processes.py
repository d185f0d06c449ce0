from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sandbox.loop.processes import (
    LOOPBACK,
    ProcessRecord,
    clean_environment,
    end,
    free_port,
    running,
    start_daemon,
    start_time,
    this_process,
    wait_until,
    write_record,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLEEP = "import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEP}"


def start(folder: Path, code: str = SLEEP, name: str = "daemon") -> ProcessRecord:
    record = folder / f"{name}.json"
    start_daemon(
        [sys.executable, "-c", code],
        record=record,
        log=folder / f"{name}.log",
        env=clean_environment(folder / "home", {}),
        port=0,
        fingerprint="f",
    )
    assert wait_until(lambda: running(record) is not None, 10)
    found = running(record)
    assert found is not None
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for record in tmp_path.glob("*.json"):
        end(record, grace_seconds=0.1)


def alive(record: ProcessRecord) -> bool:
    return start_time(record.pid) == record.started


def test_a_daemon_is_recorded_runs_in_its_own_session_and_ends_when_told(folder: Path) -> None:
    record = start(folder)

    assert alive(record)
    assert os.getsid(record.pid) == record.pid != os.getsid(0)
    assert end(folder / "daemon.json")
    assert not alive(record)
    assert not (folder / "daemon.json").exists()


def test_a_daemon_that_ignores_sigterm_is_killed(folder: Path) -> None:
    record = start(folder, STUBBORN)
    assert wait_until(lambda: "deaf" in (folder / "daemon.log").read_text(), 10)

    assert end(folder / "daemon.json", grace_seconds=0.2)
    assert not alive(record)


def test_a_process_that_only_has_the_recorded_number_is_left_alone(folder: Path) -> None:
    record = start(folder)
    stale = folder / "stale.json"
    write_record(stale, replace(record, started="1"))

    assert running(stale) is None
    assert end(stale) is False
    assert alive(record)
    assert not stale.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "started": "x", "port": 0, "colour": 1}'])
def test_an_unreadable_record_counts_as_no_process(folder: Path, content: str) -> None:
    (folder / "odd.json").write_text(content)

    assert running(folder / "odd.json") is None
    assert end(folder / "odd.json") is False


def test_a_second_daemon_with_the_same_record_does_not_start(folder: Path) -> None:
    first = start(folder)
    second = start(folder)

    assert second == first


def test_a_daemon_that_died_by_itself_can_be_started_again(folder: Path) -> None:
    first = start(folder)
    os.kill(first.pid, signal.SIGKILL)
    assert wait_until(lambda: not alive(first), 5)

    assert start(folder).pid != first.pid


def test_a_process_that_has_ended_but_was_not_waited_for_counts_as_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        assert wait_until(lambda: start_time(process.pid) is None, 10)


def test_the_start_time_tells_two_processes_apart() -> None:
    own = this_process()
    time.sleep(0.02)  # the clock of start times counts hundredths of a second
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as process:
        other = start_time(process.pid)
        process.kill()

    assert other is not None
    assert own.started != other


def test_a_port_is_waited_for_while_what_listened_there_ends() -> None:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        threading.Timer(0.3, listener.close).start()
        port = int(listener.getsockname()[1])
        assert free_port(port) == port


def test_a_preferred_port_is_kept_unless_something_listens_there() -> None:
    port = free_port()
    assert free_port(port) == port
    with socket.create_server((LOOPBACK, port)):
        assert free_port(port) != port


def test_nothing_of_the_callers_environment_passes_but_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "poison")
    monkeypatch.setenv("AWS_PROFILE", "poison")
    monkeypatch.setenv("PYTHONPATH", "poison")
    env = clean_environment(folder / "home", {"MORE": "1"})

    assert "poison" not in json.dumps(env)
    assert env["AWS_EC2_METADATA_DISABLED"] == "true"
    assert env["HOME"] == str(folder / "home")
    assert list((folder / "home").iterdir()) == []
    assert env["MORE"] == "1"

"""The main job as a user runs it: `python -m sandbox up`, killed and finished, repeated, looked at, removed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from sandbox.engine import ROOT
from sandbox.world import World
from tools.environments import import_path

from .processes import below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.loop

DEADLINE_SECONDS = 180
LISTENING = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('sandbox', run_name='__main__')"
)
"""Runs the package's main; a shell that starts the tests in the background makes its children deaf to interrupts."""


class Commands:
    """Runs commands of the sandbox with their state in one folder."""

    def __init__(self, state: Path) -> None:
        self.local = state / "local"
        image_python = os.environ.get("SLIPWAY_IMAGE_PYTHON", sys.executable)
        own = {"SLIPWAY_STATE": str(state), "SLIPWAY_IMAGE_PYTHON": image_python, "PYTHONPATH": import_path()}
        self._environment = {**os.environ, **own}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", LISTENING, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=DEADLINE_SECONDS)
        return process.returncode, output


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    commands = Commands(tmp_path / "state")
    yield commands
    commands.run("down")


def kill_in_the_middle(commands: Commands, calls: int) -> None:
    """Starts `up` and kills it, the engine included, once the providers have done some work."""
    process = commands.start("up")
    end = time.monotonic() + DEADLINE_SECONDS
    database = commands.local / "world.db"
    while process.poll() is None and time.monotonic() < end:
        if database.exists() and len(World(database).calls()) >= calls:
            break
        time.sleep(0.1)
    assert process.poll() is None, process.communicate()[0]
    for pid in [*below(process.pid), process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()


def test_up_is_finished_after_a_kill_then_changes_nothing_then_is_removed(commands: Commands) -> None:
    kill_in_the_middle(commands, calls=40)
    code, output = commands.run("up")
    assert code == 0, output
    assert "recovered from a run that was killed" in output
    assert "flight-delay version 1" in output
    urns = [record.urn for record in World(commands.local / "world.db").all()]
    assert len(urns) == len(set(urns)), "something was created twice"

    url = next(line.split()[1] for line in output.splitlines() if line.startswith("Endpoint"))
    body = output.split("-d '")[1].split("'")[0].encode()
    request = urllib.request.Request(url, body, {"Content-Type": "text/csv", "Accept": "application/json"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
        (prediction,) = json.load(response)["predictions"]
    assert 0 < prediction < 1

    code, again = commands.run("up")
    assert code == 0, again
    assert "(same " in again
    assert "flight-delay version 1" in again
    code, status = commands.run("status")
    assert code == 0
    assert url.removesuffix("/invocations") in status
    assert re.search(r"version 1 +Approved · auc 0\.\d{4}", status)

    code, gone = commands.run("down")
    assert code == 0, gone
    assert not commands.local.exists()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(request, timeout=10)  # noqa: S310 - loopback
    assert commands.run("status")[1].strip() == "environment local is not up"


def test_an_environment_that_does_not_exist_is_refused_with_those_that_do(commands: Commands) -> None:
    code, output = commands.run("preview", "--stack", "production")
    assert code == 1
    assert "there is no environment 'production'" in output
    assert "environments: dev, local, prod, staging" in output
    assert "Traceback" not in output


def test_a_plan_is_what_stack_export_would_say_and_keeps_secrets_encrypted(commands: Commands, tmp_path: Path) -> None:
    code, output = commands.run("plan", "--stack", "dev", "--out", str(tmp_path / "plan.json"))
    assert code == 0, output
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert set(plan) == {"version", "deployment"}
    assert len(plan["deployment"]["resources"]) > 100
    stack = next(r for r in plan["deployment"]["resources"] if r["type"] == "pulumi:pulumi:Stack")
    assert "ciphertext" in stack["outputs"]["kubeconfig"]
    assert not list(tmp_path.glob(".*")), "an unfinished file was left behind"

    code, output = commands.run("plan", "--stack", "dev", "--out", str(tmp_path / "nowhere" / "plan.json"))
    assert code == 1
    assert "does not exist; create it or name another file" in output


def test_a_second_command_on_the_same_environment_waits_for_nobody_and_says_so(commands: Commands) -> None:
    first = commands.start("up")
    end = time.monotonic() + DEADLINE_SECONDS
    while not (commands.local / "backend" / ".pulumi").exists() and time.monotonic() < end:
        time.sleep(0.05)
    code, output = commands.run("up")
    first.send_signal(signal.SIGINT)
    first_output, _ = first.communicate(timeout=DEADLINE_SECONDS)
    assert code == 1
    assert "another command works on environment local; wait for it to end" in output
    assert first.returncode == 130, first_output
    assert "run the same command again to go on" in first_output
    assert "Traceback" not in first_output

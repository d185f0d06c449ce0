"""Failed calls, killed runs, concurrent runs: the next run makes the stack whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from sandbox.chaos import Chaos
from sandbox.engine import ROOT, Engine, EngineError
from sandbox.recovery import recover
from sandbox.world import World

from .processes import addresses, below, command_of, environ_of, is_running
from .small_platform import SIZE, SmallPlatform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Open = Callable[[Callable[[], None]], Engine]
    Agree = Callable[[Engine], None]

pytestmark = pytest.mark.engine

PLATFORM = SmallPlatform()
DEADLINE_SECONDS = 60.0
SECONDS_PER_CREATION = 0.4
POISON = "not-to-be-seen-by-any-plugin"


def within_deadline(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("call", [1, 3, 6, SIZE])
def test_an_update_whose_nth_call_fails_is_completed_by_the_next(
    open_engine: Open, agree: Agree, tmp_path: Path, call: int
) -> None:
    Chaos(fail_call=call).save(tmp_path / "sandbox")
    engine = open_engine(PLATFORM)
    with pytest.raises(EngineError, match="ThrottlingException: Rate exceeded"):
        engine.up()
    assert len(engine.world().all()) < SIZE
    agree(engine)
    engine.up()
    assert len(engine.world().all()) == SIZE
    agree(engine)


def test_a_destroy_whose_call_fails_is_completed_by_the_next(open_engine: Open, agree: Agree, tmp_path: Path) -> None:
    engine = open_engine(PLATFORM)
    engine.up()
    Chaos(fail_call=len(engine.world().calls()) + 4).save(tmp_path / "sandbox")
    with pytest.raises(EngineError, match="ThrottlingException"):
        engine.destroy()
    agree(engine)
    engine.destroy()
    assert engine.world().all() == []


def test_a_resource_in_use_cannot_be_deleted(open_engine: Open) -> None:
    engine = open_engine(PLATFORM)
    engine.up()
    vpc = next(record for record in engine.world().all() if record.type == "aws:ec2/vpc:Vpc")
    users = [record for record in engine.world().all() if record.inputs.get("vpcId") == vpc.id]
    assert len(users) == len(PLATFORM.zones)
    forgetful = engine.export()
    forgetful.resources[:] = [r for r in forgetful.resources if "subnet" not in r["urn"] and "nat" not in r["urn"]]
    engine.import_(forgetful)
    with pytest.raises(EngineError, match="DependencyViolation: aws:ec2/vpc:Vpc"):
        engine.destroy()


@pytest.fixture
def running_update(tmp_path: Path, stack_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An update in a process of its own, slow enough to be caught in the middle."""
    script = (
        "import sys; from pathlib import Path; from sandbox.engine import Engine\n"
        "from tests.engine.small_platform import SmallPlatform\n"
        "Engine(Path(sys.argv[1]), 'test', stack_file=Path(sys.argv[2]), program=SmallPlatform()).up()\n"
    )
    Chaos(seconds_per_creation=SECONDS_PER_CREATION).save(tmp_path / "sandbox")
    process = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "sandbox", stack_file],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "AWS_ACCESS_KEY_ID": POISON, "AWS_PROFILE": POISON},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.mark.parametrize("created", [1, 4, 7])
def test_after_kill_9_recovery_adopts_what_was_being_created(
    open_engine: Open, agree: Agree, tmp_path: Path, running_update: subprocess.Popen[bytes], created: int
) -> None:
    world = World(tmp_path / "sandbox" / "world.db")
    assert within_deadline(lambda: len(world.calls()) >= created), "the update never got that far"
    family = below(running_update.pid)
    providers = [pid for pid in family if "sandbox.providers" in command_of(pid)]
    assert providers
    for pid in [p for p in family if p not in providers] + [running_update.pid]:
        os.kill(pid, signal.SIGKILL)
    running_update.wait()
    assert within_deadline(lambda: not any(map(is_running, providers))), "a provider outlived its engine"

    Chaos().save(tmp_path / "sandbox")
    engine = open_engine(PLATFORM)
    assert recover(engine).locks_broken == 1
    engine.up()
    agree(engine)
    assert len(engine.world().all()) == SIZE
    engine.destroy()
    assert engine.world().all() == []


def test_a_running_update_is_not_taken_for_a_killed_one(
    open_engine: Open, tmp_path: Path, running_update: subprocess.Popen[bytes]
) -> None:
    world = World(tmp_path / "sandbox" / "world.db")
    assert within_deadline(lambda: len(world.calls()) >= 1)
    with pytest.raises(EngineError, match="holds this stack; wait for it to end"):
        recover(open_engine(PLATFORM))
    assert running_update.wait(DEADLINE_SECONDS) == 0, "the update was disturbed"
    assert not recover(open_engine(PLATFORM)).needed


LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
NO_ADDRESS = {"00000000", "00000000000000000000000000000000"}
"""The ends of a socket that is not bound or connected yet."""


def test_an_update_opens_no_socket_beyond_loopback_and_sees_no_credential(
    tmp_path: Path, running_update: subprocess.Popen[bytes]
) -> None:
    world = World(tmp_path / "sandbox" / "world.db")
    listening: set[str] = set()
    met: set[str] = set()
    environments: list[bytes] = []
    while running_update.poll() is None:
        family = below(running_update.pid)
        now_listening, now_met = addresses([running_update.pid, *family])
        listening |= now_listening
        met |= now_met
        if len(world.calls()) >= 1 and not environments:
            environments = [environ_of(pid) for pid in family if "sandbox.providers" in command_of(pid)]
        time.sleep(0.05)
    assert running_update.returncode == 0
    assert listening, "no socket was seen at all"
    assert listening <= LOOPBACK, listening
    assert met <= LOOPBACK | NO_ADDRESS, met
    assert environments
    assert not any(POISON.encode() in environment for environment in environments)
    assert all(b"AWS_EC2_METADATA_DISABLED=true" in environment for environment in environments)

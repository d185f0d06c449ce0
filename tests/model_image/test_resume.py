"""A training process that is killed again and again, on the real disk."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from scoring import artifact

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.loop

ROUNDS = 50
KILL_SECONDS = 60.0
HYPERPARAMETERS = {
    "label": "late", "num_round": str(ROUNDS), "max_depth": "6", "eta": "0.05", "early_stopping_rounds": "40",
    "subsample": "0.8", "colsample_bytree": "0.7", "seed": "3", "nthread": "2", "checkpoint_rounds": "1",
}  # fmt: skip


def newest(folder: Path) -> int:
    rounds = [int(path.stem.rpartition("-")[2]) for path in folder.glob("*.checkpoint")]
    return max(rounds, default=0)


def run_to_the_end(job: Any) -> str:
    with job.start() as process:
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return out


def kill_after(job: Any, rounds: int, pause: float) -> None:
    """Kill the trainer with SIGKILL some time after the given number of rounds."""
    folder = job.base / "checkpoints"
    deadline = time.monotonic() + KILL_SECONDS
    with job.start() as process:
        while newest(folder) < rounds and time.monotonic() < deadline:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.001)
        time.sleep(pause)
        process.kill()
        process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL


def files(job: Any) -> dict[str, bytes]:
    names = (*artifact.PAYLOAD, artifact.MANIFEST)
    return {name: (job.base / "model" / name).read_bytes() for name in names}


@pytest.fixture
def interrupted(job: Any) -> Any:
    """A job with a folder for checkpoints."""
    job.write_config(HYPERPARAMETERS)
    (job.base / "checkpoints").mkdir()
    return job


@pytest.fixture(scope="module")
def expected(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the same job writes when nobody interrupts it and no checkpoint is written."""
    base = tmp_path_factory.mktemp("uninterrupted")
    shutil.copytree(trained.base / "input", base / "input")
    uninterrupted = type(trained)(base)
    uninterrupted.write_config(HYPERPARAMETERS)
    run_to_the_end(uninterrupted)
    return files(uninterrupted)


def test_a_restart_falls_back_behind_damaged_checkpoints_and_still_ends_with_the_same_bytes(
    interrupted: Any, expected: dict[str, bytes]
) -> None:
    folder = interrupted.base / "checkpoints"
    kill_after(interrupted, 10, pause=0)
    last = newest(folder)
    path = max(folder.glob("*.checkpoint"))
    path.write_bytes(path.read_bytes()[:-1])
    out = run_to_the_end(interrupted)
    assert re.search(rf"^warning: checkpoint {path.name} is not used: it is damaged", out, re.MULTILINE)
    assert f"continues after round {last - 1} of {ROUNDS}" in out
    assert files(interrupted) == expected


def test_a_stop_signal_keeps_a_checkpoint_and_the_restart_ends_with_the_same_bytes(
    interrupted: Any, expected: dict[str, bytes]
) -> None:
    settings = HYPERPARAMETERS | {"checkpoint_rounds": "10000", "checkpoint_seconds": "1000"}
    interrupted.write_config(settings)
    with interrupted.start() as process:
        assert any(line.startswith("[0]") for line in process.stdout)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert process.returncode == 3
    stopped = re.search(r"stopped by SIGTERM after round (\d+); a restart continues there", errors)
    assert stopped, errors
    assert not (interrupted.base / "model").exists()
    out = run_to_the_end(interrupted)
    assert f"continues after round {stopped[1]} of {ROUNDS}" in out
    assert files(interrupted)[artifact.MODEL] == expected[artifact.MODEL]


def test_other_data_or_hyperparameters_start_anew_and_say_why(interrupted: Any, expected: dict[str, bytes]) -> None:
    assert expected
    kill_after(interrupted, 5, pause=0)
    part = interrupted.base / "input/data/train/part-0.csv"
    part.write_text(part.read_text().rstrip("\n").rpartition("\n")[0] + "\n")
    interrupted.write_config(HYPERPARAMETERS | {"eta": "0.06"})
    out = run_to_the_end(interrupted)
    assert "which differs in data of channel train, eta; training starts anew" in out
    assert "continues after" not in out
    assert json.loads((interrupted.base / "model/manifest.json").read_text())["provenance"]["data"]["train"]["rows"]
    assert files(interrupted)[artifact.MODEL] != expected[artifact.MODEL]

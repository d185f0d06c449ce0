"""Two hosts that are two processes on loopback, each with a base directory of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from scoring import artifact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[[Path, int], subprocess.Popen[str]]

pytestmark = pytest.mark.loop

ROOT = Path(__file__).parents[2]
HOSTS = ["127.0.0.1", "127.0.0.2"]
TIMEOUT_SECONDS = 8
END_SECONDS = 40.0
HEAD_START_SECONDS = 0.5
HYPERPARAMETERS = {"label": "late", "num_round": "60", "eta": "0.1", "max_depth": "3", "seed": "3", "nthread": "1"}
LONG = HYPERPARAMETERS | {"num_round": "10000", "early_stopping_rounds": "0"}
REPLICATED: dict[str, object] = {"train": {"S3DistributionType": "FullyReplicated"}, "validation": {}}
SHARDED: dict[str, object] = {"train": {"S3DistributionType": "ShardedByS3Key"}, "validation": {}}


class Ended(NamedTuple):
    """How one host ended."""

    code: int
    out: str
    err: str


LOOPBACK_UP = """
import fcntl, socket, struct, sys, time
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40  # netdevice(7)
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP | IFF_RUNNING))
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def own_network() -> Iterator[list[str]]:
    """Start of a command line that runs in a network namespace with nothing but loopback.

    XGBoost's collective listens on every interface of its host; here no interface but loopback exists for it.
    """
    keeper = subprocess.Popen(
        ["unshare", "--net", "--map-root-user", sys.executable, "-c", LOOPBACK_UP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == "up\n"
    yield ["nsenter", "--target", str(keeper.pid), "--user", "--net", "--preserve-credentials"]
    keeper.communicate(timeout=10)


@pytest.fixture
def start(own_network: list[str]) -> Iterator[Start]:
    """Start hosts; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start_one(base: Path, port: int) -> subprocess.Popen[str]:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "model_image"), "SAGEMAKER_BASE_DIR": str(base)}
        env |= {"SLIPWAY_COLLECTIVE_PORT": str(port), "SLIPWAY_COLLECTIVE_TIMEOUT_S": str(TIMEOUT_SECONDS)}
        pipe, command = subprocess.PIPE, [*own_network, sys.executable, "-m", "scoring", "train"]
        process = subprocess.Popen(command, env=env, cwd="/", stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate(timeout=10)


def free_port() -> int:
    """Give a port that was free a moment ago; the tracker cannot have the port of one that has just ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def bases(job: Any, tmp_path: Path) -> list[Path]:
    """One base directory per host."""
    found = [tmp_path / host for host in HOSTS]
    for base, host in zip(found, HOSTS, strict=True):
        shutil.copytree(job.base, base)
        (base / "input/config/resourceconfig.json").write_text(json.dumps({"current_host": host, "hosts": HOSTS}))
    return found


def configure(bases: list[Path], hyperparameters: dict[str, str], channels: dict[str, object]) -> None:
    for base in bases:
        (base / "input/config/hyperparameters.json").write_text(json.dumps(hyperparameters))
        (base / "input/config/inputdataconfig.json").write_text(json.dumps(channels))


def launch(start: Start, bases: list[Path]) -> list[subprocess.Popen[str]]:
    """Start the first host a little earlier: one that finds no tracker tries again only seconds later."""
    port = free_port()
    first = start(bases[0], port)
    time.sleep(HEAD_START_SECONDS)
    return [first, *(start(base, port) for base in bases[1:])]


def end(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=END_SECONDS)
    return Ended(process.returncode, out, err)


def auc(base: Path) -> float:
    document = json.loads((base / "model/evaluation.json").read_text())
    return float(document["binary_classification_metrics"]["auc"]["value"])


def one_host(job: Any) -> float:
    job.write_config(HYPERPARAMETERS)
    assert job.train()[0] == 0
    return auc(job.base)


@pytest.mark.parametrize("channels", [REPLICATED, SHARDED], ids=["replicated", "sharded"])
def test_two_hosts_train_one_model_as_good_as_one_hosts_and_only_the_first_writes_it(
    job: Any, bases: list[Path], start: Start, channels: dict[str, object]
) -> None:
    configure(bases, HYPERPARAMETERS, channels)
    if channels is SHARDED:
        (bases[0] / "input/data/train/part-1.csv").unlink()
        (bases[1] / "input/data/train/part-0.csv").unlink()
    ended = [end(process) for process in launch(start, bases)]
    assert [one.code for one in ended] == [0, 0], ended
    model = artifact.read(bases[0] / "model")
    assert not (bases[1] / "model").exists()
    assert re.search(r"^\[0\] validation-auc=", ended[0].out, re.MULTILINE)
    assert "validation-auc" not in ended[1].out
    assert model.schema.features[1].categories == ("AA", 'B "B"', "C,C", "dé")
    assert (model.provenance["threads"], model.provenance["hosts"]) == (1, 2)
    data: Any = model.provenance["data"]
    assert data["train"]["rows"] == 1500
    assert {part["name"] for part in data["train"]["parts"]} == {"part-0.csv", "part-1.csv"}
    assert abs(auc(bases[0]) - one_host(job)) < 0.01


def test_two_hosts_give_the_same_bytes_again_also_when_stopped_and_continued(bases: list[Path], start: Start) -> None:
    sampling = HYPERPARAMETERS | {"subsample": "0.8", "colsample_bytree": "0.5", "num_round": "150"}
    configure(bases, sampling | {"early_stopping_rounds": "0"}, REPLICATED)
    assert [end(process).code for process in launch(start, bases)] == [0, 0]
    expected = (bases[0] / "model/model.ubj").read_bytes()
    shutil.rmtree(bases[0] / "model")
    (bases[0] / "checkpoints").mkdir()
    processes = launch(start, bases)
    assert processes[0].stdout is not None
    assert any(line.startswith("[10]") for line in processes[0].stdout)
    processes[1].send_signal(signal.SIGTERM)
    ended = [end(process) for process in processes]
    assert [one.code for one in ended] == [3, 3], ended
    assert all("a restart continues there" in one.err for one in ended)
    ended = [end(process) for process in launch(start, bases)]
    assert [one.code for one in ended] == [0, 0], ended
    assert "continues after round" in ended[0].out
    assert (bases[0] / "model/model.ubj").read_bytes() == expected


@pytest.mark.parametrize("lost", [0, 1])
def test_a_host_that_dies_ends_the_other_within_seconds_and_says_so(bases: list[Path], start: Start, lost: int) -> None:
    configure(bases, LONG, REPLICATED)
    processes = launch(start, bases)
    assert processes[0].stdout is not None
    assert any(line.startswith("[10]") for line in processes[0].stdout)
    processes[lost].kill()
    killed = time.monotonic()
    survivor = end(processes[1 - lost])
    assert time.monotonic() - killed < 5
    assert survivor.code == 3, survivor
    failure = (bases[1 - lost] / "output/failure").read_text()
    assert failure.startswith(f"PlatformError: {HOSTS[1 - lost]} lost another host, whose own failure tells why: ")
    assert not (bases[0] / "model").exists()


def test_a_host_that_hangs_ends_the_other_within_the_time_limit(bases: list[Path], start: Start) -> None:
    configure(bases, LONG, REPLICATED)
    processes = launch(start, bases)
    assert processes[0].stdout is not None
    assert any(line.startswith("[10]") for line in processes[0].stdout)
    processes[1].send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    survivor = end(processes[0])
    assert TIMEOUT_SECONDS - 2 < time.monotonic() - stopped < TIMEOUT_SECONDS + 8
    assert survivor.code == 3, survivor
    assert "lost another host" in survivor.err


def test_wrong_data_on_one_host_end_both_with_the_same_reason(bases: list[Path], start: Start) -> None:
    configure(bases, HYPERPARAMETERS, REPLICATED)
    part = bases[1] / "input/data/train/part-0.csv"
    part.write_text(part.read_text() + "1,2\n")
    ended = [end(process) for process in launch(start, bases)]
    assert [one.code for one in ended] == [1, 1], ended
    for base in bases:
        failure = (base / "output/failure").read_text()
        assert re.match(r"UserError: host 1: train/part-0\.csv line \d+: expected 4 cells", failure)


def test_a_host_that_never_comes_ends_the_one_that_waits(bases: list[Path], start: Start) -> None:
    configure(bases, HYPERPARAMETERS, REPLICATED)
    began = time.monotonic()
    port = free_port()
    alone = end(start(bases[0], port))
    assert time.monotonic() - began < TIMEOUT_SECONDS + 15
    assert alone.code == 3, alone
    assert f"2 hosts did not meet at 127.0.0.1:{port}" in alone.err

"""`make rollout`: what people see of a rollout, with real servers behind Envoy and a small load."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.load import post
from sandbox.commands import STATE_VARIABLE
from sandbox.console import Console
from sandbox.loop import flights
from sandbox.loop.processes import REPOSITORY
from sandbox.loop.spec import LoopError, LoopPaths
from sandbox.rollout import show
from tests.support.servers import write_model

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.loop

SMALL = 300.0
"""Requests a second."""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make up` leaves, as far as a rollout needs it: a model, and a month with its truth."""
    folder = tmp_path_factory.mktemp("state")
    paths = LoopPaths.of(folder)
    write_model(paths.versions("toy") / "1", 1)
    month = paths.data / "holdout" / f"{flights.YEAR}-{flights.HOLDOUT_MONTH:02}.csv"
    month.parent.mkdir(parents=True)
    rows = np.random.default_rng(1).random((500, 2))
    month.write_text("late,a,b\n" + "".join(f"{int(a > b)},{a:.4f},{b:.4f}\n" for a, b in rows))
    return folder


def shown(
    state: Path, monkeypatch: pytest.MonkeyPatch, strategy: str, fault: str, failed: list[LoopError] | None = None
) -> Mapping[str, str]:
    """Rows of the table that a rollout ends with, and all that was said as `said`.

    Args:
        state: Of environment `local`.
        monkeypatch: Makes the load small.
        strategy: Of the rollout.
        fault: Of the new version.
        failed: Gets the error that it ends with; without it there has to be none.
    """
    monkeypatch.setattr(show, "RATE", SMALL)
    monkeypatch.setattr(show, "WATCH_SECONDS", 3.0)
    said = io.StringIO()
    try:
        show.show(Console(said), state, Path(sys.executable), strategy, fault)
    except LoopError as error:
        if failed is None:
            raise
        failed.append(error)
    names = "Version old|Version new|Failed requests|p99"
    rows = re.findall(rf"^\s*({names})\s+(.*)$", said.getvalue(), re.MULTILINE)
    return {**dict(rows), "said": " ".join(said.getvalue().split())}


def test_a_rolling_update_ends_with_the_new_version_and_no_failed_request(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = shown(state, monkeypatch, "rolling", "")
    assert "2 of 2 processes are new" in found["said"]
    assert "promoted" in found["said"]
    assert found["Failed requests"].startswith("0 of ")
    assert {"Version old", "Version new", "p99"} <= found.keys()


def test_a_version_that_crashes_is_taken_back_within_its_share(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shown(state, monkeypatch, "canary", "crashing")
    assert "watching, 5 % to new" in found["said"]
    assert "rolled-back, 0 % to new" in found["said"]
    assert "25 % to new" not in found["said"]
    assert found["Failed requests"].startswith("0 of ")
    share = re.search(r"([\d.]+)%$", found["Version new"].strip())
    assert share is not None
    assert float(share[1]) <= show.CANARY.weights[0] + 2, "5 %, and what was on its way"


def test_a_version_that_fails_is_found_by_callers_of_the_open_inference_protocol(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Inferring(show.Callers):
        def wires(self) -> list[bytes]:
            rows = [[float(cell) for cell in row.split(",")] for row in self.rows]
            tensors = [{"name": "input", "shape": [1, len(row)], "datatype": "FP32", "data": row} for row in rows]
            bodies = [json.dumps({"inputs": [tensor]}).encode() for tensor in tensors]
            return [post("/v2/models/model/infer", "application/json", body) for body in bodies]

        def __call__(self, place: int, status: int, head: bytes, body: bytes) -> str:
            found = str(json.loads(body)["outputs"][0]["data"][0]).encode() if status == HTTPStatus.OK else b""
            return super().__call__(place, status, head, found)

    monkeypatch.setattr(show, "Callers", Inferring)
    failed: list[LoopError] = []
    said = shown(state, monkeypatch, "canary", "failing", failed)["said"]
    assert "watching, 5 % to new" in said
    (error,) = failed
    assert re.fullmatch(r"[\d,]+ of [\d,]+ requests failed: [\d,]+ by status 500", str(error)), "and nothing else"
    assert re.search(r"rolled-back, 0 % to new: errors: [1-9]", said)


def test_an_a_b_test_of_the_same_model_twice_says_that_the_difference_can_be_chance(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = shown(state, monkeypatch, "a-b", "")["said"]
    assert re.search(r"predicted rightly: [\d.]+% of \d+ \(champion\), [\d.]+% of \d+ \(challenger\)", said)
    assert "can be chance" in said


def test_nothing_is_rolled_out_where_nothing_serves(tmp_path: Path) -> None:
    with pytest.raises(LoopError, match="run `make up` first"):
        show.show(Console(io.StringIO()), tmp_path, Path(sys.executable), "canary", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--strategy", "big-bang"), "STRATEGY=big-bang: there are rolling, canary, blue-green, a-b, shadow."),
        (("--fault", "lazy"), "FAULT=lazy: there are slow, crashing, failing, wrong, mixed, unready."),
    ],
)
def test_what_is_not_known_is_refused_with_what_is(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "rollout", *words],
        cwd=REPOSITORY,
        env={**os.environ, STATE_VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert f"{message} Write for example: make rollout STRATEGY=canary FAULT=slow" in done.stdout

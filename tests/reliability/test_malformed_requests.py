"""The fuzzer itself: it shrinks what it finds, and it does find what is wrong."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reliability import hostile
from tests.reliability.in_process import MIXED, NUMERIC, InProcess
from tests.reliability.measures.malformed_requests import Judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(scope="module", params=[NUMERIC, MIXED], ids=["numbers", "categories"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> InProcess:
    return InProcess(tmp_path_factory.mktemp("fuzz") / "model", request.param)


@given(draw=st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_any_bytes_are_answered_rightly_or_refused_with_a_stable_code(server: InProcess, draw: random.Random) -> None:
    judge = Judge(server)
    judge.judge(hostile.make(draw, server.schema))
    judge.compare()
    assert judge.wrong == []


def last_place_up(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.nextafter(rows[:, 0] * 0 + 0.5, 1)


def broken(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    raise ZeroDivisionError(len(rows))


@pytest.mark.parametrize("fault", [last_place_up, broken])
def test_a_server_that_answers_otherwise_or_fails_is_found(
    tmp_path: Path, fault: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> None:
    server = InProcess(tmp_path / "model", NUMERIC)
    server.answer_with(fault)
    judge, draw = Judge(server), random.Random(1)  # noqa: S311 # repeatable, not secret
    for _ in range(30):
        judge.judge(hostile.make(draw, server.schema))
    judge.compare()
    assert len(judge.wrong) > 5

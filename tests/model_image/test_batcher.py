from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.batcher import Batcher
from scoring.codec import Rows
from scoring.errors import AlgorithmError, Fault, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Bench:
    """A batcher of width 2 whose turns are run by hand; the model adds both cells."""

    def __init__(self, **limits: int) -> None:
        self.turns: deque[Callable[[], None]] = deque()
        self.batches: list[int] = []
        self.broken = False
        allowed = {"max_batch_rows": 4, "max_queued_bytes": 10_000} | limits
        self.batcher = Batcher(self.model, 2, self.turns.append, on_batch=self.batches.append, **allowed)

    def model(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.broken:
            raise AlgorithmError("broken")
        return rows.sum(axis=1)

    def submit(self, *values: float) -> list[list[float] | Exception]:
        answers: list[list[float] | Exception] = []

        def reply(outcome: list[bytes] | Exception) -> None:
            answers.append(outcome if isinstance(outcome, Exception) else [float(text) for text in outcome])

        data = np.array([[value, 0.5] for value in values], dtype="<f4").tobytes()
        self.batcher.submit(Rows(len(values), data), reply)
        return answers

    def run(self) -> None:
        while self.turns:
            self.turns.popleft()()


def test_requests_of_one_turn_share_one_call_and_get_their_own_rows() -> None:
    bench = Bench()
    first, second = bench.submit(1), bench.submit(2, 3)
    assert len(bench.turns) == 1
    assert not first
    bench.run()
    assert (first, second) == ([[1.5]], [[2.5, 3.5]])
    assert bench.batches == [3]


@given(st.lists(st.integers(1, 11), min_size=1, max_size=8))
def test_no_call_exceeds_the_row_limit_and_every_request_is_answered_once_in_order(sizes: list[int]) -> None:
    bench, start, expected = Bench(), 0, list[list[float]]()
    answers: list[list[list[float] | Exception]] = []
    for size in sizes:
        values = [float(value) for value in range(start, start + size)]
        expected.append([value + 0.5 for value in values])
        answers.append(bench.submit(*values))
        start += size
    bench.run()
    assert answers == [[rows] for rows in expected]
    assert sum(bench.batches) == sum(sizes)
    assert max(bench.batches) <= 4
    assert len(bench.batches) == -(-sum(sizes) // 4)


def test_a_full_queue_refuses_and_frees_its_room_when_rows_are_answered() -> None:
    bench = Bench(max_queued_bytes=5 * 8)
    kept = bench.submit(1, 2, 3)
    with pytest.raises(RequestError) as caught:
        bench.submit(4, 5, 6)
    assert caught.value.fault is Fault.OVERLOADED
    assert bench.batcher.congested
    fits = bench.submit(4, 5)
    bench.run()
    assert not bench.batcher.congested
    assert (kept, fits) == ([[1.5, 2.5, 3.5]], [[4.5, 5.5]])
    assert bench.submit(1, 2, 3, 4, 5) == []


def test_a_failing_call_fails_its_requests_once_and_the_next_ones_succeed() -> None:
    bench = Bench(max_queued_bytes=6 * 8)
    small, large = bench.submit(1), bench.submit(1, 2, 3, 4, 5)
    bench.broken = True
    bench.turns.popleft()()
    assert all(isinstance(outcome, AlgorithmError) for outcome in (*small, *large))
    assert (len(small), len(large)) == (1, 1)
    bench.broken = False
    after = bench.submit(1, 2, 3, 4, 5, 6)
    bench.run()
    assert after == [[1.5, 2.5, 3.5, 4.5, 5.5, 6.5]]


def test_a_short_request_overtakes_a_long_one_which_still_goes_on() -> None:
    bench = Bench()
    long, first = bench.submit(*range(12)), bench.submit(100, 101, 102, 103)
    bench.turns.popleft()()
    assert (long, first) == ([], [])
    second = bench.submit(200)
    bench.turns.popleft()()
    assert (long, first, second) == ([], [[100.5, 101.5, 102.5, 103.5]], [[200.5]])
    bench.run()
    assert long == [[place + 0.5 for place in range(12)]]
    assert bench.batches == [4, 4, 4, 4, 1]


def test_a_failing_call_fails_both_kinds_once_and_frees_their_room() -> None:
    bench = Bench(max_queued_bytes=9 * 8)
    bench.broken = True
    both = [bench.submit(1, 2, 3, 4), bench.submit(*range(5))]
    bench.run()
    assert [len(answers) for answers in both] == [1, 1]
    bench.broken = False
    assert bench.submit(*range(9)) == []

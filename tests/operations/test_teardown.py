"""Waiting for what controllers made to go."""

from __future__ import annotations

import pytest

from operations.teardown import INTERVAL_SECONDS, RemainsError, wait_until_gone


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_waiting_ends_as_soon_as_nothing_is_left() -> None:
    clock, answers = Clock(), [["a", "b"], ["b"], []]
    wait_until_gone(lambda: answers.pop(0), "nodes", "drain", patience=900, sleep=clock.sleep, clock=clock)
    assert answers == []
    assert clock.now == 2 * INTERVAL_SECONDS


def test_patience_has_an_end_and_the_message_says_what_is_left_and_what_to_do() -> None:
    clock = Clock()
    with pytest.raises(RemainsError, match=r"2 load balancers are left after 60 s: a, b; delete the Ingresses, then"):
        wait_until_gone(
            lambda: ["a", "b"], "load balancers", "delete the Ingresses", patience=60, sleep=clock.sleep, clock=clock
        )
    assert clock.now == 60

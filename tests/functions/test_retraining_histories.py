"""Figure 23 as a state machine: whatever happens in whatever order, nothing is lost, doubled or overtaken.

What happens and what must be true is in `tests.support.retraining_histories`; `make reliability` counts more of them.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from retraining import door, events
from retraining.door import next_run
from retraining.facts import Status, identity
from retraining.world import AwsWorld
from tests.support.retraining import MemoryLedger, MemoryWorld
from tests.support.retraining_histories import History

if TYPE_CHECKING:
    from collections.abc import Callable

    from retraining.facts import Fact, ModelSettings, Run


Patch = tuple[object, str, object]
"""What is replaced, its name, and by what."""


class Machine(RuleBasedStateMachine):
    """One account; hypothesis chooses what happens, and shortens what goes wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History(random.Random(0))  # noqa: S311 - replaced by each rule

    @rule(
        draw=st.randoms(use_true_random=False),
        action=st.sampled_from(sorted(History.ACTIONS, key=lambda a: a.__name__)),
    )
    def happen(self, draw: random.Random, action: Callable[[History], None]) -> None:
        self.history.draw = draw
        action(self.history)

    @invariant()
    def one_execution_runs_at_most(self) -> None:
        running = [each for each in self.history.account.executions if each.status is Status.RUNNING]
        assert len(running) <= 1

    def teardown(self) -> None:
        assert self.history.rest() == []


TestHistories = Machine.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=30)


def first_violation(histories: int) -> list[str]:
    """What goes wrong in the first history in which something does."""
    for seed in range(histories):
        history = History(random.Random(seed))  # noqa: S311 - a repeatable history
        history.play(40)
        if wrong := history.rest():
            return wrong
    return []


def claims_without_looking() -> Patch:
    def claim(self: MemoryLedger, run: Run) -> bool:
        self.runs[run.model, run.number] = run
        return True

    return MemoryLedger, "claim", claim


def starts_with_a_new_token_each_time() -> Patch:
    start, numbers = MemoryWorld.start, count()

    def fresh(self: MemoryWorld, settings: ModelSettings, run: Run) -> str:
        return start(self, settings, replace(run, token=str(next(numbers)), number=next(numbers)))

    return MemoryWorld, "start", fresh


def believes_every_event() -> Patch:
    numbers = count()

    def identity(*_: str) -> str:
        return f"{next(numbers):016x}"

    return events, "identity", identity


def lists_nothing() -> Patch:
    def versions(_self: MemoryWorld, _settings: ModelSettings) -> list[tuple[str, str]]:
        return []

    return MemoryWorld, "versions", versions


def forgets_what_a_run_covers() -> Patch:
    def forgetful(*arguments: Any, **more: Any) -> Run:
        return replace(next_run(*arguments, **more), covers=frozenset())

    return door, "next_run", forgetful


def answers_before_it_writes() -> Patch:
    record, draw = MemoryLedger.record, random.Random(1)  # noqa: S311 - repeatable

    def sometimes(self: MemoryLedger, fact: Fact) -> bool:
        return draw.random() < 0.5 or record(self, fact)

    return MemoryLedger, "record", sometimes


def takes_versions_of_an_object_for_one() -> Patch:
    def careless(bucket: str, key: str, _version: str) -> str:
        return identity(bucket, key)

    return events, "object_identity", careless


def marks_a_run_before_it_is_started() -> Patch:
    claim = MemoryLedger.claim

    def hasty(self: MemoryLedger, run: Run) -> bool:
        early = Status.RUNNING if run.status is Status.CLAIMED else run.status
        return claim(self, replace(run, status=early, arn="unknown"))

    return MemoryLedger, "claim", hasty


def looks_away_while_a_run_is_open() -> Patch:
    return door, "OPEN", frozenset[Status]()


@pytest.mark.parametrize(
    "break_it",
    [
        claims_without_looking,
        starts_with_a_new_token_each_time,
        believes_every_event,
        lists_nothing,
        forgets_what_a_run_covers,
        answers_before_it_writes,
        takes_versions_of_an_object_for_one,
        marks_a_run_before_it_is_started,
        looks_away_while_a_run_is_open,
    ],
)
def test_a_door_with_a_defect_does_not_pass_the_histories(
    break_it: Callable[[], Patch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*break_it())
    assert first_violation(400)


def test_the_account_in_memory_answers_what_the_real_one_does() -> None:
    promised = {name for name in vars(AwsWorld) if not name.startswith("_")}
    assert promised <= set(vars(MemoryWorld))

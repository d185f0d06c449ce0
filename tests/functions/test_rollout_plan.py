"""What happens at each step of a rollout, whatever is seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.judgement import Judgement
from rollout.plan import ENDS, Phase, Plan, State, advance, begin, weight
from rollout.verdicts import Finding, Verdict

PLAN = Plan(weights=(5, 25, 50), step_seconds=10, patience_seconds=60, ready_seconds=30)


def said(verdict: Verdict) -> Judgement:
    return Judgement((Finding("errors", verdict, "2 %"),))


looks = st.tuples(st.floats(0, 40), st.booleans(), st.none() | st.sampled_from(Verdict).map(said))
plans = st.lists(st.integers(1, 100), min_size=1, max_size=6, unique=True).map(
    lambda weights: Plan(weights=tuple(sorted(weights)), step_seconds=10, patience_seconds=60, ready_seconds=30)
)


@given(plans, st.lists(looks, max_size=40))
def test_a_version_has_the_share_of_the_step_that_it_has_earned_and_never_more(
    plan: Plan, seen: list[tuple[float, bool, Judgement | None]]
) -> None:
    state, now, earned = begin(0), 0.0, 0
    for seconds, ready, judgement in seen:
        now += seconds
        before = state
        state = advance(plan, state, now, ready=ready, judgement=judgement)
        if before.phase is Phase.WATCHING and (state.phase is Phase.PROMOTED or state.step > before.step):
            assert judgement is not None
            assert (judgement.verdict, now - before.since >= plan.step_seconds) == (Verdict.GOOD, True)
            earned += 1
        if before.phase in ENDS:
            assert state == before
        elif before.phase is Phase.WATCHING and judgement is not None and judgement.verdict is Verdict.BAD:
            assert (state.phase, weight(plan, state)) == (Phase.ROLLED_BACK, 0)
        assert state.phase is Phase.PROMOTED or weight(plan, state) <= plan.weights[min(earned, len(plan.weights) - 1)]
        assert state.phase is not Phase.PROMOTED or earned == len(plan.weights)


@given(plans, st.integers(0, 10))
def test_silence_ends_in_a_rollback(plan: Plan, step: int) -> None:
    state = State(Phase.WATCHING, min(step, len(plan.weights) - 1), 0)

    assert advance(plan, state, 60, ready=True, judgement=None) == state
    ended = advance(plan, state, 60.1, ready=True, judgement=None)
    assert (ended.phase, weight(plan, ended)) == (Phase.ROLLED_BACK, 0)
    assert "nothing was seen" in ended.reason


def test_a_version_that_does_not_become_ready_gets_no_request() -> None:
    state = begin(100)
    assert advance(PLAN, state, 130, ready=False, judgement=said(Verdict.GOOD)) == state
    ended = advance(PLAN, state, 131, ready=False, judgement=None)

    assert weight(PLAN, state) == weight(PLAN, ended) == 0
    assert ended.reason == "not ready after 30 s"


def test_a_good_version_waits_for_the_end_of_its_step_and_is_promoted_after_the_last() -> None:
    state, weights = advance(PLAN, begin(0), 0, ready=True, judgement=None), list[int]()
    for now in (5, 10, 15, 20, 30):
        weights.append(weight(PLAN, state))
        state = advance(PLAN, state, now, ready=True, judgement=said(Verdict.GOOD))

    assert weights == [5, 5, 25, 25, 50]
    assert (state.phase, weight(PLAN, state)) == (Phase.PROMOTED, 100)


@pytest.mark.parametrize("weights", [(), (0, 10), (10, 10), (20, 10), (50, 101)])
def test_weights_that_do_not_rise_are_refused(weights: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not rise"):
        Plan(weights=weights, step_seconds=1, patience_seconds=1, ready_seconds=1)


def test_patience_shorter_than_a_step_is_refused() -> None:
    with pytest.raises(ValueError, match="patience"):
        Plan(weights=(10,), step_seconds=10, patience_seconds=9, ready_seconds=1)

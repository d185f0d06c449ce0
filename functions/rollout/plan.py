"""The steps of a rollout, and what happens at each: a state that depends on what was seen and on nothing else.

A state is a small value: whoever drives a rollout writes it down, and another one goes on after a kill.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from rollout.verdicts import Verdict

if TYPE_CHECKING:
    from rollout.judgement import Judgement

WHOLE = 100


class Phase(StrEnum):
    """Where a rollout stands."""

    STARTING = "starting"
    """The new version is not ready, and gets no request."""
    WATCHING = "watching"
    """The new version has its step's share."""
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"


ENDS = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a version takes over."""

    weights: tuple[int, ...]
    """Share of the requests at each step, in percent, rising; the last may be 100. Blue/green is the one step 100."""
    step_seconds: float
    """Shortest time at a step."""
    patience_seconds: float
    """Longest time at a step whose judgement stays open: then the version is rolled back."""
    ready_seconds: float
    """Longest time until the new version is ready."""

    def __post_init__(self) -> None:
        """Refuse what is no plan."""
        rising = all(a < b for a, b in zip((0, *self.weights), self.weights, strict=False))
        if not self.weights or not rising or self.weights[-1] > WHOLE:
            raise ValueError(f"weights {self.weights} do not rise from above 0 to at most {WHOLE}")
        if not 0 <= self.step_seconds <= self.patience_seconds:
            raise ValueError(f"patience of {self.patience_seconds:g} s is shorter than a step")


@dataclass(frozen=True, slots=True)
class State:
    """Where a rollout stands, and since when."""

    phase: Phase
    step: int
    since: float
    """When this phase or step began, in the seconds of the driver's clock."""
    reason: str = ""
    """Why it ended as it did."""


def begin(now: float) -> State:
    """The new version was asked for."""
    return State(Phase.STARTING, 0, now)


def weight(plan: Plan, state: State) -> int:
    """Share of the requests that the new version may have, in percent."""
    return {
        Phase.STARTING: 0,
        Phase.WATCHING: plan.weights[min(state.step, len(plan.weights) - 1)],
        Phase.PROMOTED: WHOLE,
        Phase.ROLLED_BACK: 0,
    }[state.phase]


def advance(plan: Plan, state: State, now: float, *, ready: bool, judgement: Judgement | None) -> State:
    """Go on as far as what was seen allows: at most one step.

    Args:
        plan: The steps.
        state: Where the rollout stands; an end stays.
        now: In the seconds of the driver's clock.
        ready: Whether every process of the new version is ready.
        judgement: Of the new version since the present step began; None if nobody could look, which is no good sign.
    """
    if state.phase is Phase.STARTING:
        return _started(plan, state, now, ready=ready)
    return _watched(plan, state, now, judgement) if state.phase is Phase.WATCHING else state


def _started(plan: Plan, state: State, now: float, *, ready: bool) -> State:
    if ready:
        return State(Phase.WATCHING, 0, now)
    late = now - state.since > plan.ready_seconds
    return _rolled_back(state, now, f"not ready after {plan.ready_seconds:g} s") if late else state


def _watched(plan: Plan, state: State, now: float, judgement: Judgement | None) -> State:
    waited = now - state.since
    verdict, reason = (judgement.verdict, judgement.reason) if judgement else (Verdict.OPEN, "nothing was seen")
    if verdict is Verdict.BAD:
        return _rolled_back(state, now, reason)
    if verdict is Verdict.GOOD and waited >= plan.step_seconds:
        last = state.step + 1 == len(plan.weights)
        return State(Phase.PROMOTED if last else Phase.WATCHING, state.step + (not last), now)
    if waited > plan.patience_seconds:
        return _rolled_back(state, now, f"undecided after {plan.patience_seconds:g} s: {reason}")
    return state


def _rolled_back(state: State, now: float, reason: str) -> State:
    return replace(state, phase=Phase.ROLLED_BACK, since=now, reason=reason)

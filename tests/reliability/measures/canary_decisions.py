"""Figure 25: what is decided of simulated new versions, over whole rollouts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from rollout.judgement import Limits, Observed, judge
from rollout.plan import ENDS, Phase, Plan, advance, begin, weight
from tests.reliability.figures import Count, Run, measure

PLAN = Plan(weights=(10, 25, 50), step_seconds=5, patience_seconds=120, ready_seconds=60)
LIMITS = Limits(min_requests=500, error_margin=0.01, slower=1.5, shift=0.1)
BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
LATENCIES = np.array([0.0, 0.7, 0.2, 0.07, 0.02, 0.007, 0.002, 0.001])
PREDICTIONS = np.array([0.05, 0.2, 0.5, 0.2, 0.05])
BASE_ERRORS = 0.001
RATE = 500
"""Requests a second of both versions together."""
WITHIN = 2_000
"""Requests of the new version after which one point more of errors has to be found."""
BORNE = 0.01
"""Share of the runs that may end wrongly: of bad versions and of equal ones."""


@dataclass(frozen=True, slots=True)
class Version:
    """What a simulated version does."""

    errors: float = BASE_ERRORS

    def run(self, draw: np.random.Generator, requests: int) -> Observed:
        """Answer so many requests."""
        return Observed(
            requests=requests,
            errors=draw.binomial(requests, self.errors),
            latencies=tuple(draw.multinomial(requests, LATENCIES).tolist()),
            predictions=tuple(draw.multinomial(requests, PREDICTIONS).tolist()),
        )


def simulate(draw: np.random.Generator, version: Version) -> tuple[Phase, float]:
    """Roll a version out, looked at once a second; give its end and the requests that it got."""
    state, now, asked = advance(PLAN, begin(0), 0, ready=True, judgement=None), 0, 0.0
    challenger, champion = Observed(), Observed()
    while state.phase not in ENDS:
        now += 1
        share = RATE * weight(PLAN, state) // 100
        challenger = challenger.plus(version.run(draw, share))
        champion = champion.plus(Version().run(draw, RATE - share))
        asked += share
        judgement = judge(challenger, champion, LIMITS, BOUNDS)
        before, state = state, advance(PLAN, state, now, ready=True, judgement=judgement)
        if state.step != before.step:
            challenger, champion = Observed(), Observed()
    return state.phase, asked


@measure(
    25,
    "canary decisions, simulated",
    target="a point more of errors stopped within 2,000 requests in 99 % of 5,000 runs; 1 % of 5,000 equals stopped",
    floor=1_200,
    full=10_000,
)
def canary_decisions(run: Run) -> Count:
    """Half of the versions fail one point more of their requests, the others are as good as the champion."""
    draw = np.random.default_rng(run.seed)
    half, ends = run.size // 2, Counter[str]()
    for _ in range(half):
        phase, asked = simulate(draw, Version(BASE_ERRORS + LIMITS.error_margin))
        ends["bad, stopped in time"] += phase is Phase.ROLLED_BACK and asked <= WITHIN
        ends["bad, promoted"] += phase is Phase.PROMOTED
        ends["equal, promoted"] += simulate(draw, Version())[0] is Phase.PROMOTED
    missed = half - ends["bad, stopped in time"] > BORNE * half
    alarmed = half - ends["equal, promoted"] > BORNE * half
    return Count(denominator=2 * half, failures=missed + alarmed, detail=f"{dict(ends)} of {half} each")

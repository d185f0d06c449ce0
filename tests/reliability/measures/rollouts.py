"""Figures 12 and 25: rollouts of real server processes behind Envoy, under a constant load."""

from __future__ import annotations

import asyncio
import functools
import math
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import uvloop

from bench.load import Load, post
from rollout.judgement import Limits
from rollout.plan import WHOLE, Phase, Plan
from sandbox.rollout.driver import Driver
from sandbox.rollout.faults import UNREADY
from sandbox.rollout.fleet import Fleet, Version
from sandbox.rollout.proxy import Proxy
from scoring import artifact
from scoring.metrics import LATENCY_BUCKETS
from scoring.predictor import Predictor
from tests.reliability.figures import Count, Run, measure
from tests.support.servers import ROOT, write_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.load import Tally
    from rollout.plan import State

RATE = 2_500.0
CONNECTIONS = 64
FRESH_EVERY = 16
READY_SECONDS = 30.0
OK = 200
BROKEN = 500
FAILING = "failing"
VERSION = b"\r\nmodel-version: "
ROWS = np.random.default_rng(5).random((5_003, 2), dtype=np.float32)
"""A prime number of them: a proxy that deals requests out in turn would give a version the same few again and again."""
CANARY = Plan(weights=(10, 30, 60), step_seconds=1, patience_seconds=60, ready_seconds=READY_SECONDS)
BLUE_GREEN = Plan(weights=(WHOLE,), step_seconds=2, patience_seconds=60, ready_seconds=READY_SECONDS)
LIMITS = Limits(min_requests=300, error_margin=0.01, slower=100, quantiles=(0.95,), shift=0.1)
"""Others use the same two cores, and a stall of the machine is not a slow version."""
STRICT = replace(LIMITS, slower=5)
"""For a version that is slow always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A rollout and how it has to end."""

    act: Callable[[Driver], State]
    end: Phase = Phase.PROMOTED
    fault: str = ""
    most: int = WHOLE
    """Largest share of the answers that the new version may have, in percent, until it is taken back."""
    floor: int = 12_000
    full: int = 120_000


def rolling(driver: Driver) -> State:
    """Replace process by process."""
    return driver.rolling(3.0 if driver.challenger.version.fault else READY_SECONDS)


def canary(driver: Driver) -> State:
    """Raise the share step by step."""
    limits = STRICT if driver.challenger.version.fault == "slow" else LIMITS
    return driver.canary(CANARY, limits, replicas=1)


def blue_green(driver: Driver) -> State:
    """Give the new version copies, and then all requests at once."""
    return driver.canary(BLUE_GREEN, LIMITS, replicas=2, unseen=True)


CASES = {
    "rolling update": Case(act=rolling),
    "rolling update to one that is never ready": Case(act=rolling, end=Phase.ROLLED_BACK, fault=UNREADY, most=0),
    "canary": Case(act=canary, floor=18_000, full=180_000),
    "canary of a slow version": Case(act=canary, end=Phase.ROLLED_BACK, fault="slow", most=10),
    "canary of a crashing version": Case(act=canary, end=Phase.ROLLED_BACK, fault="crashing", most=10),
    "canary of a failing version": Case(act=canary, end=Phase.ROLLED_BACK, fault=FAILING, most=10),
    "canary of a wrong version": Case(act=canary, end=Phase.ROLLED_BACK, fault="wrong", most=10),
    "blue/green": Case(act=blue_green),
    "blue/green to a wrong version": Case(act=blue_green, end=Phase.ROLLED_BACK, fault="wrong", most=0),
}


class Stage:
    """Rollouts one after the other behind one proxy, each from the version that serves."""

    def __init__(self, run: Run, wires: Sequence[bytes], check: Callable[[int, str, bytes], str] | None = None) -> None:
        """Prepare.

        Args:
            run: What is measured.
            wires: Requests.
            check: Given place, version and body of every answer; says what is wrong with it.
        """
        self._check = check
        self.proxy = Proxy(run.folder / "proxy")
        self.failures: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        """By version."""
        self.broken = 0
        """Answers with a 500 while a version was on its way that has to give some."""
        self.mirrored = 0
        """Requests that also went to a version in the shadow."""
        self.told: list[str] = []
        self._folder = run.folder
        self.fleets: list[Fleet] = []
        """Of every version, the first serves at the start."""
        self.load = Load(
            lambda: self.proxy.port,
            wires,
            self.judge,
            connections=CONNECTIONS,
            fresh_every=FRESH_EVERY,
            patient=False,
        )
        write_model(run.folder / "model", 1)

    def judge(self, place: int, status: int, head: bytes, body: bytes) -> str:
        """Count an answer; every status but 200 is a failure, but for the 500 that a failing version has to answer."""
        if status == BROKEN and self.fleets[-1].version.fault == FAILING:
            # Only an answer of 200 names its version. Whether the old one gave any of these, its servers say.
            self.broken += 1
            self.answers[self.fleets[-1].version.name] += 1
            return ""
        version = head.partition(VERSION)[2].partition(b"\r")[0].decode()
        self.answers[version] += 1
        if status != OK:
            return f"status {status}"
        return self._check(place, version, body) if self._check is not None else ""

    def fleet(self, fault: str = "", model: str = "model") -> Fleet:
        """A version that has not been there before, of a model in a folder of that name."""
        version = Version(
            name=f"v{len(self.fleets)}",
            model_dir=self._folder / model,
            python=Path(sys.executable),
            source=ROOT / "model_image",
            fault=fault,
        )
        self.fleets.append(Fleet(version, self._folder))
        return self.fleets[-1]

    def driver(self, champion: Fleet, challenger: Fleet) -> Driver:
        """Between two versions."""
        return Driver(
            proxy=self.proxy, champion=champion, challenger=challenger, bounds=LATENCY_BUCKETS, tell=self.told.append
        )

    def during(self, act: Callable[[], None], prepare: Callable[[], None] | None = None) -> Tally:
        """Do something while requests come at a constant rate, and maybe something else before they do."""

        async def main() -> Tally:
            acting = asyncio.create_task(asyncio.to_thread(act))
            tally = await self.load.open(RATE, acting.done)
            await acting
            return tally

        try:
            with self.proxy:
                first = self.fleet()
                if not self.driver(first, first).serve(2, READY_SECONDS):
                    raise AssertionError("the first version does not become ready")
                if prepare is not None:
                    prepare()
                return uvloop.run(main())
        finally:
            for fleet in self.fleets:
                fleet.stop()

    def roll_out(self, case: Case, size: int) -> None:
        """One rollout after the other until enough requests were sent."""
        champion = self.fleets[0]
        while self.load.tally.sent < size:
            challenger = self.fleet(case.fault)
            before, broken = self.answers.total(), self.broken
            state = case.act(self.driver(champion, challenger))
            allowed = math.ceil(case.most / WHOLE * (self.answers.total() - before + CONNECTIONS))
            got = self.answers[challenger.version.name]
            self.failures[f"{state.phase}: {state.reason}"] += state.phase is not case.end
            self.failures["more than its share"] += max(got - allowed, 0)
            self.failures["nothing"] += bool(case.most) and not got
            if case.fault == FAILING:
                self.failures["stopped, but not for its errors"] += "errors" not in state.reason
                self.failures["no caller got a 500"] += self.broken == broken
                self.failures["errors of the version before"] += int(champion.observe().errors)
            self.told.append(f"{state.phase} {state.reason}, {got} of {self.answers.total() - before}")
            champion = challenger if state.phase is Phase.PROMOTED else champion


def roll_out(case: Case, run: Run) -> Count:
    """Measure one kind of rollout."""

    def check(place: int, version: str, body: bytes) -> str:
        """Every version has the same model, and only a wrong one may answer anything else."""
        wrong = stage.fleets[int(version.removeprefix("v"))].version.fault == "wrong"
        return "" if wrong or float(body) == expected[place] else "another answer"

    stage = Stage(run, [post("/invocations", "text/csv", f"{a},{b}".encode()) for a, b in ROWS], check)
    found = artifact.read(run.folder / "model")
    expected = [float(str(answer)) for answer in Predictor(found.model, found.schema).predict(ROWS)]
    tally = stage.during(lambda: stage.roll_out(case, run.size))
    failures = +(tally.failures + stage.failures)
    ends = [line for line in stage.told if line.startswith((f"{Phase.PROMOTED} ", f"{Phase.ROLLED_BACK} "))]
    broken = f"{stage.broken} answered 500; " if case.fault == FAILING else ""
    told = f"{len(ends)} rollouts, the last: {ends[-1]}; {broken}{dict(failures) or 'none failed'}"
    detail = f"{told}; {tally.unsent} not sent"
    return Count(denominator=tally.sent, failures=failures.total(), detail=detail)


for name, case in CASES.items():
    measure(
        12 if case.act is rolling else 25,
        f"{name}, behind a proxy",
        target="0 of 1,000,000 requests of all rollouts failed, a bad version never above its share",
        floor=case.floor,
        full=case.full,
    )(functools.partial(roll_out, case))

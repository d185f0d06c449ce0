"""Figure 25: two versions at the same time, by the caller's choice or one of them in the shadow of the other."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from bench.load import post
from rollout.experiment import in_challenger, report
from rollout.rates import Rate
from sandbox.loop.processes import wait_until
from sandbox.rollout.faults import SLOW_SECONDS
from sandbox.rollout.routes import CHALLENGER, VARIANT_HEADER
from tests.reliability.figures import Count, Run, measure
from tests.reliability.measures.rollouts import READY_SECONDS, ROWS, Stage

if TYPE_CHECKING:
    from bench.load import Tally

PERCENT = 30.0
HALF = 0.5
POLL_SECONDS = 0.1
MIRRORED = f"cluster.{CHALLENGER}.upstream_rq_total"
"""Envoy's count of requests that the new version took."""
LEAST_MIRRORED = 0.5
"""Share of the requests that the version in the shadow has to take: one that cannot keep up loses copies."""


def _asks(place: int) -> bool:
    return in_challenger(f"caller {place}", "figure 25", PERCENT)


def _wire(place: int) -> bytes:
    """A request of a caller; of those who want the new version, every second one says so by a cookie."""
    wanted = f"Cookie: a=b; {VARIANT_HEADER}={CHALLENGER}\r\n" if place % 2 else f"{VARIANT_HEADER}: {CHALLENGER}\r\n"
    body = ",".join(map(str, ROWS[place])).encode()
    return post("/invocations", "text/csv", body, wanted if _asks(place) else "")


def _beside(stage: Stage, size: int, fault: str, *, mirror: bool) -> Tally:
    """Let two versions run beside each other until enough requests were sent."""

    def prepare() -> None:
        challenger = stage.fleet(fault)
        challenger.start(1)
        if not wait_until(challenger.ready, READY_SECONDS):
            raise AssertionError("the new version does not become ready")
        stage.driver(stage.fleets[0], challenger).split(mirror=mirror)

    def act() -> None:
        while stage.load.tally.sent < size:
            time.sleep(POLL_SECONDS)
        stage.mirrored = stage.proxy.counter(MIRRORED)

    return stage.during(act, prepare)


@measure(
    25,
    "A/B test by header and cookie",
    target="0 of 100,000 answered by another version than the caller's",
    floor=10_000,
    full=100_000,
)
def by_variant(run: Run) -> Count:
    """Each caller keeps its version; the report compares for how many callers each is right."""
    right, asked, callers = Counter[bool](), Counter[bool](), set[int]()

    def check(place: int, version: str, body: bytes) -> str:
        new = version == "v1"
        if place not in callers:
            callers.add(place)
            asked[new] += 1
            right[new] += (float(body) > HALF) == bool(ROWS[place][1] > HALF)
        return "" if new == _asks(place) else "answered by another version"

    stage = Stage(run, [_wire(place) for place in range(len(ROWS))], check)
    tally = _beside(stage, run.size, "", mirror=False)
    found = report(Rate(right[False], asked[False]), Rate(right[True], asked[True]), PERCENT)
    detail = f"{'; '.join(found.lines('right'))}; {dict(tally.failures) or 'none failed'}"
    return Count(denominator=tally.sent, failures=tally.failures.total(), detail=detail)


@measure(
    25,
    "shadow of a slow version",
    target="0 of 100,000 answered by the version in the shadow, or as late as that one answers",
    floor=10_000,
    full=100_000,
)
def shadow(run: Run) -> Count:
    """Every request goes to both; callers see the answers of the old version alone."""

    def check(_place: int, version: str, _body: bytes) -> str:
        return "" if version == "v0" else "answered from the shadow"

    stage = Stage(run, [_wire(place) for place in range(len(ROWS))], check)
    tally = _beside(stage, run.size, "slow", mirror=True)
    mirrored, middle = stage.mirrored, tally.quantile(HALF)
    missed = (mirrored < LEAST_MIRRORED * run.size) + (middle > SLOW_SECONDS / 2)
    detail = f"{mirrored} mirrored, median {middle * 1e3:.1f} ms; {dict(tally.failures) or 'none failed'}"
    return Count(denominator=tally.sent, failures=tally.failures.total() + missed, detail=detail)

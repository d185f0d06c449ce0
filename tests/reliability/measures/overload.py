"""Figure 19: three times and ten times what the server can do."""

from __future__ import annotations

import asyncio
import time
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import uvloop

from bench import workload
from bench.load import Load, Tally, post
from scoring import artifact
from scoring.contract import Feature, Schema
from tests.reliability.figures import Count, Run, measure
from tests.support.servers import Server, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = 512
"""Per request, as many as one XGBoost call takes: work for milliseconds, so that a client can offer ten times more."""
TRAINING_ROWS = 2_000
PEAK_SECONDS = 5.0
PEAK_CONNECTIONS = 32
CONNECTIONS = 2_000
OK, OVERLOADED = 200, 503
OVERLOADS = ((3.0, 1 / 3), (10.0, 2 / 3))
"""Times the capacity, and its share of the requests and of the time: a phase lasts until it has had both."""
FULL_REQUESTS = 300_000
FLOOR_SECONDS, FULL_SECONDS = 15.0, 90.0
"""Of both phases together, at least: at full size a minute at ten times the capacity."""
STEADY_SHARE = 0.5
"""Part at the end of an overload that its goodput is taken from: before, the queue fills up."""
BOUND_TIMES = 3.0
"""Up to here bounds of time hold; beyond it only answers, memory and recovery do."""
GROWTH_KIB = 16 * 1024
SAMPLE_SECONDS = 0.1

GOODPUT = 0.9
DEADLINE_SECONDS = 5.0
REFUSAL_SECONDS = 0.05
PING_SECONDS = 0.1
RECOVERY_SECONDS = 2.0
AT_EASE_SECONDS = 0.1
"""A request that is answered within this found no queue."""


@dataclass
class Phase:
    """One overload."""

    times: float
    tally: Tally = field(default_factory=Tally)
    goodput: float = 0.0
    """Right answers a second in the steady part."""
    pings: array[float] = field(default_factory=lambda: array("d"))
    probes: array[float] = field(default_factory=lambda: array("d"))
    """The same on a connection of its own each, as a kubelet asks."""
    memory: list[int] = field(default_factory=list[int])
    seconds: float = 0.0
    recovery: float = 0.0

    def growth_kib(self) -> int:
        """How much more memory the second half took at most than the first."""
        half = len(self.memory) // 2
        return max(self.memory[half:]) - max(self.memory[:half]) if half else 0

    def missed(self, capacity: float) -> list[str]:
        """Bounds of time that did not hold."""
        goodput = self.goodput / capacity
        figures = {f"recovery {self.recovery:.2f} s": self.recovery <= RECOVERY_SECONDS}
        if self.times <= BOUND_TIMES:
            figures |= {
                f"goodput {goodput:.0%} of peak": goodput >= GOODPUT,
                f"p99 {self.tally.quantile(0.99):.2f} s": self.tally.quantile(0.99) <= DEADLINE_SECONDS,
                f"refusal p99 {self.tally.quantile(0.99, OVERLOADED) * 1e3:.0f} ms": (
                    self.tally.quantile(0.99, OVERLOADED) <= REFUSAL_SECONDS
                ),
                f"ping p99 {_p99(self.pings) * 1e3:.0f} ms": _p99(self.pings) <= PING_SECONDS,
                f"probe p99 {_p99(self.probes) * 1e3:.0f} ms": _p99(self.probes) <= PING_SECONDS,
            }
        return [text for text, holds in figures.items() if not holds]

    def line(self, capacity: float) -> str:
        """Say what happened."""
        tally, pings, probes = self.tally, _p99(self.pings) * 1e3, _p99(self.probes) * 1e3
        refused, refusal = tally.answers[OVERLOADED], tally.quantile(0.99, OVERLOADED) * 1e3
        return (
            f"{self.times:.0f}x offered for {self.seconds:.0f} s: goodput {self.goodput / capacity:.0%} of peak, "
            f"p99 {tally.quantile(0.99):.2f} s, {refused} refused, p99 {refusal:.0f} ms, "
            f"ping p99 {pings:.0f} ms ({probes:.0f} ms on new connections), memory {max(self.memory) / 1024:.0f} MiB "
            f"({self.growth_kib() / 1024:+.1f} in the second half), at ease after {self.recovery:.2f} s, "
            f"{dict(tally.failures) or 'none failed'}, {tally.unsent} not sent for want of a connection"
        )


class Least(NamedTuple):
    """What a phase has to have had."""

    requests: float
    seconds: float

    def reached(self, share: float, sent: int, seconds: float) -> bool:
        """Tell whether this share of both is over."""
        return sent >= share * self.requests and seconds >= share * self.seconds


def _p99(values: array[float]) -> float:
    return sorted(values)[int(0.99 * len(values))] if values else 0.0


def _judge(_place: int, status: int, head: bytes, body: bytes) -> str:
    if status == OVERLOADED:
        return "" if b"\r\nretry-after: " in head else "no advice"
    return ("" if body.count(b"\n") in (ROWS, ROWS - 1) else "wrong") if status == OK else f"status {status}"


async def _ping(server: Server, seconds: array[float], *, fresh: bool) -> None:
    """Ask for readiness, on one connection that was there before the load or on a new one each time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        while True:
            began = time.monotonic()
            if fresh:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            seconds.append(time.monotonic() - began if head.startswith(b"HTTP/1.1 200 ") else float("inf"))
            await asyncio.sleep(SAMPLE_SECONDS / 4)
    except (OSError, asyncio.IncompleteReadError):
        seconds.append(float("inf"))  # refused without an answer: readiness is lost
    finally:
        writer.close()


async def _watch(server: Server, memory: list[int]) -> None:
    while True:
        memory.append(server.memory_kib())
        await asyncio.sleep(SAMPLE_SECONDS)


async def _overload(server: Server, load: Callable[[int], Load], phase: Phase, rate: float, least: Least) -> None:
    beside = [
        asyncio.create_task(_ping(server, phase.pings, fresh=False)),
        asyncio.create_task(_ping(server, phase.probes, fresh=True)),
        asyncio.create_task(_watch(server, phase.memory)),
    ]
    await asyncio.sleep(SAMPLE_SECONDS)
    flood = load(CONNECTIONS)
    steady: list[tuple[float, int]] = []
    began = time.monotonic()

    def enough() -> bool:
        share = 1 if steady else STEADY_SHARE
        if least.reached(share, flood.tally.sent, time.monotonic() - began):
            steady.append((time.monotonic(), flood.tally.answers[OK]))
        return len(steady) > 1

    phase.tally = await flood.open(rate, enough)
    (halfway, before), (ended, after) = steady
    phase.goodput, phase.seconds = (after - before) / (ended - halfway), ended - began
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    while True:
        asked = time.monotonic()
        probe = load(1)
        await probe.closed(lambda: probe.tally.answers.total() > 0)  # noqa: B023 # used before the next is made
        if probe.tally.quantile(1.0) <= AT_EASE_SECONDS or asked - ended > DEADLINE_SECONDS:
            break
    phase.recovery = asked - ended


def _write_model(directory: Path) -> None:
    """As many trees as the benchmark's model has, which cost as much as its do."""
    booster = workload.train(TRAINING_ROWS)
    schema = Schema("label", tuple(Feature(f"f{place}") for place in range(workload.FEATURES)))
    booster.feature_names, booster.feature_types = list(schema.names), ["q"] * schema.width
    provenance = artifact.Provenance(hyperparameters={}, seed=0, code_version=None, data={}, metrics={})
    artifact.write(directory, bytes(booster.save_raw("ubj")), schema, {}, provenance)


@measure(
    19,
    "overload at 3 and 10 times capacity",
    target="at 3 times: goodput ≥ 90 % of peak, accepted p99 ≤ 5 s, rest 503 with Retry-After in 50 ms, /ping p99 ≤ "
    "100 ms; at both: right answers or 503 with Retry-After, constant memory, at ease 2 s after",
    floor=1_500,
    full=FULL_REQUESTS,
)
def overload(run: Run) -> Count:
    """Open loop with batches, at the server's own limits; at full size a minute and more at ten times."""
    least = 60 * run.minutes or (FULL_SECONDS if run.size >= FULL_REQUESTS else FLOOR_SECONDS)
    _write_model(run.folder / "model")
    draw = np.random.default_rng(run.seed).integers(0, 9, size=(ROWS, workload.FEATURES))
    wires = [post("/invocations", "text/csv", "\n".join(",".join(map(str, row)) for row in draw).encode())]
    phases = [Phase(times) for times, _ in OVERLOADS]
    with serving(run.folder / "model") as server:

        def load(connections: int) -> Load:
            return Load(lambda: server.port, wires, _judge, connections=connections, patient=False)

        async def main() -> float:
            end = time.monotonic() + PEAK_SECONDS
            peak = await load(PEAK_CONNECTIONS).closed(lambda: time.monotonic() > end)
            capacity = peak.answers[OK] / PEAK_SECONDS
            for phase, (times, share) in zip(phases, OVERLOADS, strict=True):
                await _overload(server, load, phase, times * capacity, Least(run.size * share, least * share))
            return capacity

        capacity = uvloop.run(main())
    missed = [text for phase in phases for text in phase.missed(capacity)] if run.timed else []
    filled = phases if run.timed else phases[1:]  # on a busy machine the queue fills up in the first one's second half
    grown = [f"memory at {phase.times:.0f}x" for phase in filled if phase.growth_kib() > GROWTH_KIB]
    failures = sum(phase.tally.failures.total() for phase in phases) + len(missed) + len(grown)
    lines = "; ".join(phase.line(capacity) for phase in phases)
    told = ", ".join(missed + grown) or "nothing"
    detail = f"capacity {capacity:.0f} batches of {ROWS} rows a second; {lines}; missed: {told}"
    return Count(denominator=sum(phase.tally.sent for phase in phases), failures=failures, detail=detail)

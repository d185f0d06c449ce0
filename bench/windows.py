"""Short windows of load, one server after the other and round after round, and what each cost."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvloop

from bench import processes
from bench.answers import Oracle
from bench.load import Load
from bench.workload import FORMS

if TYPE_CHECKING:
    from bench.load import Tally
    from bench.servers import Kind
    from bench.workload import Workload

WARM_SECONDS = 0.3
QUIET_CORES = 0.1
"""Foreign load up to which a window's rate and latencies are the server's own."""
LATE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Point:
    """What is asked, and by how many at a time."""

    form: str
    rows: int
    concurrency: int

    @property
    def name(self) -> str:
        """Short name, such as `csv-1:c64`."""
        return f"{self.form}-{self.rows}:c{self.concurrency}"


POINTS = (
    *(Point(form, 1, concurrency) for form in FORMS for concurrency in (1, 16, 64)),
    *(Point(form, 100, 16) for form in FORMS),
)


@dataclass
class Contestant:
    """A server that takes part, stopped except in its own windows."""

    kind: Kind
    server: processes.Server
    versions: dict[str, str]

    def takes(self, point: Point) -> bool:
        """Whether it has a route for what is asked."""
        return point.form in self.kind.routes and (self.kind.points is None or point.name in self.kind.points)


@dataclass(frozen=True, slots=True)
class Window:
    """What one server did in one window."""

    round: int
    point: str
    server: str
    answered: int
    failures: dict[str, int]
    cpu_us: float
    """Processor time of the server's processes per answer."""
    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    server_cores: float
    client_cores: float
    foreign_cores: float
    """What anything else used meanwhile."""
    deviation: float
    """Largest difference from XGBoost's own answer."""

    @property
    def quiet(self) -> bool:
        """Whether the machine did little else."""
        return self.foreign_cores <= QUIET_CORES


def take(contestant: Contestant, point: Point, workload: Workload, number: int, seconds: float) -> Window:
    """Let a server run, warm it up, measure it, stop it again."""
    kind, server = contestant.kind, contestant.server
    route = kind.routes[point.form]
    wires = workload.wires(point.rows, point.form, route.path)
    oracle = Oracle(workload.answers[point.rows], route.marker, kind.tolerance)
    load = Load(lambda: server.port, wires, oracle, connections=point.concurrency, timeout_s=LATE_SECONDS)
    server.signal(signal.SIGCONT)
    tree = server.tree()
    gc.collect()
    gc.disable()
    try:
        found = uvloop.run(measure(load, tree, seconds))
    finally:
        gc.enable()
        server.signal(signal.SIGSTOP)
    tally, wall, cpu, own, busy = found
    answered = tally.answers.total()
    return Window(
        round=number,
        point=point.name,
        server=kind.name,
        answered=answered,
        failures=dict(tally.failures),
        cpu_us=cpu / max(answered, 1) * 1e6,
        rate=answered / wall,
        p50_ms=tally.quantile(0.5) * 1e3,
        p95_ms=tally.quantile(0.95) * 1e3,
        p99_ms=tally.quantile(0.99) * 1e3,
        server_cores=cpu / wall,
        client_cores=own / wall,
        foreign_cores=max(busy - cpu - own, 0.0) / wall,
        deviation=oracle.deviation,
    )


async def measure(load: Load, tree: list[int], seconds: float) -> tuple[Tally, float, float, float, float]:
    """Give a warm closed loop's tally, and seconds: on the wall, of the processes, of this one, of all processors."""
    stop = asyncio.Event()
    running = asyncio.create_task(load.closed(stop.is_set))
    await asyncio.sleep(WARM_SECONDS)
    warm = load.reset()
    before = (time.monotonic(), processes.cpu_seconds(tree), time.process_time(), processes.busy_seconds())
    await asyncio.sleep(seconds)
    after = (time.monotonic(), processes.cpu_seconds(tree), time.process_time(), processes.busy_seconds())
    tally = load.reset()
    stop.set()
    last = await running
    tally.failures += warm.failures + last.failures
    wall, cpu, own, busy = (late - early for late, early in zip(after, before, strict=True))
    return tally, wall, cpu, own, busy

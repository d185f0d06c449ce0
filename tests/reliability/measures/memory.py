"""Figure 17: hostile bodies leave nothing behind, and neither do many requests."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import uvloop

from bench.load import Load, post
from tests.reliability.figures import Count, Run, measure
from tests.support.raw_http import send
from tests.support.servers import SMALL_ROW, Server, serving, write_model

GROWTH_KIB = 16 * 1024
SLOPE_BYTES = 2**20 / 1e7
"""Growth per request: 1 MiB in ten million."""
SAMPLE_SECONDS = 1.0
WARM_SHARE = 0.2
"""Part of a soak that fills caches and arenas, and says nothing about leaks."""
LINGER_SECONDS = 5.0
POST = b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\n"
PIECE = 0x10000
CHUNK = b"%x\r\n%b\r\n" % (PIECE, b"1" * PIECE)
BOMB = gzip.compress(b"1,AA,3\n" * 100_000)
HOSTILE = (
    (413, POST + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK, 10_000),
    (413, POST + b"Content-Length: 100000000\r\n\r\n", b"1" * PIECE, 10_000),
    (415, POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB, b"", 0),
    (400, POST + b"Content-Length: 7\r\nContent-Length: 9\r\n\r\n", b"", 0),
    (431, POST + b"X: ", b"x" * 4096, 100),
)
"""Status that each deserves, head, a piece of body, and how many pieces would be sent if the server let it."""
AT_ONCE = 4


async def _attack(port: int, count: int) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    for _ in range(0, count, AT_ONCE * len(HOSTILE)):
        group = [kind for kind in HOSTILE for _ in range(AT_ONCE)]
        answers = await asyncio.gather(*(send(port, head, piece, times) for _, head, piece, times in group))
        found.update(zip((expected for expected, *_ in group), answers, strict=True))
    return found


@measure(
    17,
    "memory under hostile bodies",
    target="10,000 endless, huge, compressed and ambiguous bodies refused; growth at most 16 MiB, no descriptor",
    floor=200,
    full=10_000,
)
def hostile_bodies(run: Run) -> Count:
    """A first attack fills what is filled once; the growth is that of the second."""
    write_model(run.folder / "model", 1)
    with serving(run.folder / "model") as server:
        asyncio.run(_attack(server.port, 100))
        before, open_before = server.memory_kib(), server.descriptors()
        found = asyncio.run(_attack(server.port, run.size))
        growth = server.memory_kib() - before
        deadline = time.monotonic() + LINGER_SECONDS  # a refused connection stays open a little, for its answer
        while server.descriptors() > open_before and time.monotonic() < deadline:
            time.sleep(0.1)
        leaked = max(server.descriptors() - open_before, 0)
        honest = server.request("POST", "/invocations", SMALL_ROW, Content_Type="text/csv")[0]
    wrong = {f"{expected} got {status}": n for (expected, status), n in found.items() if expected != status}
    failures = sum(wrong.values()) + (growth > GROWTH_KIB) + leaked + (honest != 200)  # OK
    detail = f"{growth / 1024:+.1f} MiB, {leaked} descriptors left open, {wrong or 'all refused as they should be'}"
    return Count(denominator=found.total(), failures=failures, detail=detail)


@dataclass
class Samples:
    """Memory and descriptors of a server over the requests that it had answered."""

    requests: list[int] = field(default_factory=list[int])
    memory: list[int] = field(default_factory=list[int])
    """In bytes."""
    descriptors: list[int] = field(default_factory=list[int])

    def take(self, server: Server, answered: int) -> None:
        """Look once."""
        self.requests.append(answered)
        self.memory.append(server.memory_kib() * 1024)
        self.descriptors.append(server.descriptors())

    def slope(self) -> tuple[float, float]:
        """Bytes per request after warming up, and half the width of the 95 % confidence interval.

        Least squares; the errors of neighbouring samples are not independent (memory grows in steps), so the interval
        is that of the means of at most 30 blocks.
        """
        start = int(len(self.requests) * WARM_SHARE)
        blocks = np.array_split(np.array([self.requests[start:], self.memory[start:]], float), 30, axis=1)
        x, y = np.array([block.mean(axis=1) for block in blocks if block.size]).T
        if len(x) < 3:  # a line has two parameters
            return 0.0, float("inf")
        centred = x - x.mean()
        slope = float(centred @ y / (centred @ centred))
        residual = y - y.mean() - slope * centred
        return slope, float(1.96 * np.sqrt(residual @ residual / (len(x) - 2) / (centred @ centred)))


async def _soak(load: Load, server: Server, requests: int, seconds: float, samples: Samples) -> None:
    began = time.monotonic()
    running = asyncio.create_task(load.closed(lambda: stop.is_set() or server.process.poll() is not None))
    stop = asyncio.Event()
    answered = 0
    while (answered < requests or time.monotonic() - began < seconds) and not running.done():
        await asyncio.sleep(SAMPLE_SECONDS)
        answered = load.tally.answers.total()
        load.tally.seconds.clear()  # latencies of days do not fit into memory
        samples.take(server, answered)
    stop.set()
    await running


@measure(
    17,
    "memory over many requests",
    target="at most 1 MiB per 10,000,000 requests at 95 % confidence, no descriptor",
    floor=30_000,
    full=30_000_000,
)
def many_requests(run: Run) -> Count:
    """As many as the size says, as fast as they are answered."""
    return soak(run, 0.0)


def soak(run: Run, seconds: float) -> Count:
    """One row at a time, every answer checked; a growth counts when its confidence interval lies above the limit."""
    answer = write_model(run.folder / "model", 1).encode()
    samples = Samples()
    wires = [post("/invocations", "text/csv", SMALL_ROW)]
    with serving(run.folder / "model") as server:

        def judge(_place: int, _status: int, _head: bytes, body: bytes) -> str:
            return "" if body.strip() == answer else "wrong"

        before = server.descriptors()
        load = Load(lambda: server.port, wires, judge, connections=32)
        uvloop.run(_soak(load, server, run.size, seconds, samples))
        time.sleep(0.5)  # the server notices that the connections are gone
        leaked = max(server.descriptors() - before, 0)
    slope, margin = samples.slope()
    failures = load.tally.failures.total() + leaked + (slope - margin > SLOPE_BYTES)
    detail = (
        f"{slope * 1e7 / 2**20:+.2f} ± {margin * 1e7 / 2**20:.2f} MiB per 10 million requests, "
        f"{len(samples.memory)} samples from {samples.memory[0] / 2**20:.0f} to {samples.memory[-1] / 2**20:.0f} MiB, "
        f"{leaked} descriptors left open"
    )
    return Count(denominator=load.tally.sent, failures=failures, detail=detail)

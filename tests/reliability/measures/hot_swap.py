"""Figure 13: the model of a running server is replaced under load; every second replacement is a bad one."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import uvloop

from bench.load import Load, post
from scoring import artifact
from scoring.predictor import Predictor
from tests.reliability.figures import Count, Run, measure
from tests.support.servers import Server, serving, write_model

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS_PER_SWAP = 1_000
RATE = 2_000.0
CONNECTIONS = 64
OK, REFUSED = 200, 422
VERSION = b"\r\nmodel-version: "
ROWS = np.random.default_rng(5).random((64, 2), dtype=np.float32)
SLOWER = 2.0
"""How many times the quiet p99 the p99 during swaps may be."""


class Judge:
    """Holds every answer to the version that it names."""

    def __init__(self, *directories: Path) -> None:
        self.answers: dict[bytes, list[bytes]] = {}
        self.counts: Counter[bytes] = Counter()
        for found in map(artifact.read, directories):
            answers = Predictor(found.model, found.schema).predict(ROWS)
            self.answers[found.version.encode()] = [str(answer).encode() for answer in answers]

    def __call__(self, place: int, status: int, head: bytes, body: bytes) -> str:
        """Give the kind of failure, if it is one."""
        if status != OK:
            return f"status {status}"
        version = head.partition(VERSION)[2].partition(b"\r")[0]
        self.counts[version] += 1
        expected = self.answers.get(version)
        return "" if expected and float(expected[place]) == float(body) else "mixed"


async def offer(admin: int, directory: Path) -> int:
    """Ask the server to serve what a directory holds; give the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", admin)
    writer.write(post("/models/model", "application/json", json.dumps({"url": str(directory)}).encode()))
    line = await reader.readline()
    writer.close()
    return int(line[9:12])


async def swap_under_load(
    load: Load, server: Server, admin: int, offers: list[tuple[Path, int]], size: int, *, quiet_seconds: float
) -> list[float]:
    """Measure quietly, then while swapping; give both p99s, and raise if a swap was answered wrongly."""
    loop = asyncio.get_running_loop()
    tail: list[float] = []

    async def swaps() -> None:
        await asyncio.sleep(quiet_seconds)
        tail.append(load.tally.quantile(0.99))
        load.tally.seconds.clear()
        for directory, expected in offers:
            status = await offer(admin, directory)
            if status != expected:
                load.tally.failures[f"swap answered {status}"] += 1
        tail.append(load.tally.quantile(0.99))

    swapping = loop.create_task(swaps())
    await load.open(RATE, lambda: swapping.done() and load.tally.sent >= size)
    await swapping
    load.tally.failures["server ended"] += server.process.poll() is not None
    return tail


@measure(
    13,
    "hot swap and refused swap under load",
    target="0 of 1,000,000 failed or mixed over 1,000 swaps, half of them bad; p99 at most twice the quiet one",
    floor=20_000,
    full=1_000_000,
)
def hot_swap(run: Run) -> Count:
    """Two models with different answers in turn, and after each one with a damaged file."""
    one, two, bad = (run.folder / name for name in ("one", "two", "bad"))
    write_model(one, 1)
    write_model(two, 2)
    shutil.copytree(two, bad)
    (bad / artifact.MODEL).write_bytes((bad / artifact.MODEL).read_bytes()[:-1])
    judge = Judge(one, two)
    wires = [post("/invocations", "text/csv", f"{a},{b}".encode()) for a, b in ROWS]
    turns = max(5, run.size // (4 * REQUESTS_PER_SWAP))
    offers = [(two, OK), (bad, REFUSED), (one, OK), (bad, REFUSED)] * turns
    with serving(one, SLIPWAY_ADMIN_PORT="0") as server:
        admin = server.announced_port()
        load = Load(lambda: server.port, wires, judge, connections=CONNECTIONS, patient=False)
        quiet_seconds = 10.0 if run.timed else 2.0
        quiet, swapping = uvloop.run(
            swap_under_load(load, server, admin, offers, run.size, quiet_seconds=quiet_seconds)
        )
    differ = sum(a != b for a, b in zip(*judge.answers.values(), strict=True))
    if differ < len(ROWS) * 0.9 or min(judge.counts[version] for version in judge.answers) < run.size // 20:
        raise AssertionError("the versions cannot be told apart, or one hardly answered")
    failures = load.tally.failures.total() + (run.timed and swapping > SLOWER * quiet)
    detail = (
        f"{len(offers)} swaps, {len(offers) // 2} of them refused; {dict(+load.tally.failures) or 'none failed'}; "
        f"p99 {swapping * 1e3:.1f} ms, quiet {quiet * 1e3:.1f} ms, {load.tally.unsent} not sent, all connections busy"
    )
    return Count(denominator=load.tally.sent, failures=failures, detail=detail)

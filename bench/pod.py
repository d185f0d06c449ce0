"""What one pod of the model server needs: `python -m bench.pod`, whose figures `docs/serving.md` and stack files cite.

Model and server are those of `make bench`. The server has one core and the client another. Each figure is taken several
times; what else the machine did meanwhile is told beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from bench import processes, report, servers, workload
from bench.answers import Oracle
from bench.load import Load
from tools.environments import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.workload import Workload

FOLDER = ROOT / ".slipway" / "bench"
STARTS = 5
RATES = (100, 250, 500, 1000, 1500)
"""Requests a second with one row each, due at their times whether or not earlier ones were answered."""
CONNECTIONS = 64
WARM_SECONDS = 1.0
DRAIN_RATE = 200
FORGOTTEN_SECONDS = 14.0
"""After which no request comes any more: a load balancer has taken the target out by then."""
LARGE_ROWS = 10_000
LARGE_CONNECTIONS = 16


def launch(made: Workload, core: int, folder: Path) -> processes.Server:
    """Start our server on a core."""
    ours = next(kind for kind in servers.KINDS if kind.name == servers.OURS)
    return servers.launch(ours, Path(sys.executable), made, folder, core)


def cold_starts(made: Workload, core: int, folder: Path) -> list[processes.Start]:
    """Start and stop servers, one after the other."""
    found: list[processes.Start] = []
    for _ in range(STARTS):
        server = launch(made, core, folder)
        found += [server.start] if server.start else []
        server.signal(signal.SIGKILL)
        server.stop()
    return found


async def steady(server: processes.Server, made: Workload, rate: float, seconds: float) -> dict[str, object]:
    """Send single rows as JSON at a rate; tell what they cost and how long they took."""
    oracle = Oracle(made.answers[1], b'"predictions"', 0.0)
    load = Load(lambda: server.port, made.wires(1, "json", "/invocations"), oracle, connections=CONNECTIONS)
    stop = asyncio.Event()
    running = asyncio.create_task(load.open(rate, stop.is_set))
    await asyncio.sleep(WARM_SECONDS)
    load.reset()
    before = (time.monotonic(), processes.cpu_seconds(server.tree()), time.process_time(), processes.busy_seconds())
    await asyncio.sleep(seconds)
    after = (time.monotonic(), processes.cpu_seconds(server.tree()), time.process_time(), processes.busy_seconds())
    tally = load.reset()
    stop.set()
    await running
    wall, cpu, own, busy = (late - early for late, early in zip(after, before, strict=True))
    answered = tally.answers.total()
    return {
        "rate": rate,
        "answered_per_second": round(answered / wall),
        "cpu_us": round(cpu / max(answered, 1) * 1e6),
        "cores": round(cpu / wall, 3),
        "mean_ms": round(tally.mean() * 1e3, 2),
        "p50_ms": round(tally.quantile(0.5) * 1e3, 2),
        "p95_ms": round(tally.quantile(0.95) * 1e3, 2),
        "p99_ms": round(tally.quantile(0.99) * 1e3, 2),
        "failures": sum(tally.failures.values()) + tally.unsent,
        "foreign_cores": round(max(busy - cpu - own, 0.0) / wall, 2),
        "mib": round(processes.memory_mib(server.tree())),
    }


async def large(server: processes.Server, made: Workload, seconds: float) -> float:
    """Send the largest bodies that are taken, all connections at once; give the most memory that was resident, MiB."""
    body = workload.csv_body(made.rows[100].reshape(-1, workload.FEATURES))
    lines = (body.split(b"\n") * (LARGE_ROWS // 1600 + 1))[:LARGE_ROWS]
    wire = workload.post("/invocations", "text/csv", b"\n".join(lines))
    load = Load(lambda: server.port, [wire], _content, connections=LARGE_CONNECTIONS, timeout_s=60.0)
    stop, most = asyncio.Event(), 0.0
    running = asyncio.create_task(load.closed(stop.is_set))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.05)
        most = max(most, processes.memory_mib(server.tree()))
    stop.set()
    await running
    return most


def _content(_place: int, _status: int, _head: bytes, _body: bytes) -> str:
    return ""


async def drained(server: processes.Server, made: Workload) -> dict[str, object]:
    """Ask the server to end under load; tell how long it took and what became of the requests until the port closed."""
    oracle = Oracle(made.answers[1], b'"predictions"', 0.0)
    load = Load(lambda: server.port, made.wires(1, "json", "/invocations"), oracle, connections=CONNECTIONS)
    stop = asyncio.Event()
    running = asyncio.create_task(load.open(DRAIN_RATE, stop.is_set))
    await asyncio.sleep(WARM_SECONDS)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    while server.process.poll() is None:
        if time.monotonic() - began > FORGOTTEN_SECONDS:
            stop.set()
        await asyncio.sleep(0.01)
    seconds = time.monotonic() - began
    stop.set()
    tally = await running
    return {
        "seconds": round(seconds, 2),
        "exit": server.process.returncode,
        "answered": tally.answers.total(),
        "failures": dict(tally.failures),
    }


def main(arguments: Sequence[str]) -> int:
    """Measure, and write the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.pod", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of one rate")
    parser.add_argument("--rounds", type=int, default=3)
    parsed = parser.parse_args(arguments)
    client, core = (sorted(os.sched_getaffinity(0)) * 2)[:2]
    os.sched_setaffinity(0, {client})
    made, place = workload.make(FOLDER), FOLDER / "pod"
    starts = cold_starts(made, core, place)
    server = launch(made, core, place)
    try:
        rounds = [
            uvloop.run(steady(server, made, rate, parsed.seconds)) for rate in RATES for _ in range(parsed.rounds)
        ]
        most = uvloop.run(large(server, made, parsed.seconds))
        end = uvloop.run(drained(server, made))
    finally:
        server.stop()
    found = {
        "machine": report.machine(),
        "starts_s": [round(one.seconds, 2) for one in starts],
        "start_cpu_s": round(statistics.median(one.cpu_seconds for one in starts), 2),
        "mib_after_start": round(max(one.memory_mib for one in starts)),
        "rates": rounds,
        "mib_with_largest_bodies": round(most),
        "drain": end,
    }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

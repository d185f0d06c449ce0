"""Figure 18: clients that are slow on purpose are cut off in time, and honest ones do not notice them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from http.client import HTTPConnection, HTTPException
from multiprocessing import get_context
from typing import NamedTuple

import uvloop

from tests.reliability.figures import Count, Run, measure
from tests.support.servers import SMALL_ROW, serving, write_model

POST = b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\n"
GET = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"
LARGE = b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n"
"""Its answer has 12 kB: 32 of them, as many as may be due, are more than the kernel holds."""
OK = 200
LIMIT_SECONDS = 10.0
NEVER_SECONDS = 20.0
"""After which a connection that still lives is taken not to be ended at all; counts where time does not."""
IDLE = {"SLIPWAY_KEEP_ALIVE_S": "4"}
"""Of the limits the only one that is not the default, 75 s: that is meant for a balancer, and idle is not slow."""

WINDOW_SECONDS = 1.0
"""How long the honest client asks at a time."""
SLOWER = 1.5
"""How many times the quiet p99 the honest p99 may be."""


class Slow(NamedTuple):
    """One way to be slow."""

    start: bytes
    drop: bytes
    """Sent again and again; empty: nothing more comes."""
    reads: bool = True


WAYS = (
    Slow(b"POST /invoc", b"a"),
    Slow(POST + b"Content-Length: 1000\r\n\r\n", b"1"),
    Slow(b"", b""),
    Slow(b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n", b""),
    Slow(GET * 1000, GET, reads=False),
    Slow(LARGE * 32, b"\r\n", reads=False),
)


async def lifetime(port: int, way: Slow) -> float:
    """Be slow until the server ends the connection, or time is over for good; give the seconds."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    end = began + NEVER_SECONDS
    channel = socket.socket()
    channel.setblocking(False)  # the socket's own way
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await loop.sock_connect(channel, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=channel, limit=1024)
    with contextlib.suppress(ConnectionError):
        writer.write(way.start)
        while time.perf_counter() < end and not reader.at_eof() and not writer.transport.is_closing():
            writer.write(way.drop)
            await asyncio.sleep(0.4)
            if way.reads:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1000), 0.1)
    writer.transport.abort()
    return time.perf_counter() - began


class Asked(NamedTuple):
    """What honest requests saw."""

    seconds: list[float]
    wrong: int


def ask(port: int, seconds: float) -> Asked:
    """Ask again and again on one connection for some seconds.

    Runs in a process of its own: beside a thousand slow clients it would measure the loop that it shares with them.
    """
    taken, wrong = list[float](), 0
    connection = HTTPConnection("127.0.0.1", port)
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        try:
            connection.request("POST", "/invocations", SMALL_ROW, {"Content-Type": "text/csv"})
            answer = connection.getresponse()
            wrong += answer.status != OK or not answer.read()
        except (HTTPException, OSError):
            wrong += 1
        taken.append(time.perf_counter() - began)
    connection.close()
    return Asked(taken, wrong)


async def _attack(port: int, size: int, windows: int) -> tuple[list[float], list[Asked], list[Asked]]:
    """Be slow on `size` connections at once; give how long each lived, and what was seen without and with them."""
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as elsewhere:

        async def window() -> Asked:
            return await loop.run_in_executor(elsewhere, ask, port, WINDOW_SECONDS)

        quiet = [await window() for _ in range(windows)]
        attack = asyncio.gather(*(lifetime(port, WAYS[number % len(WAYS)]) for number in range(size)))
        during = [await window()]
        while not attack.done():
            during.append(await window())
        quiet += [await window() for _ in range(windows)]
        return await attack, quiet, during


def p99(windows: list[Asked]) -> float:
    """Give the 99th percentile, seconds."""
    return statistics.quantiles([each for window in windows for each in window.seconds], n=100)[-1]


@measure(
    18,
    "slow clients",
    target="1,000 slow connections of 6 kinds all closed within 10 s; 0 honest failures, p99 at most 1.5 times quiet",
    floor=200,
    full=1_000,
)
def slow_clients(run: Run) -> Count:
    """Count slow connections that outlive the limit, and honest requests that fail; if timed, a p99 that is missed."""
    write_model(run.folder / "model", seed=1)
    with serving(run.folder / "model", **IDLE) as server:
        lives, quiet, during = uvloop.run(_attack(server.port, run.size, windows=3 if run.timed else 1))
    late = sum(seconds > (LIMIT_SECONDS if run.timed else NEVER_SECONDS) for seconds in lives)
    wrong = sum(window.wrong for window in quiet + during)
    slower = p99(during) / p99(quiet)
    missed = run.timed and slower > SLOWER
    asked = sum(len(window.seconds) for window in during)
    detail = f"longest life {max(lives):.1f} s; {asked} honest requests, {wrong} failed, p99 {slower:.2f} x quiet"
    return Count(denominator=run.size, failures=late + wrong + missed, detail=detail)

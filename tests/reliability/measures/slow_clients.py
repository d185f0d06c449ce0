"""Figure 18: clients that are slow on purpose are cut off in time, and honest ones do not notice them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import time
from typing import NamedTuple

import uvloop

from tests.reliability.figures import Count, Run, measure
from tests.support.servers import SMALL_ROW, serving, write_model

POST = b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\n"
GET = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"
HONEST = POST + b"Content-Length: %d\r\n\r\n%b" % (len(SMALL_ROW), SMALL_ROW)
LIMIT_SECONDS = 10.0
TIMEOUTS = dict.fromkeys(("HEADER_TIMEOUT", "BODY_TIMEOUT", "KEEP_ALIVE", "WRITE_TIMEOUT"), "4")
"""Shorter than the defaults: a keep-alive of 75 s is meant for a balancer, and idle is not slow."""

QUIET_SECONDS = 2.0
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
)


async def lifetime(port: int, way: Slow) -> float:
    """Be slow until the server ends the connection, or twice its time is over; give the seconds."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    end = began + 2 * LIMIT_SECONDS
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


async def honest(port: int, stop: asyncio.Event) -> tuple[list[float], int]:
    """Ask again and again on one connection; give the seconds of each answer, and how many were wrong."""
    seconds, wrong = list[float](), 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while not stop.is_set():
        began = time.perf_counter()
        writer.write(HONEST)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
        except (asyncio.IncompleteReadError, ConnectionError):
            return seconds, wrong + 1
        wrong += not head.startswith(b"HTTP/1.1 200 ")
        seconds.append(time.perf_counter() - began)
    writer.close()
    return seconds, wrong


async def _attack(port: int, size: int) -> tuple[list[float], list[float], list[float], int]:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(QUIET_SECONDS, stop.set)
    quiet, wrong_before = await honest(port, stop)
    stop = asyncio.Event()
    asking = asyncio.create_task(honest(port, stop))
    lives = await asyncio.gather(*(lifetime(port, WAYS[number % len(WAYS)]) for number in range(size)))
    stop.set()
    during, wrong = await asking
    return lives, quiet, during, wrong_before + wrong


def p99(seconds: list[float]) -> float:
    """Give the 99th percentile."""
    return statistics.quantiles(seconds, n=100)[-1]


@measure(
    18,
    "slow clients",
    target="1,000 slow connections of 5 kinds all closed within 10 s; 0 honest failures, p99 at most 1.5 times quiet",
    floor=200,
    full=1_000,
)
def slow_clients(run: Run) -> Count:
    """Count slow connections that outlive the limit, and honest requests that fail; if timed, a p99 that is missed."""
    write_model(run.folder / "model", seed=1)
    with serving(run.folder / "model", **{f"SLIPWAY_{name}_S": value for name, value in TIMEOUTS.items()}) as server:
        lives, quiet, during, wrong = uvloop.run(_attack(server.port, run.size))
    late = sum(seconds > LIMIT_SECONDS for seconds in lives)
    slower = p99(during) / p99(quiet)
    missed = run.timed and slower > SLOWER
    detail = f"longest life {max(lives):.1f} s; {len(during)} honest requests, {wrong} failed, p99 {slower:.2f} x quiet"
    return Count(denominator=run.size, failures=late + wrong + missed, detail=detail)

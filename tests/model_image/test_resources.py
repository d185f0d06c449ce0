"""Hostile and too many clients in front of the real process: bounded memory, and honest clients are served.

Slow ones: `tests/reliability/measures/slow_clients.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.loop

HOSTILE = 300
GROWTH_KIB = 16 * 1024
POST = b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\n"
ROW = b"812.5,AA,7"


def memory(server: Any) -> int:
    """Give the server's resident memory in KiB."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))


def descriptors(server: Any) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


async def status(reader: asyncio.StreamReader) -> int:
    """Read one answer; 0 if the connection ended without one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0
    return int(head[9:12])


async def send(port: int, head: bytes, piece: bytes = b"", times: int = 0) -> int:
    """Send a head and then a piece again and again, as long as the server listens; give the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(status(reader))
    with contextlib.suppress(ConnectionError):
        writer.write(head)
        for _ in range(times):
            if answer.done():
                break
            writer.write(piece)
            await writer.drain()
    found = await answer
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return found


def test_hostile_bodies_are_refused_and_leave_no_memory_and_no_descriptor_behind(server: Any) -> None:
    chunk = b"10000\r\n" + b"1" * 0x10000 + b"\r\n"
    bomb = gzip.compress(b"1,AA,3\n" * 100_000)
    kinds: tuple[tuple[int, bytes, bytes, int], ...] = (
        (413, POST + b"Transfer-Encoding: chunked\r\n\r\n", chunk, 10_000),
        (413, POST + b"Content-Length: 100000000\r\n\r\n", b"1" * 0x10000, 10_000),
        (415, POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb, b"", 0),
        (400, POST + b"Content-Length: 7\r\nContent-Length: 9\r\n\r\n", b"", 0),
        (431, POST + b"X: ", b"x" * 4096, 100),
    )

    async def attack() -> Counter[tuple[int, int]]:
        found: Counter[tuple[int, int]] = Counter()
        for _ in range(HOSTILE // (4 * len(kinds))):
            group = [kind for kind in kinds for _ in range(4)]
            answers = await asyncio.gather(*(send(server.port, head, piece, n) for _, head, piece, n in group))
            found.update(zip((expected for expected, *_ in group), answers, strict=True))
        return found

    asyncio.run(asyncio.wait_for(attack(), 60))
    before, open_before = memory(server), descriptors(server)
    found = asyncio.run(asyncio.wait_for(attack(), 60))
    assert found.total() == HOSTILE
    assert set(found) == {(expected, expected) for expected, *_ in kinds}
    assert memory(server) - before < GROWTH_KIB
    deadline = time.monotonic() + 5
    while descriptors(server) > open_before and time.monotonic() < deadline:
        time.sleep(0.1)  # a refused connection is left open for two seconds, for the answer to arrive
    assert descriptors(server) <= open_before
    assert server.request("POST", "/invocations", ROW, Content_Type="text/csv")[0] == 200


def test_overload_is_refused_with_advice_in_bounded_memory_and_ends_with_the_load(start: Callable[..., Any]) -> None:
    server = start(SLIPWAY_MAX_BODY_BYTES="10000", SLIPWAY_MAX_QUEUED_BYTES="40000", SLIPWAY_MAX_BATCH_ROWS="64")
    body = b"\n".join([ROW] * 800)
    batch = POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    answers: Counter[int] = Counter()

    async def flood() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(10):
            writer.write(batch * 8)
            for _ in range(8):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                answers[int(head[9:12])] += 1
                assert (b"Retry-After: 1\r\n" in head) == (head[9:12] == b"503")
        writer.close()

    async def ping(stop: asyncio.Event) -> list[float]:
        loop, seconds = asyncio.get_running_loop(), list[float]()
        while not stop.is_set():
            began = loop.time()
            assert await send(server.port, b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n") == 200
            seconds.append(loop.time() - began)
        return seconds

    async def run() -> list[float]:
        stop = asyncio.Event()
        pings = asyncio.create_task(ping(stop))
        await asyncio.gather(*(flood() for _ in range(24)))
        stop.set()
        return await pings

    before = memory(server)
    pings = asyncio.run(asyncio.wait_for(run(), 60))
    assert set(answers) == {200, 503}
    assert answers.total() == 24 * 80
    assert answers[503] > answers.total() / 10
    assert memory(server) - before < GROWTH_KIB
    assert max(pings) < 2
    assert server.request("POST", "/invocations", ROW, Content_Type="text/csv")[0] == 200

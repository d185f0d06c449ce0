"""Too many clients in front of the real process: bounded memory, and honest clients are served."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from settings.serving_limits import MIB_PER_PAYLOAD_MB
from tests.support.raw_http import send
from tests.support.servers import serving, write_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.loop

LARGE_MB, MEBIBYTE = 1, 1024 * 1024
GROWTH_KIB = 16 * 1024
POST = b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\n"
ROW = b"812.5,AA,7"


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

    before = server.memory_kib()
    pings = asyncio.run(asyncio.wait_for(run(), 60))
    assert set(answers) == {200, 503}
    assert answers.total() == 24 * 80
    assert answers[503] > answers.total() / 10
    assert server.memory_kib() - before < GROWTH_KIB
    assert max(pings) < 2
    assert server.request("POST", "/invocations", ROW, Content_Type="text/csv")[0] == 200


def test_a_large_body_takes_no_more_memory_than_the_settings_reckon_with(tmp_path: Path) -> None:
    body = b",\n" * (LARGE_MB * MEBIBYTE // 2)  # the shortest rows that take the slow way through the parser
    write_model(tmp_path, 1)
    with serving(tmp_path, SLIPWAY_PAYLOAD_MB=str(LARGE_MB)) as server:
        before = server.memory_kib()
        status, _, answer = server.request("POST", "/invocations", body, content_type="text/csv")
        assert (status, answer.count(b"\n")) == (200, LARGE_MB * MEBIBYTE // 2)
        assert (server.memory_kib("VmHWM") - before) / 1024 < LARGE_MB * MIB_PER_PAYLOAD_MB

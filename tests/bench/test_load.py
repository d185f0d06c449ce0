"""The load client counts what goes wrong, each kind as what it is."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from bench.load import Load, Tally, post

if TYPE_CHECKING:
    from collections.abc import Iterable

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n0.5"
WIRES = [post("/invocations", "text/csv", b"1,2")]
Drive = Callable[[Load], Awaitable[Tally]]


def judge(_place: int, status: int, _head: bytes, body: bytes) -> str:
    return "" if (status, body) == (200, b"0.5") else "wrong"


class Fake:
    """A server that gives the n-th request the n-th text; None resets the connection."""

    def __init__(self, answers: Iterable[bytes | None], delay: float = 0.0) -> None:
        self.answers = iter(answers)
        self.delay = delay
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"1,2")
                await asyncio.sleep(self.delay)
                text = next(self.answers)
                if text is None:
                    writer.transport.abort()
                    break
                writer.write(text)
                if len(text) < len(GOOD) or b"close" in text:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def asked(self, drive: Drive, *, connections: int = 2, patient: bool = True, fresh_every: int = 0) -> Tally:
        """Put load on it, and wait until every connection has ended."""

        async def main() -> Tally:
            served: set[asyncio.Task[None]] = set()

            def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                served.add(asyncio.ensure_future(self.serve(reader, writer)))

            server = await asyncio.start_server(begin, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            more = {"connections": connections, "fresh_every": fresh_every}
            tally = await drive(Load(lambda: port, WIRES, judge, timeout_s=0.3, patient=patient, **more))
            server.close()
            await asyncio.gather(*served)
            return tally

        return asyncio.run(main())


def closed(requests: int) -> Drive:
    return lambda load: load.closed(lambda: load.tally.sent >= requests)


def at_rate(rate: float, requests: int) -> Drive:
    return lambda load: load.open(rate, lambda: load.tally.sent >= requests)


@pytest.mark.parametrize("drive", [closed(20), at_rate(2_000, 20)])
@pytest.mark.parametrize(
    ("answer", "failures"),
    [
        (GOOD, {}),
        (None, {"reset": 1}),
        (GOOD[:-1], {"cut": 1}),
        (GOOD.replace(b"0.5", b"0.6"), {"wrong": 1}),
        (GOOD.replace(b"200", b"503"), {"wrong": 1}),
        (GOOD + b"x", {"framing": 1}),
        (GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), {}),
    ],
)
def test_each_kind_of_failure_is_counted_once_and_the_load_goes_on(
    drive: Drive, answer: bytes | None, failures: dict[str, int]
) -> None:
    tally = Fake(itertools.chain([GOOD, answer], itertools.repeat(GOOD))).asked(drive)
    assert dict(tally.failures) == failures
    assert tally.sent >= 20
    assert tally.answers.total() == tally.sent - sum(n for kind, n in failures.items() if kind != "wrong")
    assert sum(map(len, tally.seconds.values())) == tally.answers.total()


def test_every_connection_that_is_refused_counts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    load = Load(lambda: port, WIRES, judge, connections=2)
    tally = asyncio.run(load.open(1_000, lambda: load.tally.failures["refused"] >= 5))
    assert set(tally.failures) == {"refused"}
    assert tally.sent == 0


def test_an_answer_that_does_not_come_is_late() -> None:
    unfinished = GOOD.replace(b": 3", b": 9")
    assert set(Fake(itertools.repeat(unfinished)).asked(at_rate(2_000, 2)).failures) == {"late"}


def test_a_latency_begins_when_the_request_was_due_not_when_a_connection_was_free() -> None:
    waited = Fake(itertools.repeat(GOOD), delay=0.02).asked(at_rate(500, 5), connections=1)
    dropped = Fake(itertools.repeat(GOOD), delay=0.02).asked(at_rate(500, 5), connections=1, patient=False)
    assert waited.quantile(1.0) > 0.06
    assert dropped.unsent > dropped.sent


def test_some_requests_of_an_open_loop_go_over_connections_of_their_own() -> None:
    fake = Fake(itertools.repeat(GOOD))
    tally = fake.asked(at_rate(1_000, 40), connections=50, fresh_every=4)
    assert not tally.failures
    assert tally.sent // 4 <= fake.connections < tally.sent

"""A load client that tells the truth: it checks every answer, and counts what a polite client would not notice.

Closed loop: every connection asks again when it is answered. Open loop: requests are due at a fixed rate whether or not
earlier ones were answered, and a latency begins when its request was due, so that a server that stalls is charged for
all that it kept waiting (no coordinated omission). Refused and reset connections, answers that end too early, late ones
and wrong ones are counted by kind.

Generators from package indexes (wrk, oha, vegeta, hey) compare no answer with what it should be, so they cannot see a
server that answers fast and wrongly; this one costs less than 25 µs per request, less than any server in Python.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LENGTH = b"\r\ncontent-length:"
CLOSE = b"\r\nconnection: close"
END = b"\r\n\r\n"
TICK_SECONDS = 0.001
WATCH_SECONDS = 0.25


class Judge(Protocol):
    """Decides what an answer is worth."""

    def __call__(self, place: int, status: int, head: bytes, body: bytes, /) -> str:
        """Give the kind of failure, or an empty text; ``place`` is that of the request among the wires."""
        ...


def post(path: str, media: str, body: bytes, headers: str = "") -> bytes:
    """Write one request as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(slots=True)
class Tally:
    """What happened to the requests."""

    sent: int = 0
    unsent: int = 0
    """Due in an open loop while every connection was busy, and not sent at all."""
    answers: Counter[int] = field(default_factory=Counter[int])
    """By status."""
    failures: Counter[str] = field(default_factory=Counter[str])
    """By kind: refused, reset, cut, late, framing, or what the judge said."""
    seconds: defaultdict[int, array[float]] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    """Latency of every answer by status, in the order of arrival."""

    def quantile(self, share: float, status: int = 200) -> float:
        """Latency in seconds that the given share of the answers did not exceed; 0 without answers."""
        ordered = sorted(self.seconds[status])
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0

    def mean(self, status: int = 200) -> float:
        """Mean latency in seconds; 0 without answers."""
        found = self.seconds[status]
        return sum(found) / len(found) if found else 0.0


class _Connection(asyncio.Protocol):
    __slots__ = ("buffer", "due", "load", "once", "place", "port", "transport")

    def __init__(self, load: Load, port: int) -> None:
        self.load = load
        self.port = port
        self.place = -1  # of the request that is being answered
        self.due = 0.0
        self.once = False
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.load.connections.add(self)

    def ask(self, place: int, due: float) -> None:
        if self.transport is None:
            raise RuntimeError("a connection is asked before it is open")
        self.place, self.due = place, due
        self.transport.write(self.load.wires[place])

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data if self.buffer else data
        end = data.find(END)
        if end < 0:
            self.buffer = data
            return
        head = data[:end].lower()
        found = head.find(LENGTH)
        stop = head.find(b"\r", found + len(LENGTH))
        size = int(head[found + len(LENGTH) : stop if stop > 0 else end]) if found >= 0 else 0
        whole = end + len(END) + size
        if len(data) < whole:
            self.buffer = data
            return
        self.buffer = b""
        if self.place < 0 or len(data) > whole or found < 0:
            self.load.lose(self, "framing")
            return
        self.load.answered(self, int(head[9:12]), head, data[end + len(END) : whole])

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # a reset and an end without an answer are the same to a client
        if self.place >= 0:
            self.load.lose(self, "cut" if self.buffer else "reset")
        self.load.forget(self)


class Load:
    """Requests from this process, and their tally."""

    def __init__(
        self,
        port: Callable[[], int],
        wires: Sequence[bytes],
        judge: Judge,
        *,
        connections: int,
        timeout_s: float = 10.0,
        fresh_every: int = 0,
        patient: bool = True,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            port: Chooses the server for the next request, or for a connection of a closed loop.
            wires: Complete requests, sent in turn.
            judge: Called with every answer.
            connections: How many are open at most; in a closed loop, exactly.
            timeout_s: After which an answer counts as late, and its connection is given up.
            patient: In an open loop, a request that is due while every connection is busy waits, and its latency has
                begun; otherwise it is dropped.
            fresh_every: In an open loop, one request in so many is sent on a connection of its own; 0 for none.
        """
        self.port = port
        self.wires = wires
        self.judge = judge
        self.limit = connections
        self.timeout_s = timeout_s
        self.fresh_every = fresh_every
        self.patient = patient
        self.tally = Tally()
        self.connections: set[_Connection] = set()
        self.stopped = False
        self._idle: dict[int, list[_Connection]] = {}
        self._waiting: deque[float] = deque()
        self._opening: Counter[int] = Counter()
        self._place = -1
        self._launched = 0
        self._closed_loop = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_watch = 0.0

    async def closed(self, until: Callable[[], bool]) -> Tally:
        """Keep every connection busy until told to stop."""
        self._closed_loop = True
        for _ in range(self.limit):
            self._open(time.monotonic())
        while not until():
            await asyncio.sleep(TICK_SECONDS)
            self._watch()
        return await self._end()

    async def open(self, rate: float, until: Callable[[], bool]) -> Tally:
        """Send ``rate`` requests a second, whatever becomes of them, until told to stop."""
        begun = time.monotonic()
        launched = 0
        while not until():
            due = int((time.monotonic() - begun) * rate) + 1  # the first at once
            for number in range(launched, due):
                self._launch(begun + number / rate)
            launched = max(launched, due)
            self._watch()
            await asyncio.sleep(TICK_SECONDS)
        return await self._end()

    def pending(self, port: int) -> bool:
        """Whether a request to a server is under way."""
        return self._opening[port] > 0 or any(one.place >= 0 and one.port == port for one in self.connections)

    def reset(self) -> Tally:
        """Begin a new tally, and give the one so far."""
        done, self.tally = self.tally, Tally()
        return done

    async def _end(self) -> Tally:
        self.stopped = True
        deadline = time.monotonic() + self.timeout_s
        while self._busy() and time.monotonic() < deadline:  # noqa: ASYNC110 # an event would cost every answer time
            await asyncio.sleep(TICK_SECONDS)
        for one in list(self.connections):
            if one.place >= 0:
                self.lose(one, "late")
            if one.transport is not None:
                one.transport.abort()
        self.tally.unsent += len(self._waiting)
        await asyncio.sleep(0)
        self.tally.failures = +self.tally.failures
        return self.tally

    def _busy(self) -> bool:
        return self._opening.total() > 0 or any(one.place >= 0 for one in self.connections)

    # connections

    def _open(self, due: float, *, once: bool = False) -> None:
        port = self.port()
        self._opening[port] += 1
        task = asyncio.create_task(self._connect(port, due, once=once))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, port: int, due: float, *, once: bool) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await asyncio.wait_for(
                loop.create_connection(lambda: _Connection(self, port), "127.0.0.1", port), self.timeout_s
            )
        except TimeoutError:
            self._fail("late")
        except ConnectionRefusedError:
            self._fail("refused")
        except OSError:
            self._fail("reset")
        else:
            connection.once = once
            self._send(connection, due)
        finally:
            self._opening[port] -= 1

    def _launch(self, due: float) -> None:
        self._launched += 1
        alone = self.fresh_every > 0 and self._launched % self.fresh_every == 0
        pool = [] if alone else self._idle.get(self.port())
        if pool:
            self._send(pool.pop(), due)
        elif len(self.connections) + self._opening.total() < self.limit:
            self._open(due, once=alone)
        elif self.patient:
            self._waiting.append(due)
        else:
            self.tally.unsent += 1

    def _send(self, connection: _Connection, due: float) -> None:
        self._place = (self._place + 1) % len(self.wires)
        self.tally.sent += 1
        connection.ask(self._place, due)

    def answered(self, connection: _Connection, status: int, head: bytes, body: bytes) -> None:
        """Take an answer, and let the connection go on."""
        now = time.monotonic()
        self.tally.answers[status] += 1
        self.tally.seconds[status].append(now - connection.due)
        problem = self.judge(connection.place, status, head, body)
        if problem:
            self.tally.failures[problem] += 1
        connection.place = -1
        if CLOSE in head or connection.once:
            if connection.transport is not None:
                connection.transport.close()
            self.forget(connection)
            self._replace(now)
        elif self._closed_loop:
            if not self.stopped:
                self._send(connection, now)
        elif self._waiting and not self.stopped:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.setdefault(connection.port, []).append(connection)

    def lose(self, connection: _Connection, kind: str) -> None:
        """Count a request that was not answered, and give up its connection."""
        connection.place = -1
        self._fail(kind)
        if connection.transport is not None:
            connection.transport.abort()

    def _fail(self, kind: str) -> None:
        self.tally.failures[kind] += 1
        self._replace(time.monotonic())

    def _replace(self, due: float) -> None:
        """Open a connection in the place of one that ended."""
        if self.stopped:
            return
        if self._closed_loop:
            self._open(due)
        elif self._waiting:
            self._open(self._waiting.popleft())

    def forget(self, connection: _Connection) -> None:
        """Leave a closed connection out from now on."""
        self.connections.discard(connection)
        pool = self._idle.get(connection.port)
        if pool and connection in pool:
            pool.remove(connection)

    def _watch(self) -> None:
        now = time.monotonic()
        if now < self._next_watch:
            return
        self._next_watch = now + WATCH_SECONDS
        for one in [one for one in self.connections if one.place >= 0 and now - one.due > self.timeout_s]:
            self.lose(one, "late")

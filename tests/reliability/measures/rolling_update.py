"""Figure 12: servers are replaced one after the other under load, behind a balancer that learns of it late."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

import uvloop

from bench.load import Load, post
from scoring import artifact
from tests.reliability.figures import Count, Run, measure
from tests.support import servers
from tests.support.servers import SMALL_ROW, NotStartedError, Server, write_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REPLICAS = 2
REQUESTS_PER_RESTART = 5_000
RATE = 1_500.0
DRAIN_SECONDS = 60.0
"""Longer than anything here takes: the drain is ended by a second signal, when the balancer has noticed."""
LAG_SECONDS = 2.0
"""How much later than it could the balancer learns of anything, at most."""
POLL_SECONDS = 0.05
BAD_START_EVERY = 4
FRESH_EVERY = 4
CONNECTIONS = 64
OK = 200


class Balancer:
    """Sends each request to a server that was ready some time ago, in turn, as a target group does.

    It lives in the client: what a proxy of its own would add is one more hop, not one more way to lose a request.
    """

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.lag = 0.0
        self._news: deque[tuple[float, list[int]]] = deque()
        self._believed: list[int] = []
        self._turn = 0

    def believed(self) -> list[int]:
        """Ports that it thinks are ready."""
        now = time.monotonic()
        while self._news and self._news[0][0] + self.lag <= now:
            self._believed = self._news.popleft()[1]
        return self._believed

    def pick(self) -> int:
        """Give the port for the next request."""
        ports = self.believed()
        self._turn += 1
        return ports[self._turn % len(ports)]

    async def until(self, holds: Callable[[list[int]], bool]) -> None:
        """Wait until something holds for what it believes, which changes by time alone."""
        while not holds(self.believed()):  # noqa: ASYNC110 # no event: time passes
            await asyncio.sleep(POLL_SECONDS / 10)

    async def watch(self) -> None:
        """Ask every server whether it is ready, again and again."""
        while True:
            asked = [server.port for server in self.servers]
            ready = await asyncio.gather(*map(_ready, asked))
            ports = [port for port, yes in zip(asked, ready, strict=True) if yes]
            self._news.append((time.monotonic(), ports))
            await asyncio.sleep(POLL_SECONDS)


async def _ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"GET /ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        line = await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
    return line.startswith(b"HTTP/1.1 200 ")


class Rollout:
    """Replaces the servers, the oldest first."""

    def __init__(self, run: Run, restarts: int) -> None:
        self.draw = random.Random(run.seed)  # noqa: S311 # repeatable, not secret
        self.restarts = restarts
        self.balancer = Balancer()
        self.good, self.bad = run.folder / "good", run.folder / "bad"
        self.answer = write_model(self.good, 1).encode()
        shutil.copytree(self.good, self.bad)
        (self.bad / artifact.MODEL).write_bytes(b"?")
        wires = [post("/invocations", "text/csv", SMALL_ROW)]
        judge = _judge(self.answer)
        self.load = Load(
            self.balancer.pick, wires, judge, connections=CONNECTIONS, fresh_every=FRESH_EVERY, patient=False
        )
        self.codes: Counter[str] = Counter()
        self.believed_for = 0.0
        """Longest time that the balancer went on sending to a server that had been told to leave."""
        self._current: list[Server] = []
        self._leaving: list[asyncio.Task[None]] = []

    def start(self, directory: Path) -> Server:
        """Start one server."""
        return servers.start(directory, SLIPWAY_DRAIN_S=str(DRAIN_SECONDS), SLIPWAY_GRACE_S="5")

    async def run(self) -> None:
        """Replace as often as wanted; some of the new servers do not start, and then the old one stays."""
        for number in range(self.restarts):
            self.balancer.lag = self.draw.uniform(0, LAG_SECONDS)
            if number % BAD_START_EVERY == BAD_START_EVERY - 1:
                await self._offer_bad()
            await self.add()
            self._leaving.append(asyncio.create_task(self._leave(self._current.pop(0))))
        await asyncio.gather(*self._leaving)

    async def add(self) -> None:
        """Start one more server, and wait until the balancer has noticed it."""
        new = await asyncio.to_thread(self.start, self.good)
        self._current.append(new)
        self.balancer.servers.append(new)
        await self.balancer.until(lambda ports: new.port in ports)

    async def _offer_bad(self) -> None:
        try:
            server = await asyncio.to_thread(self.start, self.bad)
        except NotStartedError:
            self.codes["refused to start"] += 1
        else:
            self.codes["bad one started"] += 1
            await asyncio.to_thread(server.kill)

    async def _leave(self, server: Server) -> None:
        began = time.monotonic()
        server.process.terminate()
        await self.balancer.until(lambda ports: server.port not in ports and not self.load.pending(server.port))
        self.believed_for = max(self.believed_for, time.monotonic() - began)
        self.balancer.servers.remove(server)
        server.process.terminate()
        code = await asyncio.to_thread(server.process.wait, DRAIN_SECONDS)
        self.codes[f"exit {code}"] += 1
        server.kill()


def _judge(answer: bytes) -> Callable[[int, int, bytes, bytes], str]:
    def judge(_place: int, status: int, _head: bytes, body: bytes) -> str:
        return "" if status == OK and body.strip() == answer else f"status {status}" if status != OK else "wrong"

    return judge


@measure(
    12,
    "rolling update under load",
    target="0 of 1,000,000 requests over 200 restarts, balancer up to 2 s late",
    floor=20_000,
    full=1_000_000,
)
def rolling_update(run: Run) -> Count:
    """Open loop over kept and new connections, from before the first restart until after the last."""
    rollout = Rollout(run, max(4, run.size // REQUESTS_PER_RESTART))
    balancer = rollout.balancer
    load = rollout.load

    async def main() -> None:
        watching = asyncio.create_task(balancer.watch())
        for _ in range(REPLICAS):
            await rollout.add()
        rolling = asyncio.create_task(rollout.run())
        await load.open(RATE, lambda: watching.done() or (rolling.done() and load.tally.sent >= run.size))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await rolling

    try:
        uvloop.run(main())
    finally:
        for server in balancer.servers:
            server.kill()
    failures = load.tally.failures.total() + rollout.codes["bad one started"]
    failures += rollout.restarts - rollout.codes["exit 0"]
    problems = dict(load.tally.failures) or "none lost"
    detail = (
        f"{rollout.restarts} restarts {dict(rollout.codes)}; {problems}; p99 {load.tally.quantile(0.99) * 1e3:.0f} ms; "
        f"balancer up to {rollout.believed_for:.1f} s late, {load.tally.unsent} not sent for want of a connection"
    )
    return Count(denominator=load.tally.sent, failures=failures, detail=detail)

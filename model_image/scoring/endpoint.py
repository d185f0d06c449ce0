"""What the connections of one server share: settings, the application, limits over all of them, and the drain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from scoring.messages import Writer
from scoring.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scoring.http1 import Connection
    from scoring.messages import Request, Respond
    from scoring.settings import ServerSettings


class Application(Protocol):
    """What answers requests."""

    def handle(self, request: Request, respond: Respond) -> None:
        """Answer a request by one call of ``respond``, now or later."""
        ...

    def answered(self, target: bytes, status: int, seconds: float) -> None:
        """Note that an answer was sent."""
        ...

    def about(self, target: bytes) -> Mapping[str, str]:
        """Give what a log record tells of a request's target: constants and names, nothing else that a caller sent."""
        ...


class Endpoint:
    """What the connections of one server share."""

    def __init__(self, application: Application, settings: ServerSettings, clock: Callable[[], float]) -> None:
        """Start without connections; ``clock`` gives seconds and never goes back."""
        self.application = application
        self.settings = settings
        self.clock = clock
        self.writer = Writer()
        self.refusals = Refusals(application.about, clock)
        self.connections: set[Connection] = set()
        self.all_closed = asyncio.Event()
        """Set when the last connection ends."""
        self.draining = False
        """Every connection is closed after its next answer."""
        self.buffered_bytes = 0
        """Bytes of bodies that are not complete."""

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; tell whether it is within the limit."""
        self.connections.add(connection)
        self.all_closed.clear()
        return len(self.connections) <= self.settings.max_connections

    def release(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        if not self.connections:
            self.all_closed.set()

    def sweep(self) -> None:
        """Enforce the deadlines of all connections; to be called about once a second."""
        self.writer.forget()
        self.refusals.tell_rest()
        now = self.clock()
        for connection in tuple(self.connections):
            connection.enforce_deadlines(now)

    def close_idle(self) -> None:
        """Close connections that wait for a request."""
        for connection in tuple(self.connections):
            connection.close_if_idle()

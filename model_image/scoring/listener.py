"""A listening socket from which every waiting connection is taken at once.

libuv, under uvloop, accepts one connection in each turn of the event loop. A turn under load takes as long as a batch,
so that new connections, health probes and refusals among them, would wait for seconds behind one another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BACKLOG = 1024
AT_ONCE = 128
"""Connections per turn: what is there already is answered in between."""

logger = logging.getLogger(__name__)


class Listener:
    """Listens on one address and gives every connection a protocol."""

    def __init__(self, host: str, port: int, factory: Callable[[], asyncio.Protocol]) -> None:
        """Bind and listen; needs a running loop.

        Raises:
            OSError: the address cannot be bound.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._socket.setblocking(False)
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._loop.add_reader(self._socket, self._accept)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as bound."""
        return self._socket.getsockname()[:2]

    def close(self) -> None:
        """Listen no more."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                channel, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # out of descriptors: the next turn tries again
                logger.warning("cannot accept a connection: %s", error)
                return
            task = self._loop.create_task(self._connect(channel))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(self._factory, channel)

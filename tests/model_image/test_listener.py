"""Connections that wait are taken together."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
import uvloop

from scoring.listener import Listener

WAITING = 100


def test_connections_that_wait_are_taken_in_a_few_turns_of_the_loop_and_none_after_the_close() -> None:
    made: list[asyncio.BaseTransport] = []

    class Noting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(transport)

    async def main() -> None:
        listener = Listener("127.0.0.1", 0, Noting)
        with contextlib.ExitStack() as stack:
            for _ in range(WAITING):
                stack.enter_context(socket.create_connection(listener.address, timeout=5))
            for _ in range(10):
                await asyncio.sleep(0.001)
            assert len(made) == WAITING
            address = listener.address
            listener.close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=5)
        for transport in made:
            transport.close()
        await asyncio.sleep(0.01)

    uvloop.run(main())


def test_a_taken_address_is_refused_at_once() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
            Listener("127.0.0.1", taken.getsockname()[1], asyncio.Protocol)

    uvloop.run(main())

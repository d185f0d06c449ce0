"""A raw client for requests that no library would send: a head, and pieces of a body as long as the server listens."""

from __future__ import annotations

import asyncio
import contextlib


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

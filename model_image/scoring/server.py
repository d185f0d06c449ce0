"""The model server's life: verify and load, listen, answer, drain on SIGTERM, exit 0.

One process and one thread: scale by processes, one per core.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from typing import TYPE_CHECKING

import uvloop

from scoring import artifact
from scoring.application import ModelApplication
from scoring.batcher import Batcher
from scoring.codec import Decoder
from scoring.endpoint import Endpoint
from scoring.errors import PlatformError
from scoring.http1 import Connection
from scoring.log import say
from scoring.predictor import Predictor

if TYPE_CHECKING:
    from scoring.artifact import Artifact
    from scoring.settings import ServerSettings

BACKLOG = 1024
SWEEP_SECONDS = 0.5


def run(settings: ServerSettings) -> None:
    """Serve a model until SIGTERM or SIGINT, then drain; a second signal ends the drain.

    Raises:
        ArtifactError: the model directory is damaged or made for another image; nothing was listened on.
        PlatformError: the address cannot be bound.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    found = artifact.read(settings.directory(), settings.manifest_sha256)
    predictor = Predictor(found.model, found.schema)
    uvloop.run(_serve(settings, found, predictor))


async def _serve(settings: ServerSettings, found: Artifact, predictor: Predictor) -> None:
    loop = asyncio.get_running_loop()
    application = ModelApplication(found, settings, Decoder(found.schema, settings.max_rows))
    application.use(
        Batcher(
            predictor.predict,
            predictor.width,
            loop.call_soon,
            max_batch_rows=settings.max_batch_rows,
            max_queued_bytes=settings.max_queued_bytes,
            on_batch=application.metrics.predicted,
        )
    )
    endpoint = Endpoint(application, settings, time.monotonic)  # uvloop's own clock counts whole milliseconds
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        listener = await loop.create_server(lambda: Connection(endpoint), settings.host, settings.port, backlog=BACKLOG)
    except OSError as error:
        raise PlatformError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
    sweeper = asyncio.create_task(_sweep(endpoint))
    host, port = listener.sockets[0].getsockname()[:2]
    say(f"serving model {found.version} on http://{host}:{port}")
    await stop.wait()
    application.draining = endpoint.draining = True
    await _drain(endpoint, listener, settings, hurry)
    sweeper.cancel()


async def _sweep(endpoint: Endpoint) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        endpoint.sweep()


async def _drain(endpoint: Endpoint, listener: asyncio.Server, settings: ServerSettings, hurry: asyncio.Event) -> None:
    """Let balancers notice, refuse new connections, then let the last answers leave."""
    say(f"draining for {settings.drain_s:g} s")
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(hurry.wait(), settings.drain_s)
    listener.close()
    endpoint.close_idle()
    if endpoint.connections:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(endpoint.all_closed.wait(), settings.grace_s)
    say("stopped")

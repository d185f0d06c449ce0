"""The model server's life: verify and load, listen, answer, reload on SIGHUP, drain on SIGTERM, exit 0.

One process and one thread: scale by processes, one per core.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from scoring import artifact, log, redaction, served
from scoring.admin import AdminApplication
from scoring.application import ModelApplication
from scoring.capture import Capture
from scoring.container import PREFIX
from scoring.endpoint import Endpoint
from scoring.errors import PlatformError, UserError
from scoring.hosting import Hosting
from scoring.http1 import Connection
from scoring.listener import Listener
from scoring.metrics import PREDICTION_ROUTES
from scoring.offload import Offload
from scoring.several import SeveralModels
from scoring.swap import Swapper

if TYPE_CHECKING:
    from collections.abc import Callable

    from scoring.artifact import Artifact
    from scoring.settings import ServerSettings
    from scoring.tracing import Tracing

LOOPBACK = "127.0.0.1"
SWEEP_SECONDS = 0.5

SWITCH_SECONDS = 0.0005
"""How long a thread beside the event loop, which parses a large body or loads a model, may keep the interpreter."""

TRACES_SECONDS = 2.0
"""Time at the end for the last spans to leave."""

logger = logging.getLogger(__name__)


def run(settings: ServerSettings) -> None:
    """Serve a model until SIGTERM or SIGINT, then drain; a second signal ends the drain.

    Raises:
        ArtifactError: the model directory is damaged or made for another image; nothing was listened on.
        UserError: a setting does not fit the model or the machine.
        PlatformError: the address cannot be bound.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    _pin(settings)
    if settings.models_memory_bytes:
        return uvloop.run(_serve_several(settings))
    directory = artifact.around(Path(settings.model_file)) if settings.model_file else settings.directory()
    if directory is None:
        from scoring import standalone  # noqa: PLC0415 # XGBoost's package, which a served artefact does not need

        found = standalone.tried(Path(settings.model_file), settings.trial_timeout_s)
        logger.warning("%s has no manifest; generated one with sha256 %s", settings.model_file, found.digest)
    else:
        settings = replace(settings, model_file="", model_dir=str(directory))
        found = artifact.read(directory, settings.manifest_sha256)
    return uvloop.run(_serve(settings, found))


def _pin(settings: ServerSettings) -> None:
    """Stay on one core if that is wanted: the server has one busy thread, and moving it costs its caches."""
    allowed = os.sched_getaffinity(0)
    core = min(allowed) if settings.model_file and not settings.cpu else settings.cpu
    if core in ("", "any"):
        return
    if int(core) not in allowed:
        cores = ", ".join(map(str, sorted(allowed)))
        raise UserError(f"{PREFIX}CPU is {core}; this process may use {cores}")
    os.sched_setaffinity(0, {int(core)})


async def _serve(settings: ServerSettings, found: Artifact) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log.unhandled)
    application = ModelApplication(settings)
    tracing = application.tracing = _tracing(settings)
    application.use(served.load(found, settings, loop.call_soon, application.metrics.predicted))
    application.offload = Offload(loop.call_soon_threadsafe, settings.max_buffered_bytes)
    for route in application.routes.values():
        if route.label in PREDICTION_ROUTES:
            application.metrics.expect(route.label)
    redaction.check(settings.not_captured(), found.schema.names)
    application.capture = _capture(settings)
    swapper = Swapper(application, settings)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, swapper.reload)
    endpoint = Endpoint(application, settings, time.monotonic)  # uvloop's own clock counts whole milliseconds
    stop = _Stop()
    listener = _listen(endpoint, settings.host, settings.port)
    endpoints = [endpoint]
    address, version = _address(listener), settings.model_version or found.version
    members = log.fields(model=settings.model_name, version=version, address=address)
    logger.info("serving model %s on %s", found.version, address, extra=members)
    if settings.admin_port >= 0:
        endpoints.append(
            Endpoint(AdminApplication(application, swapper, settings.model_name), settings, time.monotonic)
        )
        admin = _listen(endpoints[-1], LOOPBACK, settings.admin_port)
        logger.info("operator's routes on %s", _address(admin))
    sweeper = asyncio.create_task(_sweep(endpoints, application.metrics.tick))
    await stop.asked.wait()
    application.draining = endpoint.draining = True
    await _drain(endpoint, listener, settings, stop.hurry)
    sweeper.cancel()
    application.offload.close()
    if application.capture is not None:
        application.capture.close()
    if tracing is not None:
        tracing.close(TRACES_SECONDS)


async def _serve_several(settings: ServerSettings) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log.unhandled)
    loop.add_signal_handler(signal.SIGHUP, lambda: logger.warning("several models are reloaded by their routes only"))
    offload = Offload(loop.call_soon_threadsafe, settings.max_buffered_bytes)
    tracing = _tracing(settings)
    hosting = Hosting(settings, loop.call_soon, offload, tracing, _capture(settings))
    application = SeveralModels(settings, hosting)
    endpoint = Endpoint(application, settings, time.monotonic)
    stop = _Stop()
    listener = _listen(endpoint, settings.host, settings.port)
    logger.info("serving several models on %s", _address(listener))
    sweeper = asyncio.create_task(_sweep([endpoint], application.tick))
    starting = asyncio.create_task(_prepare(application, hosting, settings.models_at_start))
    await stop.asked.wait()
    application.drain()
    endpoint.draining = True
    starting.cancel()
    await _drain(endpoint, listener, settings, stop.hurry)
    sweeper.cancel()
    offload.close()
    if hosting.capture is not None:
        hosting.capture.close()
    if tracing is not None:
        tracing.close(TRACES_SECONDS)


async def _prepare(application: SeveralModels, hosting: Hosting, wanted: str) -> None:
    names = [name for name in wanted.split(",") if name]
    await hosting.load_all(await asyncio.to_thread(hosting.repository) if names == ["*"] else names)
    if unknown := hosting.captured_by_mistake():
        logger.warning("%sCAPTURE_DROP: no loaded model has a feature %s", PREFIX, ", ".join(unknown))
    application.prepared = True


class _Stop:
    """The signals that end the server: the first asks for a drain, the second ends it."""

    def __init__(self) -> None:
        self.asked, self.hurry = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        (self.hurry if self.asked.is_set() else self.asked).set()


def _capture(settings: ServerSettings) -> Capture | None:
    """Start data capture, if it is wanted."""
    if not settings.capture_dir:
        return None
    return Capture(
        Path(settings.capture_dir),
        percent=settings.capture_percent,
        drop=settings.not_captured(),
        max_queued_bytes=settings.max_capture_queued_bytes,
        max_file_bytes=settings.max_capture_file_bytes,
        max_file_s=settings.max_capture_file_s,
        max_disk_bytes=settings.max_capture_disk_bytes,
    )


def _tracing(settings: ServerSettings) -> Tracing | None:
    if not settings.traces_endpoint:
        return None
    from scoring.tracing import Tracing  # noqa: PLC0415 # a server without traces must not pay for the import

    return Tracing(settings)


def _listen(endpoint: Endpoint, host: str, port: int) -> Listener:
    try:
        return Listener(host, port, lambda: Connection(endpoint))
    except OSError as error:
        raise PlatformError(f"cannot listen on {host}:{port}: {error.strerror}") from error


def _address(listener: Listener) -> str:
    host, port = listener.address
    return f"http://{host}:{port}"


async def _sweep(endpoints: list[Endpoint], tick: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        for endpoint in endpoints:
            endpoint.sweep()
        tick()


async def _drain(endpoint: Endpoint, listener: Listener, settings: ServerSettings, hurry: asyncio.Event) -> None:
    """Let balancers notice, refuse new connections, then let the last answers leave."""
    logger.info("draining for %g s", settings.drain_s)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(hurry.wait(), settings.drain_s)
    listener.close()
    endpoint.close_idle()
    if endpoint.connections:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(endpoint.all_closed.wait(), settings.grace_s)
    logger.info("stopped")

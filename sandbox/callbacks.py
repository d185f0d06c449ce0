"""Connections between the engine and programs that run one after the other in one process.

Hooks and transforms: the SDK answers the engine's calls of them with a server of gRPC's asyncio API, one per run, each
on the event loop of its run. All such servers of a process share one completion queue, whose events the loop of a later
run may get after the loop that they belong to has ended: the interpreter crashes. The server here is one of threads;
what is called runs on the program's event loop, as with the SDK.

Channels: all of a process share connections by address. An engine that listens where one before it did would be asked
through the connection to the one that is gone, which fails at once for as long as it waits before it tries again.
`own_connections` gives each channel its own
(https://grpc.github.io/grpc/core/group__grpc__arg__keys.html, `grpc.use_local_subchannel_pool`).
"""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
from pulumi.runtime import settings
from pulumi.runtime._callbacks import _CallbackServicer  # pyright: ignore[reportPrivateUsage] - what `settings` holds
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS  # pyright: ignore[reportPrivateUsage] - no other way in
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_T = TypeVar("_T")

_OWN_CONNECTIONS: Final = ("grpc.use_local_subchannel_pool", 1)


def own_connections() -> None:
    """Let the SDK open a connection for each channel to an engine, from now on."""
    if _OWN_CONNECTIONS not in _GRPC_CHANNEL_OPTIONS:
        _GRPC_CHANNEL_OPTIONS.append(_OWN_CONNECTIONS)


class ProgramLoop:
    """The event loop and the context of a running program, for other threads."""

    def __init__(self) -> None:
        self._loop, self._context = asyncio.get_running_loop(), contextvars.copy_context()

    def run(self, build: Callable[[], Awaitable[_T]]) -> _T:
        """Await something there and wait for its result; what it raises is raised here."""
        done = Future[_T]()

        async def run() -> None:
            try:
                done.set_result(await build())
            except Exception as error:  # noqa: BLE001 - the waiting thread raises it
                done.set_exception(error)

        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(run()), context=self._context)
        return done.result()


class Callbacks(_CallbackServicer):
    """What a program registered, served on threads until `stop`."""

    def __init__(self, monitor: Any) -> None:  # noqa: ANN401 - a stub that gRPC generates
        # Not the SDK's own: that makes the server which this one is in place of.
        self._callbacks, self._transforms, self._monitor = {}, {}, monitor
        self._program = ProgramLoop()
        self._threads = grpc.server(ThreadPoolExecutor())
        callback_pb2_grpc.add_CallbacksServicer_to_server(self, self._threads)
        self._target = f"127.0.0.1:{self._threads.add_insecure_port('127.0.0.1:0')}"
        self._threads.start()

    @classmethod
    def install(cls) -> Callbacks:
        """Serve the program that begins to run."""
        held: Any = settings.SETTINGS
        held.callbacks = served = cls(settings.get_monitor())
        return served

    def Invoke(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] - a thread waits where a coroutine did
        self, request: callback_pb2.CallbackInvokeRequest, context: grpc.ServicerContext
    ) -> callback_pb2.CallbackInvokeResponse:
        """Run a callback.

        Raises:
            Exception: what the callback raised; the engine gets its text.
        """
        callback = self._callbacks[request.token]
        try:
            response = self._program.run(lambda: callback(request.request))
        except Exception as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
            raise
        return callback_pb2.CallbackInvokeResponse(response=response.SerializeToString())

    def stop(self) -> None:
        """End the server; nobody calls any more."""
        self._threads.stop(grace=None).wait()

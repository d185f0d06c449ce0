"""A provider plugin as the engine starts it: a gRPC server on loopback that prints its port and leaves with the engine.

Protocol: `proto/pulumi/provider.proto` of the Pulumi SDK. Secrets are unwrapped by the engine before they arrive and
marked again in what comes back, because the plugin does not ask for them.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from sandbox.wire import Properties, to_python, to_struct

if TYPE_CHECKING:
    from sandbox.schema import Failure

_WATCH_SECONDS: Final = 0.5
_THREADS: Final = 32
_MESSAGE_BYTES: Final = 400 * 1024 * 1024


class ProviderError(Exception):
    """The provider refuses or fails a call; the text reaches the user."""


@dataclass(frozen=True, slots=True)
class Change:
    """Difference between the inputs of a resource and those that the program wants now."""

    paths: dict[str, bool] = field(default_factory=dict[str, bool])
    """Changed property paths; true where the change needs another resource."""
    delete_before_replace: bool = False
    """Whether the old resource has to go before the new one can exist."""


class Backend(Protocol):
    """What a sandbox provider does, on plain values."""

    version: str

    def check_config(self, inputs: Properties) -> list[Failure]: ...
    def configure(self, inputs: Properties) -> None: ...
    def invoke(self, token: str, arguments: Properties) -> Properties: ...
    def check(self, urn: str, olds: Properties, news: Properties) -> tuple[Properties, list[Failure]]: ...
    def diff(self, urn: str, olds: Properties, news: Properties) -> Change: ...
    def preview(self, urn: str, id_: str | None, inputs: Properties) -> Properties: ...
    def create(self, urn: str, inputs: Properties) -> tuple[str, Properties]: ...
    def read(self, urn: str, id_: str) -> tuple[Properties, Properties] | None: ...
    def update(self, urn: str, id_: str, inputs: Properties) -> Properties: ...
    def delete(self, urn: str, id_: str) -> None: ...


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Translates the provider protocol to a `Backend`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._backend.version)

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(
            inputs=request.news, failures=_failures(self._backend.check_config(to_python(request.news)))
        )

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        changed = request.olds != request.news
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        )

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        self._backend.configure(to_python(request.args))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        with _reported(context):
            answer = self._backend.invoke(request.tok, to_python(request.args))
            response = provider_pb2.InvokeResponse()
            getattr(response, "return").CopyFrom(to_struct(answer))
            return response

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        with _reported(context):
            inputs, failures = self._backend.check(request.urn, to_python(request.olds), to_python(request.news))
            return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=_failures(failures))

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        with _reported(context):
            change = self._backend.diff(request.urn, to_python(request.old_inputs), to_python(request.news))
            some = provider_pb2.DiffResponse.DIFF_SOME if change.paths else provider_pb2.DiffResponse.DIFF_NONE
            kinds = provider_pb2.PropertyDiff
            return provider_pb2.DiffResponse(
                changes=some,
                replaces=[path for path, replaces in change.paths.items() if replaces],
                deleteBeforeReplace=change.delete_before_replace,
                diffs=list(change.paths),
                hasDetailedDiff=True,
                detailedDiff={
                    path: kinds(kind=kinds.UPDATE_REPLACE if replaces else kinds.UPDATE, inputDiff=True)
                    for path, replaces in change.paths.items()
                },
            )

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        with _reported(context):
            inputs = to_python(request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(
                    properties=to_struct(self._backend.preview(request.urn, None, inputs))
                )
            id_, outputs = self._backend.create(request.urn, inputs)
            return provider_pb2.CreateResponse(id=id_, properties=to_struct(outputs))

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        with _reported(context):
            found = self._backend.read(request.urn, request.id)
            if found is None:
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(id=request.id, inputs=to_struct(found[0]), properties=to_struct(found[1]))

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        with _reported(context):
            inputs = to_python(request.news)
            if request.preview:
                return provider_pb2.UpdateResponse(
                    properties=to_struct(self._backend.preview(request.urn, request.id, inputs))
                )
            return provider_pb2.UpdateResponse(
                properties=to_struct(self._backend.update(request.urn, request.id, inputs))
            )

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        with _reported(context):
            self._backend.delete(request.urn, request.id)
            return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def GetMapping(
        self, request: provider_pb2.GetMappingRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetMappingResponse:
        return provider_pb2.GetMappingResponse()


class _Reported:
    """Answers a `ProviderError` as an error of the call instead of a crash of the provider."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ProviderError):
            self._context.abort(grpc.StatusCode.UNKNOWN, str(error))


_reported = _Reported


def _failures(failures: list[Failure]) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=f.path, reason=f.reason) for f in failures]


def leave_with_parent() -> None:
    """Ends this process as soon as the process that started it is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os._exit(0)

    threading.Thread(target=watch, daemon=True, name="engine-watch").start()


def serve(backend: Backend) -> None:
    """Runs a provider until the engine ends it or is gone."""
    leave_with_parent()
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(_THREADS), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(backend), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()

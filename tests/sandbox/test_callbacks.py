"""Connections of programs that run one after the other in one process."""

from __future__ import annotations

import contextvars
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from pulumi.runtime import settings
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from sandbox.callbacks import own_connections


class _Engine(engine_pb2_grpc.EngineServicer):
    """Knows the URN of the root resource."""

    def GetRootResource(self, request: Any, context: Any) -> engine_pb2.GetRootResourceResponse:  # noqa: N802, ARG002
        return engine_pb2.GetRootResourceResponse(urn="root")


asked: list[Any] = []
"""Stubs of programs that have ended, which the SDK keeps, too."""


def _root(address: str) -> str:
    """Asks as a program of its own does."""

    def ask() -> str:
        settings.reset_options(engine_address=address)
        engine: Any = settings.get_engine()
        asked.append(engine)
        return engine.GetRootResource(engine_pb2.GetRootResourceRequest()).urn

    return contextvars.copy_context().run(ask)


def test_an_engine_is_reached_where_one_that_is_gone_was_asked_in_vain() -> None:
    own_connections()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
        _root(address)

    server = grpc.server(ThreadPoolExecutor())
    engine_pb2_grpc.add_EngineServicer_to_server(_Engine(), server)
    server.add_insecure_port(address)
    server.start()
    try:
        assert _root(address) == "root"
    finally:
        server.stop(grace=None).wait()

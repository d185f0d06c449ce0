"""The Open Inference Protocol, version 2, over HTTP: health, metadata and inference under ``/v2``.

Source: Open Inference Protocol, "HTTP/REST"; Triton Inference Server, "Binary Tensor Data Extension".
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import orjson

from scoring import metrics
from scoring.contract import IMAGE_CONTRACT
from scoring.errors import Fault, RequestError
from scoring.explained import EXPLAINED_BYTES
from scoring.messages import JSON, OCTETS, PROTOCOL_PREFIX, Response, Route
from scoring.tensors import CONTRIBUTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scoring.application import Encode, ModelApplication
    from scoring.codec import Rows
    from scoring.messages import Request, Respond

MEDIA = frozenset((b"", JSON, OCTETS))
"""Accepted types of an inference request; the JSON's length decides how it is read."""

ASKED = b'"%b"' % CONTRIBUTIONS.encode()
"""What a body holds that asks for contributions: they are worked out beside the event loop."""

EXTENSIONS = ("binary_tensor_data",)

LIVE = b'{"live":true}'


def routes(application: ModelApplication, name: str) -> Mapping[bytes, Route]:
    """Give the protocol's paths for a server of one model."""
    protocol = _Protocol(application, name)
    return {
        PROTOCOL_PREFIX: Route(b"GET", protocol.server, "/v2"),
        PROTOCOL_PREFIX + b"/health/live": Route(b"GET", protocol.live, "/v2/health/live"),
        PROTOCOL_PREFIX + b"/health/ready": Route(b"GET", protocol.ready, "/v2/health/ready"),
    } | model_routes(application, name)


def model_routes(application: ModelApplication, name: str) -> dict[bytes, Route]:
    """Give the protocol's paths about a model of the given name."""
    protocol = _Protocol(application, name)
    model = b"%b/models/%b" % (PROTOCOL_PREFIX, quote(name, safe="").encode())
    return {
        model: Route(b"GET", protocol.metadata, "/v2/models/{name}"),
        model + b"/ready": Route(b"GET", protocol.model_ready, "/v2/models/{name}/ready"),
        model + b"/infer": Route(b"POST", protocol.infer, metrics.INFER),
    }


def server_metadata(extensions: Sequence[str]) -> bytes:
    """Describe the server, as ``GET /v2`` answers."""
    return orjson.dumps({"name": "slipway", "version": str(IMAGE_CONTRACT), "extensions": extensions})


class _Protocol:
    def __init__(self, application: ModelApplication, name: str) -> None:
        self._application = application
        self._name = name

    def server(self, _request: Request, respond: Respond) -> None:
        respond(Response(200, server_metadata(EXTENSIONS)))

    def live(self, _request: Request, respond: Respond) -> None:
        respond(Response(200, LIVE))

    def ready(self, _request: Request, respond: Respond) -> None:
        ready = self._application.ready
        respond(Response(200 if ready else 503, orjson.dumps({"ready": ready})))

    def model_ready(self, _request: Request, respond: Respond) -> None:
        ready = self._application.ready
        respond(Response(200 if ready else 503, orjson.dumps({"name": self._name, "ready": ready})))

    def metadata(self, _request: Request, respond: Respond) -> None:
        respond(Response(200, orjson.dumps(self._application.model().tensors.metadata())))

    def infer(self, request: Request, respond: Respond) -> None:
        media = request.content_type
        if media not in MEDIA and media.partition(b";")[0].strip().lower() not in MEDIA:
            raise RequestError(Fault.MEDIA_TYPE, f"Content-Type may be {JSON.decode()} or {OCTETS.decode()}")
        model = self._application.model()

        explaining = ASKED in request.body

        def parse() -> tuple[Rows, Encode]:
            rows, reply = model.tensors.decode(request.body, request.tensor_header)
            if reply.contributions and not explaining:
                raise RequestError(Fault.MALFORMED_BODY, f"write {ASKED.decode()} without escapes")
            explained = model.explain(rows) if reply.contributions else None

            def encode(numbers: list[bytes]) -> Response:
                body, length = model.tensors.encode(numbers, reply, explained)
                if not length:
                    return Response(200, body, JSON, model.header)
                return Response(
                    200, body, OCTETS, b"%bInference-Header-Content-Length: %d\r\n" % (model.header, length)
                )

            return rows, encode

        self._application.predict(model, request, respond, parse, extra=EXPLAINED_BYTES if explaining else 0)

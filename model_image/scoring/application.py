"""The routes of the model server: SageMaker's ``/ping`` and ``/invocations``, ``/metrics`` and ``/version``.

Source: Amazon SageMaker Developer Guide, "Custom inference code with hosting services".
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, NamedTuple

import httptools
import orjson

from scoring import codec, metrics
from scoring.contract import IMAGE_CONTRACT, SCHEMA_VERSION, XGBOOST_VERSION
from scoring.errors import Fault, RequestError, owner
from scoring.messages import CSV, JSON, Response, error_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from scoring.artifact import Artifact
    from scoring.batcher import Batcher
    from scoring.codec import Decoder, Rows
    from scoring.messages import Request, Respond
    from scoring.settings import ServerSettings

ANY_MEDIA = frozenset((b"", b"*/*"))
CHARSETS = frozenset((b"utf-8", b"utf8", b"us-ascii"))

logger = logging.getLogger(__name__)


class _Format(NamedTuple):
    content_type: bytes
    decode: Callable[[bytes], Rows]
    encode: Callable[[list[bytes]], bytes]


class _Route(NamedTuple):
    method: bytes
    answer: Callable[[Request, Respond], None]
    label: str


class ModelApplication:
    """Answers requests about one model."""

    def __init__(self, artifact: Artifact, settings: ServerSettings, decoder: Decoder) -> None:
        """Describe the model; `use` must be given a batcher before the first prediction."""
        self.draining = False
        """Readiness is 503; requests are still answered."""
        self._batcher: Batcher | None = None
        self._retry_after = b"Retry-After: %d\r\n" % settings.retry_after_s
        version = settings.model_version or artifact.version
        self._identity = {"model_version": version, "manifest_sha256": artifact.digest, "xgboost": XGBOOST_VERSION}
        self._model_header = b"Model-Version: %b\r\n" % version.encode("ascii", "replace")
        self.metrics = metrics.Metrics(self._identity)
        self._formats = {
            CSV: _Format(CSV, decoder.csv, codec.encode_csv),
            JSON: _Format(JSON, decoder.json, codec.encode_json),
        }
        self._routes = {
            b"/ping": _Route(b"GET", self._ping, "/ping"),
            b"/invocations": _Route(b"POST", self._invocations, "/invocations"),
            b"/metrics": _Route(b"GET", self._metrics, "/metrics"),
            b"/version": _Route(b"GET", self._version, "/version"),
        }

    def use(self, batcher: Batcher) -> None:
        """Begin to predict with a batcher: from now on the server is ready."""
        self._batcher = batcher

    def handle(self, request: Request, respond: Respond) -> None:
        """Answer one request; every error becomes an answer."""
        self.metrics.in_flight += 1
        answer = functools.partial(self._answer, respond)
        try:
            route = self._route(request.target)
            allowed = (b"GET", b"HEAD") if route.method == b"GET" else (route.method,)
            if request.method not in allowed:
                methods = b", ".join(allowed)
                fault = RequestError(Fault.METHOD_NOT_ALLOWED, f"{route.label} knows {methods.decode()}")
                return answer(error_response(fault, b"Allow: %b\r\n" % methods))
            return route.answer(request, answer)
        except Exception as error:  # noqa: BLE001 # a defect fails one request, not the connection
            return answer(self._failure(error))

    def answered(self, target: bytes, status: int, seconds: float) -> None:
        """Count an answer under its route; unknown targets share one label."""
        route = self._routes.get(target) or self._routes.get(target.partition(b"?")[0])
        self.metrics.answered(route.label if route else "other", status, seconds)

    def _answer(self, respond: Respond, response: Response) -> None:
        self.metrics.in_flight -= 1
        respond(response)

    def _route(self, target: bytes) -> _Route:
        route = self._routes.get(target)
        if route is None:
            try:
                path = httptools.parse_url(target).path or b"/"
            except httptools.HttpParserError:
                raise RequestError(Fault.BAD_REQUEST, "the request target is not a URL") from None
            route = self._routes.get(path)
            if route is None:
                known = b", ".join(self._routes).decode()
                raise RequestError(Fault.NOT_FOUND, f"no such path; there are {known}")
        return route

    def _failure(self, error: Exception) -> Response:
        if not isinstance(error, RequestError):
            logger.error("request failed", exc_info=error)
            error = RequestError(owner(error).fault, "the server failed to answer; its log says why")
        return error_response(error, self._retry_after if error.fault is Fault.OVERLOADED else b"")

    def _invocations(self, request: Request, respond: Respond) -> None:
        if self._batcher is None:
            raise RequestError(Fault.OVERLOADED, "the model is not loaded yet")
        given = self._formats.get(request.content_type) or self._given(request.content_type)
        wanted = given if request.accept in ANY_MEDIA else self._wanted(request.accept, given)
        rows = given.decode(request.body)
        self._batcher.submit(rows, functools.partial(self._predicted, wanted, respond))

    def _predicted(self, wanted: _Format, respond: Respond, outcome: list[bytes] | Exception) -> None:
        if isinstance(outcome, Exception):
            respond(self._failure(outcome))
        else:
            respond(Response(200, wanted.encode(outcome), wanted.content_type, self._model_header))

    def _given(self, header: bytes) -> _Format:
        media, *parameters = (part.strip().lower() for part in header.split(b";"))
        charsets = [p.partition(b"=")[2].strip(b'"') for p in parameters if p.startswith(b"charset=")]
        if media not in self._formats or not CHARSETS.issuperset(charsets):
            known = b" and ".join(self._formats).decode()
            raise RequestError(Fault.MEDIA_TYPE, f"Content-Type may be {known}, in UTF-8")
        return self._formats[media]

    def _wanted(self, header: bytes, given: _Format) -> _Format:
        """Take the first acceptable format; preference values are not weighed, except that q=0 excludes."""
        for item in header.lower().split(b","):
            media, *parameters = (part.strip() for part in item.split(b";"))
            if any(p.startswith(b"q=0") and not p.strip(b"q=0.") for p in parameters):
                continue
            if media in ANY_MEDIA or media == given.content_type.partition(b"/")[0] + b"/*":
                return given
            if media in self._formats:
                return self._formats[media]
        raise RequestError(Fault.NOT_ACCEPTABLE, f"Accept may be {b' or '.join(self._formats).decode()}")

    def _ping(self, _request: Request, respond: Respond) -> None:
        ready = self._batcher is not None and not self.draining
        state = "draining" if self.draining else "ready" if ready else "loading"
        respond(Response(200 if ready else 503, orjson.dumps({"status": state})))

    def _metrics(self, _request: Request, respond: Respond) -> None:
        respond(Response(200, self.metrics.render(), metrics.CONTENT_TYPE.encode()))

    def _version(self, _request: Request, respond: Respond) -> None:
        contract = {"image_contract": IMAGE_CONTRACT, "schema_version": SCHEMA_VERSION}
        respond(Response(200, orjson.dumps(self._identity | contract)))

"""The routes of the model server: SageMaker's two, the Open Inference Protocol, ``/metrics`` and ``/version``.

Source: Amazon SageMaker Developer Guide, "Custom inference code with hosting services".
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import httptools
import orjson

from scoring import inference, metrics, negotiation, openapi
from scoring.contract import IMAGE_CONTRACT, SCHEMA_VERSION
from scoring.errors import Fault, RequestError, owner
from scoring.explained import EXPLAINED_BYTES
from scoring.messages import Response, Route, error_response, plain
from scoring.refusals import Failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from scoring.capture import Capture
    from scoring.codec import Rows
    from scoring.messages import Request, Respond
    from scoring.offload import Offload
    from scoring.served import Explain, Format, ServedModel
    from scoring.settings import ServerSettings
    from scoring.tracing import Tracing

    Encode = Callable[[list[bytes]], Response]  # gives the answer to a request from its probabilities
    Parse = Callable[[], tuple[Rows, Encode]]


class ModelApplication:
    """Answers requests about one model."""

    def __init__(self, settings: ServerSettings) -> None:
        """Start without a model; `use` must be given one before the first prediction."""
        self.draining = False
        """Readiness is 503; requests are still answered."""
        self.metrics = metrics.Metrics()
        self.capture: Capture | None = None
        """Keeps a sample of requests and answers."""
        self.captured_as = ""
        """What records call the model; empty for the only one."""
        self.offload: Offload | None = None
        """Where large bodies are parsed; without it, in the event loop as the others."""
        self.tracing: Tracing | None = None
        """Makes spans; to be set before the first model."""
        self._max_inline_bytes = settings.max_inline_bytes
        self._model: ServedModel | None = None
        self._name = settings.model_name
        self._failures = Failures(self.about)
        self._retry_after = b"Retry-After: %d\r\n" % settings.retry_after_s
        self.routes: dict[bytes, Route] = {
            b"/ping": Route(b"GET", self._ping, "/ping"),
            b"/invocations": Route(b"POST", self.invocations, "/invocations"),
            b"/metrics": Route(b"GET", self._metrics, "/metrics"),
            b"/version": Route(b"GET", self._version, "/version"),
            b"/openapi.json": Route(b"GET", self._document, "/openapi.json"),
            **inference.routes(self, settings.model_name),
        }
        """What each path answers."""

    def use(self, model: ServedModel) -> None:
        """Answer with this model from the next request on; requests that wait are answered by the one they came to."""
        self._model = model
        self.metrics.model = model.identity
        self.metrics.drift = model.drift
        self.metrics.predictions = model.predictions
        self.metrics.queue = model.batcher.load
        if self.tracing is not None:
            model.batcher.around(self.tracing.timed)

    @property
    def ready(self) -> bool:
        """Whether new requests should come here."""
        return self._model is not None and not self.draining

    def model(self) -> ServedModel:
        """Give the model that answers new requests.

        Raises:
            RequestError: there is none yet.
        """
        if self._model is None:
            raise RequestError(Fault.OVERLOADED, "the model is not loaded yet")
        return self._model

    def handle(self, request: Request, respond: Respond) -> None:
        """Answer one request; every error becomes an answer."""
        self.metrics.in_flight += 1
        answer: Respond = functools.partial(self._answer, respond)
        if self.tracing is not None:
            answer = self.tracing.follow(request, self._label(request.target), answer)
        try:
            route = self._route(request.target)
            allowed = (b"GET", b"HEAD") if route.method == b"GET" else (route.method,)
            if request.method not in allowed:
                methods = b", ".join(allowed)
                fault = RequestError(Fault.METHOD_NOT_ALLOWED, f"{route.label} knows {methods.decode()}")
                return answer(self.failure(request, fault, b"Allow: %b\r\n" % methods))
            return route.answer(request, answer)
        except Exception as error:  # noqa: BLE001 # a defect fails one request, not the connection
            return answer(self.failure(request, error))

    def answered(self, target: bytes, status: int, seconds: float) -> None:
        """Count an answer under its route; unknown targets share one label."""
        self.metrics.answered(self._label(target), status, seconds)

    def about(self, target: bytes) -> dict[str, str]:
        """Tell route, model and version."""
        version = self.metrics.model.get("model_version", "")
        return {"route": self._label(target), "model": self._name, "version": version}

    def _label(self, target: bytes) -> str:
        route = self.routes.get(target) or self.routes.get(target.partition(b"?")[0])
        return route.label if route else "other"

    def failure(self, request: Request, error: Exception, headers: bytes = b"") -> Response:
        """Give the answer to a request that failed, in the form of its protocol; a defect is logged, not told."""
        if not isinstance(error, RequestError):
            self._failures.note(request, error)
            error = RequestError(owner(error).fault, "the server failed to answer; its log says why")
        headers += self._retry_after if error.fault is Fault.OVERLOADED else b""
        return error_response(error, headers, request.target)

    def _answer(self, respond: Respond, response: Response) -> None:
        self.metrics.in_flight -= 1
        respond(response)

    def _route(self, target: bytes) -> Route:
        route = self.routes.get(target)
        if route is None:
            try:
                path = httptools.parse_url(target).path or b"/"
            except httptools.HttpParserError:
                raise RequestError(Fault.BAD_REQUEST, "the request target is not a URL") from None
            route = self.routes.get(path)
            if route is None:
                known = b", ".join(self.routes).decode()
                raise RequestError(Fault.NOT_FOUND, f"no such path; there are {known}")
        return route

    def predict(self, model: ServedModel, request: Request, respond: Respond, parse: Parse, *, extra: int = 0) -> None:
        """Parse a request, predict its rows with a model, and answer.

        Args:
            model: Answers.
            request: What is asked.
            respond: Gets the answer.
            parse: Reads the request.
            extra: Bytes that parsing counts for beyond the body's own; with any, it never runs in the event loop.

        Raises:
            RequestError: the request is refused; ``respond`` will not be called.
        """
        if model.batcher.congested:
            raise model.batcher.refusal()
        size = len(request.body) + extra
        if self.offload is None or not (extra or size > self._max_inline_bytes):
            self._submit(model, request, respond, parse)
        else:
            self.offload.run(parse, size, functools.partial(self._parsed, model, request, respond))

    def _submit(self, model: ServedModel, request: Request, respond: Respond, parse: Parse) -> None:
        rows, encode = parse()
        model.batcher.submit(rows, functools.partial(self._predicted, model, request, respond, encode))

    def _parsed(self, model: ServedModel, request: Request, respond: Respond, parsed: Parse) -> None:
        try:
            self._submit(model, request, respond, parsed)
        except Exception as error:  # noqa: BLE001 # as in handle
            respond(self.failure(request, error))

    def _predicted(
        self,
        model: ServedModel,
        request: Request,
        respond: Respond,
        encode: Encode,
        outcome: list[bytes] | Exception,
    ) -> None:
        if isinstance(outcome, Exception):
            return respond(self.failure(request, outcome))
        if self.tracing is not None:
            self.tracing.predicted(respond)
        response = encode(outcome)
        respond(response)
        if self.capture is not None:
            self.capture.offer(request, plain(response), model.version, model.names, self.captured_as)
        return None

    def invocations(self, request: Request, respond: Respond) -> None:
        """Answer rows in the format of their ``Content-Type``."""
        model = self.model()
        given = model.formats.get(request.content_type) or negotiation.given(model.formats, request.content_type)
        wanted, explain = given, None
        if request.accept not in negotiation.ANY_MEDIA:
            wanted, explain = negotiation.wanted(model.formats, request.accept, given)
        if explain is not None:
            parse = _explaining(model, functools.partial(given.decode, request.body), wanted, explain)
            return self.predict(model, request, respond, parse, extra=EXPLAINED_BYTES)

        def encode(numbers: list[bytes]) -> Response:
            return Response(200, wanted.encode(numbers), wanted.content_type, model.header)

        return self.predict(model, request, respond, lambda: (given.decode(request.body), encode))

    def _ping(self, _request: Request, respond: Respond) -> None:
        state = "draining" if self.draining else "ready" if self.ready else "loading"
        respond(Response(200 if self.ready else 503, orjson.dumps({"status": state})))

    def _metrics(self, _request: Request, respond: Respond) -> None:
        respond(Response(200, self.metrics.render(self.capture), metrics.CONTENT_TYPE.encode()))

    def _document(self, _request: Request, respond: Respond) -> None:
        respond(Response(200, openapi.served(openapi.ONE)))

    def _version(self, _request: Request, respond: Respond) -> None:
        contract = {"image_contract": IMAGE_CONTRACT, "schema_version": SCHEMA_VERSION}
        respond(Response(200, orjson.dumps(self.metrics.model | contract)))


def _explaining(model: ServedModel, read: Callable[[], Rows], wanted: Format, explain: Explain) -> Parse:
    """Give what reads a request whose answers are explained, which takes its time."""

    def parse() -> tuple[Rows, Encode]:
        rows = read()
        contributions = model.explain(rows)

        def encode(numbers: list[bytes]) -> Response:
            body = explain(numbers, contributions)
            return Response(200, body, wanted.content_type, model.header, alone=wanted.encode(numbers))

        return rows, encode

    return parse

"""OpenTelemetry traces: a span for every sampled request, joined with the span of the XGBoost call that answered it.

Imported only when traces are wanted. Spans are made when an answer has left, from times taken on the way; a thread of
the SDK sends them from a bounded queue, and what does not fit is dropped.
Source: W3C Trace Context (``traceparent``); OpenTelemetry specification, "Semantic conventions for HTTP spans", and
"OTLP/HTTP" with its JSON encoding.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from scoring.errors import Fault
from scoring.headers import TRACE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, SpanContext

    from scoring.messages import Request, Respond, Response
    from scoring.settings import ServerSettings

    Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]

EXPORT_SECONDS = 5.0
"""Longest that one delivery of spans may take, in its own thread."""

NANOSECONDS = 1_000_000_000


class _Call:
    """One XGBoost call; it gets a span when the first sampled request among its own is answered."""

    __slots__ = ("ended", "rows", "span", "started")

    def __init__(self, rows: int, started: int, ended: int) -> None:
        self.rows = rows
        self.started = started
        self.ended = ended
        self.span: SpanContext | None = None


class Traced:
    """A request's way to its answer."""

    __slots__ = ("_label", "_request", "_respond", "_tracing", "call")

    def __init__(self, tracing: Tracing, request: Request, label: str, respond: Respond) -> None:
        self._tracing = tracing
        self._request = request
        self._label = label
        self._respond = respond
        self.call: _Call | None = None
        """The XGBoost call that answered it; of a request of several, the last."""

    def __call__(self, response: Response) -> None:
        """Answer, then make the span."""
        self._respond(response)
        self._tracing.answered(self._request, self._label, response.status, self.call)


class Tracing:
    """Makes and sends the spans of one server process; only the event loop's thread calls it."""

    def __init__(self, settings: ServerSettings, exporter: SpanExporter | None = None) -> None:
        """Start the sending thread; without an exporter spans go to the collector of the settings."""
        sampler = ParentBased(TraceIdRatioBased(settings.traces_percent / 100))
        resource = Resource({"service.name": "slipway-model", "service.instance.id": settings.model_name})
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        exporter = exporter or OTLPSpanExporter(endpoint=settings.traces_endpoint, timeout=EXPORT_SECONDS)
        size = settings.max_traces_queued
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=size, max_export_batch_size=min(size, 512))
        )
        self._tracer = self._provider.get_tracer("slipway")
        self._propagator = TraceContextTextMapPropagator()
        self._call: _Call | None = None

    def follow(self, request: Request, label: str, respond: Respond) -> Respond:
        """Give the way to answer a request that also makes its span; ``label`` is the route's."""
        return Traced(self, request, label, respond)

    def predicted(self, respond: Respond) -> None:
        """Note that the latest XGBoost call holds the end of the rows of a request."""
        if isinstance(respond, Traced):
            respond.call = self._call

    def timed(self, predict: Predict) -> Predict:
        """Give a predictor whose calls are noted."""

        def noted(rows: NDArray[np.float32]) -> NDArray[np.float32]:
            started = time.time_ns()
            try:
                return predict(rows)
            finally:
                self._call = _Call(len(rows), started, time.time_ns())

        return noted

    def answered(self, request: Request, label: str, status: int, call: _Call | None) -> None:
        """Make the span of a request whose answer has just left, and that of its XGBoost call if there is none."""
        ended = time.time_ns()
        carrier = {n.decode(): request.headers[n].decode("latin-1") for n in TRACE_HEADERS if n in request.headers}
        span = self._tracer.start_span(
            f"{request.method.decode('latin-1')} {label}",
            context=self._propagator.extract(carrier),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": request.method.decode("latin-1"),
                "http.route": label,
                "http.response.status_code": status,
            },
            links=[Link(call.span)] if call and call.span else [],
            start_time=ended - int((time.monotonic() - request.started) * NANOSECONDS),
        )
        if span.is_recording():
            if status >= Fault.INTERNAL.status:
                span.set_status(Status(StatusCode.ERROR))
            if call and not call.span:
                self._of_call(span, call)
        span.end(ended)

    def _of_call(self, parent: Span, call: _Call) -> None:
        span = self._tracer.start_span(
            "predict",
            context=set_span_in_context(parent),
            attributes={"slipway.batch.rows": call.rows},
            start_time=call.started,
        )
        call.span = span.get_span_context()
        span.end(call.ended)

    def close(self, seconds: float) -> None:
        """Send what waits, for a short time; a collector that does not answer is not waited for."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(seconds)

"""Traces: what the spans say, that they hurt nobody, and that without the setting there is nothing of them."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from scoring import artifact, served
from scoring.application import ModelApplication
from scoring.messages import Request, Response
from scoring.settings import ServerSettings
from scoring.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ROW = b"812.5,AA,7"


class Bench:
    """An application that traces into memory; the model's turns run when asked."""

    def __init__(self, model: artifact.Artifact, percent: float = 100) -> None:
        self.exporter = InMemorySpanExporter()
        self.turns: deque[Callable[[], None]] = deque()
        settings = ServerSettings(traces_endpoint="http://127.0.0.1:9/v1/traces", traces_percent=percent)
        self.application = ModelApplication(settings)
        self.tracing = self.application.tracing = Tracing(settings, self.exporter)
        self.application.use(served.load(model, settings, self.turns.append, self.application.metrics.predicted))

    def send(self, body: bytes = ROW, target: bytes = b"/invocations", **headers: str) -> None:
        answers: list[Response] = []
        method = b"POST" if target == b"/invocations" else b"GET"
        named = {name.encode(): value.encode() for name, value in headers.items()}
        request = Request(method, target, b"text/csv", b"", body, time.monotonic(), headers=named)
        self.application.handle(request, answers.append)

    def spans(self) -> list[ReadableSpan]:
        while self.turns:
            self.turns.popleft()()
        self.tracing.close(5)
        return [*self.exporter.get_finished_spans()]


@pytest.fixture
def bench(model: artifact.Artifact) -> Bench:
    return Bench(model)


def test_requests_of_one_call_each_have_a_span_and_share_that_of_the_call(bench: Bench) -> None:
    for _ in range(3):
        bench.send()
    (call,) = (span for span in bench.spans() if span.name == "predict")
    requests = [span for span in bench.exporter.get_finished_spans() if span.name == "POST /invocations"]
    assert len(requests) == 3
    assert dict(call.attributes or {}) == {"slipway.batch.rows": 3}
    parents = [
        span for span in requests if call.parent and span.context and call.parent.span_id == span.context.span_id
    ]
    linked = [span for span in requests if [link.context for link in span.links] == [call.context]]
    assert (len(parents), len(linked)) == (1, 2)
    for span in requests:
        assert dict(span.attributes or {})["http.response.status_code"] == 200
        assert (span.start_time or 0) <= (call.start_time or 0) <= (call.end_time or 0) <= (span.end_time or 0)


def test_the_callers_trace_goes_on_and_its_decision_counts(model: artifact.Artifact) -> None:
    bench = Bench(model, percent=0)
    bench.send(traceparent=f"00-{TRACE}-{PARENT}-01")
    bench.send(traceparent=f"00-{TRACE}-{PARENT}-00")
    bench.send()
    (span,) = (span for span in bench.spans() if span.name != "predict")
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)


@pytest.mark.parametrize("damaged", ["", "00-0-0-01", f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01", "\xff" * 55])
def test_a_damaged_parent_starts_a_trace_of_its_own(bench: Bench, damaged: str) -> None:
    bench.send(traceparent=damaged)
    (span,) = (span for span in bench.spans() if span.name != "predict")
    assert span.parent is None


def test_refusals_have_spans_too_and_a_defect_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.send(b"1")
    bench.send(target=b"/nothing?token=1")
    monkeypatch.setattr(bench.application, "model", lambda: 1 / 0)
    bench.send()
    found = {(span.name, (span.attributes or {})["http.response.status_code"]): span for span in bench.spans()}
    assert found.keys() == {("POST /invocations", 400), ("GET other", 404), ("POST /invocations", 500)}
    assert found["POST /invocations", 500].status.status_code is StatusCode.ERROR
    assert found["POST /invocations", 400].status.status_code is StatusCode.UNSET
    assert not any("token" in str(span.to_json()) for span in found.values())


def test_a_server_without_the_setting_does_not_even_import_the_sdk() -> None:
    code = "import sys, scoring.server; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    env = {"PYTHONPATH": str(Path(__file__).parents[2] / "model_image")}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


@pytest.fixture
def collector() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What an OpenTelemetry collector does at its HTTP port: take JSON, answer 200."""
    got: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...  # pyright: ignore[reportIncompatibleMethodOverride] # silent

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/v1/traces", got
        listening.shutdown()


@pytest.mark.loop
@pytest.mark.parametrize("several", [False, True], ids=["one model", "several models"])
def test_a_server_sends_its_spans_to_the_collector_before_it_ends(
    start: Callable[..., Any],
    collector: tuple[str, list[dict[str, Any]]],
    repository: tuple[Path, dict[str, str]],
    several: bool,
) -> None:
    url, got = collector
    options = {"SLIPWAY_TRACES_ENDPOINT": url, "SLIPWAY_DRAIN_S": "0"}
    path, label, row = "/invocations", "POST /invocations", ROW
    if several:
        options |= {"SLIPWAY_MODELS_DIR": str(repository[0]), "SLIPWAY_MODELS_MEMORY_BYTES": str(10**9)}
        options |= {"SLIPWAY_MODELS_AT_START": "one"}
        path, label, row = "/models/one/invoke", "POST /models/{name}/invoke", b"0.3,0.9"
    server = start(None, **options) if several else start(**options)
    headers = {"Content_Type": "text/csv", "Traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert server.request("POST", path, row, **headers)[0] == 200
    assert server.stop() == 0
    spans = [s for part in got for r in part["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]]
    ours = {span["name"]: span for span in spans if span["traceId"] == TRACE}
    assert ours.keys() == {label, "predict"}
    assert ours[label]["parentSpanId"] == PARENT


@pytest.mark.loop
def test_a_collector_that_never_answers_costs_spans_and_neither_requests_nor_the_end(start: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1/traces"
        server = start(SLIPWAY_TRACES_ENDPOINT=url, SLIPWAY_MAX_TRACES_QUEUED="8", SLIPWAY_DRAIN_S="0")
        slowest = 0.0
        for _ in range(200):
            began = time.monotonic()
            assert server.request("POST", "/invocations", ROW, Content_Type="text/csv")[0] == 200
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 2
        assert server.stop() == 0

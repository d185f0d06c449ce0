"""The server's log: one object a line, nothing of what callers send, and never more than so many records a second."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scoring import artifact, log, served
from scoring.application import ModelApplication
from scoring.endpoint import Endpoint
from scoring.http1 import Connection
from scoring.settings import ServerSettings
from tests.reliability.in_process import Transport
from tests.support.servers import Server, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

CANARY = "xq7canary"
TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRETS = f"Authorization: {CANARY}\r\nCookie: {CANARY}\r\nX-Amzn-SageMaker-Custom-Attributes: {CANARY}\r\n"
PARENT = f"traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n"
INSTANCE = {"distance": 1.5, "carrier": CANARY, "hour": 7}
TENSORS = [
    {"name": "distance", "datatype": "FP32", "shape": [1], "data": [1.5]},
    {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": [CANARY]},
    {"name": "hour", "datatype": "FP32", "shape": [1], "data": [7]},
]
ACCEPTED = (
    ("/invocations", "text/csv", f"1.5,{CANARY},7"),
    ("/invocations", "application/json", json.dumps({"instances": [INSTANCE]})),
    ("/v2/models/model/infer", "application/json", json.dumps({"id": CANARY, "inputs": TENSORS})),
)
REFUSED = (
    ("/invocations", "text/csv", f"{CANARY},AA,7", "wrong_type"),
    ("/invocations", "text/csv", CANARY, "feature_count"),
    ("/invocations", "application/json", json.dumps({"instances": [INSTANCE | {CANARY: 1}]}), "unknown_feature"),
    ("/invocations", "application/json", json.dumps({CANARY: []}), "malformed_body"),
    ("/v2/models/model/infer", "application/json", json.dumps({"inputs": [{"name": CANARY}]}), "malformed_body"),
    ("/invocations", f"text/{CANARY}", "1", "unsupported_media_type"),
    (f"/{CANARY}?key={CANARY}", "text/csv", "1", "not_found"),
    ("/invocations", f"text/csv\r\nContent-Type: {CANARY}", "1", "bad_request"),
)


class Bench:
    """A server without sockets, whose model can be broken and whose clock stands still."""

    def __init__(self, model: artifact.Artifact) -> None:
        settings = ServerSettings()
        self.now = 1000.0
        self.broken = False
        self.turns: list[Callable[[], None]] = []
        application = ModelApplication(settings)
        loaded = served.load(model, settings, self.turns.append, application.metrics.predicted)
        loaded.batcher.around(self._around)
        application.use(loaded)
        self.endpoint = Endpoint(application, settings, lambda: self.now)

    def _around(self, predict: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Any:
        def fragile(rows: NDArray[np.float32]) -> NDArray[np.float32]:
            if self.broken:
                raise ValueError(f"could not read {CANARY}")
            return predict(rows)

        return fragile

    def post(self, target: str, media: str, body: str) -> int:
        """Send a request on a connection of its own; give the answer's status."""
        transport, connection = Transport(), Connection(self.endpoint)
        connection.connection_made(transport)
        head = f"POST {target} HTTP/1.1\r\nHost: h\r\n{SECRETS}{PARENT}Content-Type: {media}\r\n"
        connection.data_received(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        while self.turns:
            self.turns.pop()()
        connection.connection_lost(None)
        return int(transport.sent.split()[1])


@pytest.fixture
def bench(model: artifact.Artifact) -> Bench:
    return Bench(model)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What is logged meanwhile, from the lowest level on, as a server with JSON writes it."""
    written = io.StringIO()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr("sys.stdout", written)
    monkeypatch.setattr("sys.stderr", written)
    level = root.level
    log.start(log.JSON)
    root.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.setLevel(level)


def test_an_accepted_request_leaves_no_record(bench: Bench, lines: Callable[[], list[dict[str, Any]]]) -> None:
    assert [bench.post(*request) for request in ACCEPTED] == [200] * len(ACCEPTED)
    assert lines() == []


def test_a_refusal_is_logged_with_code_route_model_and_trace_and_nothing_of_the_request(
    bench: Bench, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    for target, media, body, code in REFUSED:
        bench.post(target, media, body)
        record = lines()[-1]
        assert CANARY not in json.dumps(record)
        assert record["code"] == code
        assert (record["level"], record["logger"], record["message"]) == (
            "WARNING",
            "scoring.refusals",
            "request refused",
        )
        assert record["ts"].endswith("+00:00")
        assert (record["model"], len(record["version"])) == ("model", 12)
    assert [each["route"] for each in lines()[3:7:3]] == ["/invocations", "other"]
    assert lines()[0]["trace_id"] == TRACE
    assert len(lines()) == len(REFUSED)


def test_a_defect_is_logged_with_its_place_and_without_the_text_of_the_exception(
    bench: Bench, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    bench.broken = True
    assert [bench.post(*request) for request in ACCEPTED] == [500] * len(ACCEPTED)
    assert CANARY not in json.dumps(lines())
    assert [record["message"] for record in lines()] == ["request failed"] * len(ACCEPTED)
    assert "builtins.ValueError" in lines()[0]["exception"]
    assert "in fragile" in lines()[0]["exception"]
    assert (lines()[0]["trace_id"], lines()[0]["level"]) == (TRACE, "ERROR")


def test_a_flood_of_bad_requests_is_a_few_records_and_their_number(
    bench: Bench, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    for _ in range(500):
        bench.post("/invocations", "text/csv", "?")
    assert len(lines()) == log.MOST_RECORDS
    bench.endpoint.sweep()
    assert len(lines()) == log.MOST_RECORDS
    bench.now += 1.5
    bench.endpoint.sweep()
    rest = lines()[log.MOST_RECORDS :]
    assert [(each["message"], each["requests"]) for each in rest] == [("further requests refused", 490)]
    bench.post("/invocations", "text/csv", "?")
    assert lines()[-1]["code"] == "feature_count"


def test_what_the_event_loop_meets_is_logged_without_arguments(lines: Callable[[], list[dict[str, Any]]]) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log.unhandled)
        loop.call_soon(int, CANARY)
        await asyncio.sleep(0)

    asyncio.run(run())
    (record,) = [each for each in lines() if each["logger"] == "scoring.log"]
    assert CANARY not in json.dumps(record)
    assert "builtins.ValueError" in record["exception"]


def test_text_is_for_people(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log.start(log.TEXT)
    logging.getLogger("scoring.x").warning("refused", extra=log.fields(code="c", trace_id=""))
    assert capsys.readouterr().err == "WARNING scoring.x: refused code=c\n"


@pytest.mark.loop
def test_every_line_of_a_server_is_an_object_from_the_first_to_the_last(trained: Any) -> None:
    env = environment(SLIPWAY_LOG="json", SLIPWAY_DRAIN_S="0.1", SLIPWAY_MODEL_DIR=str(trained.base / "model"))
    command, pipe = [sys.executable, "-m", "scoring", "serve", "--port", "0"], subprocess.PIPE
    with subprocess.Popen(command, env=env, cwd="/", stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        server = Server(process, int(first["address"].rpartition(":")[2]))
        assert server.request("POST", "/invocations", b"?", Content_Type="text/csv")[0] == 400
        process.terminate()
        said, warned = process.communicate(timeout=20)
    assert [json.loads(line)["message"] for line in said.splitlines()] == ["draining for 0.1 s", "stopped"]
    (refused,) = map(json.loads, warned.splitlines())
    assert (refused["code"], refused["version"]) == ("feature_count", first["version"])


@pytest.mark.loop
@pytest.mark.parametrize("wrong", [{"SLIPWAY_PORT": "x"}, {"SLIPWAY_LOG": "json", "SLIPWAY_MODEL_DIR": "/none"}])
def test_a_server_that_does_not_start_says_why_in_the_form_of_its_log(wrong: dict[str, str]) -> None:
    env = environment(**({"SLIPWAY_LOG": "json"} | wrong))
    command = [sys.executable, "-m", "scoring", "serve"]
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=30, check=False)
    (record,) = map(json.loads, done.stderr.splitlines())
    assert done.returncode == 1
    assert (record["level"], record["message"].partition(":")[0]) == ("CRITICAL", "UserError")

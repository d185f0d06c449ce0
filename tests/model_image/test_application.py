"""The application without a connection: a request in, a response out."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.application import ModelApplication
from scoring.artifact import Artifact
from scoring.batcher import Batcher
from scoring.codec import Decoder
from scoring.contract import Feature, Kind, Schema
from scoring.messages import Request, Response
from scoring.served import ServedModel
from scoring.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SCHEMA = Schema("y", (Feature("a"), Feature("k", Kind.CATEGORICAL, ("red",))))
SETTINGS = ServerSettings(max_body_bytes=1000, max_queued_bytes=4000, retry_after_s=7)


class Bench:
    """An application on a model that answers the first feature; turns run when asked."""

    def __init__(self, *, loaded: bool = True, queued_bytes: int = 4000) -> None:
        self.turns: deque[Callable[[], None]] = deque()
        self.broken = False
        self.application = ModelApplication(SETTINGS)
        if loaded:
            on_batch = self.application.metrics.predicted
            limits = {"max_batch_rows": 8, "max_queued_bytes": queued_bytes}
            batcher = Batcher(self._predict, 2, self.turns.append, on_batch=on_batch, **limits)
            artifact = Artifact(b"", SCHEMA, {}, {}, "d" * 64)
            self.application.use(ServedModel(artifact, Decoder(SCHEMA, 50), batcher, name="model"))

    def _predict(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.broken:
            raise ZeroDivisionError("secret detail")
        return np.nan_to_num(rows[:, 0])

    def send(
        self,
        method: bytes,
        target: bytes,
        body: bytes = b"",
        media: bytes = b"",
        accept: bytes = b"",
    ) -> list[Response]:
        answers: list[Response] = []
        self.application.handle(Request(method, target, media, accept, body, 0.0), answers.append)
        return answers

    def ask(self, method: bytes, target: bytes, *rest: bytes) -> Response:
        answers = self.send(method, target, *rest)
        while self.turns:
            self.turns.popleft()()
        (answer,) = answers
        return answer


Media = st.sampled_from([b"text/csv", b"application/json", b"TEXT/CSV; charset=UTF-8", b"", b";;", b"a/b"]) | st.binary(
    max_size=12
)
INFER = b"/v2/models/model/infer"
Target = st.sampled_from(
    [b"/invocations", INFER, b"/ping", b"/metrics", b"http://h/ping", b"/ping?x=1", b"*"]
) | st.binary(max_size=12)
Body = st.sampled_from([b"1,red", b"1,red\n2,x", b'{"instances":[[1,"red"]]}']) | st.binary(max_size=40)
Method = st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT"])


@given(Method, Target, Body, Media, Media)
@settings(max_examples=400)
def test_every_request_is_answered_once_and_never_by_a_server_error(
    method: bytes, target: bytes, body: bytes, media: bytes, accept: bytes
) -> None:
    bench = Bench()
    response = bench.ask(method, target, body, media, accept)
    assert 200 <= response.status < 500
    error: Any = response.status == 200 or json.loads(response.body)["error"]
    assert error is True or (error if target.startswith(b"/v2") else error["message"])
    assert b"slipway_requests_in_flight 1\n" in bench.ask(b"GET", b"/metrics").body


def test_readiness_needs_a_model_and_ends_with_the_drain_while_requests_are_still_answered() -> None:
    assert Bench(loaded=False).ask(b"GET", b"/ping").status == 503
    assert Bench(loaded=False).ask(b"POST", b"/invocations", b"1,red", b"text/csv").status == 503
    bench = Bench()
    assert bench.ask(b"GET", b"/ping").status == 200
    bench.application.draining = True
    assert bench.ask(b"GET", b"/ping").status == 503
    assert bench.ask(b"POST", b"/invocations", b"1,red", b"text/csv").body == b"1.0\n"


def test_a_full_queue_is_503_with_advice_when_to_return() -> None:
    bench = Bench(queued_bytes=8)
    first = bench.send(b"POST", b"/invocations", b"1,red", b"text/csv")
    (refused,) = bench.send(b"POST", b"/invocations", b"2,red", b"text/csv")
    assert not first
    assert (refused.status, refused.headers) == (503, b"Retry-After: 7\r\n")


def test_the_metrics_tell_how_full_the_queue_is_and_how_full_it_may_be() -> None:
    bench = Bench(queued_bytes=8 * 40)

    def queue() -> dict[str, str]:
        lines = bench.send(b"GET", b"/metrics")[0].body.decode().splitlines()
        return dict(line.removeprefix("slipway_queue_").split() for line in lines if line.startswith("slipway_queue_"))

    limits = {"limit_rows": "40", "limit_bytes": "320"}
    assert queue() == {"rows": "0", "bytes": "0"} | limits
    bench.send(b"POST", b"/invocations", b"1,red\n" * 19, b"text/csv")
    bench.send(b"POST", b"/invocations", b"1,red\n2,red", b"text/csv")
    assert queue() == {"rows": "21", "bytes": "168"} | limits
    while bench.turns:
        bench.turns.popleft()()
    assert queue() == {"rows": "0", "bytes": "0"} | limits


def test_while_the_queue_is_nearly_full_bodies_are_not_even_parsed() -> None:
    bench = Bench(queued_bytes=8 * 40)
    small = bench.send(b"POST", b"/invocations", b"1,red\n" * 19, b"text/csv")
    assert bench.send(b"POST", b"/invocations", b"not a row", b"text/csv")[0].status == 400
    waiting = bench.send(b"POST", b"/invocations", b"1,red\n" * 20, b"text/csv")
    assert bench.send(b"POST", b"/invocations", b"not a row", b"text/csv")[0].status == 503
    while not small:
        assert bench.send(b"POST", b"/invocations", b"not a row", b"text/csv")[0].status == 503
        bench.turns.popleft()()
    assert not waiting
    assert bench.send(b"POST", b"/invocations", b"not a row", b"text/csv")[0].status == 400


def test_a_defect_is_a_500_that_tells_no_details_and_harms_no_later_request(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.broken = True
    response = bench.ask(b"POST", b"/invocations", b"1,red", b"text/csv")
    assert response.status == 500
    assert b"secret" not in response.body
    assert "request failed" in caplog.text
    bench.broken = False
    assert bench.ask(b"POST", b"/invocations", b"1,red", b"text/csv").status == 200


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (b"*/*", b"text/csv"),
        (b"text/*", b"text/csv"),
        (b"application/*", b"application/json"),
        (b"application/json", b"application/json"),
        (b"text/html, application/json;q=0.5", b"application/json"),
        (b"text/csv;q=0, application/json", b"application/json"),
    ],
)
def test_accept_chooses_the_first_format_it_allows(accept: bytes, expected: bytes) -> None:
    assert Bench().ask(b"POST", b"/invocations", b"1,red", b"text/csv", accept).content_type == expected


def test_metrics_are_valid_exposition_with_cumulative_buckets() -> None:
    bench = Bench()
    for rows in (1, 3, 8):
        bench.ask(b"POST", b"/invocations", b"\n".join([b"1,red"] * rows), b"text/csv")
        bench.application.answered(b"/invocations", 200, 0.003)
    lines = bench.application.metrics.render().decode().splitlines()
    samples: dict[str, Any] = {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }
    assert samples["slipway_batch_rows_sum"] == 12
    assert [samples[f'slipway_batch_rows_bucket{{le="{le}"}}'] for le in (1, 2, 4, 8, "+Inf")] == [1, 1, 2, 3, 3]
    assert samples['slipway_request_duration_seconds_bucket{le="0.002"}'] == 0
    assert samples['slipway_request_duration_seconds_bucket{le="0.005"}'] == 3
    assert samples['slipway_requests_total{route="/invocations",code="200"}'] == 3
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families)) == 11

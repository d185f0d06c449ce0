"""What the release step asks Prometheus, and what it tells the registry."""

from __future__ import annotations

import http.client
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from release import registry
from release.prometheus import REQUESTS, Metrics, Prometheus, judge_release
from release.record import Record, ReleaseError, Version
from rollout.judgement import Limits
from rollout.plan import Phase, State
from rollout.verdicts import Verdict
from scoring.metrics import INFER

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = Limits(min_requests=500, error_margin=0.01, slower=1.5, shift=0.1)
BUCKETS = {"0.001": 0.0, "0.002": 4_500.0, "0.005": 4_900.0, "0.01": 5_000.0, "0.02": 5_000.0, "+Inf": 5_000.0}
BINS = {"0.1": 500.0, "0.5": 2_500.0, "0.9": 4_500.0, "+Inf": 5_000.0}
OLD, NEW = (Version(image=f"r/m@sha256:{number:064x}", name=str(number)) for number in (1, 2))
RECORD = Record(wanted=NEW, previous=OLD, begun=10_000.0, state=State(Phase.WATCHING, 0, 10_300.0))


class Series:
    """Answers queries from counts of each version: errors, and restarts of the new one."""

    def __init__(self, *, errors: float = 5.0, restarts: float = 0.0) -> None:
        self.errors, self.restarts = errors, restarts
        self.asked: list[tuple[str, float]] = []

    def ask(self, query: str, when: float) -> list[dict[str, Any]]:
        self.asked.append((query, when))
        new = 'slipway_dev_version="2"' in query
        if "restarts" in query:
            return [{"metric": {}, "value": [when, str(self.restarts if NEW.image in query else 0)]}]
        if "slipway_requests_total" in query:
            errors = self.errors if new else 5.0
            return self._by("code", {"200": 5_000 - errors, "500": errors})
        return self._by("le", BUCKETS if "duration" in query else BINS)

    @staticmethod
    def _by(name: str, counts: dict[str, float]) -> list[dict[str, Any]]:
        return [{"metric": {name: label}, "value": [0, str(count)]} for label, count in counts.items()]


def verdict(series: Series, now: float = 10_600.0) -> Verdict | None:
    metrics = Metrics(ask=series.ask, namespace="ns", model="m")
    found = judge_release(metrics, LIMITS, lambda: now, lambda _: None)(RECORD)
    return None if found is None else found.verdict


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (Series(), Verdict.GOOD),
        (Series(errors=100), Verdict.BAD),
        (Series(restarts=1), Verdict.BAD),
    ],
)
def test_the_new_version_since_its_start_is_held_against_the_old_one_before_it(
    series: Series, expected: Verdict
) -> None:
    assert verdict(series) is expected
    windows = {(re.findall(r"\[(\d+)s\]", query)[0], when) for query, when in series.asked}
    restarts = {("360", 10_600.0), ("3660", 10_000.0)}
    assert windows == {("300", 10_600.0), ("3600", 10_000.0)} | restarts, "one reading more for a single event"


def test_every_query_names_the_namespace_and_the_version_or_its_image() -> None:
    series = Series()
    verdict(series)

    for query, _ in series.asked:
        assert 'namespace="ns"' in query
        assert re.search(r'slipway_dev_version="[12]"', query) or OLD.image in query or NEW.image in query


def test_requests_count_by_whichever_protocol_they_came() -> None:
    series = Series()
    verdict(series)
    routes = [re.findall(r'route=~"([^"]*)"', query) for query, _ in series.asked if REQUESTS in query]

    assert len(routes) == 2, "one question for each version"
    for (pattern,) in routes:
        assert re.fullmatch(pattern, "/invocations")
        assert re.fullmatch(pattern, INFER)
        assert not re.fullmatch(pattern, "/ping")


@pytest.mark.parametrize("error", [OSError("refused"), http.client.BadStatusLine("refused")])
def test_no_metrics_are_no_judgement(error: Exception) -> None:
    def silent(_query: str, _when: float) -> list[dict[str, Any]]:
        raise error

    told: list[str] = []
    metrics = Metrics(ask=silent, namespace="ns", model="m")
    assert judge_release(metrics, LIMITS, lambda: 10_600.0, told.append)(RECORD) is None
    assert told == ["no metrics: refused"]


def test_series_that_are_not_there_leave_the_judgement_open() -> None:
    metrics = Metrics(ask=lambda _query, _when: [], namespace="ns", model="m")
    found = judge_release(metrics, LIMITS, lambda: 10_600.0, lambda _: None)(RECORD)
    assert found is not None
    assert found.verdict is Verdict.OPEN


@pytest.fixture
def prometheus() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            known = asked["query"] == ["up"]
            result: list[Any] = [{"metric": {}, "value": [float(asked["time"][0]), "1"]}]
            content = json.dumps({"data": {"result": result}} if known else {"error": "parse error"}).encode()
            self.send_response(200 if known else 400)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/prefix/"
        server.shutdown()
        thread.join()


def test_prometheus_is_asked_for_the_time_that_is_meant_and_its_refusal_is_told(prometheus: str) -> None:
    server = Prometheus(url=prometheus)

    assert server.ask("up", 5.5) == [{"metric": {}, "value": [5.5, "1"]}]
    with pytest.raises(ReleaseError, match="parse error"):
        server.ask("up(", 5.5)


class Registry:
    """Keeps what is updated, of a version that has properties already."""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []

    def describe_model_package(self, **_: object) -> dict[str, Any]:
        return {"CustomerMetadataProperties": {"model-sha256": "0" * 64, "release-prod": "of another time"}}

    def update_model_package(self, **update: Any) -> None:
        self.updates.append(update)


@pytest.mark.parametrize("phase", [Phase.PROMOTED, Phase.ROLLED_BACK])
def test_the_registry_learns_the_end_in_characters_that_it_takes(phase: Phase) -> None:
    known = Registry()
    reason = "p95: 5 % above 0.01 s; [undecided] " * 20
    state = State(phase, 0, 0.0, reason)
    registry.report(known, "arn", "prod", Record(wanted=NEW, previous=OLD, begun=0.0, state=state))  # pyright: ignore[reportArgumentType] - the calls that are made

    said = known.updates[-1]["CustomerMetadataProperties"]
    assert said.keys() == {"model-sha256", "release-prod"}, "what others have said of it stays"
    value = said["release-prod"]
    assert re.fullmatch(r"[\w\s_.:/=+\-@]{1,256}", value)
    assert value.startswith(phase)
    rejected = [update for update in known.updates if update.get("ModelApprovalStatus") == "Rejected"]
    assert bool(rejected) == (phase is Phase.ROLLED_BACK)

"""What Prometheus knows of a version of a model, as `rollout` judges it.

Series carry the pods' labels of model and version (`podTargetLabels` of the ServiceMonitor). Restarts are counted by
kube-state-metrics (docs/metrics/workload/pod-metrics.md), which knows pods by their image.
Source: Prometheus documentation, "HTTP API", section "Instant queries".
"""

from __future__ import annotations

import contextlib
import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from release.record import ReleaseError
from rollout.judgement import ROUTES, Judgement, Limits, Observed, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from release.record import Record, Version

SECONDS: Final = 30.0
REQUESTS: Final = "slipway_requests_total"
ROUTED: Final = f',route=~"{ROUTES}"'
"""Selects the requests of callers; probes and scrapes are none."""
LATENCY: Final = "slipway_request_duration_seconds_bucket"
PREDICTIONS: Final = "slipway_prediction_bucket"
LONGEST_SECONDS: Final = 3600
"""Most that is looked back for a version: further back the load was another one."""
SCRAPE_SECONDS: Final = 60
"""Longest time between two readings: growth is known from the reading before it, which may be so much older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """A server of metrics."""

    url: str

    def ask(self, query: str, when: float) -> Sequence[Mapping[str, Any]]:
        """Result of an instant query.

        Raises:
            ReleaseError: It refuses the query, or answers with something else than a result.
            OSError: It does not answer.
            http.client.HTTPException: It does not speak HTTP, or not to the end.
        """
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=SECONDS)
        with contextlib.closing(connection):
            path = f"{parts.path.rstrip('/')}/api/v1/query"
            connection.request("GET", f"{path}?{urlencode({'query': query, 'time': when})}")
            answer = connection.getresponse()
            body = answer.read()
        if answer.status != http.client.OK:
            raise ReleaseError(f"{self.url}: {answer.status} {body[:300].decode('utf-8', 'replace')}")
        try:
            return json.loads(body)["data"]["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise ReleaseError(f"{self.url} answers with no result: {body[:300].decode('utf-8', 'replace')}") from error


@dataclass(frozen=True, slots=True)
class Span:
    """A time, in seconds since the epoch."""

    begin: float
    end: float

    @property
    def window(self) -> str:
        """Its length, as a range of a query that is asked for its end."""
        return f"[{max(int(self.end - self.begin), 1)}s]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Of one model in one namespace."""

    ask: Callable[[str, float], Sequence[Mapping[str, Any]]]
    namespace: str
    model: str

    def observed(self, version: Version, since: float, until: float) -> tuple[Observed, tuple[float, ...]]:
        """What a version did in a time, and the bounds of its latencies."""
        span = Span(since, until)
        codes = self.grown(REQUESTS, "code", version, span, ROUTED)
        latencies, predictions = (self.grown(metric, "le", version, span) for metric in (LATENCY, PREDICTIONS))
        restarts = self._restarts(version, Span(since - SCRAPE_SECONDS, until))
        seen = Observed(
            requests=sum(codes.values()),
            errors=sum(count for code, count in codes.items() if code.startswith("5")),
            latencies=_counts(latencies),
            predictions=_counts(predictions),
            restarts=restarts,
        )
        return seen, tuple(sorted(float(bound) for bound in latencies if bound != "+Inf"))

    def grown(self, metric: str, by: str, version: Version, span: Span, more: str = "") -> dict[str, float]:
        """By how much a counter of a version has grown in a time, by one of its labels.

        Args:
            metric: Name of the counter.
            by: The label.
            version: Whose pods.
            span: The time.
            more: Further selectors, after a comma.
        """
        labels = f'namespace="{self.namespace}",slipway_dev_model="{self.model}",slipway_dev_version="{version.name}"'
        query = f"sum by ({by}) (increase({metric}{{{labels}{more}}}{span.window}))"
        return {each["metric"].get(by, ""): float(each["value"][1]) for each in self.ask(query, span.end)}

    def _restarts(self, version: Version, span: Span) -> int:
        inside = f'namespace="{self.namespace}"'
        restarts = f"increase(kube_pod_container_status_restarts_total{{{inside}}}{span.window})"
        ours = f'kube_pod_container_info{{{inside},image_spec="{version.image}"}}'
        found = self.ask(f"sum({restarts} and on (namespace, pod, container) {ours})", span.end)
        return round(float(found[0]["value"][1])) if found else 0


def judge_release(
    metrics: Metrics, limits: Limits, clock: Callable[[], float], tell: Callable[[str], None]
) -> Callable[[Record], Judgement | None]:
    """Give a judge of releases that replaced all pods: the new version since then, against the old one before it."""

    def judged(record: Record) -> Judgement | None:
        if record.previous is None:
            return None
        now, began = clock(), record.state.since
        length = min(now - began, LONGEST_SECONDS)
        try:
            challenger, bounds = metrics.observed(record.wanted, now - length, now)
            champion, _ = metrics.observed(record.previous, record.begun - LONGEST_SECONDS, record.begun)
        except (OSError, http.client.HTTPException, ReleaseError) as error:
            tell(f"no metrics: {error}")
            return None
        return judge(challenger, champion, limits, bounds)

    return judged


def _counts(cumulative: Mapping[str, float]) -> tuple[float, ...]:
    ordered = [cumulative[bound] for bound in sorted(cumulative, key=float)]
    return tuple(max(up - below, 0.0) for up, below in zip(ordered, [0.0, *ordered], strict=False))

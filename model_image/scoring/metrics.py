"""Counters of one server process, in Prometheus' text format.

Written by hand: five families need 60 lines, while the usual client library takes a lock for every sample on a path
that has microseconds, and would be one more package in the image.
Source: Prometheus documentation, "Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from scoring.batcher import Load
    from scoring.capture import Capture
    from scoring.drift import Drift
    from scoring.predictions import Predictions

LATENCY_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.08, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Upper bounds in seconds; whether a percentile exceeds one of them is known exactly, so objectives are among them."""

BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Upper bounds in rows."""

INFER = "/v2/models/{name}/infer"

INVOKE = "/models/{name}/invoke"

PREDICTION_ROUTES = frozenset(("/invocations", INFER, INVOKE))
"""Routes whose latency is observed."""

EXPECTED = (200, 500, 503)
"""Statuses of predictions whose counts rollouts and objectives compare."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Sample(NamedTuple):
    """One line."""

    labels: str
    """As between the braces."""
    value: float
    suffix: str = ""
    """Follows the family's name."""


class Family(NamedTuple):
    """One metric."""

    name: str
    kind: str
    text: str
    samples: Sequence[Sample]


class Histogram:
    """Counts by upper bound, as Prometheus defines them (``le`` is inclusive)."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Start at zero; ``bounds`` ascend."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self) -> Iterator[Sample]:
        """Give what Prometheus stores of it."""
        running = itertools.accumulate(self._counts)
        for bound, count in zip((*map(str, self._bounds), "+Inf"), running, strict=True):
            yield Sample(f'le="{bound}"', count, "_bucket")
        yield Sample("", self._sum, "_sum")
        yield Sample("", sum(self._counts), "_count")


class Metrics:
    """What one server process has done; only the event loop's thread touches it."""

    def __init__(self) -> None:
        """Start at zero."""
        self.model: dict[str, str] = {}
        """Labels of ``slipway_model_info``: the version that answers new requests."""
        self._requests: Counter[tuple[str, int]] = Counter()
        self._latency = Histogram(LATENCY_BUCKETS)
        self._batches = Histogram(BATCH_BUCKETS)
        self.swaps: Counter[str] = Counter()
        """Replacements of the model by result: ``done`` or ``refused``."""
        self.in_flight = 0
        """Requests read but not answered."""
        self.drift: Drift | None = None
        """Of the model that answers new requests."""
        self.predictions: Predictions | None = None
        """Of the same model."""
        self.queue: Callable[[], Load] | None = None
        """Tells what waits for the same model."""

    def expect(self, route: str) -> None:
        """Show the usual answers of a route before the first one: Prometheus knows growth from the second reading on.

        Source: Prometheus documentation, "Instrumentation", section "Avoid missing metrics".
        """
        for status in EXPECTED:
            self._requests[route, status] += 0

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer; the latency histogram is for the predictions alone."""
        self._requests[route, status] += 1
        if route in PREDICTION_ROUTES:
            self._latency.observe(seconds)

    def predicted(self, rows: int) -> None:
        """Count one XGBoost call."""
        self._batches.observe(rows)

    def render(self, capture: Capture | None = None) -> bytes:
        """Give the exposition, with what data capture has counted if there is any."""
        return exposition([("", self.families(capture))])

    def tick(self) -> None:
        """Count what was kept of rows and answers; to be called about twice a second."""
        for kept in (self.drift, self.predictions):
            if kept is not None:
                kept.count()

    def of_requests(self) -> list[Family]:
        """Give what is counted of requests alone."""
        requests = [Sample(f'route="{r}",code="{s}"', n) for (r, s), n in sorted(self._requests.items())]
        waiting = [Sample("", self.in_flight)]
        return [
            Family("slipway_requests_total", "counter", "Answers by route and status code.", requests),
            Family("slipway_requests_in_flight", "gauge", "Requests read but not answered.", waiting),
        ]

    def families(self, capture: Capture | None = None) -> list[Family]:
        """Give everything that is counted here, and what data capture has counted."""
        swaps = [Sample(f'result="{r}"', self.swaps[r]) for r in ("done", "refused")]
        return [
            *self.of_requests(),
            Family(
                "slipway_request_duration_seconds",
                "histogram",
                "First byte of a prediction request to its answer.",
                [*self._latency.samples()],
            ),
            Family(
                "slipway_batch_rows",
                "histogram",
                "Rows in one call of the model; the sum is all rows predicted.",
                [*self._batches.samples()],
            ),
            Family("slipway_model_swaps_total", "counter", "Replacements of the model by result.", swaps),
            *(_of_queue(self.queue()) if self.queue else ()),
            *(of_capture(capture) if capture else ()),
            Family("slipway_model_info", "gauge", "The model that answers; always 1.", [Sample(labels(self.model), 1)]),
            *([self.predictions.family()] if self.predictions else ()),
            *(self.drift.families() if self.drift else ()),
        ]


def _of_queue(load: Load) -> list[Family]:
    texts = {
        "slipway_queue_rows": "Rows that wait for a call of the model.",
        "slipway_queue_bytes": "Memory of the rows that wait.",
        "slipway_queue_limit_rows": "Most rows that may wait.",
        "slipway_queue_limit_bytes": "Most memory of rows that may wait; beyond it requests get 503.",
    }
    named = zip(texts.items(), load, strict=True)
    return [Family(name, "gauge", text, [Sample("", value)]) for (name, text), value in named]


def of_capture(capture: Capture) -> list[Family]:
    """Give what data capture has counted; one instance counts for all models of a process."""
    records = [Sample('result="written"', capture.written), Sample('result="dropped"', capture.dropped)]
    return [
        Family("slipway_captured_total", "counter", "Records of data capture by result.", records),
        Family(
            "slipway_capture_waiting_bytes",
            "gauge",
            "Captures on disk that nobody has taken away yet.",
            [Sample("", capture.waiting_bytes)],
        ),
    ]


def exposition(parts: Sequence[tuple[str, Sequence[Family]]]) -> bytes:
    """Write families as text; each appears once, with the samples of all parts that have it.

    Args:
        parts: Labels that every sample of the part gets, or nothing, and its families.
    """
    texts: dict[str, list[str]] = {}
    for common, families in parts:
        for family in families:
            head = [f"# HELP {family.name} {family.text}", f"# TYPE {family.name} {family.kind}"]
            lines = texts.setdefault(family.name, head)
            for sample in family.samples:
                both = ",".join(filter(None, (common, sample.labels)))
                lines.append(f"{family.name}{sample.suffix}{f'{{{both}}}' if both else ''} {sample.value}")
    return "\n".join([*itertools.chain.from_iterable(texts.values()), ""]).encode()


def labels(values: Mapping[str, str]) -> str:
    """Write labels as a sample has them between its braces."""
    return ",".join(f'{name}="{_escape(value)}"' for name, value in values.items())


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

"""What an A/B test says so far: both versions in the same time, by Prometheus, with what chance explains.

Which two versions, and since when, stands on the Deployment. Requests are counted, and those of one caller resemble one
another: the chance is that of independent requests, hence too small where few callers ask often.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from release.prometheus import LATENCY, PREDICTIONS, REQUESTS, ROUTED, Span
from release.record import ReleaseError
from rollout.experiment import report
from rollout.plan import ENDS
from rollout.rates import Rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from release.prometheus import Metrics
    from release.record import Record, Version

NOTE: Final = "requests are counted, not callers: of few callers who ask often, these chances are too small"
_HOUR_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is compared, beside errors."""

    percent: float
    """Share of the requests that was to see the new version."""
    above: float
    """Predictions beyond it are counted: what callers decide by."""
    slower_than: float
    """Seconds; answers that took longer are counted."""


def lines(metrics: Metrics, record: Record | None, question: Question, now: float) -> Iterator[str]:
    """Yield the report, for people.

    Args:
        metrics: Of the model.
        record: The release that stands on its Deployment.
        question: What is asked.
        now: Seconds since the epoch.

    Raises:
        ReleaseError: There are no two versions, nobody saw one of them, or nobody knows.
    """
    if record is None or record.previous is None:
        raise ReleaseError("no two versions to compare: no release is known that had another version before it")
    old, new = record.previous, record.wanted
    span = Span(record.begun, record.state.since if record.state.phase in ENDS else now)
    hours = (span.end - span.begin) / _HOUR_SECONDS
    until = datetime.fromtimestamp(span.end, UTC).isoformat(timespec="minutes")
    yield f"{old.name} (champion) and {new.name} (challenger), {hours:.1f} hours until {until}"
    try:
        rates = {version.name: _rates(metrics, version, span, question) for version in (old, new)}
    except (OSError, http.client.HTTPException) as error:
        raise ReleaseError(f"Prometheus does not answer: {error}") from error
    for what, champion in rates[old.name].items():
        try:
            found = report(champion, rates[new.name][what], question.percent)
        except ValueError as error:
            raise ReleaseError(f"{what}: {error} in this time") from error
        first, *rest = found.lines(what)
        yield first
        yield from (f"  {line}" for line in rest)
    yield NOTE


def _rates(metrics: Metrics, version: Version, span: Span, question: Question) -> dict[str, Rate]:
    codes = metrics.grown(REQUESTS, "code", version, span, ROUTED)
    latencies = metrics.grown(LATENCY, "le", version, span)
    predictions = metrics.grown(PREDICTIONS, "le", version, span)
    errors = sum(count for code, count in codes.items() if code.startswith("5"))
    return {
        "errors": Rate(errors, sum(codes.values())),
        f"slower than {question.slower_than:g} s": _beyond(latencies, question.slower_than),
        f"predictions above {question.above:g}": _beyond(predictions, question.above),
    }


def _beyond(cumulative: dict[str, float], bound: float) -> Rate:
    """How many lie above a bound.

    Raises:
        ReleaseError: No bucket ends there.
    """
    counts = {float(name): count for name, count in cumulative.items()}
    if counts and bound not in counts:
        known = ", ".join(f"{each:g}" for each in sorted(counts) if each != float("inf"))
        raise ReleaseError(f"{bound:g} is no bound of the buckets that servers count by; there are: {known}")
    total = max(counts.values(), default=0.0)
    return Rate(max(total - counts.get(bound, 0.0), 0.0), total)

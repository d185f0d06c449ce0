"""What a model server's metrics say of a version, from Prometheus' text format."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from rollout.judgement import ROUTES, Observed

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUESTS: Final = "slipway_requests_total"
LATENCY: Final = "slipway_request_duration_seconds"
PREDICTIONS: Final = "slipway_prediction"
_COUNTED: Final = re.compile(ROUTES)
_SAMPLE: Final = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_SERVER_ERROR: Final = "5"


def observed(text: str) -> Observed:
    """What one process did so far."""
    requests, errors = 0.0, 0.0
    buckets = defaultdict[str, dict[float, float]](dict)
    for found in _SAMPLE.finditer(text):
        labels, value = dict(_LABEL.findall(found["labels"] or "")), float(found["value"])
        if found["name"] == REQUESTS and _COUNTED.fullmatch(labels["route"]):
            requests += value
            errors += value if labels["code"].startswith(_SERVER_ERROR) else 0
        elif "le" in labels:
            buckets[found["name"].removesuffix("_bucket")][float(labels["le"])] = value
    return Observed(
        requests=requests,
        errors=errors,
        latencies=_counts(buckets[LATENCY]),
        predictions=_counts(buckets[PREDICTIONS]),
    )


def _counts(cumulative: Mapping[float, float]) -> tuple[float, ...]:
    """Counts by bucket from those up to each bound."""
    ordered = [cumulative[bound] for bound in sorted(cumulative)]
    return tuple(up - below for up, below in zip(ordered, [0.0, *ordered], strict=False))

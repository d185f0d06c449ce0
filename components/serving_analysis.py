"""How Argo Rollouts judges a new version beside the old one: queries of Prometheus and what their answers mean.

The tests are those of `functions/rollout`, written as PromQL. Errors and slow answers are counted, and compared by
Wald's sequential probability ratio test, so asking every half minute raises no false alarms. Predictions are compared
by the largest distance of the two distributions: the stability index is above `shift` for certain where that distance
is above half its root (Pinsker's inequality, twice), and a distance needs no differences of neighbouring buckets, which
PromQL cannot form. Both versions are counted over the same time: the old one from when the new one has series.

One AnalysisTemplate stops a rollout at any moment, another lets it go on at the end of a step; between the two lies
what is not known yet. Sources: Argo Rollouts 1.9, "Analysis & Progressive Delivery", and `analysis/analysis.go` for
limits; Prometheus, "Query functions".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from components.objectives import ROUTES
from components.serving_pods import HASH_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from components.serving_pods import Object, Workload
    from settings.model import PodRolloutSpec

LOOK_SECONDS: Final = 30
"""Time between two measurements."""
SILENT_LOOKS: Final = 12
"""Failed questions in a row, 10 s apart, after which nobody knows how the new version does."""
QUANTILES: Final = (0.95, 0.99)
ERROR_BOUNDS: Final = (math.log(0.0005 / (1 - 0.002)), math.log((1 - 0.0005) / 0.002))
LATENCY_BOUNDS: Final = (math.log(0.0005 / (1 - 0.0002)), math.log((1 - 0.0005) / 0.0002))
"""Evidence below which a version is good, and above which it is bad: `ERROR_RISKS` and `LATENCY_RISKS` of
`functions/rollout/judgement.py`."""
DISTANCE_QUANTILE: Final = math.sqrt(-math.log(0.001 / 2) / 2)
"""Of Kolmogorov's distribution, for a distance that chance exceeds once in a thousand looks."""
ARGUMENTS: Final = (
    {"name": "challenger", "valueFrom": {"podTemplateHashValue": "Latest"}},
    {"name": "champion", "valueFrom": {"podTemplateHashValue": "Stable"}},
)
"""Arguments of both templates: the pods of the new version, and those of the old one."""
_POINTS: Final = 500
"""Most moments at which the old version's counters are read for one answer."""
_RUNNING: Final = "slipway_model_info"
"""Of which each server has one series."""
_CHALLENGER: Final = "challenger"
_CHAMPION: Final = "champion"
_ERROR: Final = 'code=~"5.."'


def stop(workload: Workload, spec: PodRolloutSpec, prometheus: str) -> Object:
    """Specification of the AnalysisTemplate that ends a rollout as soon as one test is sure that the version is bad."""
    queries = Queries(workload, spec)
    bad = [(name, query, f">= {high:.4f}") for name, query, (_, high) in queries.evidence()]
    bad += [
        ("predictions", queries.distance(surely=True), f"> {queries.farthest:.4f}"),
        ("restarts", queries.restarts(), "> 0.5"),
    ]
    metrics = [
        {**_metric(name, query, prometheus), "failureLimit": 0, "failureCondition": _holds(bound)}
        for name, query, bound in bad
    ]
    return _template(metrics)


def go_on(workload: Workload, spec: PodRolloutSpec, prometheus: str) -> Object:
    """Specification of the one that succeeds when every test was once sure that the version is good.

    What is still open after the patience of the settings has failed, silence included.
    """
    queries = Queries(workload, spec)
    good = [(name, query, f"<= {low:.4f}") for name, query, (low, _) in queries.evidence()]
    good += [
        ("predictions", queries.distance(surely=False), f"<= {queries.farthest:.4f}"),
        ("sample", queries.sample(), f">= {spec.judgement.min_requests}"),
    ]
    looks = spec.patience_minutes * 60 // LOOK_SECONDS
    metrics = [
        {
            **_metric(name, query, prometheus),
            "count": looks,
            "consecutiveSuccessLimit": 1,
            "failureLimit": -1,
            "successCondition": _holds(bound),
        }
        for name, query, bound in good
    ]
    return _template(metrics)


def _metric(name: str, query: str, prometheus: str) -> Object:
    return {
        "name": name,
        "interval": f"{LOOK_SECONDS}s",
        "consecutiveErrorLimit": SILENT_LOOKS,
        "provider": {"prometheus": {"address": prometheus, "query": query}},
    }


def _holds(bound: str) -> str:
    """Condition on the only value of an answer; no answer, and no number, meet none."""
    return f"len(result) > 0 && result[0] {bound}"


def _template(metrics: list[Object]) -> Object:
    return {"args": [{"name": argument["name"]} for argument in ARGUMENTS], "metrics": metrics}


class Queries:
    """PromQL about the two versions of a model, over the longest time that one step may take."""

    def __init__(self, workload: Workload, spec: PodRolloutSpec) -> None:
        self._workload, self._judgement = workload, spec.judgement
        minutes = spec.step_minutes + spec.patience_minutes
        self._window, self._resolution = f"{minutes}m", f"{max(LOOK_SECONDS, minutes * 60 // _POINTS)}s"
        self.farthest = math.sqrt(spec.judgement.shift) / 2
        """Largest distance of two distributions whose stability index may be within what is borne."""

    def evidence(self) -> Iterator[tuple[str, str, tuple[float, float]]]:
        """Yield each test of a rate: its name, its query, and between which bounds its answer leaves it open."""
        errors, requests = (
            {version: query(version) for version in (_CHALLENGER, _CHAMPION)}
            for query in (self._errors, self._requests)
        )
        yield "errors", ratio(errors, requests, self._judgement.error_margin), ERROR_BOUNDS
        for quantile in QUANTILES:
            slow = {version: self._slow(version, quantile) for version in (_CHALLENGER, _CHAMPION)}
            timed = {version: self._timed(version) for version in (_CHALLENGER, _CHAMPION)}
            share = round(1 - quantile, 4)
            yield f"p{quantile * 100:g}", ratio(slow, timed, share, borne=share), LATENCY_BOUNDS

    def distance(self, *, surely: bool) -> str:
        """Largest distance of the distributions of predictions: at least, or at most, as far as chance allows."""
        shares, counts = (
            [query(version) for version in (_CHALLENGER, _CHAMPION)] for query in (self._shares, self._predictions)
        )
        error = f"{DISTANCE_QUANTILE:.4f} * sqrt(1 / {counts[0]} + 1 / {counts[1]})"
        return f"max(abs({shares[0]} - {shares[1]})) {'-' if surely else '+'} {error}"

    def sample(self) -> str:
        """Requests of the version that had fewer."""
        one, other = self._requests(_CHALLENGER), self._requests(_CHAMPION)
        return f"({one} <= {other}) or ({other} < {one})"

    def restarts(self) -> str:
        """How often containers of the new version ended without being told to."""
        pods = f"{self._workload.name}-{{{{args.{_CHALLENGER}}}}}-.+"
        place = f'namespace="{self._workload.spec.namespace}",pod=~"{pods}"'
        return f"sum(increase(kube_pod_container_status_restarts_total{{{place}}}[{self._window}]))"

    def _grown(self, metric: str, version: str, *more: str) -> str:
        """Growth of a counter; of the old version's, since there is a new one: load and input were others before."""
        series = self._series(metric, version, *more)
        if version == _CHALLENGER:
            return f"increase({series}[{self._window}])"
        beside = f"{series} and on () group({self._series(_RUNNING, _CHALLENGER)})"
        return f"increase(({beside})[{self._window}:{self._resolution}])"

    def _series(self, metric: str, version: str, *more: str) -> str:
        labels = (
            f'namespace="{self._workload.spec.namespace}"',
            f'slipway_dev_model="{self._workload.model}"',
            f'{HASH_LABEL.replace("-", "_")}="{{{{args.{version}}}}}"',
            *more,
        )
        return f"{metric}{{{','.join(labels)}}}"

    def _requests(self, version: str) -> str:
        return f"sum({self._grown('slipway_requests_total', version, ROUTES)})"

    def _errors(self, version: str) -> str:
        # A version without errors has no series of them.
        return f"(sum({self._grown('slipway_requests_total', version, ROUTES, _ERROR)}) or vector(0))"

    def _timed(self, version: str) -> str:
        return f"sum({self._grown('slipway_request_duration_seconds_count', version)})"

    def _latencies(self, version: str) -> str:
        return f"sum by (le) ({self._grown('slipway_request_duration_seconds_bucket', version)})"

    def _slow(self, version: str, quantile: float) -> str:
        """Answers that took longer than the old version's quantile, times what is borne."""
        longest = f"{self._judgement.slower:g} * scalar(histogram_quantile({quantile:g}, {self._latencies(_CHAMPION)}))"
        return f"({self._timed(version)} * (1 - histogram_fraction(0, {longest}, {self._latencies(version)})))"

    def _shares(self, version: str) -> str:
        cumulative = f"sum by (le) ({self._grown('slipway_prediction_bucket', version)})"
        return f"{cumulative} / scalar({self._predictions(version)})"

    def _predictions(self, version: str) -> str:
        return f"sum({self._grown('slipway_prediction_count', version)})"


def ratio(events: dict[str, str], trials: dict[str, str], margin: float, *, borne: float = 0.0) -> str:
    """Logarithm of the ratio of two likelihoods of what was seen: "worse by the margin", and "as the old version".

    `compare_rates` of `functions/rollout/sequential.py`, with the upper bound of Wilson's interval at one standard
    error multiplied out. Without a request of one of the two there is no answer, or one that is no number.

    Args:
        events: Queries of how often it happened, by version.
        trials: Queries of how often it could have, by version.
        margin: Difference that may not be missed.
        borne: Rate that is no worse than the old version's, even where that one has a smaller one.
    """
    seen, of, seen_new, of_new = events[_CHAMPION], trials[_CHAMPION], events[_CHALLENGER], trials[_CHALLENGER]
    base = f"({seen} + 0.5 + sqrt({seen} * ({of} - {seen}) / {of} + 0.25)) / ({of} + 1)"
    base = f"clamp_min({base}, {borne:g})" if borne else f"({base})"
    rising, falling = f"ln(1 + {margin:g} / {base})", f"ln(1 - {margin:g} / (1 - {base}))"
    return f"{seen_new} * {rising} + ({of_new} - {seen_new}) * {falling}"

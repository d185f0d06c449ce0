"""What callers may expect of a served model, as rules of Prometheus: recorded figures, and alerts when they are missed.

Figures are of the model, all versions and pods together; what a single version does, rollouts judge
(`components.serving_analysis`). The alert on the 95th percentile is exact, because the server counts by that bound;
percentiles between bounds are interpolated. Sources: Prometheus documentation, "Recording rules" (names), "Alerting
rules" and "Histograms and summaries"; Google, "The Site Reliability Workbook", chapter 5, "Multiwindow, Multi-Burn-Rate
Alerts" (factors and windows).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from components.labels import MODEL_LABEL

if TYPE_CHECKING:
    from components.serving_pods import Object, Workload
    from settings.model import ObjectivesSpec

KIND: Final = "PrometheusRule"
REQUESTS: Final = "slipway_model:requests:rate5m"
"""Predictions answered a second, errors included."""
ERRORS: Final = "slipway_model:request_errors:ratio_rate"
"""Share of them that are errors of the server; the window follows."""
DURATION: Final = "slipway_model:request_duration_seconds:"
"""Seconds from a request's first byte to its answer; `mean5m`, `p95_5m` or `p99_5m` follows."""
FEWEST_REQUESTS: Final = 20
"""Requests in five minutes below which times raise no alarm: of fewer, the 95th percentile is the slowest one."""
LASTING: Final = "5m"
"""For how long a time has to be exceeded: a pod's start or a lost node is shorter."""
ROUTES: Final = r'route=~"/invocations|/v2/models/.+/infer"'
"""Routes of predictions, for rollouts too; probes and scrapes are no requests of callers."""
_BY: Final = f"namespace, {MODEL_LABEL.replace('.', '_').replace('/', '_')}"
_SECONDS: Final = 300
_MILLISECONDS: Final = 1000


class Burn(NamedTuple):
    """How fast an error budget is used up before somebody is told."""

    factor: float
    """Times the rate that uses it up in a month."""
    long: str
    """Window that says whether it matters."""
    short: str
    """Window that says whether it goes on."""
    severity: str


BURNS: Final = (Burn(14.4, "1h", "5m", "critical"), Burn(6, "6h", "30m", "warning"))
"""Two per cent of a month's budget in an hour, and five in six hours."""


def rules(workload: Workload, spec: ObjectivesSpec) -> Object:
    """Specification of the PrometheusRule of a model."""
    name = f"{workload.spec.namespace}/{workload.model}"
    return {
        "groups": [
            {"name": f"{name} figures", "rules": _recorded(workload)},
            {"name": f"{name} objectives", "rules": _alerts(workload, spec)},
        ]
    }


def _recorded(workload: Workload) -> list[Object]:
    windows = dict.fromkeys(window for burn in BURNS for window in (burn.long, burn.short))
    seen = _grown("slipway_request_duration_seconds_count", workload, "5m")
    spent = _grown("slipway_request_duration_seconds_sum", workload, "5m")
    expressions = {
        REQUESTS: seen,
        **{f"{ERRORS}{window}": _error_share(workload, window) for window in windows},
        f"{DURATION}mean5m": f"{spent} / {seen}",
        **{f"{DURATION}p{percent}_5m": _quantile(workload, percent) for percent in (95, 99)},
    }
    return [{"record": name, "expr": expression} for name, expression in expressions.items()]


def _alerts(workload: Workload, spec: ObjectivesSpec) -> list[Object]:
    of = f"{{{_labels(workload)}}}"
    enough = f"and {REQUESTS}{of} * {_SECONDS} >= {FEWEST_REQUESTS}"
    limits = {"p95": ("p95_5m", spec.p95_milliseconds), "mean": ("mean5m", spec.mean_milliseconds)}
    slow = [
        _alert(
            f"SlipwayModelSlow{word.capitalize()}",
            f"{DURATION}{suffix}{of} > {limit / _MILLISECONDS:g} {enough}",
            severity="warning",
            summary=f"{workload.model}: {word} of answers above {limit:g} ms",
            says="It has been {{ $value | humanizeDuration }} over five minutes.",
            lasting=LASTING,
        )
        for word, (suffix, limit) in limits.items()
    ]
    budget = spec.error_percent / 100
    return slow + [
        _alert(
            "SlipwayModelErrorBudgetBurn",
            " and ".join(f"{ERRORS}{window}{of} > {burn.factor * budget:g}" for window in (burn.long, burn.short)),
            severity=burn.severity,
            summary=f"{workload.model}: errors use up a month's budget ({spec.error_percent:g} %) "
            f"{burn.factor:g} times too fast",
            says=f"{{{{ $value | humanizePercentage }}}} of the answers of {burn.long} were errors of the server.",
        )
        for burn in BURNS
    ]


def _alert(name: str, expression: str, *, severity: str, summary: str, says: str, lasting: str = "") -> Object:
    return {
        "alert": name,
        "expr": expression,
        **({"for": lasting} if lasting else {}),
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": says},
    }


def _labels(workload: Workload) -> str:
    namespace, model = _BY.split(", ")
    return f'{namespace}="{workload.spec.namespace}",{model}="{workload.model}"'


def _grown(metric: str, workload: Workload, window: str, *more: str, by: str = _BY) -> str:
    return f"sum by ({by}) (rate({metric}{{{','.join((_labels(workload), *more))}}}[{window}]))"


def _error_share(workload: Workload, window: str) -> str:
    """Share of errors; a model without errors has no series of them, and one without requests no share."""
    answers = _grown("slipway_requests_total", workload, window, ROUTES)
    errors = _grown("slipway_requests_total", workload, window, ROUTES, 'code=~"5.."')
    return f"({errors} or 0 * {answers}) / {answers}"


def _quantile(workload: Workload, percent: int) -> str:
    buckets = _grown("slipway_request_duration_seconds_bucket", workload, "5m", by=f"{_BY}, le")
    return f"histogram_quantile({percent / 100:g}, {buckets})"

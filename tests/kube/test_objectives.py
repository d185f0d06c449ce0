"""The rules of a model's objectives, as promtool evaluates them over series that a test writes down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from components import objectives
from tests.kube.prometheus import promtool
from tests.kube.test_promql import workload

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kube

OF = 'namespace="ml-inference",slipway_dev_model="in-shares"'
OTHER = 'namespace="ml-inference",slipway_dev_model="another"'
MINUTES = 7 * 60
"""Longer than the longest window."""
BOUNDS = (0.05, 0.08, 0.1, 1.0)


def series(name: str, labels: str, each_minute: float) -> dict[str, str]:
    """A counter that is read every minute and grows evenly."""
    return {"series": f"{name}{{{labels}}}", "values": f"0+{each_minute:g}x{MINUTES}"}


def answers(
    below: dict[float, float], *, seconds: float, total: float = 1000, errors: float = 0, labels: str = OF
) -> list[dict[str, str]]:
    """What one pod counts in a minute.

    Args:
        below: Answers by upper bound in seconds, cumulative; those of bounds that are left out follow from the others.
        seconds: That all took together.
        total: How many there were.
        errors: How many of them were errors of the server.
        labels: Of the pod.
    """
    counts = {bound: max([0.0, *(count for at, count in below.items() if at <= bound)]) for bound in BOUNDS}
    name, route = "slipway_request_duration_seconds", 'route="/v2/models/{name}/infer"'
    probes = series("slipway_requests_total", f'{labels},route="/ping",code="503"', 1000)
    return [
        *(series(f"{name}_bucket", f'{labels},le="{bound}"', count) for bound, count in counts.items()),
        series(f"{name}_bucket", f'{labels},le="+Inf"', total),
        series(f"{name}_sum", labels, seconds),
        series(f"{name}_count", labels, total),
        series("slipway_requests_total", f'{labels},{route},code="200"', total - errors),
        *([series("slipway_requests_total", f'{labels},{route},code="500"', errors)] if errors else []),
        probes,
    ]


def evaluated(folder: Path, case: dict[str, Any]) -> tuple[int, str]:
    """Exit code of `promtool test rules`, and what it says."""
    ours = workload()
    assert ours.spec.objectives is not None
    expected = {"p95_milliseconds": 80, "mean_milliseconds": 75, "error_percent": 0.1}
    assert ours.spec.objectives.model_dump() == expected, "what the figures below are made for"
    rules = objectives.rules(ours, ours.spec.objectives)
    (folder / "rules.yaml").write_text(json.dumps(rules))
    # Without an order promtool takes groups in one of chance, and alerts may see the figures of the look before.
    order = [group["name"] for group in rules["groups"]]
    test = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "group_eval_order": order}
    test |= {"tests": [{"interval": "1m", **case}]}
    (folder / "tests.yaml").write_text(json.dumps(test))
    code, says = promtool(folder, "check", "rules", "rules.yaml")
    assert code == 0, says
    return promtool(folder, "test", "rules", "tests.yaml")


ALERTS = ("SlipwayModelSlowP95", "SlipwayModelSlowMean", "SlipwayModelErrorBudgetBurn")
GOOD = answers({0.05: 900, 0.08: 960, 0.1: 980, 1.0: 1000}, seconds=40)
EXACTLY = answers({0.05: 0, 0.08: 950, 0.1: 1000}, seconds=70)
ONE_MORE = answers({0.05: 0, 0.08: 949, 0.1: 1000}, seconds=70)
HEAVY = answers({0.05: 960, 1.0: 1000}, seconds=76)
FEW = answers({1.0: 3}, seconds=3, total=3)
ELSEWHERE = [*GOOD, *answers({1.0: 1000}, seconds=900, errors=500, labels=OTHER)]
UNUSED = answers({}, seconds=0, total=0)


@pytest.mark.parametrize(
    ("seen", "firing"),
    [
        (GOOD, {}),
        (EXACTLY, {}),
        (ONE_MORE, {"SlipwayModelSlowP95": ["warning"]}),
        (HEAVY, {"SlipwayModelSlowMean": ["warning"]}),
        (FEW, {}),
        (UNUSED, {}),
        (ELSEWHERE, {}),
        (answers({0.05: 1000}, seconds=20, errors=5), {}),
        (answers({0.05: 1000}, seconds=20, errors=7), {"SlipwayModelErrorBudgetBurn": ["warning"]}),
        (answers({0.05: 1000}, seconds=20, errors=15), {"SlipwayModelErrorBudgetBurn": ["critical", "warning"]}),
    ],
    ids=["good", "at-the-limit", "above", "mean", "few", "unused", "another-model", "in-budget", "fast", "faster"],
)
def test_alerts_fire_for_what_callers_would_notice_and_for_nothing_else(
    tmp_path: Path, seen: list[dict[str, str]], firing: dict[str, list[str]]
) -> None:
    labels = {"namespace": "ml-inference", "slipway_dev_model": "in-shares"}
    count = [
        {
            "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing",severity="{severity}",{OF}}})',
            "eval_time": f"{MINUTES}m",
            "exp_samples": [{"labels": "{}", "value": 1}] if severity in firing.get(name, []) else [],
        }
        for name in ALERTS
        for severity in ("warning", "critical")
    ]
    every = {"expr": "count(ALERTS)", "eval_time": f"{MINUTES}m"}
    total = sum(map(len, firing.values()))
    every |= {"exp_samples": [{"labels": "{}", "value": total}] if total else []}
    code, says = evaluated(tmp_path, {"input_series": seen, "promql_expr_test": [*count, every]})
    assert code == 0, (labels, says)


def test_a_short_spike_of_times_alerts_nobody_and_a_lasting_one_after_five_minutes(tmp_path: Path) -> None:
    calm, slow = "0+1000x30 ", "30000+1000x{0} "
    minutes = 20
    name = "slipway_request_duration_seconds"
    seen = [
        {"series": f'{name}_bucket{{{OF},le="0.08"}}', "values": f"{calm}30000+0x{minutes}"},
        {"series": f'{name}_bucket{{{OF},le="0.1"}}', "values": calm + slow.format(minutes)},
        {"series": f'{name}_bucket{{{OF},le="+Inf"}}', "values": calm + slow.format(minutes)},
        {"series": f"{name}_count{{{OF}}}", "values": calm + slow.format(minutes)},
        {"series": f"{name}_sum{{{OF}}}", "values": f"0+10x{30 + minutes}"},
    ]
    state = 'ALERTS{{alertname="SlipwayModelSlowP95",alertstate="{0}"}}'
    looks = [(32, "pending", 1), (35, "firing", 0), (40, "firing", 1)]
    asked = [
        {
            "expr": f"count({state.format(word)})",
            "eval_time": f"{minute}m",
            "exp_samples": [{"labels": "{}", "value": 1}] if found else [],
        }
        for minute, word, found in looks
    ]
    code, says = evaluated(tmp_path, {"input_series": seen, "promql_expr_test": asked})
    assert code == 0, says


def test_figures_are_recorded_under_their_names_and_an_alert_says_what_was_exceeded(tmp_path: Path) -> None:
    figures = {
        objectives.REQUESTS: 1000 / 60,
        f"{objectives.ERRORS}5m": 0.02,
        f"{objectives.ERRORS}6h": 0.02,
        f"{objectives.DURATION}mean5m": 0.04,
        f"{objectives.DURATION}p95_5m": 0.05 + 0.03 * 50 / 60,
        f"{objectives.DURATION}p99_5m": 0.1 + 0.9 * 10 / 20,
    }
    asked = [
        {
            "expr": f"round({name}, 0.000001)",
            "eval_time": f"{MINUTES}m",
            "exp_samples": [{"labels": f"{{{OF}}}", "value": round(value, 6)}],
        }
        for name, value in figures.items()
    ]
    seen = answers({0.05: 900, 0.08: 960, 0.1: 980, 1.0: 1000}, seconds=40, errors=20)
    told = {
        "exp_labels": {"severity": "critical", "namespace": "ml-inference", "slipway_dev_model": "in-shares"},
        "exp_annotations": {
            "summary": "in-shares: errors use up a month's budget (0.1 %) 14.4 times too fast",
            "description": "2% of the answers of 1h were errors of the server.",
        },
    }
    slower = {
        "exp_labels": told["exp_labels"] | {"severity": "warning"},
        "exp_annotations": {
            "summary": "in-shares: errors use up a month's budget (0.1 %) 6 times too fast",
            "description": "2% of the answers of 6h were errors of the server.",
        },
    }
    alert = {"eval_time": f"{MINUTES}m", "alertname": ALERTS[2], "exp_alerts": [told, slower]}
    code, says = evaluated(tmp_path, {"input_series": seen, "promql_expr_test": asked, "alert_rule_test": [alert]})
    assert code == 0, says

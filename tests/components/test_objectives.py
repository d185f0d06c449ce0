"""What Prometheus records of served models and alerts about, as it is registered; `tests/kube` has it evaluated."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, get_args

import pytest

from components import objectives
from scoring.metrics import INFER, LATENCY_BUCKETS
from settings.model import ObjectivesSpec
from tests.support.changes import record_changed
from tests.support.optional import APPROVED
from tests.support.recorded import STACKS, stack_section
from tests.support.served import FRONT_ENDS, four_models, one_model

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

RULE = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"
NAME = "serving-flight-delay-objectives"


def groups(recorded: Recorded, model: str = "flight-delay") -> list[dict[str, Any]]:
    return recorded.one(RULE, f"serving-{model}-objectives").inputs["spec"]["groups"]


@functools.cache
def changed(**aims: float) -> Recorded:
    """Prod with an approved version and other objectives."""
    return record_changed(
        {
            "models.0.approved": APPROVED,
            "models.0.serving.eks.frontEnd": None,
            "models.0.serving.eks.rollout": None,
            **{f"models.0.serving.eks.objectives.{name}": value for name, value in aims.items()},
        }
    )


def alerts(recorded: Recorded) -> dict[tuple[str, str], str]:
    """Expressions by alert and severity."""
    (_, group) = groups(recorded)
    return {(rule["alert"], rule["labels"]["severity"]): rule["expr"] for rule in group["rules"]}


def test_a_percentile_that_alerts_is_a_bound_that_the_server_counts_by_and_not_the_last() -> None:
    allowed = get_args(ObjectivesSpec.model_fields["p95_milliseconds"].annotation)
    assert [*allowed] == [bound * 1000 for bound in LATENCY_BUCKETS if 0.001 <= bound < LATENCY_BUCKETS[-1]]


@pytest.mark.parametrize("stack", STACKS)
def test_the_published_figures_are_every_environments_objectives(stack: str) -> None:
    aims = stack_section(stack, "models")[0]["serving"]["eks"]["objectives"]
    assert (aims["p95Milliseconds"], aims["meanMilliseconds"]) == (80, 75)


def test_the_objectives_of_the_settings_are_what_alerts() -> None:
    found = alerts(changed(p95Milliseconds=200, meanMilliseconds=12.5, errorPercent=0.5))
    assert ":p95_5m{" in found["SlipwayModelSlowP95", "warning"]
    assert " > 0.2 and " in found["SlipwayModelSlowP95", "warning"]
    assert " > 0.0125 and " in found["SlipwayModelSlowMean", "warning"]
    burn = "SlipwayModelErrorBudgetBurn"
    assert found[burn, "critical"].endswith(" > 0.072")
    assert found[burn, "warning"].endswith(" > 0.03")
    assert len(found) == 4


def test_without_objectives_there_are_no_rules() -> None:
    serving = "models.0.serving.eks"
    without = {f"{serving}.{name}": None for name in ("frontEnd", "rollout", "objectives")}
    recorded = record_changed({"models.0.approved": APPROVED, **without})
    assert [item for item in recorded.resources if item.name == "serving-flight-delay-monitor"]
    assert not [item for item in recorded.resources if item.type == RULE]


def test_each_model_is_asked_about_alone_and_its_rules_wait_for_their_definition() -> None:
    recorded = four_models()
    definitions = recorded.one("kubernetes:helm.sh/v3:Release", "monitoring-definitions")
    for model in ("flight-delay", *FRONT_ENDS):
        assert recorded.depends_path(recorded.one(RULE, f"serving-{model}-objectives"), definitions)
        for group in groups(recorded, model):
            for rule in group["rules"]:
                assert f'slipway_dev_model="{model}"' in rule["expr"]
                assert rule["expr"].count("slipway_dev_model=") == rule["expr"].count('namespace="ml-inference"')


def test_recorded_names_are_those_that_alerts_ask_for() -> None:
    figures, aims = groups(one_model())
    names = [rule["record"] for rule in figures["rules"]]
    assert len(names) == len({*names}) == 8
    for rule in aims["rules"]:
        assert any(f"{name}{{" in rule["expr"] for name in names)
    assert re.fullmatch(objectives.ROUTES.removeprefix('route=~"').removesuffix('"'), INFER)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.recorded import STACKS, record_program, stack_section

if TYPE_CHECKING:
    from tests.support.recorded import Resource

BUDGET = "aws:budgets/budget:Budget"


def budget_of(stack: str) -> Resource:
    return record_program(stack).one(BUDGET)


@pytest.mark.parametrize("stack", STACKS)
def test_the_budget_is_the_ceiling_of_the_settings_in_dollars_a_month(stack: str) -> None:
    inputs = budget_of(stack).inputs
    assert inputs["limitAmount"] == str(stack_section(stack, "budget")["monthlyUsd"])
    assert (inputs["limitUnit"], inputs["timeUnit"], inputs["budgetType"]) == ("USD", "MONTHLY", "COST")
    assert inputs["name"] == f"slipway-{stack}"


@pytest.mark.parametrize("stack", STACKS)
def test_the_budget_counts_what_carries_both_tags_of_the_environment_and_nothing_else(stack: str) -> None:
    inputs = budget_of(stack).inputs
    tags = [part["tags"] for part in inputs["filterExpression"]["ands"]]
    assert [(tag["key"], tag["values"], tag["matchOptions"]) for tag in tags] == [
        ("Environment", [stack], ["EQUALS"]),
        ("Project", ["slipway"], ["EQUALS"]),
    ]
    assert "costFilters" not in inputs


def test_each_share_of_the_settings_and_a_forecast_above_the_ceiling_reach_the_address() -> None:
    spec: dict[str, Any] = stack_section("prod", "budget")
    sent = budget_of("prod").inputs["notifications"]
    assert [(item["notificationType"], item["threshold"]) for item in sent] == [
        *(("ACTUAL", percent) for percent in spec["alertPercents"]),
        ("FORECASTED", 100),
    ]
    assert len(sent) == 4
    for item in sent:
        assert item["subscriberEmailAddresses"] == [spec["notify"]]
        assert (item["comparisonOperator"], item["thresholdType"]) == ("GREATER_THAN", "PERCENTAGE")


def test_an_environment_without_an_address_has_a_budget_without_alerts() -> None:
    assert stack_section("local", "budget")["notify"] is None
    assert not budget_of("local").inputs.get("notifications")

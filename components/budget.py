"""Budget: what the environment may cost a month, watched by AWS.

Creates: one AWS Budgets budget over everything that carries the environment's tags. It reports real costs at the shares
that the settings name, and once the forecast passes the ceiling.
Does not create: cost allocation tags, which only the paying account can activate and without which the budget counts
nothing; cost anomaly monitors, which AWS lets other accounts have per service only, one for the whole account.
Source: AWS Cost Management user guide, "Managing your costs with AWS Budgets", "Using user-defined cost allocation
tags", "Getting started with AWS Cost Anomaly Detection".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import SpendingSpec

FORECAST_PERCENT: Final = 100
"""Share of the ceiling whose forecast is reported: the last moment at which a month can still be kept below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyBudgetArgs:
    """Arguments of `MonthlyBudget`."""

    labels: Labels
    """Names and tags."""
    spec: SpendingSpec
    """The ceiling, and who hears of it."""


class MonthlyBudget(pulumi.ComponentResource):
    """The environment's budget; see the module for what is created."""

    def __init__(self, name: str, args: MonthlyBudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:budget:MonthlyBudget", name, None, opts)
        labels, spec = args.labels, args.spec
        budget = aws.budgets.Budget(
            f"{name}-monthly",
            name=labels.budget,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(spec.monthly_usd),
            limit_unit="USD",
            metrics="UnblendedCost",
            filter_expression=aws.budgets.BudgetFilterExpressionArgs(
                ands=[
                    aws.budgets.BudgetFilterExpressionAndArgs(
                        tags=aws.budgets.BudgetFilterExpressionAndTagsArgs(
                            key=key, values=[value], match_options=["EQUALS"]
                        )
                    )
                    for key, value in sorted(labels.ownership.items())
                ]
            ),
            notifications=_notifications(spec),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"name": budget.name})


def _notifications(spec: SpendingSpec) -> list[aws.budgets.BudgetNotificationArgs]:
    if spec.notify is None:
        return []
    alerts = [("ACTUAL", percent) for percent in spec.alert_percents] + [("FORECASTED", FORECAST_PERCENT)]
    return [
        aws.budgets.BudgetNotificationArgs(
            notification_type=kind,
            comparison_operator="GREATER_THAN",
            threshold=float(percent),
            threshold_type="PERCENTAGE",
            subscriber_email_addresses=[spec.notify],
        )
        for kind, percent in alerts
    ]

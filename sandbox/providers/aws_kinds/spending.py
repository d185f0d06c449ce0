"""AWS Budgets."""

from __future__ import annotations

from typing import Final

from sandbox.providers.kinds import Kind, arn

KINDS: Final[dict[str, Kind]] = {
    "aws:budgets/budget:Budget": Kind(
        identify=lambda birth: f"{birth.place.account_id}:{birth.text('name')}",
        compute=arn("arn:{partition}:budgets::{account}:budget/{name}"),
        immutable=frozenset({"name", "namePrefix", "accountId"}),
        autoname="name",
        api=("budgets", "CreateBudget", "Budget"),
    ),
}

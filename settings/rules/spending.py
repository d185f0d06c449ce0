"""What the environment may cost, and who hears of it."""

from collections.abc import Iterator
from typing import Final

from settings.model import Settings
from settings.problems import Finding, repeated
from settings.rules.environment import Rule


def alerts_have_a_reader(settings: Settings) -> Iterator[Finding]:
    """AWS Budgets takes no alert without a subscriber, and an address without an alert is never written to."""
    spec = settings.budget
    if spec.alert_percents and spec.notify is None:
        yield Finding(
            path=("budget", "notify"),
            found="null",
            allowed="an address while slipway:budget.alertPercents lists alerts",
            remedy="write the address of the team, or alertPercents: []",
        )
    if spec.notify is not None and not spec.alert_percents:
        yield Finding(
            path=("budget", "alertPercents"),
            found="an empty list",
            allowed="at least one share while slipway:budget.notify names an address",
            remedy="write alertPercents: [80, 100], or notify: null",
        )


def alerts_differ(settings: Settings) -> Iterator[Finding]:
    """AWS Budgets refuses a second alert at the same share."""
    percents = settings.budget.alert_percents
    for index, first in repeated(map(str, percents)).items():
        yield Finding(
            path=("budget", "alertPercents", index),
            found=str(percents[index]),
            allowed="each share once",
            remedy=f"remove it: alertPercents[{first}] is the same",
        )


RULES: Final[tuple[Rule, ...]] = (alerts_have_a_reader, alerts_differ)
"""Every rule of this module."""

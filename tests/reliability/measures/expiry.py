"""Figure 25: what serves, and what served before, is never removed by a lifecycle rule."""

from __future__ import annotations

import random
from collections import Counter

from tests.reliability.figures import Count, Run, measure
from tests.support.expiry_histories import History, declared

STACKS = ("dev", "staging", "prod")
ACTIONS = 40


@measure(
    25,
    "deployed and previous digest, lifecycle rules",
    target="0 of 10,000 histories in which a rule removed an image or artefact in service, or of the version before",
    floor=1_000,
    full=10_000,
)
def lifecycle_rules(run: Run) -> Count:
    """Play histories of pushes, releases, rollbacks and new bases under the rules that the program declares."""
    rules = [declared(stack) for stack in STACKS]
    found, wrong, first, days = Counter[str](), 0, "", 0.0
    for number in range(run.size):
        history = History(random.Random(run.seed * 1_000_003 + number), rules[number % len(rules)])  # noqa: S311 - repeatable
        broken = history.play(ACTIONS)
        wrong += bool(broken)
        first = first or (f"history {number}: {broken}; " if broken else "")
        found += history.counts
        days += history.now
    counted = ", ".join(f"{count:,} {what}" for what, count in sorted(found.items()))
    return Count(denominator=run.size, failures=wrong, detail=f"{first}{days / 365:,.0f} simulated years, {counted}")

"""Figure 23: events that come twice, late, in another order or never, and a function that is killed in its midst."""

from __future__ import annotations

import random
from collections import Counter

from tests.reliability.figures import Count, Run, measure
from tests.support.retraining_histories import History

ACTIONS = 40
"""What happens in one history, before everything comes to rest."""


@measure(
    23,
    "events to trainings, random histories",
    target="0 of 100,000 histories with a lost, doubled or overtaken training, or an event in no dead-letter queue",
    floor=1_000,
    full=100_000,
)
def retraining_events(run: Run) -> Count:
    """Play histories to their end; one counts as failed when anything is not as promised."""
    found, wrong, first = Counter[str](), 0, ""
    for number in range(run.size):
        history = History(random.Random(run.seed * 1_000_003 + number))  # noqa: S311 - a repeatable history
        history.play(ACTIONS)
        violations = history.rest()
        wrong += bool(violations)
        first = first or (f"history {number}: {violations[0]}" if violations else "")
        found += history.counts
        found["trainings"] += len(history.account.executions)
        found["dead and redriven"] += history.poison
    counted = ", ".join(f"{count:,} {what}" for what, count in sorted(found.items()))
    return Count(denominator=run.size, failures=wrong, detail=f"{first}{'; ' if first else ''}{counted}")

"""Faults of the whole loop for as long as one likes: its door in memory, and its pipeline with real processes."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.reliability.figures import Count
from tests.support.loop_faults import FAULTS, Platform
from tests.support.retraining_histories import History

if TYPE_CHECKING:
    from tests.reliability.figures import Run

HISTORIES = 100
"""Between two rounds of faults."""
ACTIONS = 40


def loop_soak(run: Run, seconds: float) -> Count:
    """Play rounds until the time is up, each in an account of its own: every fault once, and histories of the door."""
    deadline, draw = time.monotonic() + seconds, random.Random(run.seed)  # noqa: S311 - repeatable
    counts, wrong, played, rounds = Counter[str](), list[str](), 0, 0
    while not rounds or time.monotonic() < deadline:
        rounds += 1
        folder = run.folder / f"{rounds}"
        folder.mkdir()
        with Platform(folder, draw.randrange(2**32)) as platform:
            for fault in draw.sample(FAULTS, len(FAULTS)):
                if played and time.monotonic() >= deadline:
                    break
                wrong += platform.happen(fault)
                played += 1
            counts += platform.counts
        for _ in range(HISTORIES):
            history = History(random.Random(draw.randrange(2**32)))  # noqa: S311 - repeatable
            history.play(ACTIONS)
            wrong += history.rest()
            counts["histories of the door"] += 1
    told = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    detail = f"{wrong[0]}; {told}" if wrong else told
    return Count(denominator=played + counts["histories of the door"], failures=len(wrong), detail=detail)

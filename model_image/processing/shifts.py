"""How far two counted distributions are apart, how far chance alone would take them, and when that is worth an alarm.

An index beyond its limit means two things at once: more than chance explains at the chosen rate of false alarms, and
more than the least effect that anybody would act upon. Few rows raise the first bound, many rows leave the second.

The statistics are of bins, so memory does not grow with the rows. Sources: Yurdakul and Naranjo, "Statistical
properties of the population stability index" (Journal of Risk Model Validation 14, 2020): without drift the index is
distributed as (1/n + 1/m) times chi squared with bins - 1 degrees of freedom; Lin, "Divergence measures based on the
Shannon entropy" (IEEE Transactions on Information Theory 37, 1991).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import chdtri, rel_entr  # pyright: ignore[reportMissingTypeStubs] - SciPy publishes none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Counts = NDArray[np.float64]

SAME: Final = 1.0
"""Score at which a statistic has reached its limit."""


def chance(expected: Counts, actual: Counts, false_alarms: float) -> float:
    """Population stability index that two samples of one distribution exceed with a given probability.

    Args:
        expected: Reference counts by bin.
        actual: Counts to compare.
        false_alarms: That probability.
    """
    bins = int(np.count_nonzero(expected + actual))
    if bins <= 1:
        return 0.0
    quantile = float(chdtri(bins - 1, false_alarms))
    return quantile * (1 / max(float(expected.sum()), 1.0) + 1 / max(float(actual.sum()), 1.0))


def jensen_shannon(expected: Counts, actual: Counts) -> float:
    """Square root of the Jensen-Shannon divergence to base 2: 0 for equal shares, 1 for disjoint ones."""
    first, second = expected / expected.sum(), actual / actual.sum()
    mean = (first + second) / 2
    divergence = float(np.sum(rel_entr(first, mean) + rel_entr(second, mean))) / 2 / math.log(2)
    return math.sqrt(max(divergence, 0.0))


def kolmogorov(expected: Counts, actual: Counts) -> float:
    """Largest distance of the distribution functions at the bins' bounds; a lower bound of Kolmogorov and Smirnov's."""
    return float(np.max(np.abs(np.cumsum(expected / expected.sum()) - np.cumsum(actual / actual.sum()))))


@dataclass(frozen=True, slots=True)
class Memory:
    """What one run of the job leaves to the next about one kind of drift."""

    raised: bool = False
    """Whether it has been raised and not been cleared."""
    streak: int = 0
    """Runs in a row that spoke against `raised`."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Memory:
        """Read it back; what is not there has its first value."""
        return cls(**{each.name: stored[each.name] for each in fields(cls) if each.name in stored})

    def to_json(self) -> dict[str, Any]:
        """What is stored."""
        return asdict(self)


def remember(memory: Memory, score: float | None, *, runs: int, clear_below: float) -> Memory:
    """Raise after some runs in a row with a score above 1, and clear after as many below a lower bound.

    Args:
        memory: Of the run before.
        score: Statistic as a share of its limit; None where there were too few samples to say, which changes nothing.
        runs: How many in a row it takes.
        clear_below: Score under which a run speaks for clearing; what lies between this and 1 keeps things as they are.
    """
    if score is None:
        return memory
    against = score < clear_below if memory.raised else score > SAME
    streak = memory.streak + 1 if against else 0
    return Memory(not memory.raised, 0) if streak >= runs else Memory(memory.raised, streak)

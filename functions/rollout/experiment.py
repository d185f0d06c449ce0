"""A/B tests: who sees which version, and whether the difference between the two can be chance.

Sources: Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17
(1998), method 10 (an interval that holds for small shares too); the two-sample score test with pooled variance; the
check of the split is Pearson's chi-squared with one degree of freedom.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollout.rates import wilson

if TYPE_CHECKING:
    from rollout.rates import Rate

NORMAL_QUANTILE = 1.959963984540054
"""Standard normal quantile of 0.975."""
SIGNIFICANT = 0.05
MISMATCH = 0.001
"""Chance below which a split is not the one that was asked for, and the test tells nothing."""
_RANGE = float(1 << 64)


def in_challenger(unit: str, experiment: str, percent: float) -> bool:
    """Whether a user or session sees the new version: always the same answer, independent between experiments."""
    digest = hashlib.sha256(f"{experiment}\0{unit}".encode()).digest()
    return int.from_bytes(digest[:8]) / _RANGE * 100 < percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an A/B test found."""

    champion: Rate
    challenger: Rate
    difference: float
    """Of the shares, challenger less champion."""
    lower: float
    upper: float
    """95 % confidence interval of the difference."""
    p_value: float
    """Chance of a difference at least as large between versions that are equally good; two-sided."""
    split_p_value: float
    """Chance of a split at least as far from the one that was asked for."""

    @property
    def trustworthy(self) -> bool:
        """Whether the split is as it was asked for."""
        return self.split_p_value >= MISMATCH

    @property
    def significant(self) -> bool:
        """Whether chance is no explanation."""
        return self.trustworthy and self.p_value < SIGNIFICANT

    def lines(self, what: str) -> list[str]:
        """The report, for people."""
        shares = f"{what}: {self.champion.share:.2%} of {self.champion.trials:g} (champion)"
        shares += f", {self.challenger.share:.2%} of {self.challenger.trials:g} (challenger)"
        interval = f"difference {self.difference:+.2%} [{self.lower:+.2%}, {self.upper:+.2%}], p = {self.p_value:.3g}"
        if not self.trustworthy:
            return [shares, interval, f"the split is not the one asked for (p = {self.split_p_value:.2g}): no result"]
        return [shares, interval, "significant" if self.significant else "can be chance"]


def report(champion: Rate, challenger: Rate, percent: float) -> Report:
    """Compare how often something happened.

    Args:
        champion: Units that saw the old version, and those of them with whom it happened.
        challenger: The same of the new version.
        percent: Share of the units that was to see the new version.

    Raises:
        ValueError: Nobody saw one of the two.
    """
    if not champion.trials or not challenger.trials:
        raise ValueError("nobody saw one of the two versions")
    difference = challenger.share - champion.share
    low, high = (wilson(rate, NORMAL_QUANTILE) for rate in (champion, challenger))
    lower = difference - math.hypot(challenger.share - high[0], low[1] - champion.share)
    upper = difference + math.hypot(high[1] - challenger.share, champion.share - low[0])
    return Report(
        champion=champion,
        challenger=challenger,
        difference=difference,
        lower=lower,
        upper=upper,
        p_value=_pooled(champion, challenger),
        split_p_value=_split(champion.trials, challenger.trials, percent / 100),
    )


def _pooled(one: Rate, other: Rate) -> float:
    pooled = (one.events + other.events) / (one.trials + other.trials)
    error = math.sqrt(pooled * (1 - pooled) * (1 / one.trials + 1 / other.trials))
    return math.erfc(abs(one.share - other.share) / error / math.sqrt(2)) if error else 1.0


def _split(champion: float, challenger: float, wanted: float) -> float:
    total = champion + challenger
    error = math.sqrt(total * wanted * (1 - wanted))
    return math.erfc(abs(challenger - total * wanted) / error / math.sqrt(2))

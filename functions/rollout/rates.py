"""How often something happened, and between which bounds its true share lies.

Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American
Statistical Association 22 (1927).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of so many."""

    events: float
    trials: float

    @property
    def share(self) -> float:
        """Events per trial; 0 without trials."""
        return self.events / self.trials if self.trials else 0.0


def wilson(rate: Rate, quantile: float) -> tuple[float, float]:
    """Score interval of a rate's share.

    Args:
        rate: With at least one trial.
        quantile: Standard normal quantile of the confidence wanted at each side.
    """
    square = quantile**2
    middle = rate.share + square / (2 * rate.trials)
    spread = quantile * math.sqrt(rate.share * (1 - rate.share) / rate.trials + square / (4 * rate.trials**2))
    whole = 1 + square / rate.trials
    return max((middle - spread) / whole, 0.0), min((middle + spread) / whole, 1.0)

"""How far the predictions of two versions lie apart, with the error of that number.

The population stability index of two histograms, sum((p - q) * ln(p / q)), is the symmetric Kullback-Leibler
divergence. Of two samples of one distribution it is about (1/n + 1/m) times a chi-squared variable with bins - 1
degrees of freedom, so it grows as samples shrink and means nothing without its error; of samples of two distributions
the variable is non-central. Sources: Kullback, "Information Theory and Statistics" (1959), chapter 6; Yurdakul and
Naranjo, "Statistical properties of the population stability index", Journal of Risk Model Validation 14 (2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollout.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

HALF = 0.5
"""Added to every count, so that an empty bin does not make the index infinite (Jeffreys' prior)."""
QUANTILE = 3.2905267314919255
"""Standard normal quantile of 0.9995: the index may be looked at many times."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Distance of two distributions."""

    index: float
    """Without what chance alone adds to it on average; may be a little below 0."""
    error: float
    """Half the width of its confidence interval."""

    def against(self, limit: float) -> Verdict:
        """Hold the distance against the largest that is borne."""
        if self.index - self.error > limit:
            return Verdict.BAD
        return Verdict.GOOD if self.index + self.error <= limit else Verdict.OPEN


def measure(challenger: Sequence[float], champion: Sequence[float]) -> Shift | None:
    """Distance of two histograms over the same bins; None while one of them is empty.

    Raises:
        ValueError: The numbers of bins differ.
    """
    if len(challenger) != len(champion):
        raise ValueError(f"{len(challenger)} bins against {len(champion)}")
    total, other = sum(challenger), sum(champion)
    if not total or not other:
        return None
    pairs = [(a, b) for a, b in zip(challenger, champion, strict=True) if a or b]
    bins = len(pairs)
    shares = [((a + HALF) / (total + HALF * bins), (b + HALF) / (other + HALF * bins)) for a, b in pairs]
    raw = sum((p - q) * math.log(p / q) for p, q in shares)
    scale = 1 / total + 1 / other
    freedom = bins - 1
    index = raw - freedom * scale
    away = max(index, 0.0) / scale
    return Shift(index, QUANTILE * scale * math.sqrt(2 * (freedom + 2 * away)))

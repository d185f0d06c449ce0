"""A test of a rate that may be looked at as often as one likes: Wald's sequential probability ratio test.

A test of fixed size that is looked at every few seconds raises its false alarms with every look. The ratio of the
likelihoods of "as bad as the champion" and "worse by the margin" stays within its bounds however often it is asked.
Source: Wald, "Sequential Tests of Statistical Hypotheses", Annals of Mathematical Statistics 16 (1945), section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollout.rates import wilson
from rollout.verdicts import Verdict

if TYPE_CHECKING:
    from rollout.rates import Rate

EVEN = 0.5
"""A test that is wrong as often tells nothing."""
BASE_QUANTILE = 1.0
"""Standard errors that are added to the champion's rate, which is itself an estimate.

Then a champion that was lucky for a moment does not turn an equal challenger into a bad one, and one point more of
errors is still found within 2,000 requests.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Risks:
    """How often a test may be wrong."""

    false_alarm: float
    """Chance that a version as good as the champion is called bad."""
    miss: float
    """Chance that a version worse by the margin is called good."""

    def __post_init__(self) -> None:
        """Refuse what gives no bounds."""
        if not (0 < self.false_alarm < EVEN and 0 < self.miss < EVEN):
            raise ValueError(f"{self}: both risks lie between 0 and 0.5")


def compare_rates(challenger: Rate, champion: Rate, margin: float, risks: Risks, borne: float = 0.0) -> Verdict:
    """Tell whether the challenger's rate of something unwanted is above the champion's by the margin.

    Args:
        challenger: Events of the new version.
        champion: Events of the old one, in the same time.
        margin: Difference of the rates that may not be missed, in (0, 1).
        risks: Of being wrong.
        borne: Rate that is no worse than the champion's, even where the champion has a smaller one.
    """
    if not challenger.trials or not champion.trials:
        return Verdict.OPEN
    base = max(wilson(champion, BASE_QUANTILE)[1], borne)
    worse = base + margin
    if worse >= 1:
        return Verdict.OPEN  # the champion does so itself, or is not known yet
    calm = challenger.trials - challenger.events
    evidence = challenger.events * math.log(worse / base) + calm * math.log((1 - worse) / (1 - base))
    if evidence >= math.log((1 - risks.miss) / risks.false_alarm):
        return Verdict.BAD
    if evidence <= math.log(risks.miss / (1 - risks.false_alarm)):
        return Verdict.GOOD
    return Verdict.OPEN

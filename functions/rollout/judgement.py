"""Whether a new version may have a larger share of the requests, judged against the old one in the same time."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from rollout import shift
from rollout.rates import Rate
from rollout.sequential import Risks, compare_rates
from rollout.verdicts import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROUTES: Final = "/invocations|/v2/models/.+/infer"
"""Regular expression of the routes, as servers name them, whose answers count; probes and scrapes ask for others."""
ERROR_RISKS: Final = Risks(false_alarm=0.002, miss=0.0005)
LATENCY_RISKS: Final = Risks(false_alarm=0.0002, miss=0.0005)
"""Two tests of it at each step, and their bounds are chosen by the data: false alarms have to be rarer.

With both, at most 1 % of equal versions are stopped somewhere in a rollout of three steps, and one point more of errors
is found within 2,000 requests in 99 % of the rollouts (`tests/reliability/measures/canary_decisions.py`).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a version did in some time."""

    requests: float = 0.0
    """Requests that it was sent, whether it answered or not."""
    errors: float = 0.0
    """Of these, answered by a 5xx or not at all."""
    latencies: tuple[float, ...] = ()
    """Answers by latency: one count for each bound, and one for those above the last."""
    predictions: tuple[float, ...] = ()
    """Predictions by bin."""
    restarts: int = 0
    """How often its processes ended without being told to."""

    def plus(self, other: Observed) -> Observed:
        """What both did, of which one may have done nothing."""
        return self._with(other, 1)

    def since(self, earlier: Observed) -> Observed:
        """What came after an earlier observation of the same version."""
        return self._with(earlier, -1)

    def _with(self, other: Observed, sign: int) -> Observed:
        return Observed(
            requests=self.requests + sign * other.requests,
            errors=self.errors + sign * other.errors,
            latencies=_sum(self.latencies, other.latencies, sign),
            predictions=_sum(self.predictions, other.predictions, sign),
            restarts=self.restarts + sign * other.restarts,
        )


def _sum(counts: tuple[float, ...], others: tuple[float, ...], sign: int) -> tuple[float, ...]:
    width = max(len(counts), len(others))
    pairs = zip(counts or (0.0,) * width, others or (0.0,) * width, strict=True)
    return tuple(one + sign * other for one, other in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is borne of a new version."""

    min_requests: int
    """Requests of each version below which no version is called good."""
    error_margin: float
    """Share of errors above the champion's that may not be missed."""
    slower: float
    """How many times the champion's latency is still borne, at the same quantile."""
    quantiles: tuple[float, ...] = (0.95, 0.99)
    """Where latency is compared."""
    shift: float
    """Largest population stability index between the predictions of the two."""
    restarts: int = 0
    """Unwanted ends of the new version's processes that are borne."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """All that was tested, and what follows."""

    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """Bad if one test says so, good if all do."""
        verdicts = {finding.verdict for finding in self.findings}
        return Verdict.BAD if Verdict.BAD in verdicts else Verdict.GOOD if verdicts == {Verdict.GOOD} else Verdict.OPEN

    @property
    def reason(self) -> str:
        """What was wrong; if nothing was, what is still open; if nothing is, what was seen."""
        found = [finding for finding in self.findings if finding.verdict == self.verdict]
        return "; ".join(f"{finding.test}: {finding.detail}" for finding in found)


def judge(challenger: Observed, champion: Observed, limits: Limits, bounds: Sequence[float]) -> Judgement:
    """Hold a new version against the old one.

    Args:
        challenger: The new version since its present share began.
        champion: The old version in the same time.
        limits: What is borne.
        bounds: Upper bounds of the latencies' counts, in seconds, ascending.
    """
    return Judgement(
        (
            _sample(challenger, champion, limits),
            _restarts(challenger, limits),
            _errors(challenger, champion, limits),
            *_latencies(challenger, champion, limits, bounds),
            _predictions(challenger, champion, limits),
        )
    )


def _sample(challenger: Observed, champion: Observed, limits: Limits) -> Finding:
    enough = min(challenger.requests, champion.requests) >= limits.min_requests
    detail = f"{challenger.requests:g} and {champion.requests:g} requests, at least {limits.min_requests} wanted"
    return Finding("sample", Verdict.GOOD if enough else Verdict.OPEN, detail)


def _restarts(challenger: Observed, limits: Limits) -> Finding:
    verdict = Verdict.BAD if challenger.restarts > limits.restarts else Verdict.GOOD
    return Finding("restarts", verdict, f"{challenger.restarts}, {limits.restarts} borne")


def _errors(challenger: Observed, champion: Observed, limits: Limits) -> Finding:
    rates = Rate(challenger.errors, challenger.requests), Rate(champion.errors, champion.requests)
    verdict = compare_rates(*rates, limits.error_margin, ERROR_RISKS)
    return Finding("errors", verdict, f"{rates[0].share:.2%}, champion {rates[1].share:.2%}")


def _latencies(challenger: Observed, champion: Observed, limits: Limits, bounds: Sequence[float]) -> Iterator[Finding]:
    """Compare the shares of answers that are slower than the champion's quantile, times what is borne.

    Quantiles of two histograms have no error that one could name; the share above a bound is a rate like any other. If
    the challenger's quantile were just above the bound, twice as many answers as allowed would be.
    """
    for quantile in limits.quantiles:
        bound = _bound_at(champion.latencies, quantile, limits.slower, bounds)
        if bound is None:
            yield Finding(
                f"p{quantile * 100:g}", Verdict.OPEN, "the champion's latency is not known, or beyond the last bound"
            )
            continue
        rates = _above(challenger.latencies, bound), _above(champion.latencies, bound)
        verdict = compare_rates(*rates, 1 - quantile, LATENCY_RISKS, borne=1 - quantile)
        text = f"{rates[0].share:.2%} above {bounds[bound]:g} s, champion {rates[1].share:.2%}"
        yield Finding(f"p{quantile * 100:g}", verdict, text)


def _bound_at(counts: Sequence[float], quantile: float, slower: float, bounds: Sequence[float]) -> int | None:
    """Place of the first bound that is at least so many times the quantile; None if no count or no bound is."""
    total = sum(counts)
    if not total:
        return None
    place = bisect.bisect_left(list(accumulate(counts)), quantile * total)
    if place >= len(bounds):
        return None
    found = bisect.bisect_left(bounds, bounds[place] * slower)
    return found if found < len(bounds) else None


def _above(counts: Sequence[float], bound: int) -> Rate:
    return Rate(sum(counts[bound + 1 :]), sum(counts))


def _predictions(challenger: Observed, champion: Observed, limits: Limits) -> Finding:
    found = shift.measure(challenger.predictions, champion.predictions)
    if found is None:
        return Finding("predictions", Verdict.OPEN, "none were seen of one of the two")
    text = f"stability index {found.index:.3f} ± {found.error:.3f}, {limits.shift:g} borne"
    return Finding("predictions", found.against(limits.shift), text)

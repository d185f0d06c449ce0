"""What is said of a new version, over many simulated ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout import shift
from rollout.judgement import ERROR_RISKS, Limits, Observed, judge
from rollout.rates import Rate, wilson
from rollout.sequential import Risks, compare_rates
from rollout.verdicts import Verdict

BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
LIMITS = Limits(min_requests=500, error_margin=0.01, slower=1.5, shift=0.1)
QUICK = (0, 900, 80, 10, 6, 4, 0)
BELL = (10.0, 60.0, 150.0, 60.0, 10.0)


def version(
    times: float = 1.0,
    errors: float = 1,
    latencies: tuple[float, ...] = QUICK,
    predictions: tuple[float, ...] = BELL,
    restarts: int = 0,
) -> Observed:
    """A version that was asked 1,000 times, or so many times more; a healthy one, but for what is given."""
    return Observed(
        requests=times * 1_000,
        errors=times * errors,
        latencies=tuple(times * count for count in latencies),
        predictions=tuple(times * count for count in predictions),
        restarts=restarts,
    )


def run_of_errors(draw: np.random.Generator, rate: float, base: float, share: float) -> tuple[Verdict, int]:
    """Look every 25 requests of the new version until there is a verdict; give it and the requests."""
    champion, challenger = Rate(0, 0), Rate(0, 0)
    beside = round(25 * (1 - share) / share)
    while challenger.trials < 20_000:
        challenger = Rate(challenger.events + draw.binomial(25, rate), challenger.trials + 25)
        champion = Rate(champion.events + draw.binomial(beside, base), champion.trials + beside)
        verdict = compare_rates(challenger, champion, 0.01, ERROR_RISKS)
        if verdict is not Verdict.OPEN:
            return verdict, int(challenger.trials)
    return Verdict.OPEN, int(challenger.trials)


def test_one_point_more_errors_is_found_within_2000_requests_in_99_of_100_runs() -> None:
    draw = np.random.default_rng(1)
    found = [run_of_errors(draw, 0.011, 0.001, 0.1) for _ in range(400)]

    assert sum(verdict is Verdict.BAD and asked <= 2_000 for verdict, asked in found) >= 396


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_version_that_is_as_good_is_called_bad_in_at_most_one_of_100_runs(share: float) -> None:
    draw = np.random.default_rng(2)

    assert sum(run_of_errors(draw, 0.001, 0.001, share)[0] is Verdict.BAD for _ in range(400)) <= 4


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.data())
def test_more_errors_never_make_a_version_look_better(asked: int, champion: int, data: st.DataObject) -> None:
    fewer = data.draw(st.integers(0, asked - 1))
    more = data.draw(st.integers(fewer, asked))
    base = Rate(data.draw(st.integers(0, champion)), champion)
    order = [Verdict.GOOD, Verdict.OPEN, Verdict.BAD]
    places = [order.index(compare_rates(Rate(k, asked), base, 0.01, ERROR_RISKS)) for k in (fewer, more)]

    assert places == sorted(places)


@given(st.integers(1, 100_000), st.data())
def test_an_interval_holds_the_share_that_was_seen(trials: int, data: st.DataObject) -> None:
    rate = Rate(data.draw(st.integers(0, trials)), trials)
    low, high = wilson(rate, 1.96)

    assert 0 <= low <= rate.share + 1e-12
    assert rate.share - 1e-12 <= high <= 1


@pytest.mark.parametrize("risk", [0.0, 0.5, -1.0])
def test_a_test_that_may_always_be_wrong_is_refused(risk: float) -> None:
    with pytest.raises(ValueError, match="between 0 and"):
        Risks(false_alarm=risk, miss=0.001)


def test_samples_of_one_distribution_are_never_called_apart_and_those_of_two_are() -> None:
    draw = np.random.default_rng(3)
    bell, moved = np.array(BELL) / sum(BELL), np.array([0.02, 0.1, 0.3, 0.38, 0.2])
    same, other = 0, 0
    for _ in range(500):
        small, large, far = draw.multinomial(500, bell), draw.multinomial(5_000, bell), draw.multinomial(500, moved)
        alike, apart = (shift.measure(counts.tolist(), large.tolist()) for counts in (small, far))
        assert alike is not None
        assert apart is not None
        same += alike.against(0.1) is Verdict.BAD
        other += apart.against(0.1) is Verdict.BAD

    assert (same, other) == (0, 500)


def test_the_distance_has_no_bias_and_its_error_covers_it() -> None:
    draw = np.random.default_rng(4)
    p, q = np.array(BELL) / sum(BELL), np.array([0.06, 0.24, 0.44, 0.21, 0.05])
    true = float(np.sum((p - q) * np.log(p / q)))
    found = [
        shift.measure(draw.multinomial(2_000, p).tolist(), draw.multinomial(8_000, q).tolist()) for _ in range(500)
    ]
    indices = [one.index for one in found if one is not None]

    assert np.mean(indices) == pytest.approx(true, abs=0.003)
    assert all(abs(one.index - true) <= one.error for one in found if one is not None)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=20))
def test_the_distance_is_the_same_both_ways(bins: list[tuple[int, int]]) -> None:
    one, other = [a for a, _ in bins], [b for _, b in bins]
    there, back = shift.measure(one, other), shift.measure(other, one)

    assert (there is None) == (back is None) == (not sum(one) or not sum(other))
    assert there is None or back is None or math.isclose(there.index, back.index, abs_tol=1e-9)


def test_histograms_over_different_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="3 bins against 2"):
        shift.measure([1, 2, 3], [1, 2])


@pytest.mark.parametrize(
    ("challenger", "verdict", "test"),
    [
        (version(5), Verdict.GOOD, "sample"),
        (version(5, errors=30), Verdict.BAD, "errors"),
        (version(5, latencies=(0, 0, 0, 900, 80, 10, 10)), Verdict.BAD, "p95"),
        (version(5, latencies=(0, 900, 40, 0, 0, 0, 60)), Verdict.BAD, "p99"),
        (version(5, predictions=BELL[1:] + BELL[:1]), Verdict.BAD, "predictions"),
        (version(5, restarts=1), Verdict.BAD, "restarts"),
        (version(0.1), Verdict.OPEN, "sample"),
        (version(5, predictions=(0.0,) * 5), Verdict.OPEN, "predictions"),
        (Observed(), Verdict.OPEN, "errors"),
    ],
)
def test_each_kind_of_bad_version_is_named_and_silence_is_no_praise(
    challenger: Observed, verdict: Verdict, test: str
) -> None:
    found = (
        judge(challenger, version(20), LIMITS, BOUNDS)
        if challenger.requests
        else judge(challenger, Observed(), LIMITS, BOUNDS)
    )

    assert found.verdict is verdict, found.findings
    assert test in found.reason


def test_fewer_slow_answers_than_the_quantile_allows_are_borne_though_the_champion_has_none() -> None:
    slower = version(20, latencies=(0, 900, 60, 10, 15, 15, 0))
    findings = judge(slower, version(100, latencies=(0, 990, 10, 0, 0, 0, 0)), LIMITS, BOUNDS).findings
    found = {finding.test: finding.verdict for finding in findings}

    assert (found["p95"], found["p99"]) == (Verdict.GOOD, Verdict.BAD)


def test_a_champion_slower_than_every_bound_leaves_the_latency_open() -> None:
    slow = version(5, latencies=(0, 0, 0, 0, 0, 0, 1_000))
    open_ = [finding.test for finding in judge(slow, slow, LIMITS, BOUNDS).findings if finding.verdict is Verdict.OPEN]

    assert open_ == ["p95", "p99"]


def test_what_was_seen_before_does_not_count() -> None:
    assert version(5).since(version(2)) == version(3)
    assert version(5).since(Observed()) == version(5)

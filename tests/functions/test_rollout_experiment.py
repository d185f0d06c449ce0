"""A/B tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.experiment import in_challenger, report
from rollout.rates import Rate


def test_the_interval_is_the_one_that_newcombe_published() -> None:
    # Statistics in Medicine 17 (1998), table II, method 10: 56/70 less 48/80
    found = report(Rate(48, 80), Rate(56, 70), 100 * 70 / 150)

    assert found.difference == pytest.approx(0.2)
    assert (found.lower, found.upper) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))


def test_equal_versions_are_called_different_in_one_of_twenty_tests() -> None:
    draw = np.random.default_rng(1)
    counts = draw.binomial(2_000, 0.1, (2_000, 2))
    found = [report(Rate(int(a), 2_000), Rate(int(b), 2_000), 50) for a, b in counts]

    assert 0.04 <= np.mean([one.significant for one in found]) <= 0.06


def test_two_points_of_difference_are_found() -> None:
    found = report(Rate(1_000, 10_000), Rate(1_200, 10_000), 50)

    assert found.significant
    assert found.lower > 0
    assert found.lines("late")[-1] == "significant"


def test_a_split_other_than_the_one_asked_for_gives_no_result() -> None:
    found = report(Rate(1_000, 10_000), Rate(1_400, 11_000), 50)

    assert not found.significant
    assert "no result" in found.lines("late")[-1]


def test_a_version_that_nobody_saw_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="nobody"):
        report(Rate(0, 0), Rate(1, 2), 50)


@given(st.text(), st.text(), st.floats(0, 100), st.floats(0, 100))
def test_who_sees_the_new_version_at_a_small_share_sees_it_at_a_larger_one(
    unit: str, experiment: str, one: float, other: float
) -> None:
    small, large = sorted((one, other))

    assert in_challenger(unit, experiment, large) or not in_challenger(unit, experiment, small)
    assert not in_challenger(unit, experiment, 0)
    assert in_challenger(unit, experiment, 100)


def test_experiments_split_the_same_users_independently_and_as_asked() -> None:
    users = [str(number) for number in range(20_000)]
    first, second = ([in_challenger(user, name, 30) for user in users] for name in ("first", "second"))

    assert np.mean(first) == pytest.approx(0.3, abs=0.015)
    assert np.mean(np.logical_and(first, second)) == pytest.approx(0.09, abs=0.01)

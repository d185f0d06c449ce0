"""Every figure of reliability, at the size that fits into `make test`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.reliability.figures import Measure, Run, measures
from tests.reliability.measures import overload

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"

OVERLOAD = 19

pytestmark = pytest.mark.loop


@pytest.mark.parametrize("measure", measures(), ids=lambda measure: measure.name)
def test_no_trial_of_a_figure_fails(measure: Measure, tmp_path: Path) -> None:
    figure = measure.figure(Run(size=measure.floor, seed=1, folder=tmp_path))
    assert figure.failures == 0, figure
    assert figure.denominator >= measure.floor, figure
    if measure.number == OVERLOAD:
        lasted = [int(seconds) for seconds in re.findall(r"offered for (\d+) s", figure.detail)]
        least = [round(share * overload.FLOOR_SECONDS) for _, share in overload.OVERLOADS]
        assert all(seconds >= few for seconds, few in zip(lasted, least, strict=True)), figure


def test_an_overload_ends_when_both_its_requests_and_its_seconds_are_over() -> None:
    least = overload.Least(requests=100, seconds=10)
    assert not least.reached(1, sent=10_000, seconds=9.9)
    assert not least.reached(1, sent=99, seconds=60)
    assert least.reached(1, sent=100, seconds=10)
    assert least.reached(0.5, sent=50, seconds=5)


def test_the_page_says_what_a_trial_and_a_failure_of_each_figure_are() -> None:
    rows = re.findall(r"^\| (\d+) ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {int(row) for row in rows} == {measure.number for measure in measures()}

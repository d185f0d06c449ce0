"""Every figure of reliability, at the size that fits into `make test`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.reliability.figures import Measure, Run, measures

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"

pytestmark = pytest.mark.loop


@pytest.mark.parametrize("measure", measures(), ids=lambda measure: measure.name)
def test_no_trial_of_a_figure_fails(measure: Measure, tmp_path: Path) -> None:
    figure = measure.figure(Run(size=measure.floor, seed=1, folder=tmp_path))
    assert figure.failures == 0, figure
    assert figure.denominator >= measure.floor, figure


def test_the_page_says_what_a_trial_and_a_failure_of_each_figure_are() -> None:
    rows = re.findall(r"^\| (\d+) ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {int(row) for row in rows} == {measure.number for measure in measures()}

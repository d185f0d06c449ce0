"""Every figure of reliability, at the size that fits into `make test`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability.figures import Measure, Run, measures

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.loop


@pytest.mark.parametrize("measure", measures(), ids=lambda measure: measure.name)
def test_no_trial_of_a_figure_fails(measure: Measure, tmp_path: Path) -> None:
    figure = measure.figure(Run(size=measure.floor, seed=1, folder=tmp_path))
    assert figure.failures == 0, figure
    assert figure.denominator >= measure.floor, figure

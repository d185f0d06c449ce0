from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.loop.evaluate import auc, base_rate, judge, log_loss, split_label

if TYPE_CHECKING:
    from pathlib import Path

SKLEARN: Any = import_module("sklearn.metrics")
PROBABILITIES = st.integers(min_value=1, max_value=99).map(lambda percent: percent / 100)
SAMPLES = st.lists(st.tuples(st.booleans(), PROBABILITIES), min_size=2, max_size=60).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


@given(rows=SAMPLES)
def test_the_metrics_are_those_of_an_independent_implementation(rows: list[tuple[bool, float]]) -> None:
    labels = np.array([float(label) for label, _ in rows])
    scores = np.array([score for _, score in rows])

    assert auc(labels, scores) == pytest.approx(SKLEARN.roc_auc_score(labels, scores))
    assert log_loss(labels, scores) == pytest.approx(SKLEARN.log_loss(labels, scores))


def test_the_area_is_not_defined_for_one_class() -> None:
    assert np.isnan(auc(np.ones(3), np.array([0.1, 0.2, 0.3])))


def test_certain_and_wrong_is_very_bad_but_finite() -> None:
    assert 30 < log_loss(np.array([1.0]), np.array([0.0])) < 40


def test_a_constant_answer_is_as_good_as_the_base_rate() -> None:
    labels = np.array([0.0, 0.0, 0.0, 1.0])
    found = judge(labels, np.full(4, 0.25), base_rate=0.25)

    assert found.auc == pytest.approx(0.5)
    assert found.log_loss == pytest.approx(found.base_rate_log_loss)


def test_the_label_is_the_first_column_and_the_rest_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "month.csv"
    path.write_text("late,a,b\n1,x,\n0,,2.50\n")
    labels, rows = split_label(path)

    assert labels.tolist() == [1.0, 0.0]
    assert rows == ["x,", ",2.50"]
    assert base_rate([path, path]) == pytest.approx(0.5)

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoring import binary, calibration, report
from scoring.contract import Feature, Kind, Schema
from scoring.dataset import Column, Part, Table
from scoring.errors import UserError
from scoring.hyperparameters import Hyperparameters

reference: Any = importlib.import_module("sklearn.calibration")  # it ships no types
SCHEMA = Schema("y", (Feature("x"), Feature("carrier", Kind.CATEGORICAL, ("AA", "UA"))))


def predictions(rows: int = 4000) -> tuple[Any, Any]:
    draw = np.random.default_rng(0)
    probabilities = draw.random(rows).astype(np.float32)
    return (draw.random(rows) < probabilities).astype(np.float32), probabilities


def test_probabilities_that_mean_what_they_say_have_almost_no_calibration_error() -> None:
    labels, probabilities = predictions()
    assert calibration.expected_calibration_error(labels, probabilities) < 0.03
    assert calibration.expected_calibration_error(labels, probabilities**2) > 0.1


def test_a_constant_that_is_wrong_by_a_quarter_has_that_calibration_error() -> None:
    labels = np.array([1, 0, 0, 0], dtype=np.float32)
    assert calibration.expected_calibration_error(labels, np.full(4, 0.5)) == pytest.approx(0.25)
    assert calibration.expected_calibration_error(np.ones(3), np.ones(3)) == 0


def test_the_bins_are_those_of_scikit_learn() -> None:
    labels, probabilities = predictions()
    bins = calibration.reliability(labels, probabilities)
    observed, mean = reference.calibration_curve(labels, probabilities, n_bins=10)
    assert [one["share_of_ones"] for one in bins] == pytest.approx(observed.tolist())
    assert [one["mean_probability"] for one in bins] == pytest.approx(mean.tolist(), rel=1e-5)
    assert sum(one["rows"] for one in bins) == len(labels)
    assert len(calibration.reliability(labels[:1], probabilities[:1])) == 1


def table(codes: list[int], texts: tuple[str, ...]) -> Table:
    column = Column("carrier", texts, np.array(codes, dtype=np.int32))
    return Table("test", {"carrier": column}, (Part(Path("p.csv"), len(codes), "00"),))


def test_each_value_of_a_slice_has_the_metrics_of_its_own_rows() -> None:
    labels, probabilities = predictions(300)
    codes = [0, 1, 1] * 100
    probabilities[np.array(codes) == 1] = 0.5  # the model knows nothing about them
    settings = Hyperparameters(label="y", slices="carrier")
    document: Any = report.build(table(codes, ("AA", "UA")), labels, probabilities, settings)
    unknown, known = document["slices"]["carrier"]
    assert (unknown["value"], unknown["rows"], unknown["auc"]) == ("UA", 200, 0.5)
    assert (known["value"], known["rows"]) == ("AA", 100)
    own = np.array(codes) == 0
    assert known["auc"] == binary.auc(labels[own], probabilities[own]) > 0.7
    assert known["log_loss"] == binary.log_loss(labels[own], probabilities[own])
    assert document["evaluated_channel"] == "test"
    assert len(document["calibration"]["bins"]) > 5


def test_a_metric_that_a_slice_cannot_have_is_null_and_rare_values_beyond_fifty_are_left_out() -> None:
    labels, probabilities = predictions(60)
    texts = tuple(f"c{place}" for place in range(60))
    document: Any = report.build(
        table(list(range(60)), texts), labels, probabilities, Hyperparameters(label="y", slices="carrier")
    )
    slices = document["slices"]["carrier"]
    assert len(slices) == 50
    assert {one["auc"] for one in slices} == {None}


def test_slices_by_anything_but_a_categorical_feature_are_refused_all_at_once() -> None:
    report.check_slices(SCHEMA, "")
    report.check_slices(SCHEMA, "carrier")
    with pytest.raises(UserError) as caught:
        report.check_slices(SCHEMA, "x,carrier,carier")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("hyperparameter 'slices' names 'x', which is no categorical feature")
    assert lines[1].endswith("'carier', which is no categorical feature; did you mean 'carrier'?")
    assert len(lines) == 2

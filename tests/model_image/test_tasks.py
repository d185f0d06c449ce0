from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.training_log import REPORTED, metric_definitions
from scoring import compare, contract, evaluate, report, targets
from scoring.contract import BINARY, MULTICLASS, OBJECTIVES, REGRESSION
from scoring.dataset import Column, Part, Table
from scoring.errors import UserError
from scoring.hosts import Hosts
from scoring.hyperparameters import Hyperparameters
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

reference: Any = importlib.import_module("sklearn.metrics")  # it ships no types
MULTI = TASKS[MULTICLASS]
NUMBERS = TASKS[REGRESSION]
Number = st.floats(-100, 100, width=32)


def several(rows: int, seed: int = 0, classes: int = 4) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw probabilities, and labels from them: what a model that is right about itself would meet."""
    draw = np.random.default_rng(seed)
    probabilities = draw.dirichlet(np.full(classes, 0.7), rows).astype(np.float32)
    labels = (probabilities.cumsum(axis=1) < draw.random((rows, 1))).sum(axis=1).clip(max=classes - 1)
    return labels.astype(np.float32), probabilities


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_metrics_of_classes_agree_with_scikit_learn(seed: int, rows: int, classes: int) -> None:
    labels, probabilities = several(rows, seed, classes)
    names, guesses = range(classes), probabilities.argmax(axis=1)
    found = {name: metric(labels, probabilities) for name, metric in MULTI.metrics.items()}
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(labels, guesses))
    doubles = probabilities.astype(np.float64)
    expected = reference.log_loss(labels, doubles / doubles.sum(axis=1, keepdims=True), labels=names)
    assert found["log_loss"] == pytest.approx(expected, rel=1e-3)
    for average in ("macro", "weighted"):
        options: Any = {"labels": names, "average": average, "zero_division": 0}
        scores = {"precision": reference.precision_score, "recall": reference.recall_score}
        for name, score in scores.items():
            assert found[f"{average}_{name}"] == pytest.approx(score(labels, guesses, **options))
        for name, beta in {"f0_5": 0.5, "f1": 1, "f2": 2}.items():
            expected = reference.fbeta_score(labels, guesses, beta=beta, **options)
            assert found[f"{average}_{name}"] == pytest.approx(expected)


@given(st.lists(st.tuples(Number, Number), min_size=2, max_size=40))
@settings(max_examples=40, deadline=None)
def test_metrics_of_numbers_agree_with_scikit_learn(pairs: list[tuple[float, float]]) -> None:
    labels, predictions = (np.array(column, dtype=np.float32) for column in zip(*pairs, strict=True))
    found = {name: metric(labels, predictions) for name, metric in NUMBERS.metrics.items()}
    wide = labels.astype(np.float64), predictions.astype(np.float64)
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(*wide))
    assert found["mse"] == pytest.approx(reference.mean_squared_error(*wide))
    assert found["rmse"] == pytest.approx(math.sqrt(found["mse"]))
    if np.ptp(labels) > 1e-3:
        assert found["r2"] == pytest.approx(reference.r2_score(*wide), rel=1e-6)


def test_the_layout_of_every_kind_is_the_registrys_and_its_values_are_read_back() -> None:
    labels, probabilities = several(400)
    for objective, predictions in ((MULTICLASS, probabilities), (REGRESSION, probabilities[:, 0])):
        task = TASKS[objective]
        document: dict[str, Any] = evaluate.evaluate(task, labels, predictions, seed=1)
        (group,) = document.values()
        values = evaluate.values(task, document)
        assert [*document] == [task.group] == [REPORTED[objective].group]
        assert all(group[name]["value"] == value for name, value in values.items())
        assert all(group[name]["standard_deviation"] > 0 for name in values)
    matrix: Any = evaluate.evaluate(MULTI, labels, probabilities, seed=1)[MULTI.group]
    counts = [[matrix["confusion_matrix"][str(a)][str(b)] for b in range(4)] for a in range(4)]
    assert counts == reference.confusion_matrix(labels, probabilities.argmax(axis=1)).tolist()
    shares = np.bincount(labels.astype(int)) / len(labels)
    assert matrix["accuracy_best_constant_classifier"]["value"] == pytest.approx(shares.max())
    assert matrix["log_loss_best_constant_classifier"]["value"] == pytest.approx(-(shares * np.log(shares)).sum())


def test_the_likeliest_class_of_a_calibrated_model_is_calibrated_and_of_a_bold_one_is_not() -> None:
    labels, probabilities = several(6000)
    error = MULTI.metrics["expected_calibration_error"]
    bold = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    assert error(labels, probabilities) < 0.03
    assert error(labels, bold) > 0.1


@pytest.mark.parametrize(
    ("objective", "names"),
    [
        (MULTICLASS, {"value", "rows", *MULTI.slice_metrics}),
        (REGRESSION, {"value", "rows", "mean_label", "mae", "rmse"}),
    ],
)
def test_slices_have_the_metrics_of_their_kind_over_their_own_rows(objective: str, names: set[str]) -> None:
    labels, probabilities = several(90)
    predictions = probabilities if objective == MULTICLASS else probabilities[:, 0]
    codes = np.array([0, 1, 1] * 30, dtype=np.int32)
    table = Table("test", {"k": Column("k", ("a", "b"), codes)}, (Part(Path("p"), 90, "00"),))
    chosen = Hyperparameters(label="y", objective=objective, slices="k")
    document: Any = report.build(table, labels, predictions, chosen)
    larger, smaller = document["slices"]["k"]
    assert larger.keys() == smaller.keys() == names
    first = TASKS[objective].slice_metrics[0]
    own = codes == 0
    assert smaller[first] == TASKS[objective].metrics[first](labels[own], predictions[own])
    assert ("calibration" in document) == (objective == MULTICLASS)


def test_a_better_model_of_several_classes_is_found_and_an_equal_one_is_not() -> None:
    labels, probabilities = several(1500)
    worse = 0.5 * probabilities + 0.125
    found = compare.compare(MULTI, labels, worse, probabilities, seed=0)
    assert found.keys() == {"log_loss", "accuracy"}
    assert found["log_loss"]["difference"] < 0
    assert found["log_loss"]["p_value"] < 0.01
    assert compare.compare(MULTI, labels, worse, worse, seed=0)["accuracy"]["p_value"] == 1


def column(*texts: str) -> Table:
    distinct = tuple(dict.fromkeys(texts))
    codes = np.array([distinct.index(text) for text in texts], dtype=np.int32)
    return Table("train", {"y": Column("y", distinct, codes)}, (Part(Path("p.csv"), len(texts), "00"),))


def infer(*texts: str, num_class: int = 0) -> targets.Target:
    return targets.infer(
        [column(*texts)], Hyperparameters(label="y", objective=MULTICLASS, num_class=num_class), Hosts()
    )


def test_the_number_of_classes_comes_from_the_labels_or_is_held_against_them() -> None:
    assert infer("0", "2", "1.0").classes == 3
    assert infer("0", "2", num_class=5).classes == 5
    assert infer("0", "1", "2").labels(column("2", "0")).tolist() == [2, 0]
    for texts, classes, message in (
        (("0", "3"), 0, "no row is of class 1; number the classes from 0 without a gap"),
        (("0", "3"), 3, "'num_class' is 3, but label 3 occurs"),
        (("0", "0"), 0, "every label is 0; at least 2 classes must occur"),
        (("0", "2000"), 0, "make 2001 classes, at most 1000"),
    ):
        with pytest.raises(UserError, match=message):
            infer(*texts, num_class=classes)


@pytest.mark.parametrize("text", ["-1", "0.5", "x", "", "nan", "inf"])
def test_what_is_no_class_is_named_by_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("y\n0\n1\n" + (text or '""') + "\n")
    table = Table("train", column("0", "1", text).columns, (Part(path, 3, "00"),))
    target = targets.Target("y", MULTICLASS, 2)
    with pytest.raises(UserError, match=r"train/p\.csv line 4, column 'y': expected a whole number from 0 to 1, found"):
        target.labels(table)


def test_balanced_classes_have_the_same_total_and_rows_weigh_one_on_average() -> None:
    labels = np.array([0] * 6 + [2] * 2, dtype=np.float32)
    weights = targets.balanced(labels, 3, Hosts())
    assert weights.tolist() == pytest.approx([8 / 12, 0, 2])
    assert weights[labels.astype(int)].mean() == pytest.approx(1)


def test_the_program_and_the_image_agree_on_what_is_reported() -> None:
    assert {*REPORTED} == {*OBJECTIVES} == {*TASKS}
    for objective, task in TASKS.items():
        reported = REPORTED[objective]
        assert (reported.group, reported.progress) == (task.group, task.progress)
        assert {*reported.final} <= {*task.metrics}
        assert metric_definitions(objective).keys() >= {f"validation:{name}" for name in task.progress}
    assert contract.BINARY == BINARY

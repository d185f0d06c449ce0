"""What is odd about a file beside the others: each kind is found, and what only looks like it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from processing.oddities import Limits, oddities
from processing.tables import read
from scoring.channels import Format

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Rows = list[list[str]]
    Change = Callable[[Rows], Rows]

LIMITS = Limits(label_shift=0.2, column_shift=0.8, repeat_gain=0.1, column_auc=0.9, moving=("month",))
HEADER = ("late", "month", "distance", "carrier", "day")
LATE, MONTH, DISTANCE, CARRIER, DAY = range(len(HEADER))
ROWS = 400


def honest(month: int, seed: int) -> Rows:
    draw = np.random.default_rng([month, seed])
    late = draw.random(ROWS) < 0.3
    distance = draw.uniform(100, 2500, ROWS)
    carriers = draw.choice(["AA", "BB", "CC"], ROWS)
    days = draw.integers(0, 7, ROWS)
    return [
        [str(int(a)), str(month), f"{b:.1f}", str(c), str(d)]
        for a, b, c, d in zip(late, distance, carriers, days, strict=True)
    ]


def found(folder: Path, months: dict[str, Rows], limits: Limits = LIMITS) -> list[str]:
    folder.mkdir()
    for name, rows in months.items():
        (folder / f"{name}.csv").write_text("\n".join(",".join(row) for row in [list(HEADER), *rows]) + "\n")
    return list(oddities([read("train", folder, Format.CSV, "late")], "late", "binary:logistic", limits))


def each(column: int, change: Callable[[list[str]], str]) -> Change:
    """A change of one cell of every row."""
    return lambda rows: [[*row[:column], change(row), *row[column + 1 :]] for row in rows]


ODD: dict[str, tuple[Change, str]] = {
    "another unit": (
        each(DISTANCE, lambda row: f"{1000 * float(row[DISTANCE]):.1f}"),
        "3.csv: the values of 'distance' are 1.00",
    ),
    "another code": (each(CARRIER, lambda row: row[CARRIER].lower()), "3.csv: the values of 'carrier' are 1.00"),
    "always late": (each(LATE, lambda _: "1"), "3.csv: the values of 'late' are 0.68 away"),
    "a source that repeats one value": (each(DAY, lambda _: "3"), "3.csv: 'day' is always '3', 1"),
    "a word among numbers": (
        lambda rows: [[*rows[0][:DISTANCE], "n/a", *rows[0][DISTANCE + 1 :]], *rows[1:]],
        "3.csv line 2: 'distance' is 'n/a', and a number in every other file",
    ),
    "rows twice": (
        lambda rows: rows[: ROWS // 2] * 2,
        "3.csv: 50% of the rows repeat another row of the file, 0% else",
    ),
    "the answer as a number": (
        each(DISTANCE, lambda row: f"{float(row[DISTANCE]) / 3 + 1600 * int(row[LATE]):.1f}"),
        "3.csv: 'distance' alone reaches an area under the ROC curve of 1.000",
    ),
    "the answer as a word": (
        each(CARRIER, lambda row: ("AA", "BB")[int(row[LATE])]),
        "3.csv: 'carrier' alone reaches an area under the ROC curve of 1.000",
    ),
    "the answer as a cell that is empty": (
        each(DISTANCE, lambda row: "" if row[LATE] == "1" else row[DISTANCE]),
        "3.csv: 'distance' alone reaches an area under the ROC curve of 1.000",
    ),
}


@pytest.mark.parametrize(("change", "message"), ODD.values(), ids=ODD)
def test_each_oddity_is_found_and_no_other_file_is_blamed(tmp_path: Path, change: Change, message: str) -> None:
    said = found(tmp_path / "months", {"1": honest(1, 0), "2": honest(2, 0), "3": change(honest(3, 0))})

    assert any(line.startswith(f"train/{message}") for line in said), said
    assert all(line.startswith("train/3.csv") for line in said), said


def test_honest_months_are_odd_in_nothing(tmp_path: Path) -> None:
    for seed in range(20):
        assert found(tmp_path / str(seed), {str(month): honest(month, seed) for month in (1, 2, 3)}) == []


def test_a_column_that_is_not_said_to_move_is_compared(tmp_path: Path) -> None:
    months = {str(month): honest(month, 0) for month in (1, 2, 3)}
    said = found(tmp_path / "months", months, replace(LIMITS, moving=()))

    assert any("'month' is always '3'" in each or "the values of 'month'" in each for each in said), said


def test_a_file_that_comes_again_under_another_name_or_in_another_channel_is_named(tmp_path: Path) -> None:
    for channel, name in (("train", "1"), ("train", "2"), ("validation", "1")):
        path = tmp_path / channel / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("late,x\n" + "\n".join(f"{number % 2},{number}" for number in range(50)) + "\n")
    tables = [read(channel, tmp_path / channel, Format.CSV, "late") for channel in ("train", "validation")]

    said = list(oddities(tables, "late", "binary:logistic", LIMITS))
    assert said == ["train/2.csv: the same bytes as train/1.csv", "validation/1.csv: the same bytes as train/2.csv"]


def test_a_handful_of_rows_is_never_odd_by_chance(tmp_path: Path) -> None:
    rows = [["1", "1", "5.0", "AA", "1"], ["0", "1", "7.0", "BB", "2"]]
    other = [["0", "2", "900.0", "CC", "3"], ["1", "2", "1200.0", "DD", "4"]]

    assert found(tmp_path / "months", {"1": rows, "2": other}) == []

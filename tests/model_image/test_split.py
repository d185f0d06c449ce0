"""Which rows judge: decided by what is in a row, and by nothing around it."""

from __future__ import annotations

import csv
import dataclasses
import itertools
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.split import Shares, write
from processing.tables import read
from scoring.channels import Format
from scoring.dataset import Column, Part, Table

ROWS = 20_000
HALF = Shares(test=0.5, validation=None, by=())


def table(columns: dict[str, list[str]], channel: str = "validation") -> Table:
    """A channel of which only the columns are asked."""
    encoded: dict[str, Column] = {}
    for name, cells in columns.items():
        texts = tuple(dict.fromkeys(cells))
        places = {text: place for place, text in enumerate(texts)}
        encoded[name] = Column(name, texts, np.array([places[cell] for cell in cells], dtype=np.int32))
    (rows,) = {len(cells) for cells in columns.values()}
    return Table(channel, encoded, (Part(Path("rows.csv"), rows, ""),))


def judging(columns: dict[str, list[str]], shares: Shares = HALF) -> list[bool]:
    return shares.deal(table(columns), "late")["test"].tolist()


def flights(seed: int) -> dict[str, list[str]]:
    random = np.random.default_rng(seed)
    numbers = {"carrier": 12, "day": 31, "minute": 1440}
    return {name: [str(each) for each in random.integers(0, most, ROWS)] for name, most in numbers.items()}


def cells_of(column: Column) -> list[str]:
    return [column.texts[code] for code in column.codes.tolist()]


def sparse(folder: Path, *lines: str) -> Table:
    """A delivered channel `train` in LIBSVM's format."""
    path = folder / "train" / "rows.libsvm"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return read("train", path.parent, Format.LIBSVM, "late")


def test_a_sparse_row_goes_where_it_goes_whatever_features_other_rows_have(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    lines = [f"{row % 2} 0:{random.integers(1000)} 2:{random.integers(1000)}" for row in range(500)]
    shares = Shares(test=0.5, validation=0.4, by=())
    known = sparse(tmp_path, *lines)
    before = shares.deal(known, "late")
    after = shares.deal(sparse(tmp_path, *lines, "1 1:1 7:5"), "late")
    for name, rows in before.items():
        assert after[name][: len(lines)].tolist() == rows.tolist()
        assert 0.1 < rows.mean() < 0.7
    found = write(known, before, tmp_path / "train", tmp_path / "dealt")
    dealt = {name: (tmp_path / "dealt" / name / "rows.libsvm").read_text().splitlines() for name in found}
    assert {name: len(each) for name, each in dealt.items()} == {name: rows.sum() for name, rows in before.items()}
    assert sorted(itertools.chain(*dealt.values())) == sorted(lines)


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20))
def test_a_row_goes_where_it_goes_whatever_other_rows_columns_order_and_labels_there_are(
    rows: list[tuple[str, str]],
) -> None:
    one, other = (list(each) for each in zip(*rows, strict=True))
    whole = judging({"a": one, "b": other, "late": ["0"] * len(rows)})
    alone = [judging({"late": ["1"], "b": [b], "a": [a]})[0] for a, b in rows]
    assert whole == alone


def test_the_side_of_a_row_is_the_same_in_every_release() -> None:
    assert judging({"x": list("abcdefgh")}) == [False, True, False, True, False, False, True, True]
    assert judging({"x": ["a", "a", "b"], "y": ["1", "2", "1"]}) == [False, False, True]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_as_many_rows_judge_as_the_share_says_in_every_group(share: float) -> None:
    columns = flights(1)
    rows = np.array(judging(columns, dataclasses.replace(HALF, test=share)))
    for name in ("carrier", "day"):
        values = np.array(columns[name])
        for value in np.unique(values):
            own = rows[values == value]
            assert abs(own.mean() - share) < 5 * np.sqrt(share * (1 - share) / len(own))


def test_rows_that_share_what_decides_stay_together_and_groups_are_dealt_out_one_by_one() -> None:
    columns = flights(2)
    rows = np.array(judging(columns, dataclasses.replace(HALF, by=("carrier", "day"))))
    groups = np.char.add(np.char.add(columns["carrier"], "/"), columns["day"])
    found = {str(group): set(rows[groups == group].tolist()) for group in np.unique(groups)}
    assert all(len(sides) == 1 for sides in found.values())
    judged = np.array([sides.pop() for sides in found.values()])
    assert abs(judged.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(judged))


def test_one_delivery_is_dealt_out_completely_and_by_the_shares() -> None:
    shares = Shares(test=0.25, validation=0.4, by=())
    dealt = shares.deal(table(flights(3), "train"), "late")
    assert list(dealt) == ["train", "validation", "test"]
    assert np.stack([*dealt.values()]).sum(axis=0).tolist() == [1] * ROWS
    found = [rows.mean() for rows in dealt.values()]
    assert found == pytest.approx([0.6, 0.3, 0.1], abs=0.02)


def test_a_month_more_moves_no_row_from_judging_to_choosing() -> None:
    before, month = flights(4), flights(5)
    both = {name: [*month[name], *before[name]] for name in before}
    assert judging(both)[ROWS:] == judging(before)


@pytest.mark.parametrize("form", [Format.CSV, Format.PARQUET])
def test_files_keep_their_names_folders_cells_and_order_also_where_none_of_their_rows_goes(
    tmp_path: Path, form: Format
) -> None:
    source, target, awkward = tmp_path / "given", tmp_path / "dealt", ['say "no"', "a, b", "two\nlines", "", "ü"]
    cells = {"1": awkward * 3, "deep/2": ["a"]}
    for name, texts in cells.items():
        path = source / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [[str(number % 2), text, str(number)] for number, text in enumerate(texts)]
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["late", "x", "n"], *rows])
        if form is Format.PARQUET:
            duckdb.read_csv(str(path), header=True).write_parquet(str(path.with_suffix(".parquet")))
            path.unlink()
    given = read("validation", source, form, "late")
    dealt = HALF.deal(given, "late")
    write(given, dealt, source, target)

    for name, own in dealt.items():
        written = read(name, target / name, form, "late")
        assert [part.path.relative_to(target / name) for part in written.parts] == [
            part.path.relative_to(source) for part in given.parts
        ]
        for column in ("late", "x", "n"):
            assert cells_of(written.columns[column]) == list(itertools.compress(cells_of(given.columns[column]), own))
        assert written.rows == own.sum() > 0
    assert 0 in {part.rows for name in dealt for part in read(name, target / name, form, "late").parts}

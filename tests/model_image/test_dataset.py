from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import channels, dataset, features
from scoring.contract import BINARY, Feature, Kind
from scoring.errors import UserError
from scoring.targets import Target

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, name: str = "train", **parts: str | bytes) -> dataset.Table:
    files: list[Path] = []
    for stem, text in parts.items():
        path = folder / f"{stem}.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        files.append(path)
    return dataset.read(channels.Channel(name, tuple(files), ()))


def cells(table: dataset.Table, name: str) -> list[str]:
    column = table.columns[name]
    return [column.texts[int(code)] for code in column.codes]


def test_part_files_are_one_table_with_a_checksum_each(tmp_path: Path) -> None:
    table = read(tmp_path, p0="a,y\n1,0\n2,1\n", p1="a,y\r\n3,1\r\n")
    assert cells(table, "a") == ["1", "2", "3"]
    assert [part.rows for part in table.parts] == [2, 1]
    assert table.parts[0].sha256 == hashlib.sha256(b"a,y\n1,0\n2,1\n").hexdigest()
    assert [table.where(row) for row in range(3)] == [
        "train/p0.csv line 2",
        "train/p0.csv line 3",
        "train/p1.csv line 2",
    ]


Cell = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=6)


@given(st.lists(st.tuples(Cell, Cell), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_what_a_csv_writer_wrote_is_read_back_cell_by_cell(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b"), *rows])
    table = read(tmp_path_factory.mktemp("csv"), part=text.getvalue())
    first, second = (cells(table, name) for name in ("a", "b"))
    assert list(zip(first, second, strict=True)) == rows


def test_a_line_number_counts_line_breaks_inside_quotes(tmp_path: Path) -> None:
    table = read(tmp_path, part='a,y\n"two\nlines",0\nx,1\n')
    assert table.where(1) == "train/part.csv line 4"
    with pytest.raises(UserError, match=r"train/bad\.csv line 4: expected 2 cells as in the header, found 3 cells"):
        read(tmp_path, bad='a,y\n"two\nlines",0\nx,1,2\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"line 1: expected a header row"),
        (b"a,y\n", r"no data rows"),
        (b"a,a\n1,2\n", r"line 1: column 'a' appears twice"),
        (b"a,\n1,2\n", r"line 1: column 2 has no name"),
        (b"a,y\n1,0\n\n2,1\n", r"line 3: expected 2 cells as in the header, found a blank line"),
        (b"a,y\n1,0\n2\n", r"line 3: expected 2 cells as in the header, found 1 cells"),
        (b'a,y\n1,0\n"2,1\n', r"not valid CSV"),
        (b"a,y\n1,0\n\xff,1\n", r"not UTF-8"),
    ],
)
def test_a_broken_file_is_refused_by_name_and_line(tmp_path: Path, text: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, part=text)


def test_a_part_with_another_header_is_refused_with_the_difference(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"p1\.csv line 1: the header differs from p0\.csv: without y; with z"):
        read(tmp_path, p0="a,y\n1,0\n", p1="a,z\n1,0\n")


def test_a_column_is_categorical_as_soon_as_one_cell_is_not_a_number(tmp_path: Path) -> None:
    table = read(tmp_path, part="n,k,m,y\n1,b,1e3,0\n,a,nan,1\n-2.5, ,1_0,0\n")
    schema = features.infer_schema(table, "y")
    assert schema.features == (
        Feature("n"),
        Feature("k", Kind.CATEGORICAL, ("a", "b")),
        Feature("m", Kind.CATEGORICAL, ("1_0", "1e3", "nan")),
    )
    expected = np.array([[1, 1, 1], [np.nan, 0, 2], [-2.5, np.nan, 0]], dtype=np.float32)
    np.testing.assert_array_equal(features.matrix(table, schema), expected)


def test_a_category_that_training_never_saw_is_missing(tmp_path: Path) -> None:
    schema = features.infer_schema(read(tmp_path, part="k,y\na,0\nb,1\n"), "y")
    other = read(tmp_path, "validation", other="k,y\nb,0\nnew,1\n")
    np.testing.assert_array_equal(features.matrix(other, schema), np.array([[1], [np.nan]], dtype=np.float32))


def test_values_that_do_not_fit_name_file_line_and_column_all_at_once(tmp_path: Path) -> None:
    schema = features.infer_schema(read(tmp_path, part="a,b,y\n1,2,0\n2,3,1\n"), "y")
    other = read(tmp_path, "validation", other="a,b,y\n1,2,0\nx,1e39,1\n3,inf,0\n")
    with pytest.raises(UserError) as caught:
        features.matrix(other, schema)
    assert str(caught.value).splitlines() == [
        "validation/other.csv line 3, column 'a': 'x' is not a number",
        "validation/other.csv line 3, column 'b': '1e39' is beyond the range of float32",
        "validation/other.csv line 4, column 'b': 'inf' is beyond the range of float32",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,y\n1,0\n2,yes\n", r"line 3, column 'y': expected 0 or 1, found 'yes'"),
        ("a,y\n1,0\n2,\n", r"line 3, column 'y': expected 0 or 1, found ''"),
        ("a,y\n1,1\n2,1\n", r"every label is 1; both 0 and 1 must occur"),
    ],
)
def test_labels_are_zero_and_one_and_both_occur(tmp_path: Path, text: str, message: str) -> None:
    target, table = Target("y", BINARY, 2), read(tmp_path, part=text)

    def labels() -> None:
        target.check("train", target.labels(table))

    with pytest.raises(UserError, match=message):
        labels()


def test_a_wrong_label_name_suggests_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no label column 'lte'; did you mean 'late'\?"):
        features.infer_schema(read(tmp_path, part="a,late\n1,0\n"), "lte")


def test_an_identifier_column_is_refused(tmp_path: Path) -> None:
    rows = "\n".join(f"id{row},0" for row in range(features.MAX_CATEGORIES + 1))
    with pytest.raises(UserError, match=r"column 'k': 10001 different texts"):
        features.infer_schema(read(tmp_path, part=f"k,y\n{rows}\n"), "y")


def test_a_text_in_a_column_of_numbers_is_refused_at_its_place(tmp_path: Path) -> None:
    table = read(tmp_path, one="a,k,y\n1,x,0\n2,y,1\n", two="a,k,y\n,3,1\nn/a,z,1\n?,4,1\n0.5,,0\n")
    with pytest.raises(UserError) as caught:
        features.infer_schema(table, "y")
    refusal, advice = str(caught.value).splitlines()
    assert refusal == "train/two.csv line 3, column 'a': 'n/a' is not a number, but 3 of its 5 different texts are"
    assert advice.startswith("correct the cell, or leave it blank if the value is missing; ")


def test_a_column_of_texts_may_hold_numbers_and_is_pointed_out_if_most_cells_are(tmp_path: Path) -> None:
    table = read(tmp_path, part="a,k,y\n1,x,0\n1,y,1\nn/a,7,1\n")
    schema = features.infer_schema(table, "y")
    assert [feature.categories for feature in schema.features] == [("1", "n/a"), ("7", "x", "y")]
    found = features.warnings([table], schema)
    assert found == ["train/part.csv line 4, column 'a': 'n/a' makes it categorical, most of it is numbers"]


def test_validation_may_order_columns_differently_but_must_have_the_same(tmp_path: Path) -> None:
    schema = features.infer_schema(read(tmp_path, part="a,b,y\n1,2,0\n"), "y")
    same = read(tmp_path, "validation", same="y,b,a\n0,2,1\n")
    features.check_columns(same, schema)
    np.testing.assert_array_equal(features.matrix(same, schema), np.array([[1, 2]], dtype=np.float32))
    with pytest.raises(UserError) as caught:
        features.check_columns(read(tmp_path, "validation", odd="a,c,y\n1,2,0\n"), schema)
    assert str(caught.value).splitlines() == [
        "channel 'validation' lacks column 'b'",
        "channel 'validation' has column 'c', training data has not",
    ]


def test_part_files_in_folders_below_the_channel_are_found_in_the_order_of_their_paths(tmp_path: Path) -> None:
    config = tmp_path / "inputdataconfig.json"
    config.write_text('{"train": {"TrainingInputMode": "File"}, "validation": {"TrainingInputMode": "File"}}')
    for name in ("train/b.csv", "train/year=2013/month=02/x.csv", "train/a/_SUCCESS", "validation/part.csv"):
        part = tmp_path / "data" / name
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("late,hour\n1,2\n")
    found = channels.find(config, tmp_path / "data")["train"]
    assert [str(part.relative_to(tmp_path / "data" / "train")) for part in found.files] == [
        "b.csv",
        "year=2013/month=02/x.csv",
    ]
    assert found.ignored == ("a/_SUCCESS",)

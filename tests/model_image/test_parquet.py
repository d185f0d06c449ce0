from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

from scoring import dataset, features, libsvm, parquet
from scoring.channels import Channel, Format
from scoring.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scoring.dataset import Table

GROUP_ROWS = 2048
CELLS = """
    CASE WHEN i % 7 = 0 THEN NULL ELSE (i * 0.1)::DOUBLE END AS a,
    i::BIGINT - 5 AS b, (i / 3.0)::FLOAT AS f, i % 3 = 0 AS yes, (i / 4)::DECIMAL(10, 2) AS money,
    CASE WHEN i % 5 = 0 THEN NULL WHEN i % 5 = 1 THEN '' ELSE 'k' || (i % 4) END AS k, (i % 2)::TINYINT AS y
"""


def write(path: Path, rows: int, cells: str = CELLS, start: int = 0) -> Path:
    """Write a Parquet file and, beside it, the CSV file of the same cells."""
    with duckdb.connect() as database:
        query = f"FROM range({start}, {start + rows}) numbers(i) SELECT {cells}"
        parquet_options = f"FORMAT parquet, ROW_GROUP_SIZE {GROUP_ROWS}"
        database.execute(f"COPY ({query}) TO '{path}' ({parquet_options})")
        database.execute(f"COPY ({query}) TO '{path.with_suffix('.csv')}' (FORMAT csv, HEADER)")
    return path


def channel(*paths: Path, streamed: bool = False) -> Channel:
    return Channel("train", paths, (), format=Format.PARQUET, streamed=streamed)


def matrix(table: Table) -> Any:
    return features.matrix(table, features.infer_schema(table, "y"))


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        parquet.read(channel(path))
    return str(caught.value)


@pytest.mark.parametrize("streamed", [False, True])
def test_parquet_gives_the_bits_that_csv_of_the_same_cells_gives(tmp_path: Path, streamed: bool) -> None:
    paths = [write(tmp_path / "p0.parquet", 3000), write(tmp_path / "p1.parquet", 10, start=3000)]
    found = parquet.read(channel(*paths, streamed=streamed))
    expected = dataset.read(Channel("train", tuple(path.with_suffix(".csv") for path in paths), ()))
    booleans = expected.columns["yes"]
    assert {*booleans.texts} == {"true", "false"}  # as DuckDB writes them; Parquet's booleans are read as 1 and 0
    as_numbers = tuple("1" if text == "true" else "0" for text in booleans.texts)
    expected.columns["yes"] = dataset.Column("yes", as_numbers, booleans.codes)
    assert [*found.columns] == [*expected.columns]
    assert features.infer_schema(found, "y") == features.infer_schema(expected, "y")
    np.testing.assert_array_equal(matrix(found), matrix(expected))
    assert np.isnan(matrix(found)).any()
    assert [part.rows for part in found.parts] == [3000, 10]


def feed(path: Path, content: bytes) -> threading.Thread:
    """Make a pipe that gives the content once: it can be neither read again nor read out of order."""
    os.mkfifo(path)
    thread = threading.Thread(target=path.write_bytes, args=(content,))
    thread.start()
    return thread


READERS: dict[Format, Callable[[Channel], Table]] = {
    Format.CSV: dataset.read,
    Format.LIBSVM: lambda found: libsvm.read(found, "y"),
    Format.PARQUET: parquet.read,
}


@pytest.mark.parametrize("kind", READERS)
def test_a_streamed_file_is_read_once_from_start_to_end(tmp_path: Path, kind: Format) -> None:
    read = READERS[kind]
    source = write(tmp_path / "source.parquet", 3000)
    lines = b"".join(b"%d 0:%d 1:2.5\n" % (row % 2, row) for row in range(3000))
    contents = {Format.CSV: source.with_suffix(".csv").read_bytes(), Format.PARQUET: source.read_bytes()}
    content = contents.get(kind, lines)
    (tmp_path / "plain").write_bytes(content)
    pipe = tmp_path / "pipe"
    thread = feed(pipe, content)
    found = read(Channel("train", (pipe,), (), format=kind, streamed=True))
    thread.join(timeout=10)
    expected = read(Channel("train", (tmp_path / "plain",), (), format=kind))
    assert found.rows == 3000
    assert found.parts[0].sha256 == expected.parts[0].sha256
    np.testing.assert_array_equal(matrix(found), matrix(expected))


def test_a_bad_cell_is_named_by_file_row_row_group_and_column(tmp_path: Path) -> None:
    cells = "i::DOUBLE AS a, CASE WHEN i = 5000 THEN 1e300 ELSE 1 END::DOUBLE AS b, i % 2 AS y"
    table = parquet.read(channel(write(tmp_path / "p.parquet", 6000, cells)))
    with pytest.raises(UserError) as caught:
        matrix(table)
    expected = "train/p.parquet row 5001 (row group 2), column 'b': '1e+300' is beyond the range of float32"
    assert str(caught.value) == expected


def test_a_damaged_page_is_named_by_file_row_group_and_column(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", 6000)
    with duckdb.connect() as database:
        query = "SELECT data_page_offset FROM parquet_metadata($1) WHERE row_group_id = 1 AND path_in_schema = 'a'"
        row = database.execute(query, [str(path)]).fetchone()
    assert row
    content = bytearray(path.read_bytes())
    for place in range(row[0] + 40, row[0] + 300):
        content[place] ^= 0x5A
    path.write_bytes(content)
    assert refusal(path).startswith("train/p.parquet row group 1, column 'a': cannot be read: ")
    assert str(tmp_path) not in refusal(path)


@pytest.mark.parametrize("content", [b"", b"junk" * 10, b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_what_is_no_parquet_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.parquet"
    path.write_bytes(content)
    assert refusal(path).startswith("train/p.parquet: not valid Parquet: ")
    assert str(tmp_path) not in refusal(path)


def test_columns_of_types_that_a_cell_cannot_have_are_refused_all_at_once(tmp_path: Path) -> None:
    found = refusal(write(tmp_path / "p.parquet", 3, "DATE '2020-01-01' AS day, [1, 2] AS list, i AS y"))
    assert found.splitlines() == [
        "train/p.parquet, column 'day': its type is DATE; numbers, booleans and texts are read",
        "train/p.parquet, column 'list': its type is INTEGER[]; numbers, booleans and texts are read",
    ]


def test_files_of_other_columns_and_channels_without_rows_are_refused(tmp_path: Path) -> None:
    first, second = (write(tmp_path / f"p{n}.parquet", 3, f"i AS a, i AS {name}") for n, name in enumerate("yz"))
    with pytest.raises(UserError, match=r"train/p1\.parquet: the columns differ from p0\.parquet: without y; with z"):
        parquet.read(channel(first, second))
    assert "no data rows" in refusal(write(tmp_path / "empty.parquet", 0))


def test_names_of_columns_and_files_are_taken_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "year=2013"
    folder.mkdir()
    written = write(folder / "p.parquet", 3, """i AS "a "" b", i AS file_row_number, i AS y""")
    table = parquet.read(channel(written.rename(folder / "p[1]*.parquet")))
    assert [*table.columns] == ['a " b', "file_row_number", "y"]
    assert table.columns['a " b'].texts == ("0", "1", "2")
    assert "two columns have the same name" in refusal(twins(tmp_path / "twins.parquet"))


def twins(path: Path) -> Path:
    """Write a file with two columns that differ in case only, which no query can name: by changing its bytes."""
    write(path, 3, "i AS aaaa, i AS bbbb, i AS y")
    path.write_bytes(path.read_bytes().replace(b"bbbb", b"AAAA"))
    return path

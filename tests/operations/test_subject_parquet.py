"""One person's rows in Parquet files, and their captured requests with binary bodies."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from operations.subject_objects import erase, search
from operations.subject_parquet import OPTIONS
from operations.subject_records import Subject, split
from tests.operations.buckets import DATA, MODELS
from tests.operations.test_subject import PLACES, ann

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

ROWS = """
    SELECT * FROM (VALUES ('bob', 1, DATE '2026-01-01', NULL), ('ann', 2, NULL, [1.5]), ('bob', 3, NULL, [2.5]))
    t(passenger, y, day, "a ""b")
"""


def parquet(folder: Path, query: str = ROWS) -> bytes:
    path = folder / "made.parquet"
    with duckdb.connect(config=OPTIONS) as database:
        database.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


def rows(folder: Path, content: bytes) -> tuple[list[object], list[tuple[Any, ...]]]:
    """Types of the columns, and the rows."""
    path = folder / "read.parquet"
    path.write_bytes(content)
    with duckdb.connect(config=OPTIONS) as database:
        described = database.execute("DESCRIBE FROM read_parquet($1)", [str(path)]).fetchall()
        return [row[:2] for row in described], database.execute("FROM read_parquet($1)", [str(path)]).fetchall()


def test_all_other_rows_stay_in_their_order_and_with_their_types(tmp_path: Path) -> None:
    given = parquet(tmp_path)
    found = split("a.parquet", given, ann())
    assert found.taken == [{"passenger": "ann", "y": 2, "day": None, 'a "b': "[Decimal('1.5')]"}]
    types, before = rows(tmp_path, given)
    assert rows(tmp_path, found.content) == (types, [row for row in before if row[0] != "ann"])


def test_numbers_are_keys_like_texts_and_a_file_without_the_column_or_the_person_stays_as_it_is(tmp_path: Path) -> None:
    given = parquet(tmp_path)
    assert [row["y"] for row in split("a.parquet", given, Subject("3", "y")).taken] == [3]
    for subject in (Subject("ann", ""), Subject("ann", "other"), Subject("eve", "passenger"), Subject("' OR 1=1", "y")):
        found = split("a.parquet", given, subject)
        assert (found.taken, found.content) == ([], given)


def test_a_file_of_one_person_alone_leaves_nothing(tmp_path: Path) -> None:
    found = split("a.parquet", parquet(tmp_path, f"{ROWS} WHERE passenger = 'ann'"), ann())
    assert (len(found.taken), found.content) == (1, b"")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"passenger,y\nann,1\n"])
def test_what_is_no_parquet_is_told_and_not_taken_for_empty(content: bytes) -> None:
    with pytest.raises(ValueError, match="no Parquet file"):
        split("a.parquet", content, ann())


def test_an_erasure_takes_the_rows_out_of_every_version_and_finds_requests_with_binary_bodies(
    s3: S3Client,
    tmp_path: Path,
) -> None:
    for query in (ROWS, f"{ROWS} ORDER BY y DESC"):
        s3.put_object(Bucket=DATA, Key="toy/1.parquet", Body=parquet(tmp_path, query))
    s3.put_object(
        Bucket=MODELS, Key="toy/captures/eks/main/1.jsonl", Body=(capture("r1", "ann") + capture("r2", "bob"))
    )
    found = search(s3, PLACES, ann())
    assert [(each.key, each.latest, each.records) for each in found.found] == [
        ("toy/1.parquet", True, 1),
        ("toy/1.parquet", False, 1),
        ("toy/captures/eks/main/1.jsonl", True, 1),
    ]
    gone, kept = erase(s3, found.found, ann())
    assert (len(gone), kept) == (3, [])
    after = search(s3, PLACES, ann())
    assert (after.found, after.unread) == ((), ())
    _, left = rows(tmp_path, s3.get_object(Bucket=DATA, Key="toy/1.parquet")["Body"].read())
    assert [row[:2] for row in left] == [("bob", 3), ("bob", 1)]
    assert s3.get_object(Bucket=MODELS, Key="toy/captures/eks/main/1.jsonl")["Body"].read() == capture("r2", "bob")


def capture(identifier: str, subject: str) -> bytes:
    """A record as the server writes it of a request with binary tensors."""
    body = {"data": base64.b64encode(b"\x00\xff" + identifier.encode()).decode(), "encoding": "BASE64"}
    event = {"inferenceId": identifier, "customAttributes": ["model_version=2", f"subject={subject}"]}
    return json.dumps({"captureData": {"endpointInput": body}, "eventMetadata": event}).encode() + b"\n"

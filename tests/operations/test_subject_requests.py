"""One person's rows in what callers ask: found by what an object is, whatever it is called, and nobody else's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.subject_objects import Place, erase, search
from operations.subject_records import Subject, split
from tests.operations.buckets import MODELS
from tests.operations.test_subject import ann, record, texts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROWS = Place(MODELS, "toy/rows/", learnt_from=False, header=False)
TENSORS = {"inputs": [{"name": "passenger", "datatype": "BYTES", "shape": [2, 1], "data": ["ann", "bob"]}]}
NAMES = ["1.json", "1", "1.jsonl", "1.csv", "1.JSON", "1.txt"]
CASES: dict[str, tuple[str, list[Any], str]] = {
    "arrays": ('{"instances": [["ann", 1.5], ["bob", 2]]}', [["ann", 1.5]], '{"instances": [["bob", 2]]}'),
    "objects": (
        '{"instances": [{"passenger": "bob"}, {"passenger": "ann"}]}',
        [{"passenger": "ann"}],
        '{"instances": [{"passenger": "bob"}]}',
    ),
    "nobody else": ('\n {"instances": [["ann"]]}', [["ann"]], ""),
    "as escapes": ('{"instances": [["\\u0061nn"], [1]]}', [["ann"]], '{"instances": [[1]]}'),
    "a mark in front": ('\ufeff{"instances": [["ann"], [1]]}', [["ann"]], '{"instances": [[1]]}'),
    "CSV": ("ann,1\nbob,2\n", [["ann", "1"]], "bob,2\n"),
    "lines of arrays": ('["bob" , 1]\r\n["ann", 2]\r\n\r\n', [], '["bob" , 1]\r\n\r\n'),
    "lines of requests": (
        '{"instances":[["ann"],["bob"]]}\n{"instances":[["eve"]]}\n',
        [["ann"]],
        '{"instances": [["bob"]]}\n{"instances":[["eve"]]}\n',
    ),
    "lines that begin otherwise": ('1\n{"passenger":"ann"}\n', [], "1\n"),
    "tensors": (json.dumps(TENSORS), [], ""),
    "beside the rows": ('{"instances": [["ann"], ["bob"]], "id": "ann"}', [], ""),
    "hidden by another value": ('{"instances": [["bob"]], "instances": [[1]], "id": "ann", "id": "x"}', [], ""),
    "one array": ('["ann", 1]', [], ""),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("given_", "rows", "left"), CASES.values(), ids=CASES)
def test_rows_are_found_by_what_an_object_is_whatever_it_is_called(
    given_: str, rows: list[Any], left: str, name: str
) -> None:
    found = split(f"toy/rows/{name}", given_.encode(), ann(), header=False)
    assert found.taken if not rows else [each["row"] for each in found.taken] == rows
    assert found.content.decode() == left


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        '{ "instances" : [["annabel", 1e0], ["bob"]] }',
        '{"instances": [{"ann": 1}], "parameters": {"ann": null}}',
        '["a\u2028b"]\n\n["eve"]',
        "annabel,1\n",
        "",
    ],
)
def test_what_is_about_others_stays_byte_by_byte(name: str, text: str) -> None:
    found = split(name, text.encode(), ann(), header=False)
    assert (found.taken, found.content.decode()) == ([], text)


def test_a_number_is_a_key_as_it_is_in_cells() -> None:
    subject = Subject("1001", "passenger")
    found = split("1.json", b'{"instances": [[1001, true], ["1001"], [10010], [1]]}', subject, header=False)
    assert [each["row"] for each in found.taken] == [[1001, True], ["1001"]]
    assert split("1.json", b'{"instances": [[true]]}', Subject("True", ""), header=False).taken == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["ann", "bob", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_all_rows_of_others_stay_and_none_of_the_persons(rows: list[Any]) -> None:
    others = [row for row in rows if '"ann"' not in json.dumps(row)]
    found = split("1", json.dumps({"instances": rows, "a": 1}).encode(), ann(), header=False)
    assert [each["row"] for each in found.taken] == [row for row in rows if row not in others]
    assert found.content == (json.dumps({"instances": others, "a": 1}).encode() if others else b"")


def test_an_erasure_reaches_every_format_of_a_request_and_is_stopped_by_none(s3: S3Client) -> None:
    contents = {f"toy/rows/{place}": text for place, (text, _, _) in enumerate(CASES.values())}
    for key, text in contents.items():
        s3.put_object(Bucket=MODELS, Key=key, Body=text.encode(), ContentType="application/json")
    s3.put_object(Bucket=MODELS, Key="toy/rows/captured.jsonl", Body=record("r1", "subject=ann").encode())
    subject = ann()
    found = search(s3, [ROWS], subject)
    assert (len(found.found), found.unread, subject.identifiers) == (len(CASES) + 1, (), {"r1"})
    gone, kept = erase(s3, found.found, subject)
    assert (len(gone), kept, search(s3, [ROWS], ann()).found) == (len(CASES) + 1, [], ())
    assert [texts(s3, MODELS, f"{key}") for key in ("toy/rows/0", "toy/rows/9")] == [[CASES["arrays"][2]], []]
    assert s3.head_object(Bucket=MODELS, Key="toy/rows/0")["ContentType"] == "application/json"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("1.json", b'{"instances": [["ann"]', "Expecting ',' delimiter"),
        ("1", b'1,"a"b,3\n', "no CSV that can be read"),
        ("1.jsonl", b'["bob"]\n["ann"\n', "nor lines of it (line 2: Expecting ',' delimiter)"),
        ("1.txt", b'1\n{"passenger": "ann"\n', "nor lines of it (line 2"),
        ("1.csv", b'{"instances": [["ann"]', "Expecting ',' delimiter"),
        ("1.npy", b"\x93NUMPY\x01\x00v\x00", "can't decode byte 0x93"),
        ("1.json", '{"instances": [["ann"]]}'.encode("utf-16-le"), "no text: it holds a character of value zero"),
        ("1.json", b"[" * 100_000, "JSON that is nested too deeply"),
    ],
)
def test_what_is_no_text_or_of_no_kind_is_named(s3: S3Client, name: str, content: bytes, said: str) -> None:
    s3.put_object(Bucket=MODELS, Key=f"toy/rows/{name}", Body=content)
    (unread,) = search(s3, [ROWS], ann()).unread
    assert unread.startswith(f"s3://{MODELS}/toy/rows/{name}: ")
    assert said in unread


@pytest.mark.parametrize("cell", ["[0", "{a"])
def test_a_cell_of_what_is_called_csv_may_begin_like_json(cell: str) -> None:
    found = split("1.csv", f"{cell},1\n{cell},ann\n".encode(), ann(), header=False)
    assert (found.taken, found.content.decode()) == ([{"row": [cell, "ann"]}], f"{cell},1\n")

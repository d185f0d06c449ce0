from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.batcher import as_texts
from scoring.codec import PIECE_BYTES, Decoder, Rows, encode_csv, encode_json
from scoring.contract import Feature, Kind, Schema
from scoring.encoding import number, text_encoder
from scoring.errors import Fault, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

NUMERIC = Schema("y", (Feature("a"), Feature("b"), Feature("c")))
MIXED = Schema("y", (Feature("a"), Feature("k", Kind.CATEGORICAL, ("red", "sea blue", "x,y")), Feature("c")))


def matrix(rows: Rows) -> list[list[float | None]]:
    values = np.frombuffer(rows.data, dtype="<f4").reshape(rows.length, -1)
    return [[None if math.isnan(v) else float(v) for v in row] for row in values]


def f32(value: float) -> float:
    return float(np.float32(value))


def attempt(read: Callable[[bytes], Rows], body: bytes) -> Rows:
    """Read a body; a refusal counts as no rows, anything else that goes wrong is an error."""
    try:
        return read(body)
    except RequestError:
        return Rows(0, b"")


def refusal(read: Callable[[bytes], Rows], body: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(body)
    return caught.value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"1,2,3", [[1, 2, 3]]),
        (b"1,2,3\n4,5,6\n", [[1, 2, 3], [4, 5, 6]]),
        (b"1,2,3\r\n4,5,6\r\n", [[1, 2, 3], [4, 5, 6]]),
        (b"+1,.5,1e2", [[1, 0.5, 100]]),
        (b" 1 ,nan,", [[1, None, None]]),
        (b'"1",2,3', [[1, 2, 3]]),
        (b"0.1,-0,16777217", [[f32(0.1), 0, 16777216]]),
    ],
)
def test_csv_numbers_are_read_as_written_and_blank_is_missing(body: bytes, expected: list[list[float]]) -> None:
    assert matrix(Decoder(NUMERIC, 100).csv(body)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"1,red,3\n,sea blue,", [[1, 0, 3], [None, 1, None]]),
        (b'1,"x,y",3', [[1, 2, 3]]),
        (b"1,unseen,3\n1,,3", [[1, None, 3], [1, None, 3]]),
    ],
)
def test_categories_arrive_as_text_and_unseen_ones_are_missing(body: bytes, expected: list[list[float]]) -> None:
    assert matrix(Decoder(MIXED, 100).csv(body)) == expected


@pytest.mark.parametrize("schema", [NUMERIC, MIXED])
@pytest.mark.parametrize(
    ("body", "fault", "row", "column"),
    [
        (b"", Fault.EMPTY_BODY, None, None),
        (b"\r\n", Fault.EMPTY_BODY, None, None),
        (b"1,2,3\n1,2", Fault.FEATURE_COUNT, 2, None),
        (b"1,2,3\n\n1,2,3", Fault.FEATURE_COUNT, 2, None),
        (b"1,2,3,4", Fault.FEATURE_COUNT, 1, None),
        (b"x,2,3", Fault.WRONG_TYPE, 1, "a"),
        (b"1,2,true", Fault.WRONG_TYPE, 1, "c"),
        (b"1,2,3\n1,2,3\r5\n1,2,3", Fault.WRONG_TYPE, 2, "c"),
        (b"1,2,null", Fault.WRONG_TYPE, 1, "c"),
        (b"1,2,1_0", Fault.WRONG_TYPE, 1, "c"),
        (b"1,2,{}", Fault.WRONG_TYPE, 1, "c"),
        (b"1,2,3\n1,2,inf", Fault.OUT_OF_RANGE, 2, "c"),
        (b"-Infinity,2,3", Fault.OUT_OF_RANGE, 1, "a"),
        (b"1,2,1e39", Fault.OUT_OF_RANGE, 1, "c"),
        (b"1,2,1e999", Fault.OUT_OF_RANGE, 1, "c"),
        (b"1e308,2,1e308", Fault.OUT_OF_RANGE, 1, "a"),
        (b"1,2,3],[4,5,6", Fault.FEATURE_COUNT, 1, None),
        (b"1,2,3],[4,5,6\n7,8,9", Fault.FEATURE_COUNT, 1, None),
        (b'1,2,"3', Fault.MALFORMED_BODY, 1, None),
        (b"1,2,\xff", Fault.MALFORMED_BODY, None, None),
        (b"1,2,3\n" * 101, Fault.TOO_MANY_ROWS, None, None),
    ],
)
def test_a_wrong_csv_body_is_refused_with_row_and_column(
    schema: Schema, body: bytes, fault: Fault, row: int | None, column: str | None
) -> None:
    error = refusal(Decoder(schema, 100).csv, body)
    assert (error.fault, error.row, error.column) == (fault, row, column)


@pytest.mark.parametrize(
    ("instances", "expected"),
    [
        ([[1, "red", 2.5]], [[1, 0, 2.5]]),
        ([{"c": 2.5, "a": 1, "k": "red"}], [[1, 0, 2.5]]),
        ([[None, None, None], [1, "unseen", 2]], [[None, None, None], [1, None, 2]]),
        ([[1, "red", 2], {"a": 1, "k": "x,y", "c": None}], [[1, 0, 2], [1, 2, None]]),
    ],
)
def test_json_rows_are_arrays_or_objects(instances: list[Any], expected: list[list[float]]) -> None:
    assert matrix(Decoder(MIXED, 100).json(json.dumps({"instances": instances}).encode())) == expected


@pytest.mark.parametrize(
    ("body", "fault", "row", "column"),
    [
        (b"", Fault.EMPTY_BODY, None, None),
        (b"{", Fault.MALFORMED_BODY, None, None),
        (b"[[1,2,3]]", Fault.MALFORMED_BODY, None, None),
        (b'{"instances":3}', Fault.MALFORMED_BODY, None, None),
        (b'{"instance":[[1,2,3]]}', Fault.MALFORMED_BODY, None, None),
        (b'{"instances":[]}', Fault.EMPTY_BODY, None, None),
        (b'{"instances":[[1,"red",NaN]]}', Fault.MALFORMED_BODY, None, None),
        (b'{"instances":[[1,"red",1e999]]}', Fault.MALFORMED_BODY, None, None),
        (b'{"instances":[[1,"red",3],7]}', Fault.WRONG_TYPE, 2, None),
        (b'{"instances":[[1,"red"]]}', Fault.FEATURE_COUNT, 1, None),
        (b'{"instances":[{"a":1,"k":"red"}]}', Fault.FEATURE_COUNT, 1, "c"),
        (b'{"instances":[{"a":1,"k":"red","c":1,"d":2}]}', Fault.UNKNOWN_FEATURE, 1, "d"),
        (b'{"instances":[["1","red",3]]}', Fault.WRONG_TYPE, 1, "a"),
        (b'{"instances":[[1,"red",true]]}', Fault.WRONG_TYPE, 1, "c"),
        (b'{"instances":[[1,7,3]]}', Fault.WRONG_TYPE, 1, "k"),
        (b'{"instances":[[1,"red",[3]]]}', Fault.WRONG_TYPE, 1, "c"),
        (b'{"instances":[[1,"red",-1e39]]}', Fault.OUT_OF_RANGE, 1, "c"),
        (b'{"instances":' + b"[" * 5000 + b"]" * 5000 + b"}", Fault.MALFORMED_BODY, None, None),
    ],
)
def test_a_wrong_json_body_is_refused_with_row_and_column(
    body: bytes, fault: Fault, row: int | None, column: str | None
) -> None:
    error = refusal(Decoder(MIXED, 100).json, body)
    assert (error.fault, error.row, error.column) == (fault, row, column)


@given(st.binary(max_size=60) | st.text("0123456789.,-+eE\n\r[]{}\"'_nainf redx", max_size=60).map(str.encode))
@settings(max_examples=300)
def test_any_body_becomes_finite_rows_of_the_right_width_or_a_refusal(body: bytes) -> None:
    for schema in (NUMERIC, MIXED):
        decoder = Decoder(schema, 20)
        for read in (decoder.csv, decoder.json):
            rows = attempt(read, body)
            assert len(rows.data) == rows.length * schema.width * 4
            assert not np.isinf(np.frombuffer(rows.data, dtype="<f4")).any()


@given(st.lists(st.floats(width=32, allow_infinity=False), min_size=3, max_size=3))
def test_csv_json_and_the_training_reader_give_the_same_float32(values: list[float]) -> None:
    decoder = Decoder(NUMERIC, 1)
    text = ",".join(map(repr, values)).encode()
    instances: list[float | None] = [None if math.isnan(value) else value for value in values]
    trained = np.array([text_encoder(Feature("a"))(repr(value)) for value in values], dtype="<f4").tobytes()
    assert decoder.csv(text).data == trained
    assert decoder.json(json.dumps({"instances": [instances]}).encode()).data == trained


def test_number_refuses_what_only_python_reads_as_one() -> None:
    assert number(" 5 ") == 5
    with pytest.raises(ValueError, match="1_0"):
        number("1_0")


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
def test_answers_read_back_to_the_same_float32(values: list[float]) -> None:
    probabilities = np.array(values, dtype=np.float32)
    texts = as_texts(probabilities)
    lines = encode_csv(texts).decode().splitlines()
    predictions = json.loads(encode_json(texts))["predictions"]
    assert np.array([float(line) for line in lines], dtype=np.float32).tobytes() == probabilities.tobytes()
    assert np.array(predictions, dtype=np.float32).tobytes() == probabilities.tobytes()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_body_of_many_pieces_is_the_same_as_its_lines(end: str) -> None:
    lines = [f"{place},{place / 7},{-place}" for place in range(PIECE_BYTES // 4)]
    body = end.join(lines).encode()
    assert len(body) > 3 * PIECE_BYTES
    read = Decoder(NUMERIC, len(lines)).csv
    together = read(body)
    assert together.length == len(lines)
    assert together.data == b"".join(read(line.encode()).data for line in lines)
    assert refusal(read, body + b"\n1,x,3").fault is Fault.TOO_MANY_ROWS
    broken = [*lines[:-1], "1,x,3"]
    assert refusal(read, end.join(broken).encode()).row == len(lines)

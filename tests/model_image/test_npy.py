"""Arrays in NumPy's file format as request bodies."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import codec, npy
from scoring.codec import Decoder
from scoring.contract import Feature, Kind, Schema
from scoring.errors import Fault, RequestError

DECODER = Decoder(Schema("y", (Feature("a"), Feature("b"), Feature("c"))), 4)
TYPES = ["<f4", ">f4", "<f8", ">f8", "|i1", "|u1", "<i2", ">i4", "<i8", "<u2", "<u4", ">u8"]


def saved(values: Any, version: tuple[int, int] = (1, 0)) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(values), version=version, allow_pickle=False)
    return file.getvalue()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_type_version_and_order_gives_the_values_that_numpy_wrote(
    kind: str, version: tuple[int, int], order: Any
) -> None:
    values = np.array([[1, 2, 3], [4, 5, 6]], dtype=kind, order=order)
    rows = DECODER.npy(saved(values, version))
    assert rows.length == 2
    assert np.frombuffer(rows.data, "<f4").tolist() == [1, 2, 3, 4, 5, 6]


def test_one_dimension_is_one_row_and_nan_is_missing() -> None:
    rows = DECODER.npy(saved([1.5, np.nan, 2.5]))
    assert rows.length == 1
    assert np.frombuffer(rows.data, "<f4")[[0, 2]].tolist() == [1.5, 2.5]
    assert np.isnan(np.frombuffer(rows.data, "<f4")[1])


@pytest.mark.parametrize("kind", ["<f4", "<f8"])
def test_a_signalling_nan_is_missing_without_a_warning(kind: str) -> None:
    bits = {"<f4": "0100807f", "<f8": "010000000000f07f"}[kind]
    values = np.frombuffer(bytes.fromhex(bits) * 3, kind)
    assert np.isnan(np.frombuffer(DECODER.npy(saved(values)).data, "<f4")).all()


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3))
def test_integers_become_what_they_become_as_json(cells: list[int]) -> None:
    body = b'{"instances":[[%d,%d,%d]]}' % tuple(cells)
    assert DECODER.npy(saved(np.array([cells]))).data == DECODER.json(body).data


@pytest.mark.parametrize(
    ("body", "fault", "message"),
    [
        (b"", Fault.EMPTY_BODY, "holds no row"),
        (saved(np.zeros((0, 3))), Fault.EMPTY_BODY, "holds no row"),
        (b"\x93NUMPY\x03\x00" + b"\0" * 20, Fault.MALFORMED_BODY, "version 1 or 2"),
        (b"1,2,3", Fault.MALFORMED_BODY, "version 1 or 2"),
        (saved(np.zeros((1, 3))).replace(b"\x01\0", b"\x01\x02", 1), Fault.MALFORMED_BODY, "version 1 or 2"),
        (saved(np.zeros((1, 3))).replace(b" \n", b" \v"), Fault.MALFORMED_BODY, "the header is damaged"),
        (saved(np.zeros((1, 3))).replace(b"(1, 3), ", b"(1,, 3),"), Fault.MALFORMED_BODY, "the header is damaged"),
        (saved(np.zeros((1, 3)))[:-1], Fault.MALFORMED_BODY, "23 bytes of data, shape (1, 3) of <f8 needs 24"),
        (saved(np.zeros((1, 3))) + b"x", Fault.MALFORMED_BODY, "25 bytes of data"),
        (saved(np.zeros((1, 1, 3))), Fault.MALFORMED_BODY, "one or two dimensions"),
        (saved(np.float64(1)), Fault.MALFORMED_BODY, "one or two dimensions"),
        (saved(np.array([["a"]])), Fault.MALFORMED_BODY, "elements of type '<U1'"),
        (saved(np.array([[True]])), Fault.MALFORMED_BODY, "elements of type '|b1'"),
        (saved(np.zeros(3, dtype=[("a", "<f4")])), Fault.MALFORMED_BODY, "the header is damaged"),
        (saved(np.zeros((5, 3))), Fault.TOO_MANY_ROWS, "5 rows, at most 4"),
        (saved(np.zeros((2, 4))), Fault.FEATURE_COUNT, "row 1: expected 3 cells (a, b, c), found 4"),
        (saved([[0, 0, 0], [0, 1e39, 0]]), Fault.OUT_OF_RANGE, "row 2, column 'b': 1e+39 is beyond"),
        (saved([[0, 0, -np.inf]]), Fault.OUT_OF_RANGE, "row 1, column 'c': -inf is beyond"),
    ],
)
def test_what_is_not_rows_of_numbers_is_refused_and_the_reason_said(body: bytes, fault: Fault, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        DECODER.npy(body)
    assert caught.value.fault is fault
    assert message in str(caught.value)


class Bomb:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("unpickled",))


def test_an_array_of_pickled_objects_is_refused_unread() -> None:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }\n"
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickle.dumps([Bomb()])
    with pytest.raises(RequestError, match=r"elements of type '\|O'"):
        DECODER.npy(body)


def test_a_categorical_feature_has_no_place_in_an_array() -> None:
    decoder = Decoder(Schema("y", (Feature("a"), Feature("k", Kind.CATEGORICAL, ("x",)))), 4)
    with pytest.raises(RequestError, match="column 'k' is categorical") as caught:
        decoder.npy(saved([[1, 2]]))
    assert caught.value.column == "k"


@given(st.binary(max_size=40), st.integers(0, 200), st.binary(max_size=3))
@settings(max_examples=300, deadline=None)
def test_damaged_bodies_are_read_or_refused_but_never_fail(start: bytes, place: int, patch: bytes) -> None:
    whole = saved([[1.0, 2.0, 3.0]])
    for body in (start, npy.MAGIC + start, whole[:place] + patch + whole[place + len(patch) :], whole[:place] + patch):
        with contextlib.suppress(RequestError):  # whose status is the client's fault, by the table in errors
            assert DECODER.npy(body).length > 0


def test_answers_are_the_same_float32_in_an_array() -> None:
    values = np.array([0.1, 0.25, 1e-30], np.float32)
    texts = [str(value).encode() for value in values]
    found = npy.read(codec.encode_npy(texts))
    assert found.dtype == np.float32
    assert found.tobytes() == values.tobytes()
    several = npy.read(codec.encode_npy([b"0.5,0.25", b"0.125,1.0"]))
    assert several.tolist() == [[0.5, 0.25], [0.125, 1.0]]

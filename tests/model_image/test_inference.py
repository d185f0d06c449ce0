"""The Open Inference Protocol without a connection: documents and binary tensors in, answers out."""

from __future__ import annotations

import json
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.application import ModelApplication
from scoring.artifact import Artifact
from scoring.batcher import Batcher
from scoring.codec import Decoder
from scoring.contract import IMAGE_CONTRACT, Feature, Kind, Schema
from scoring.elements import NUMBERS
from scoring.messages import Request, Response
from scoring.served import ServedModel
from scoring.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

NUMERIC = Schema("y", (Feature("a"), Feature("b"), Feature("c")))
MIXED = Schema("y", (Feature("a"), Feature("k", Kind.CATEGORICAL, ("red", "dé"))))
INFER = b"/v2/models/m%20x/infer"


class Bench:
    """A model that answers the sum of a row, in float32, and remembers the rows."""

    def __init__(self, schema: Schema = NUMERIC, *, loaded: bool = True) -> None:
        self.turns: deque[Callable[[], None]] = deque()
        self.rows: list[list[float | None]] = []
        self.width = schema.width
        self.application = ModelApplication(ServerSettings(model_name="m x"))
        if loaded:
            limits = {"max_batch_rows": 64, "max_queued_bytes": 10_000}
            batcher = Batcher(self._predict, schema.width, self.turns.append, on_batch=len_ignored, **limits)
            artifact = Artifact(b"", schema, {}, {}, "d" * 64)
            self.application.use(ServedModel(artifact, Decoder(schema, 9), batcher, name="m x"))

    def _predict(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        self.rows += [[None if np.isnan(cell) else float(cell) for cell in row] for row in rows]
        return np.nan_to_num(rows).sum(axis=1)

    def ask(self, method: bytes, target: bytes, body: bytes = b"", head: bytes = b"", media: bytes = b"") -> Response:
        answers: list[Response] = []
        self.application.handle(Request(method, target, media, b"", body, 0.0, head), answers.append)
        while self.turns:
            self.turns.popleft()()
        (answer,) = answers
        return answer

    def infer(self, document: object, binary: bytes = b"") -> tuple[int, dict[str, Any]]:
        text = json.dumps(document).encode()
        answer = self.ask(b"POST", INFER, text + binary, b"%d" % len(text) if binary else b"")
        return answer.status, json.loads(answer.body)


def len_ignored(_rows: int) -> None:
    """The batch sizes do not matter here."""


def tensor(name: str, datatype: str, shape: list[int], data: object) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def binary(name: str, datatype: str, shape: list[int], size: int) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


def test_health_and_metadata_describe_server_and_model() -> None:
    bench = Bench()
    found = {
        path: json.loads(bench.ask(b"GET", b"/v2" + path).body) for path in (b"", b"/health/live", b"/health/ready")
    }
    assert found[b""] == {"name": "slipway", "version": str(IMAGE_CONTRACT), "extensions": ["binary_tensor_data"]}
    assert found[b"/health/live"] == {"live": True}
    assert found[b"/health/ready"] == {"ready": True}
    assert json.loads(bench.ask(b"GET", b"/v2/models/m%20x/ready").body) == {"name": "m x", "ready": True}
    assert json.loads(bench.ask(b"GET", b"/v2/models/m%20x").body) == {
        "name": "m x",
        "versions": ["d" * 12],
        "platform": "xgboost",
        "inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [{"name": "predictions", "datatype": "FP32", "shape": [-1]}],
    }
    mixed = json.loads(Bench(MIXED).ask(b"GET", b"/v2/models/m%20x").body)["inputs"]
    assert [(item["name"], item["datatype"], item["shape"]) for item in mixed] == [
        ("a", "FP32", [-1]),
        ("k", "BYTES", [-1]),
    ]


def test_liveness_needs_no_model_and_readiness_does_and_ends_with_the_drain() -> None:
    empty, draining = Bench(loaded=False), Bench()
    draining.application.draining = True
    for bench in (empty, draining):
        assert bench.ask(b"GET", b"/v2/health/live").status == 200
        assert bench.ask(b"GET", b"/v2/health/ready").status == 503
        assert bench.ask(b"GET", b"/v2/models/m%20x/ready").status == 503
    assert empty.ask(b"GET", b"/v2/models/m%20x").status == 503
    assert draining.infer({"inputs": [tensor("x", "FP32", [1, 3], [1, 2, 3])]})[0] == 200


@pytest.mark.parametrize("data", [[1, 2.5, None, 4, 5, 6], [[1, 2.5, None], [4, 5, 6]]])
def test_one_tensor_of_all_features_is_read_flat_or_nested(data: list[Any]) -> None:
    bench = Bench()
    document = {"id": 'é"1', "inputs": [tensor("anything", "FP64", [2, 3], data)], "outputs": [{"name": "predictions"}]}
    status, answer = bench.infer(document)
    assert status == 200
    assert bench.rows == [[1, 2.5, None], [4, 5, 6]]
    assert answer == {
        "model_name": "m x",
        "model_version": "d" * 12,
        "id": 'é"1',
        "outputs": [{"name": "predictions", "shape": [2], "datatype": "FP32", "data": [3.5, 15.0]}],
    }


def test_one_tensor_per_feature_is_matched_by_name_and_categories_are_bytes() -> None:
    bench = Bench(MIXED)
    inputs = [tensor("k", "BYTES", [3, 1], [["dé"], ["new"], [None]]), tensor("a", "INT64", [3], [7, 8, 9])]
    assert bench.infer({"inputs": inputs})[0] == 200
    assert bench.rows == [[7, 1], [8, None], [9, None]]


@pytest.mark.parametrize("datatype", sorted(NUMBERS))
def test_a_binary_tensor_of_every_datatype_is_the_same_as_its_json(datatype: str) -> None:
    values = np.array([[0, 1, 2], [3, 100, 127]], dtype=NUMBERS[datatype])
    by_json, by_bytes = Bench(), Bench()
    assert by_json.infer({"inputs": [tensor("x", datatype, [2, 3], values.tolist())]})[0] == 200
    data = values.tobytes()
    assert by_bytes.infer({"inputs": [binary("x", datatype, [2, 3], len(data))]}, data)[0] == 200
    assert by_bytes.rows == by_json.rows == values.tolist()


def test_binary_tensors_follow_in_the_order_of_the_inputs_and_the_answer_may_be_binary_too() -> None:
    bench = Bench(MIXED)
    texts = b"".join(struct.pack("<I", len(text)) + text for text in ("dé".encode(), b""))
    floats = struct.pack("<2f", 1.5, float("nan"))
    inputs = [binary("k", "BYTES", [2], len(texts)), binary("a", "FP32", [2, 1], len(floats))]
    outputs = [{"name": "predictions", "parameters": {"binary_data": True}}]
    text = json.dumps({"id": "7", "inputs": inputs, "outputs": outputs}).encode()
    answer = bench.ask(b"POST", INFER, text + texts + floats, b"%d" % len(text), b"application/octet-stream")
    assert bench.rows == [[1.5, 1], [None, None]]
    assert answer.content_type == b"application/octet-stream"
    length = int(answer.headers.rpartition(b"Inference-Header-Content-Length: ")[2])
    head = json.loads(answer.body[:length])
    assert head["id"] == "7"
    assert head["outputs"][0] == {
        "name": "predictions",
        "shape": [2],
        "datatype": "FP32",
        "parameters": {"binary_data_size": 8},
    }
    assert struct.unpack("<2f", answer.body[length:]) == (2.5, 0.0)


def test_all_outputs_are_binary_on_request_unless_the_output_says_otherwise() -> None:
    document: dict[str, Any] = {
        "inputs": [tensor("x", "FP32", [1, 3], [1, 2, 3])],
        "parameters": {"binary_data_output": True},
    }
    body = json.dumps(document).encode()
    assert Bench().ask(b"POST", INFER, body).body.endswith(struct.pack("<f", 6))
    document["outputs"] = [{"name": "predictions", "parameters": {"binary_data": False}}]
    assert Bench().infer(document)[1]["outputs"][0]["data"] == [6]


GOOD = tensor("x", "FP32", [1, 3], [1, 2, 3])
A, B = tensor("a", "FP32", [1], [1]), tensor("b", "FP32", [1], [1])


@pytest.mark.parametrize(
    ("document", "status", "code", "words"),
    [
        ([], 400, "malformed_body", "expected an object"),
        ({}, 400, "malformed_body", '"inputs" must be an array'),
        ({"inputs": []}, 400, "malformed_body", '"inputs" must be an array'),
        ({"inputs": [GOOD], "id": 7}, 400, "malformed_body", '"id" must be a string'),
        ({"inputs": [GOOD], "outputs": [{"name": "p"}]}, 400, "malformed_body", "one output, 'predictions'"),
        ({"inputs": [GOOD], "parameters": {"binary_data_output": 1}}, 400, "malformed_body", "true or false"),
        ({"inputs": [{"shape": [1, 3]}]}, 400, "malformed_body", '"name" and a "datatype"'),
        ({"inputs": [GOOD | {"datatype": "BF16"}]}, 400, "wrong_type", "'BF16' is none of FP16, FP32"),
        ({"inputs": [GOOD | {"datatype": "BYTES"}]}, 400, "wrong_type", "numeric"),
        ({"inputs": [GOOD | {"shape": [-1, 3]}]}, 400, "malformed_body", "whole numbers"),
        ({"inputs": [GOOD | {"shape": [True, 3]}]}, 400, "malformed_body", "whole numbers"),
        ({"inputs": [GOOD | {"shape": [3]}]}, 400, "feature_count", "expected shape [n, 3] (a, b, c), found [3]"),
        ({"inputs": [GOOD | {"shape": [1, 4]}]}, 400, "feature_count", "3 elements, the shape says 4"),
        ({"inputs": [GOOD | {"shape": [10**18, 10**18]}]}, 400, "feature_count", "3 elements"),
        ({"inputs": [GOOD | {"shape": [0, 3], "data": []}]}, 400, "empty_body", "no row"),
        ({"inputs": [GOOD | {"shape": [10, 3], "data": [1] * 30}]}, 413, "too_many_rows", "at most 9"),
        ({"inputs": [GOOD | {"data": [[1, 2], [3]]}]}, 400, "feature_count", "not nested"),
        ({"inputs": [GOOD | {"data": "abc"}]}, 400, "malformed_body", '"data" must be an array'),
        (
            {"inputs": [GOOD | {"data": [1, "2", 3]}]},
            400,
            "wrong_type",
            "row 1, column 'b': expected a number, found '2'",
        ),
        ({"inputs": [GOOD | {"data": [1, True, 3]}]}, 400, "wrong_type", "found True"),
        ({"inputs": [GOOD | {"data": [1, 2, 1e39]}]}, 400, "out_of_range", "float32"),
        ({"inputs": [GOOD | {"datatype": "INT32", "data": [1, 2.0, 3]}]}, 400, "wrong_type", "a whole number"),
        ({"inputs": [GOOD | {"datatype": "INT8", "data": [1, 128, 3]}]}, 400, "out_of_range", "INT8"),
        ({"inputs": [A, B]}, 400, "feature_count", "no tensor for c"),
        ({"inputs": [A, A, B]}, 400, "feature_count", "no tensor for c"),
        ({"inputs": [A, B, A | {"name": "d"}]}, 400, "unknown_feature", "no feature is called 'd'"),
        (
            {"inputs": [A, B, A | {"name": "c", "shape": [2], "data": [1, 2]}]},
            400,
            "feature_count",
            "expected shape [1]",
        ),
        ({"inputs": [binary("x", "FP32", [1, 3], 12)]}, 400, "malformed_body", "at most the 0 bytes"),
    ],
)
def test_a_clients_mistake_has_a_code_and_a_sentence(document: object, status: int, code: str, words: str) -> None:
    found, answer = Bench().infer(document)
    assert (found, answer["code"]) == (status, code)
    assert words in answer["error"]


@pytest.mark.parametrize(
    ("inputs", "code", "words"),
    [
        ([tensor("x", "FP32", [1, 2], [1, 2])], "wrong_type", "one tensor per feature, because of the categorical k"),
        ([tensor("a", "FP32", [1], [1]), tensor("k", "INT8", [1], [0])], "wrong_type", "must be BYTES"),
        ([tensor("a", "FP32", [1], [1]), tensor("k", "BYTES", [1], [0])], "wrong_type", "expected a string, found 0"),
    ],
)
def test_a_category_is_text_and_nothing_else(inputs: list[object], code: str, words: str) -> None:
    found, answer = Bench(MIXED).infer({"inputs": inputs})
    assert (found, answer["code"]) == (400, code)
    assert words in answer["error"]


@pytest.mark.parametrize(
    ("schema", "inputs", "data", "words"),
    [
        (
            NUMERIC,
            [binary("x", "FP32", [1, 3], 8)],
            b"12345678",
            "3 elements of FP32 are 12 bytes, binary_data_size is 8",
        ),
        (NUMERIC, [binary("x", "FP32", [1, 3], 12)], b"123456789012345", "3 bytes of binary data belong to no input"),
        (NUMERIC, [binary("x", "FP32", [1, 3], 13)], b"123456789012", "at most the 12 bytes"),
        (NUMERIC, [binary("x", "FP32", [1, 3], 12) | {"data": [1]}], b"123456789012", 'instead of "data"'),
        (NUMERIC, [binary("x", "FP32", [1, 3], 12)], struct.pack("<3f", 1, float("inf"), 0), "column 'b' is beyond"),
        (NUMERIC, [binary("x", "FP64", [1, 3], 24)], struct.pack("<3d", 1, 2, -1e39), "column 'c' is beyond"),
        (MIXED, [binary("k", "BYTES", [1], 5), A], b"\x02\0\0\0a", "not the 1 elements"),
        (MIXED, [binary("k", "BYTES", [1], 3), A], b"\x02\0\0", "element 1"),
        (MIXED, [binary("k", "BYTES", [1], 5), A], b"\x01\0\0\0\xff", "element 1"),
        (MIXED, [binary("k", "BYTES", [1], 8), A], b"\0\0\0\0\0\0\0\0", "not the 1 elements"),
    ],
)
def test_binary_data_that_does_not_fit_is_refused(
    schema: Schema, inputs: list[dict[str, Any]], data: bytes, words: str
) -> None:
    status, answer = Bench(schema).infer({"inputs": inputs}, data)
    assert status == 400
    assert words in answer["error"]


@pytest.mark.parametrize("head", [b"0", b"-1", b"999", b"x", b"1" * 5000])
def test_a_wrong_length_of_the_json_is_refused(head: bytes) -> None:
    answer = Bench().ask(b"POST", INFER, b'{"inputs":[]}', head)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "bad_request")


@pytest.mark.parametrize("count", range(10))
def test_every_number_of_features_but_the_models_is_refused(count: int) -> None:
    cells = [1.5] * count
    packed = struct.pack(f"<{count}f", *cells)
    named: list[object] = [tensor("abcdefghi"[place], "FP32", [1], [1.5]) for place in range(count)]
    answers = [
        Bench().infer({"inputs": [tensor("x", "FP32", [1, count], cells)]}),
        Bench().infer({"inputs": [binary("x", "FP32", [1, count], len(packed))]}, packed),
        Bench().infer({"inputs": named}),
    ]
    for status, answer in answers:
        assert status == (200 if count == 3 else 400)
        assert "outputs" in answer if count == 3 else answer["error"]


def test_every_error_under_v2_has_the_protocols_form() -> None:
    bench = Bench()
    for method, path in ((b"GET", b"/v2/models/other"), (b"PUT", b"/v2"), (b"GET", INFER)):
        answer = bench.ask(method, path)
        assert answer.status in (404, 405)
        assert isinstance(json.loads(answer.body)["error"], str)
    assert bench.ask(b"POST", INFER, b"{}", media=b"text/csv").status == 415


Cell = st.none() | st.booleans() | st.integers(-300, 300) | st.floats(allow_nan=False) | st.text(max_size=3)
Data = st.recursive(Cell, lambda inner: st.lists(inner, max_size=6), max_leaves=9)
Shape = st.lists(st.integers(-1, 4) | st.just(10**30), max_size=3)
Kinds = st.sampled_from([*sorted(NUMBERS), "BYTES", "x"])
Fields = {"name": st.sampled_from(["a", "k", "x"]), "datatype": Kinds, "shape": Shape | Cell, "data": Data}
Sizes = st.fixed_dictionaries(
    {"parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 20) | Cell}) | Cell}
)
Input = st.fixed_dictionaries({}, optional=Fields) | st.fixed_dictionaries(Fields) | Sizes


@given(st.lists(Input, max_size=3), st.binary(max_size=20), st.sampled_from([NUMERIC, MIXED]))
@settings(max_examples=400)
def test_any_document_is_answered_by_predictions_or_a_4xx(inputs: list[Any], data: bytes, schema: Schema) -> None:
    bench = Bench(schema)
    status, answer = bench.infer({"inputs": inputs}, data)
    assert status < 500
    assert answer["outputs"][0]["shape"] == [len(bench.rows)] if status == 200 else answer["code"]

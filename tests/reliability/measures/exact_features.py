"""Figure 16: what does not have exactly the model's features, in a type that it takes, is refused in every format."""

from __future__ import annotations

import io
import itertools
import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scoring import artifact
from scoring.predictor import Predictor
from tests.reliability.figures import Count, Run, measure
from tests.support.servers import SMALL, Server, serving, write_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH = len(SMALL.features)
VALUES = (0.25, 0.75, 0.5, 1.0, 2.0, 4.0)
CSV, JSON, NPY = "text/csv", "application/json", "application/x-npy"
INFER = "/v2/models/model/infer"
NUMBERS = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64")
OK = 200
REFUSED = range(400, 500)


class Trial(NamedTuple):
    """One request and the rows that it means; None where it means nothing and has to be refused."""

    name: str
    path: str
    media: str
    body: bytes
    rows: list[list[float]] | None


def trials() -> Iterator[Trial]:
    """Every feature count from none to three times too many, every type, every kind of number, in every format."""
    for count in range(3 * WIDTH + 1):
        row = list(VALUES[:count])
        rows = [row] if count == WIDTH else None
        names = [feature.name for feature in SMALL.features] + ["c", "d", "e", "f"]
        yield from _in_every_format(f"{count} features", row, rows)
        yield _infer(f"{count} columns", [_tensor(n, [1], "FP32", [v]) for n, v in zip(names, row, strict=False)], rows)
        objects = json.dumps({"instances": [dict(zip(names, row, strict=False))]}).encode()
        yield Trial(f"json object of {count}", "/invocations", JSON, objects, rows)
    yield from _in_every_format("a missing value", [math.nan, 0.5], [[math.nan, 0.5]])
    for value in (math.inf, -math.inf, 1e300, -1e39):
        yield from _in_every_format(f"{value}", [value, 0.5], None)
    yield from _types()
    yield from _names()


def _in_every_format(what: str, row: Sequence[float], rows: list[list[float]] | None) -> Iterator[Trial]:
    cells = ",".join("" if math.isnan(cell) else repr(cell) for cell in row).encode()
    plain = [None if math.isnan(cell) else cell for cell in row]
    yield Trial(f"csv: {what}", "/invocations", CSV, cells, rows)
    if row:  # a line end after the last row is none
        yield Trial(f"csv, second row: {what}", "/invocations", CSV, b"0.1,0.2\n" + cells, rows and [[0.1, 0.2], *rows])
    yield Trial(f"json: {what}", "/invocations", JSON, json.dumps({"instances": [plain]}).encode(), rows)
    yield Trial(f"npy: {what}", "/invocations", NPY, _npy(np.array([row])), rows)
    yield _infer(f"v2: {what}", [_tensor("x", [1, len(row)], "FP64", plain)], rows)


def _types() -> Iterator[Trial]:
    ones = [[1.0, 1.0]]
    for letter in "bhilqBHILQfd":
        yield Trial(f"npy of {letter}", "/invocations", NPY, _npy(np.ones((1, WIDTH), letter)), ones)
    for letter in "?eFDSUMm":
        yield Trial(f"npy of {letter}", "/invocations", NPY, _npy(np.ones((1, WIDTH)).astype(letter)), None)
    for datatype in NUMBERS:
        yield _infer(f"v2 of {datatype}", [_tensor("x", [1, WIDTH], datatype, [1, 1])], ones)
        yield _infer(f"v2 text as {datatype}", [_tensor("x", [1, WIDTH], datatype, ["1", "1"])], None)
    for datatype, data in (("BOOL", [True, True]), ("BYTES", ["1", "1"]), ("FP128", [1, 1]), ("", [1, 1])):
        yield _infer(f"v2 of {datatype!r}", [_tensor("x", [1, WIDTH], datatype, data)], None)
    for cell in ("true", '"1"', "[1]", "{}"):
        yield Trial(f"json {cell}", "/invocations", JSON, b'{"instances":[[%b,1]]}' % cell.encode(), None)
    for cell in (b"true", b"x", b'"1', b"1 2", b"0x10", b"1_0", b"--1", b"[1]"):
        yield Trial(f"csv {cell!r}", "/invocations", CSV, cell + b",1", None)
    for cell in (b"NaN", b"Infinity", b"-Infinity"):
        yield Trial(f"json {cell!r}", "/invocations", JSON, b'{"instances":[[%b,1]]}' % cell, None)


def _names() -> Iterator[Trial]:
    for first, second in itertools.product(("a", "b", "A", "a ", "c"), repeat=2):
        rows = {("a", "b"): [[0.25, 0.75]], ("b", "a"): [[0.75, 0.25]]}.get((first, second))
        pair = [_tensor(first, [1], "FP32", [0.25]), _tensor(second, [1], "FP32", [0.75])]
        yield _infer(f"v2 columns {first!r} and {second!r}", pair, rows)


def _npy(values: np.ndarray[Any, Any]) -> bytes:
    target = io.BytesIO()
    np.save(target, values)
    return target.getvalue()


def _tensor(name: str, shape: list[int], datatype: str, data: Sequence[object]) -> dict[str, object]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": list(data)}


def _infer(what: str, inputs: list[dict[str, object]], rows: list[list[float]] | None) -> Trial:
    return Trial(what, INFER, JSON, json.dumps({"inputs": inputs}).encode(), rows)


def answered(server: Server, predictor: Predictor, trial: Trial) -> str:
    """Send one request; give what is wrong with the answer, if anything."""
    accept = CSV if trial.media == NPY else "*/*"
    status, headers, body = server.request("POST", trial.path, trial.body, Content_Type=trial.media, Accept=accept)
    if trial.rows is None:
        return "" if status in REFUSED and json.loads(body)["error"] else f"{trial.name}: {status}"
    if status != OK:
        return f"{trial.name}: {status} {body!r}"
    expected = predictor.predict(np.array(trial.rows, np.float32))
    found: list[float] = [float(line) for line in body.split()] if headers["content-type"] == CSV else _numbers(body)
    return "" if np.array(found, np.float32).tobytes() == expected.tobytes() else f"{trial.name}: {found}"


def _numbers(body: bytes) -> list[float]:
    """Read an answer as strictly as RFC 8259: no NaN, no Infinity."""
    document = json.loads(body, parse_constant=_not_json)
    return document["predictions"] if "predictions" in document else document["outputs"][0]["data"]


def _not_json(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


ALL = len(list(trials()))


@measure(16, "exact features and types", target="100 % refused unless exact, in every format", floor=ALL, full=ALL)
def exact_features(run: Run) -> Count:
    """All trials, one after the other; what is exact is answered with XGBoost's own bits."""
    write_model(run.folder / "model", 1)
    found = artifact.read(run.folder / "model")
    predictor = Predictor(found.model, found.schema)
    with serving(run.folder / "model") as server:
        problems = [problem for trial in trials() if (problem := answered(server, predictor, trial))]
    detail = f"{sum(trial.rows is None for trial in trials())} of them to be refused; " + (
        "; ".join(problems) or "all so"
    )
    return Count(denominator=ALL, failures=len(problems), detail=detail)

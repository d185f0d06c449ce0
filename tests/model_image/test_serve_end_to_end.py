"""The real process on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xgboost

from scoring import artifact, channels, dataset, features
from scoring.contract import Feature, Schema
from scoring.predictor import Predictor
from tests.support import boosters

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

pytestmark = pytest.mark.loop


ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parents[2] / "model_image")}


@pytest.fixture(scope="module")
def rows(trained: Any, model: artifact.Artifact) -> tuple[list[str], NDArray[np.float32]]:
    """The validation rows as CSV lines without label, and what XGBoost itself answers for them."""
    part = trained.base / "input/data/validation/part.csv"
    matrix = features.matrix(dataset.read(channels.Channel("validation", (part,), ())), model.schema)
    lines = [line.rpartition(",")[0] for line in part.read_text().splitlines()[1:]]
    return lines, boosters.predicted(model.model, model.schema, matrix)


def bits(values: list[float]) -> bytes:
    return np.array(values, dtype=np.float32).tobytes()


def test_csv_answers_are_xgboosts_own_to_the_bit(server: Any, rows: tuple[list[str], NDArray[np.float32]]) -> None:
    lines, expected = rows
    assert any(line.startswith(",") for line in lines)
    status, headers, body = server.request("POST", "/invocations", "\n".join(lines).encode(), Content_Type="text/csv")
    assert (status, headers["content-type"]) == (200, "text/csv")
    assert bits([float(line) for line in body.split()]) == expected.tobytes()


def test_json_answers_are_xgboosts_own_to_the_bit(
    server: Any, model: artifact.Artifact, rows: tuple[list[str], NDArray[np.float32]]
) -> None:
    instances = [{"carrier": "AA", "hour": 7, "distance": None}, [812.5, "new", 3]]
    status, headers, body = server.request(
        "POST", "/invocations", json.dumps({"instances": instances}).encode(), Content_Type="application/json"
    )
    matrix = np.array(
        [[np.nan, model.schema.features[1].categories.index("AA"), 7], [812.5, np.nan, 3]], dtype=np.float32
    )
    assert (status, headers["model-version"]) == (200, model.version)
    assert bits(json.loads(body)["predictions"]) == boosters.predicted(model.model, model.schema, matrix).tobytes()
    assert len(rows[0]) == 500


def test_open_inference_answers_are_xgboosts_own_to_the_bit_as_json_and_as_bytes(
    server: Any, model: artifact.Artifact, rows: tuple[list[str], NDArray[np.float32]]
) -> None:
    lines, expected = rows
    distance, carrier, hour = zip(*csv.reader(lines), strict=True)
    packed = np.array([cell or "nan" for cell in distance], dtype="<f4").tobytes()
    count = len(lines)
    by_bytes: dict[str, object] = {"datatype": "FP32", "parameters": {"binary_data_size": len(packed)}}
    by_json: dict[str, object] = {"datatype": "FP64", "data": [float(cell) if cell else None for cell in distance]}
    others: list[dict[str, object]] = [
        {"name": "carrier", "shape": [count, 1], "datatype": "BYTES", "data": carrier},
        {"name": "hour", "shape": [count], "datatype": "INT16", "data": [int(cell) for cell in hour]},
    ]
    for first, tail in ((by_json, b""), (by_bytes, packed)):
        document = {"id": "7", "inputs": [{"name": "distance", "shape": [count]} | first, *others]}
        text = json.dumps(document).encode()
        head = {"Inference_Header_Content_Length": str(len(text))} if tail else {}
        status, headers, body = server.request("POST", "/v2/models/model/infer", text + tail, **head)
        found = json.loads(body)
        assert (status, headers["model-version"]) == (200, model.version)
        assert (found["id"], found["model_version"]) == ("7", model.version)
        assert bits(found["outputs"][0]["data"]) == expected.tobytes()
    text = json.dumps(document | {"parameters": {"binary_data_output": True}}).encode()
    head = {"Inference_Header_Content_Length": str(len(text))}
    _, headers, body = server.request("POST", "/v2/models/model/infer", text + packed, **head)
    assert headers["content-type"] == "application/octet-stream"
    assert body[int(headers["inference-header-content-length"]) :] == expected.tobytes()


def test_the_c_interface_equals_xgboosts_own_answers_for_numbers_and_missing_values() -> None:
    draw = np.random.default_rng(5)
    known = draw.normal(size=(2000, 6)).astype(np.float32)
    known[draw.random(known.shape) < 0.1] = np.nan
    labels = (np.nansum(known, axis=1) > 0).astype(np.float32)
    names = list("abcdef")
    data = xgboost.QuantileDMatrix(known, labels, feature_names=names, feature_types=["q"] * 6)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 5, "nthread": 1}, data, 30)
    schema = Schema("y", tuple(map(Feature, names)))
    predictor = Predictor(bytes(booster.save_raw("ubj")), schema)
    for count in (1, 3, 64, 2000):
        expected = boosters.predicted(booster, schema, known[:count])
        assert predictor.predict(known[:count].copy()).tobytes() == expected.tobytes()
    assert np.unique(expected).size > 100


async def ask(port: int, lines: list[str], count: int) -> list[float]:
    """Send single-row requests on one connection, pipelined by two, and read the answers in order."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers: list[float] = []
    try:
        for start in range(0, count, 2):
            for line in lines[start : start + 2]:
                body = line.encode()
                head = b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n"
                writer.write(head % len(body) + body)
            for _ in lines[start : start + 2]:
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 ")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                answers.append(float(await reader.readexactly(length)))
    finally:
        writer.close()
        await writer.wait_closed()
    return answers


def metric(server: Any, name: str) -> float:
    text = server.request("GET", "/metrics")[2].decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def test_many_connections_share_calls_and_each_gets_its_own_answers(
    server: Any, rows: tuple[list[str], NDArray[np.float32]]
) -> None:
    lines, expected = rows
    connections, each = 32, 20

    async def all_at_once() -> list[list[float]]:
        parts = (lines[start * 7 : start * 7 + each] for start in range(connections))
        return await asyncio.gather(*(ask(server.port, part, each) for part in parts))

    calls = metric(server, "slipway_batch_rows_count")
    answers = asyncio.run(asyncio.wait_for(all_at_once(), 20))
    for place, found in enumerate(answers):
        assert bits(found) == expected[place * 7 : place * 7 + each].tobytes()
    assert metric(server, "slipway_batch_rows_count") - calls < connections * each / 2


PLAIN: dict[str, str] = {}
TO_CSV = {"Content_Type": "text/csv"}


@pytest.mark.parametrize(
    ("request_parts", "status", "code"),
    [
        (("GET", "/nothing", None, PLAIN), 404, "not_found"),
        (("POST", "/ping", b"", PLAIN), 405, "method_not_allowed"),
        (("GET", "/invocations", None, PLAIN), 405, "method_not_allowed"),
        (("POST", "/invocations", b"1", {"Content_Type": "text/html"}), 415, "unsupported_media_type"),
        (("POST", "/invocations", b"1", {"Content_Type": "text/csv; charset=utf-16"}), 415, "unsupported_media_type"),
        (("POST", "/invocations", b"1,AA,3", TO_CSV | {"Accept": "text/html"}), 406, "not_acceptable"),
        (("POST", "/invocations", b"1,AA", TO_CSV), 400, "feature_count"),
        (("POST", "/invocations", b"1,AA,x", TO_CSV), 400, "wrong_type"),
        (("POST", "/invocations", b"{", {"Content_Type": "application/json"}), 400, "malformed_body"),
    ],
)
def test_a_clients_mistake_has_a_stable_code(
    server: Any, request_parts: tuple[str, str, bytes | None, dict[str, str]], status: int, code: str
) -> None:
    method, path, body, headers = request_parts
    found, answered, content = server.request(method, path, body, **headers)
    assert (found, json.loads(content)["error"]["code"]) == (status, code)
    assert ("allow" in answered) == (status == 405)


def test_the_answers_format_follows_accept(server: Any) -> None:
    _, headers, body = server.request(
        "POST", "/invocations", b"1,AA,3", Content_Type="text/csv; charset=utf-8", Accept="application/json, */*;q=0.1"
    )
    assert headers["content-type"] == "application/json"
    assert len(json.loads(body)["predictions"]) == 1


def test_metrics_count_by_route_and_code_and_name_the_model(server: Any, model: artifact.Artifact) -> None:
    name = 'slipway_requests_total{route="other",code="404"}'
    before = metric(server, name)
    server.request("GET", "/secret?token=1")
    assert metric(server, name) == before + 1
    assert metric(server, f'slipway_model_info{{model_version="{model.version}"') == 1
    assert "token" not in server.request("GET", "/metrics")[2].decode()


def test_version_tells_which_bytes_are_served(server: Any, model: artifact.Artifact) -> None:
    found = json.loads(server.request("GET", "/version")[2])
    assert (found["manifest_sha256"], found["model_version"]) == (model.digest, model.version)


def test_a_drain_answers_with_readiness_503_and_close_and_exits_zero(start: Callable[..., Any]) -> None:
    server = start(SLIPWAY_DRAIN_S="0.7", SLIPWAY_GRACE_S="60")
    idle = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    with contextlib.closing(idle):
        idle.sendall(b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200 ")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stdout.readline().startswith("draining")
        assert server.request("GET", "/ping")[0] == 503
        status, headers, _ = server.request("POST", "/invocations", b"1,AA,3", Content_Type="text/csv")
        assert (status, headers["connection"]) == (200, "close")
        assert idle.recv(4096) == b""
    assert server.process.wait(timeout=5) == 0
    with pytest.raises(OSError, match="refused"):
        server.request("GET", "/ping")


def test_a_second_signal_ends_the_drain(start: Callable[..., Any]) -> None:
    server = start(SLIPWAY_DRAIN_S="60")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.stdout.readline().startswith("draining")
    assert server.stop() == 0


def test_a_port_in_use_is_the_platforms_failure_without_a_traceback(server: Any, trained: Any) -> None:
    command = [sys.executable, "-m", "scoring", "serve", "--model-dir", str(trained.base / "model")]
    result = subprocess.run(
        [*command, "--port", str(server.port)], env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 3
    assert f"PlatformError: cannot listen on 127.0.0.1:{server.port}: " in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_damaged_model_is_refused_before_anything_listens(trained: Any, tmp_path: Path) -> None:
    directory = shutil.copytree(trained.base / "model", tmp_path / "model")
    content = bytearray((directory / "model.ubj").read_bytes())
    content[len(content) // 2] ^= 1
    (directory / "model.ubj").write_bytes(content)
    command = [sys.executable, "-m", "scoring", "serve", "--model-dir", str(directory), "--port", "0"]
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert "UserError: model.ubj: its sha256 is not the one in manifest.json" in result.stderr

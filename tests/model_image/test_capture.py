"""Data capture: what is kept of a request, what is not, and that nobody waits for it."""

from __future__ import annotations

import base64
import json
import re
import struct
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.loop.processes import wait_until
from scoring import capture_space
from scoring.capture import LONGEST_ATTRIBUTE, MAX_QUEUED, Capture
from scoring.errors import UserError
from scoring.headers import CUSTOM_ATTRIBUTES, INFERENCE_ID
from scoring.messages import Request, Response
from scoring.metrics import Metrics
from scoring.redaction import redact
from scoring.server import run
from scoring.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("a", "secret", "c")
AT = 1_700_000_000.0  # 2023-11-14T22:13:20Z
ANSWER = Response(200, b"0.25\n", b"text/csv")


def post(body: bytes, media: bytes = b"text/csv") -> Request:
    return Request(b"POST", b"/invocations", media, b"", body, 0.0)


def capture(folder: Path, **changes: Any) -> Capture:
    settings: dict[str, Any] = {
        "percent": 100,
        "max_queued_bytes": 10**6,
        "max_file_bytes": 10**6,
        "max_file_s": 60,
        "max_disk_bytes": 10**9,
        "clock": lambda: AT,
    }
    return Capture(folder, **(settings | changes))


def records(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.rglob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_a_file_has_its_name_only_when_nothing_more_is_written_to_it(tmp_path: Path) -> None:
    kept = capture(tmp_path)
    kept.offer(post(b"1,x,3"), ANSWER, "v1", NAMES)
    assert wait_until(lambda: kept.written == 1, 5)
    assert [path.suffix for path in tmp_path.rglob("*.jsonl*")] == [".part"]
    kept.close()
    assert [path.suffix for path in tmp_path.rglob("*.jsonl*")] == [".jsonl"]


def test_a_file_is_finished_in_time_without_a_further_request_and_the_next_one_has_its_own(tmp_path: Path) -> None:
    kept = capture(tmp_path, max_file_s=0.05)
    kept.offer(post(b"1,x,3"), ANSWER, "v1", NAMES)
    assert wait_until(lambda: len(list(tmp_path.rglob("*.jsonl"))) == 1, 5)
    kept.offer(post(b"2,x,3"), ANSWER, "v1", NAMES)
    assert wait_until(lambda: len(list(tmp_path.rglob("*.jsonl"))) == 2, 5)
    kept.close()
    assert {record["captureData"]["endpointInput"]["data"] for record in records(tmp_path)} == {"1,x,3", "2,x,3"}


def test_what_a_caller_calls_a_request_and_says_about_it_is_kept_where_sagemaker_keeps_it(tmp_path: Path) -> None:
    kept = capture(tmp_path)
    said = {INFERENCE_ID: b"order-7", CUSTOM_ATTRIBUTES: b"subject=b64c" + b"x" * LONGEST_ATTRIBUTE}
    kept.offer(post(b"1,x,3")._replace(headers=said), ANSWER, "v1", NAMES)
    kept.close()
    (record,) = records(tmp_path)
    version, attribute = record["eventMetadata"]["customAttributes"]
    assert (version, record["eventMetadata"]["inferenceId"]) == ("model_version=v1", "order-7")
    assert attribute.startswith("subject=b64cx")
    assert len(attribute) == LONGEST_ATTRIBUTE


def test_a_record_has_the_layout_and_the_place_that_model_monitor_reads(tmp_path: Path) -> None:
    kept = capture(tmp_path)
    kept.offer(post(b"1,x,3", b"text/csv; charset=utf-8"), ANSWER, "v1", NAMES)
    kept.close()
    (file,) = tmp_path.rglob("*.jsonl")
    assert re.fullmatch(r"2023/11/14/22/13-20-000000-[0-9a-f-]{36}\.jsonl", str(file.relative_to(tmp_path)))
    (record,) = records(tmp_path)
    assert re.fullmatch(r"[0-9a-f-]{36}", record["eventMetadata"].pop("eventId"))
    assert record == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv; charset=utf-8",
                "mode": "INPUT",
                "data": "1,x,3",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "text/csv",
                "mode": "OUTPUT",
                "data": "0.25\n",
                "encoding": "CSV",
            },
        },
        "eventMetadata": {"customAttributes": ["model_version=v1"], "inferenceTime": "2023-11-14T22:13:20Z"},
        "eventVersion": "0",
    }


def test_what_is_no_text_is_kept_in_base64(tmp_path: Path) -> None:
    kept = capture(tmp_path)
    kept.offer(post(b"{}\x00\xff", b"application/octet-stream"), ANSWER, "v1", NAMES)
    kept.offer(post(b"\xff", b"text/csv"), ANSWER, "v1", NAMES)
    kept.close()
    inputs = [record["captureData"]["endpointInput"] for record in records(tmp_path)]
    assert [(part["encoding"], base64.b64decode(part["data"])) for part in inputs] == [
        ("BASE64", b"{}\x00\xff"),
        ("BASE64", b"\xff"),
    ]


def test_files_are_followed_by_others_at_their_size_and_at_the_hour(tmp_path: Path) -> None:
    times = [AT, AT, AT, AT + 3600]
    kept = capture(tmp_path, max_file_bytes=700, clock=lambda: times.pop(0))
    for _ in range(4):
        kept.offer(post(b"1,x,3"), ANSWER, "v1", NAMES)
    kept.close()
    files = [
        (str(file.parent.relative_to(tmp_path)), len(file.read_text().splitlines()))
        for file in tmp_path.rglob("*.jsonl")
    ]
    assert sorted(files) == [("2023/11/14/22", 1), ("2023/11/14/22", 2), ("2023/11/14/23", 1)]
    assert (kept.written, kept.dropped) == (4, 0)


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=20), st.sampled_from([0, 25, 100]))
def test_the_sample_is_the_asked_share(draws: list[float], percent: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rest = list(draws)
        kept = capture(Path(folder), percent=percent, chance=lambda: rest.pop(0))
        for _ in draws:
            kept.offer(post(b"1"), ANSWER, "v1", NAMES)
        kept.close()
        assert kept.written == sum(draw < percent / 100 for draw in draws)


def test_a_stuck_disk_costs_records_and_neither_time_nor_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, moving = threading.Event(), threading.Event()
    mkdir = Path.mkdir

    def wait(path: Path, mode: int = 0o777, **options: bool) -> None:
        moving.set()
        assert stuck.wait(10)
        mkdir(path, mode, **options)

    monkeypatch.setattr(Path, "mkdir", wait)
    kept = capture(tmp_path, max_queued_bytes=50 * 1000)
    for _ in range(2 * MAX_QUEUED):
        kept.offer(post(b"x" * 995), ANSWER, "v1", NAMES)
    assert moving.wait(10)
    assert kept.dropped == 2 * MAX_QUEUED - 50
    small = capture(tmp_path)
    for _ in range(2 * MAX_QUEUED):
        small.offer(post(b""), ANSWER, "v1", NAMES)
    assert MAX_QUEUED - 1 <= small.dropped <= MAX_QUEUED
    stuck.set()
    kept.close(30)
    small.close(30)
    assert kept.written == 50


def test_a_disk_that_refuses_is_counted_and_the_next_record_is_tried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "file"
    folder.write_text("")
    kept = capture(folder)
    kept.offer(post(b"1"), ANSWER, "v1", NAMES)
    kept.offer(post(b"1"), ANSWER, "v1", NAMES)
    kept.close()
    assert (kept.written, kept.dropped) == (0, 2)
    assert "not captured" in caplog.text


def test_what_the_disk_has_no_room_for_is_dropped_until_somebody_takes_files_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_space, "FULL_SECONDS", 0)
    kept = capture(tmp_path, max_disk_bytes=2000, max_file_s=0.01)
    for _ in range(20):
        kept.offer(post(b"1,x,3"), ANSWER, "v1", NAMES)
    assert wait_until(lambda: kept.written + kept.dropped == 20, 5)
    assert 0 < kept.written < 20
    assert wait_until(lambda: not list(tmp_path.rglob("*.part")), 5)
    assert kept.waiting_bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl")) <= 2000
    before = kept.written
    for path in tmp_path.rglob("*.jsonl"):
        path.unlink()
    kept.offer(post(b"1,x,3"), ANSWER, "v1", NAMES)
    kept.close()
    assert kept.written == before + 1


def test_what_waits_is_a_metric(tmp_path: Path) -> None:
    kept = capture(tmp_path)
    kept.offer(post(b"1,x,3"), ANSWER, "v1", NAMES)
    kept.close()
    lines = Metrics().render(kept).decode().splitlines()
    (file,) = tmp_path.rglob("*.jsonl")
    assert {
        f"slipway_capture_waiting_bytes {file.stat().st_size}",
        'slipway_captured_total{result="written"} 1',
        'slipway_captured_total{result="dropped"} 0',
    } <= set(lines)


ALL = {"name": "x", "datatype": "FP32", "shape": [2, 3]}


@pytest.mark.parametrize(
    ("media", "body", "expected"),
    [
        (b"text/csv", b'1,"S,1",3\n4,S2,6', b"1,,3\n4,,6\n"),
        (
            b"application/json",
            {"instances": [[1, "S", 3], {"secret": "S", "a": 1, "c": 2}]},
            [[1, None, 3], {"secret": None, "a": 1, "c": 2}],
        ),
        (b"application/json", {"inputs": [ALL | {"data": [1, 7, 3, 4, 7, 6]}]}, [1, None, 3, 4, None, 6]),
        (b"", {"inputs": [ALL | {"data": [[1, 7, 3], [4, 7, 6]]}]}, [[1, None, 3], [4, None, 6]]),
        (b"application/json", {"inputs": [{"name": "secret", "shape": [2], "data": ["S", "S"]}]}, [None, None]),
        (b"application/json", {"inputs": [{"name": "a", "shape": [2], "data": [1, 2]}]}, [1, 2]),
    ],
)
def test_a_dropped_feature_leaves_a_gap_in_its_place(media: bytes, body: Any, expected: Any) -> None:
    found = redact(body if isinstance(body, bytes) else json.dumps(body).encode(), media, {"secret"}, NAMES)
    if isinstance(body, bytes):
        assert found == expected
    else:
        document = json.loads(found)
        assert (document["instances"] if "instances" in body else document["inputs"][0]["data"]) == expected


def test_binary_tensors_are_not_kept_when_a_feature_must_not_be() -> None:
    body = json.dumps({"inputs": [ALL | {"parameters": {"binary_data_size": 24}}]}).encode() + struct.pack(
        "<6f", *range(6)
    )
    assert redact(body, b"application/octet-stream", {"secret"}, NAMES) == b""
    assert redact(body, b"application/json", {"secret"}, NAMES) == b""


def test_a_misspelt_feature_to_drop_is_refused_at_the_start(trained: Any) -> None:
    with pytest.raises(
        UserError, match=r"SLIPWAY_CAPTURE_DROP: the model has no feature 'carier'; did you mean 'carrier'"
    ):
        run(ServerSettings(model_dir=str(trained.base / "model"), port=0, capture_drop="hour,carier"))


@pytest.mark.loop
def test_a_server_captures_both_protocols_and_drops_what_it_is_told_to(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    server = start(SLIPWAY_CAPTURE_DIR=str(tmp_path), SLIPWAY_CAPTURE_DROP="carrier", SLIPWAY_DRAIN_S="0")
    assert server.request("POST", "/invocations", b"1,AA,3", Content_Type="text/csv")[0] == 200
    assert server.request("POST", "/invocations", b"1,AA", Content_Type="text/csv")[0] == 400
    inputs: list[dict[str, object]] = [
        {"name": name, "datatype": kind, "shape": [1], "data": [value]}
        for name, kind, value in (("distance", "FP32", 812.5), ("carrier", "BYTES", "AA"), ("hour", "INT32", 7))
    ]
    status, _, body = server.request("POST", "/v2/models/model/infer", json.dumps({"inputs": inputs}).encode())
    assert status == 200
    assert server.stop() == 0
    first, second = (record["captureData"] for record in records(tmp_path))
    assert first["endpointInput"]["data"] == "1,,3\n"
    assert "AA" not in json.dumps([first, second])
    assert json.loads(second["endpointOutput"]["data"]) == json.loads(body)

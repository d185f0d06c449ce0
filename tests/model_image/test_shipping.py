"""What takes captures to S3: the folder's files, each once, whatever S3 says and whoever is killed."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from shipping import folder, shipper
from shipping.shipper import Shipper
from tests.support.servers import environment

if TYPE_CHECKING:
    from pathlib import Path

HOUR = "2026/11/22/21"


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "PutObject")


class Bucket:
    """Keeps what is created, once; fails as it is told, before or after the object is there."""

    def __init__(self, *faults: tuple[str, Exception]) -> None:
        self.objects: dict[str, bytes] = {}
        self.created = 0
        self.faults = list(faults)

    def put_object(self, **request: Any) -> None:
        when, fault = self.faults.pop(0) if self.faults else ("", None)
        if fault is not None and when == "before":
            raise fault
        assert request["IfNoneMatch"] == "*"
        if request["Key"] in self.objects:
            raise error("PreconditionFailed")
        self.objects[request["Key"]] = request["Body"].read()
        self.created += 1
        if fault is not None:
            raise fault


def fill(root: Path, *names: str) -> dict[str, bytes]:
    """Files of captures as they have to be in the bucket."""
    place = root / HOUR
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        (place / name).write_bytes(f"{name}\n".encode())
    return {f"m/captures/{HOUR}/{name}": f"{name}\n".encode() for name in names}


def shipping(root: Path, bucket: Bucket) -> Shipper:
    return Shipper(source=root, s3=bucket, bucket="models", prefix="m/captures/", chance=lambda: 1)


FAULT = st.tuples(
    st.sampled_from(["before", "after"]),
    st.sampled_from(
        [error("SlowDown"), error("InternalError"), error("AccessDenied"), EndpointConnectionError(endpoint_url="x")]
    ),
)


@given(st.lists(FAULT, max_size=12), st.integers(1, 4))
def test_whatever_fails_every_finished_file_arrives_once(
    tmp_path_factory: pytest.TempPathFactory, faults: list[Any], files: int
) -> None:
    root = tmp_path_factory.mktemp("captures")
    expected, bucket = fill(root, *(f"0{n}-00-000000-a.jsonl" for n in range(files))), Bucket(*faults)
    for _ in range(len(faults) + 1):
        # A new one each time, as after a kill.
        shipping(root, bucket).ship(at_end=False)
    assert bucket.objects == expected
    assert bucket.created == files
    assert folder.finished(root) == []


def test_a_failure_ends_the_attempt_and_each_pause_is_longer_up_to_a_limit(tmp_path: Path) -> None:
    fill(tmp_path, "00-00-000000-a.jsonl", "01-00-000000-b.jsonl")
    bucket = Bucket(*[("before", error("SlowDown"))] * 8)
    ours = shipping(tmp_path, bucket)
    pauses: list[float | None] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            if len(pauses) == 9:
                self.set()
            return False

    assert ours.run(Stop(), 5) == 0
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60, shipper.LOOK_SECONDS]
    assert len(bucket.objects) == 2


def test_an_unfinished_file_is_left_alone_while_somebody_may_write_to_it(tmp_path: Path) -> None:
    bucket = Bucket()
    fill(tmp_path, "00-00-000000-a.jsonl.part")
    path = tmp_path / HOUR / "00-00-000000-a.jsonl.part"
    shipping(tmp_path, bucket).ship(at_end=False)
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        shipping(tmp_path, bucket).ship(at_end=True)
        assert bucket.objects == {}
        assert path.exists()
    shipping(tmp_path, bucket).ship(at_end=True)
    assert list(bucket.objects) == [f"m/captures/{HOUR}/00-00-000000-a.jsonl"]


@pytest.mark.parametrize("size", [0, 5, 64 * 1024 - 1, 64 * 1024, 200 * 1024])
def test_of_a_killed_writers_file_the_whole_lines_are_taken(tmp_path: Path, size: int) -> None:
    lines = b"first\n" + b"x" * size + b"\n"
    path = tmp_path / "a.jsonl.part"
    path.write_bytes(lines + b"y" * size)
    assert [found.read_bytes() for found in folder.finish_left(tmp_path, at_once=True)] == [lines]
    path.write_bytes(b"y" * size)
    assert folder.finish_left(tmp_path, at_once=True) == []
    assert not path.exists()


def test_what_does_not_arrive_in_time_at_the_end_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, "00-00-000000-a.jsonl")
    stop = threading.Event()
    stop.set()
    assert shipping(tmp_path, Bucket(*[("before", error("AccessDenied"))] * 5)).run(stop, 0) == 1
    assert "0 files shipped, 1 lost" in caplog.text


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_sidecar_logs_in_the_servers_form(tmp_path: Path, form: str) -> None:
    """Nothing listens where S3 should be, so the file stays and is told of."""
    fill(tmp_path, "00-00-000000-a.jsonl")
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    env = environment(SLIPWAY_LOG=form, AWS_ENDPOINT_URL="http://127.0.0.1:9", **keys)
    command = [sys.executable, "-m", "shipping", "--source", str(tmp_path), "--target", "s3://b/p/", "--last-seconds=0"]
    with subprocess.Popen(command, env=env, cwd="/", stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        lines = [first, *process.stderr.read().splitlines()]
    assert process.returncode == 1
    if form == "json":
        records = [json.loads(line) for line in lines]
        assert [(each["level"], each["logger"]) for each in (records[0], records[-1])] == [
            ("WARNING", "shipping.shipper"),
            ("ERROR", "shipping.shipper"),
        ]
        assert records[-1]["message"] == "0 files shipped, 1 lost"
    else:
        assert lines[-1].rstrip() == "ERROR shipping.shipper: 0 files shipped, 1 lost"

"""Batch transform here: what is sent together, what comes back, and that it is what the endpoint answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lifecycle import transforms
from sandbox.loop.files import pack
from sandbox.loop.processes import REPOSITORY, end
from sandbox.loop.transform import MEGABYTE, TransformError, assembled, payloads, told
from tests.loop.conftest import KEY, ROLE, Api, start_api
from tests.support.servers import serving, write_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = "s3://data-bucket/toy/requests/"
ROWS = 5_000


def request(split: str = "Line", strategy: str = "MultiRecord", payload_mb: int = 1) -> dict[str, Any]:
    return {
        "MaxPayloadInMB": payload_mb,
        "BatchStrategy": strategy,
        "TransformInput": {"SplitType": split},
        "TransformOutput": {"AssembleWith": "Line"},
    }


def test_records_travel_together_up_to_the_largest_payload_and_none_is_cut() -> None:
    record = b"x" * (MEGABYTE // 2 - 1) + b"\n"
    sent = list(payloads(record * 5, request()))
    assert [len(body) // len(record) for body in sent] == [2, 2, 1]
    assert b"".join(sent) == record * 5


def test_single_records_travel_alone_and_an_object_that_is_not_split_travels_whole() -> None:
    assert list(payloads(b"1\n2\n3", request(strategy="SingleRecord"))) == [b"1\n", b"2\n", b"3"]
    assert list(payloads(b"1\n2\n3", request(split="None"))) == [b"1\n2\n3"]


def test_a_record_larger_than_a_payload_fails_the_job() -> None:
    with pytest.raises(TransformError, match="exceeds the maximum payload of 1048576 bytes"):
        list(payloads(b"x" * (MEGABYTE + 1), request()))


def test_answers_are_joined_by_lines_or_as_they_are() -> None:
    assert assembled([b"1\n2", b"3\n"], request()) == b"1\n2\n3\n"
    assert assembled([b"1", b"2"], {"TransformOutput": {}}) == b"12"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The AWS APIs with the real model image."""
    api = start_api(tmp_path_factory.mktemp("transform"), REPOSITORY / "model_image")
    yield api
    end(api.paths.api_record)


@pytest.fixture(scope="module")
def model(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that SageMaker knows, as the folder that it was packed from."""
    folder = tmp_path_factory.mktemp("model")
    write_model(folder / "model", 1)
    pack(folder / "model", folder / "model.tar.gz")
    archive = (folder / "model.tar.gz").read_bytes()
    api.clients.s3.put_object(Bucket="models-bucket", Key="toy/model.tar.gz", Body=archive)
    api.clients.sagemaker.create_model(
        ModelName="toy-v1",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": api.image_uri, "ModelDataUrl": "s3://models-bucket/toy/model.tar.gz"},
    )
    return folder / "model"


def plan(**changed: Any) -> transforms.Plan:
    return transforms.Plan(
        job_prefix="toy",
        output="s3://models-bucket/toy/batches",
        request={
            "ModelName": "toy-v1",
            "MaxPayloadInMB": 1,
            "MaxConcurrentTransforms": 1,
            "BatchStrategy": "MultiRecord",
            "ModelClientConfig": {"InvocationsTimeoutInSeconds": 30, "InvocationsMaxRetries": 0},
            "TransformInput": {"ContentType": "text/csv", "SplitType": "Line", "CompressionType": "None"},
            "TransformOutput": {"Accept": "text/csv", "AssembleWith": "Line", "KmsKeyId": KEY},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            **changed,
        },
    )


def put(api: Api, name: str, content: bytes) -> None:
    api.clients.s3.put_object(Bucket="data-bucket", Key=f"toy/requests/{name}", Body=content)


def clear(api: Api) -> None:
    for item in api.clients.s3.list_objects_v2(Bucket="data-bucket", Prefix="toy/requests/").get("Contents", []):
        api.clients.s3.delete_object(Bucket="data-bucket", Key=item.get("Key", ""))


def run(api: Api, asked: transforms.Plan) -> transforms.Transform:
    sagemaker, s3 = api.clients.sagemaker, api.clients.s3
    found = transforms.start_or_adopt(sagemaker, s3, asked, SOURCE, max_attempts=1)
    transforms.wait_for_transform(
        sagemaker, found.name, on_progress=lambda _: None, poll_seconds=0.05, timeout_seconds=60
    )
    return found


@pytest.mark.loop
def test_a_batch_answers_every_row_as_the_endpoint_does_and_is_not_run_twice(api: Api, model: Path) -> None:
    draw = np.random.default_rng(3)
    rows = [f"{a:.9g},{b:.9g}\n".encode() for a, b in draw.random((ROWS, 2), dtype=np.float32)]
    put(api, "1.csv", b"".join(rows[: ROWS // 2]))
    put(api, "deep/2.csv", b"".join(rows[ROWS // 2 :]))
    done = run(api, plan())
    prefix = done.output_uri.removeprefix("s3://models-bucket/")
    answers = [
        api.clients.s3.get_object(Bucket="models-bucket", Key=f"{prefix}/{name}.out")["Body"].read()
        for name in ("1.csv", "deep/2.csv")
    ]
    with serving(model) as server:
        status, _, online = server.request(
            "POST", "/invocations", b"".join(rows), content_type="text/csv", accept="text/csv"
        )
    assert status == 200
    assert b"".join(answers).split() == online.split()
    assert len(online.split()) == ROWS
    assert run(api, plan()) == transforms.Transform(done.name, done.output_uri, created=False)


@pytest.mark.loop
def test_a_payload_of_any_number_of_rows_and_as_large_as_the_plan_says_is_answered(api: Api, model: Path) -> None:
    assert model.is_dir()
    rows = b"".join(b"0.%07d,0.%07d\n" % (place, ROWS - place % ROWS) for place in range(400_000))
    assert 7 * MEGABYTE < len(rows) < 8 * MEGABYTE
    clear(api)
    put(api, "1.csv", rows)
    done = run(api, plan(MaxPayloadInMB=8))
    key = f"{done.output_uri.removeprefix('s3://models-bucket/')}/1.csv.out"
    answers = api.clients.s3.get_object(Bucket="models-bucket", Key=key)["Body"].read()
    assert answers.count(b"\n") == rows.count(b"\n")


def test_a_container_is_told_what_its_job_says_and_nothing_of_what_it_leaves_out() -> None:
    assert told({}) == {"SAGEMAKER_BATCH": "true"}
    assert told({**request(payload_mb=9), "MaxConcurrentTransforms": 3}) == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "9",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
    }


@pytest.mark.loop
def test_a_row_that_the_model_refuses_fails_the_job_with_its_words(api: Api, model: Path) -> None:
    assert model.is_dir()
    put(api, "1.csv", b"0.1,0.2\nno number,0.3\n")
    with pytest.raises(transforms.TransformFailedError, match=r"ClientError: /invocations answered 4\d\d"):
        run(api, plan(BatchStrategy="SingleRecord"))

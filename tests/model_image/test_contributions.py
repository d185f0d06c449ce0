"""What each feature adds to an answer: asked for in an inference request, worked out beside the event loop."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scoring import artifact, codec, explained, served
from scoring.application import ModelApplication
from scoring.capture import Capture
from scoring.messages import Request, Response
from scoring.offload import Offload
from scoring.settings import ServerSettings
from scoring.tensors import MAX_EXPLAINED_ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from scoring.served import ServedModel

ROWS = (("AA", 3.0), ("B6", -2.5), ("ZZ", 40.0))


def asked(model: artifact.Artifact, rows: int, **parameters: bool) -> bytes:
    """Write an inference request of `rows` rows, all features present."""
    inputs: list[dict[str, Any]] = []
    for place, feature in enumerate(model.schema.features):
        coded = bool(feature.categories)
        cells = [ROWS[row % 3][0] if coded else ROWS[row % 3][1] + place for row in range(rows)]
        inputs.append({"name": feature.name, "datatype": "BYTES" if coded else "FP32", "shape": [rows], "data": cells})
    return json.dumps({"inputs": inputs, "parameters": parameters}).encode()


def infer(body: bytes) -> Request:
    return Request(b"POST", b"/v2/models/model/infer", b"", b"", body, 0.0)


def invoke(accept: bytes, body: bytes = b"3,AA,7\n-2.5,B6,1\n,ZZ,23", media: bytes = b"text/csv") -> Request:
    return Request(b"POST", b"/invocations", media, accept, body, 0.0)


def answer(
    model: artifact.Artifact, *requests: Request, capture: Capture | None = None
) -> tuple[list[Response], set[str]]:
    """Ask a served model, and say in which threads contributions were worked out."""
    threads: set[str] = set()

    async def run() -> list[Response]:
        settings = ServerSettings()
        application = ModelApplication(settings)
        loop = asyncio.get_running_loop()
        application.offload = offload = Offload(loop.call_soon_threadsafe, settings.max_buffered_bytes)
        loaded: ServedModel = served.load(model, settings, loop.call_soon, application.metrics.predicted)
        explain = loaded.explain

        def watched(rows: Any) -> Any:
            threads.add(threading.current_thread().name)
            return explain(rows)

        loaded.explain = watched
        application.use(loaded)
        found: list[Response] = []
        application.capture = capture
        for request in requests:
            answers: asyncio.Queue[Response] = asyncio.Queue()
            application.handle(request, answers.put_nowait)
            found.append(await asyncio.wait_for(answers.get(), 20))
        offload.close()
        return found

    return asyncio.run(run()), threads


def tensors(response: Response) -> dict[str, Any]:
    return {tensor["name"]: tensor for tensor in json.loads(response.body)["outputs"]}


def test_contributions_sum_up_to_the_answer_and_come_from_another_thread(model: artifact.Artifact) -> None:
    (plain, explained), threads = answer(model, infer(asked(model, 3)), infer(asked(model, 3, contributions=True)))
    assert [*tensors(plain)] == ["predictions"]
    found = tensors(explained)
    assert found["predictions"] == tensors(plain)["predictions"]
    assert found["contributions"]["shape"] == [3, model.schema.width + 1]
    margins = np.array(found["contributions"]["data"]).reshape(3, -1).sum(axis=1)
    assert 1 / (1 + np.exp(-margins)) == pytest.approx(found["predictions"]["data"], abs=1e-5)
    assert np.ptp(found["predictions"]["data"]) > 0
    assert len(threads) == 1
    assert threads.pop().startswith("parse")


def test_contributions_are_binary_where_the_answer_is(model: artifact.Artifact) -> None:
    (text, packed), _ = answer(
        model,
        infer(asked(model, 2, contributions=True)),
        infer(asked(model, 2, contributions=True, binary_data_output=True)),
    )
    header = packed.headers.partition(b"Inference-Header-Content-Length: ")[2].split()[0]
    document, binary = json.loads(packed.body[: int(header)]), packed.body[int(header) :]
    values = np.frombuffer(binary, np.float32)
    sizes = [tensor["parameters"]["binary_data_size"] for tensor in document["outputs"]]
    assert sizes == [2 * 4, 2 * 4 * (model.schema.width + 1)]
    expected = [
        np.float32(number) for name in ("predictions", "contributions") for number in tensors(text)[name]["data"]
    ]
    assert values.tolist() == expected


@pytest.mark.parametrize(
    ("written", "instead", "status", "said"),
    [
        (b"", b"", 413, f"{MAX_EXPLAINED_ROWS + 1} rows, the contributions of at most {MAX_EXPLAINED_ROWS}"),
        (b'"contributions"', b'"contribution\\u0073"', 400, "without escapes"),
        (b"true", b'"yes"', 400, 'parameter "contributions" must be true or false'),
    ],
    ids=["too many rows", "escaped", "no switch"],
)
def test_what_cannot_be_explained_is_refused(
    model: artifact.Artifact, written: bytes, instead: bytes, status: int, said: str
) -> None:
    body = asked(model, MAX_EXPLAINED_ROWS + 1, contributions=True)
    (response,), _ = answer(model, infer(body.replace(written, instead) if written else body))
    assert response.status == status
    assert said in json.loads(response.body)["error"]


def test_invocations_explain_as_text_and_as_json_what_the_protocol_explains(model: artifact.Artifact) -> None:
    instances = json.dumps({"instances": [[3, "AA", 7], [-2.5, "B6", 1], [None, "ZZ", 23]]}).encode()
    kinds = (b"text/csv; contributions=true", b"application/json;contributions=true", b"*/*;contributions=true")
    requests = [invoke(kinds[0]), invoke(kinds[1]), invoke(kinds[2], instances, b"application/json"), invoke(b"")]
    (text, document, other, plain), threads = answer(model, *requests)
    assert [each.content_type for each in (text, document, other)] == [b"text/csv", *[b"application/json"] * 2]
    assert document.body == other.body
    found = json.loads(document.body)
    rows = [[prediction, *added] for prediction, added in zip(*found.values(), strict=True)]
    assert [*found] == ["predictions", "contributions"]
    assert [[float(cell) for cell in line.split(b",")] for line in text.body.splitlines()] == rows
    assert [float(line) for line in plain.body.split()] == found["predictions"]
    assert {len(row) for row in rows} == {1 + model.schema.width + 1}
    for prediction, *added in rows:
        assert 1 / (1 + np.exp(-sum(added))) == pytest.approx(prediction, abs=1e-5)
    assert len({row[0] for row in rows}) == 3
    assert [name.startswith("parse") for name in threads] == [True]


def test_several_outputs_are_explained_one_by_one() -> None:
    added = np.arange(2 * 3 * 2, dtype=np.float32).reshape(2, 3, 2)
    texts = [b"0.1,0.2,0.7", b"0.3,0.3,0.4"]
    assert explained.write_csv(texts, added).splitlines()[1] == b"0.3,0.3,0.4,6.0,7.0,8.0,9.0,10.0,11.0"
    document = json.loads(explained.write_json(codec.encode_json_lists, texts, added))
    assert document["predictions"][1] == [0.3, 0.3, 0.4]
    assert document["contributions"] == added.tolist()


def test_data_capture_keeps_the_answers_without_what_explains_them(model: artifact.Artifact, tmp_path: Path) -> None:
    kept = Capture(
        tmp_path, percent=100, max_queued_bytes=9999, max_file_bytes=9999, max_file_s=60, max_disk_bytes=9999
    )
    (explained_answer,), _ = answer(model, invoke(b"text/csv;contributions=true"), capture=kept)
    kept.close()
    (file,) = tmp_path.rglob("*.jsonl")
    captured = json.loads(file.read_text())["captureData"]["endpointOutput"]["data"]
    assert captured.encode().split() == [line.split(b",")[0] for line in explained_answer.body.splitlines()]


@pytest.mark.parametrize(
    ("accept", "status", "said"),
    [
        (b"application/x-npy;contributions=true", 406, "with contributions=true, text/csv or application/json"),
        (b"text/csv;contributions=true;q=0", 406, "Accept may be"),
        (b"text/csv;contributions=true", 413, f"the contributions of at most {MAX_EXPLAINED_ROWS}"),
    ],
    ids=["no such format", "excluded", "too many rows"],
)
def test_invocations_that_cannot_be_explained_are_refused(
    model: artifact.Artifact, accept: bytes, status: int, said: str
) -> None:
    (response,), _ = answer(model, invoke(accept, b"3,AA,7\n" * (MAX_EXPLAINED_ROWS + 1)))
    assert response.status == status
    assert said in json.loads(response.body)["error"]["message"]

"""What each feature adds to an answer: asked for in an inference request, worked out beside the event loop."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scoring import artifact, served
from scoring.application import ModelApplication
from scoring.messages import Request, Response
from scoring.offload import Offload
from scoring.settings import ServerSettings
from scoring.tensors import MAX_EXPLAINED_ROWS

if TYPE_CHECKING:
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


def answer(model: artifact.Artifact, *bodies: bytes) -> tuple[list[Response], set[str]]:
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
        for body in bodies:
            answers: asyncio.Queue[Response] = asyncio.Queue()
            application.handle(Request(b"POST", b"/v2/models/model/infer", b"", b"", body, 0.0), answers.put_nowait)
            found.append(await asyncio.wait_for(answers.get(), 20))
        offload.close()
        return found

    return asyncio.run(run()), threads


def tensors(response: Response) -> dict[str, Any]:
    return {tensor["name"]: tensor for tensor in json.loads(response.body)["outputs"]}


def test_contributions_sum_up_to_the_answer_and_come_from_another_thread(model: artifact.Artifact) -> None:
    (plain, explained), threads = answer(model, asked(model, 3), asked(model, 3, contributions=True))
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
        model, asked(model, 2, contributions=True), asked(model, 2, contributions=True, binary_data_output=True)
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
    (response,), _ = answer(model, body.replace(written, instead) if written else body)
    assert response.status == status
    assert said in json.loads(response.body)["error"]

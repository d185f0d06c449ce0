"""The OpenAPI document against the servers that it describes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from scoring import openapi
from scoring.application import ModelApplication
from scoring.hosting import Hosting
from scoring.settings import ServerSettings
from scoring.several import SeveralModels

if TYPE_CHECKING:
    from collections.abc import Callable

COMMITTED = Path(__file__).parents[2] / "docs/openapi.json"
JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
RATHER_MANY = b"1,2\n" * 20


class Ask(NamedTuple):
    """A request and the status that the document promises for it."""

    method: str
    path: str
    """With the model's name in it."""
    status: int
    body: bytes = b""
    media: str = JSON
    accept: str = ""
    documented: str = ""
    """The path as the document has it, where it is another."""


def covered(mode: str) -> set[tuple[str, str, int]]:
    return {
        (operation.method, operation.path, status)
        for operation in openapi.OPERATIONS
        if mode in operation.modes
        for status in operation.answers
    }


def test_the_committed_document_is_the_one_of_the_table_and_valid() -> None:
    found = openapi.document(*openapi.BOTH)
    assert json.loads(COMMITTED.read_bytes()) == found, "python -m scoring.openapi > docs/openapi.json"
    assert not [*OpenAPIV31SpecValidator(json.loads(orjson.dumps(found))).iter_errors()]


def test_every_route_of_both_servers_is_documented_and_no_other() -> None:
    one = ModelApplication(ServerSettings()).routes.values()
    settings = ServerSettings(models_memory_bytes=1)
    several = SeveralModels(settings, Hosting(settings, lambda turn: turn())).operations
    routes = {
        openapi.ONE: {(route.method.decode().lower(), route.label) for route in one},
        openapi.SEVERAL: {(operation.method.decode().lower(), operation.path) for operation in several},
    }
    for mode, found in routes.items():
        assert found == {(o.method, o.path) for o in openapi.OPERATIONS if mode in o.modes}


def judge(server: Any, asks: list[Ask], name: str) -> set[tuple[str, str, int]]:
    """Send requests; check status, media type and body against the document; give what was seen."""
    seen: set[tuple[str, str, int]] = set()
    for ask in asks:
        headers = {"Content_Type": ask.media} | ({"Accept": ask.accept} if ask.accept else {})
        status, fields, body = server.request(ask.method.upper(), ask.path, ask.body, **headers)
        assert status == ask.status, (ask, body)
        path = ask.documented or ask.path.replace(f"/{name}", "/{name}")
        documented = next(o for o in openapi.OPERATIONS if (o.method, o.path) == (ask.method, path)).answers[status]
        media = fields["content-type"].partition(";")[0]
        assert media in documented, (ask, media)
        if media == JSON:
            schema = {"$ref": f"#/components/schemas/{documented[media]}", "components": {"schemas": openapi.SCHEMAS}}
            validator: Any = Draft202012Validator(schema)
            assert validator.is_valid(json.loads(body)), (ask, body)
        seen.add((ask.method, path, status))
    return seen


def rows_of(path: str, row: bytes, *, of_model: bool = False) -> list[Ask]:
    asks = [
        Ask("post", path, 200, row, CSV),
        Ask("post", path, 200, row, CSV, accept=JSON),
        Ask("post", path, 200, row, CSV, accept=NPY),
        Ask("post", path, 400, b"1", CSV),
        Ask("post", path, 406, row, CSV, accept="image/png"),
        Ask("post", path, 413, RATHER_MANY, CSV),
        Ask("post", path, 415, row, "image/png"),
    ]
    return (
        asks if not of_model else [*asks, Ask("post", path.replace("one", "absent"), 404, documented=of(path, "one"))]
    )


def of(path: str, name: str) -> str:
    return path.replace(f"/{name}", "/{name}")


def of_protocol(name: str, inputs: list[dict[str, Any]]) -> list[Ask]:
    model, infer = f"/v2/models/{name}", f"/v2/models/{name}/infer"
    absent = [
        Ask("get", "/v2/models/absent", 404, documented="/v2/models/{name}"),
        Ask("get", "/v2/models/absent/ready", 404, documented="/v2/models/{name}/ready"),
        Ask("post", "/v2/models/absent/infer", 404, documented="/v2/models/{name}/infer"),
    ]
    many = [{**tensor, "shape": [20], "data": tensor["data"] * 20} for tensor in inputs]
    binary = {"inputs": inputs, "outputs": [{"name": "predictions", "parameters": {"binary_data": True}}]}
    return [
        *(Ask("get", path, 200) for path in ("/v2", "/v2/health/live", "/v2/health/ready", model, f"{model}/ready")),
        *(Ask("get", path, 200) for path in ("/ping", "/metrics", "/version", "/openapi.json")),
        Ask("post", infer, 200, json.dumps({"inputs": inputs}).encode()),
        Ask("post", infer, 200, json.dumps(binary).encode()),
        Ask("post", infer, 400, b"{}"),
        Ask("post", infer, 413, json.dumps({"inputs": many}).encode()),
        Ask("post", infer, 415, b"{}", "image/png"),
        *absent,
    ]


def tensor(name: str, kind: str, value: object) -> dict[str, Any]:
    return {"name": name, "datatype": kind, "shape": [1], "data": [value]}


DRAINING = {("get", path, 503) for path in ("/ping", "/v2/health/ready", "/v2/models/{name}/ready")}


def drain(server: Any, name: str) -> set[tuple[str, str, int]]:
    server.process.terminate()
    while server.request("GET", "/ping")[0] == 200:
        pass
    return judge(server, [Ask("get", path.replace("{name}", name), 503) for _, path, _ in sorted(DRAINING)], name)


@pytest.mark.loop
def test_a_server_of_one_model_gives_every_documented_answer(start: Callable[..., Any]) -> None:
    server = start(SLIPWAY_MAX_ROWS="10", SLIPWAY_DRAIN_S="30", SLIPWAY_MODEL_NAME="flights")
    inputs = [tensor("distance", "FP32", 1.5), tensor("carrier", "BYTES", "AA"), tensor("hour", "INT64", 7)]
    asks = [*rows_of("/invocations", b"812.5,AA,7"), *of_protocol("flights", inputs)]
    seen = judge(server, asks, "flights") | drain(server, "flights")
    assert seen == covered(openapi.ONE)
    assert json.loads(server.request("GET", "/openapi.json")[2]) == openapi.document(openapi.ONE)


@pytest.mark.loop
def test_a_server_of_several_models_gives_every_documented_answer(
    start: Callable[..., Any], repository: tuple[Path, dict[str, str]]
) -> None:
    folder = repository[0]
    limits = {"SLIPWAY_MAX_ROWS": "10", "SLIPWAY_DRAIN_S": "30", "SLIPWAY_MODELS_FULL": "refuse"}
    # room for one model with its queue of 32 MiB, not for two
    limits |= {"SLIPWAY_MODELS_DIR": str(folder), "SLIPWAY_MODELS_MEMORY_BYTES": str(64 * 1024 * 1024)}
    server = start(None, **limits)
    file = io.BytesIO()
    np.save(file, np.zeros((2, 2), np.float32))

    def place(name: str, folder_name: str) -> bytes:
        return json.dumps({"model_name": name, "url": str(folder / folder_name)}).encode()

    load, unload = "/v2/repository/models/one/load", "/v2/repository/models/one/unload"
    asks = [
        Ask("get", "/models", 200),
        Ask("post", "/models", 200, place("one", "one")),
        Ask("post", "/models", 400, b"{}"),
        Ask("post", "/models", 409, place("one", "one")),
        Ask("post", "/models", 415, place("one", "one"), "text/plain"),
        Ask("post", "/models", 422, place("damaged", "damaged")),
        Ask("post", "/models", 507, place("two", "two")),
        Ask("get", "/models/one", 200),
        Ask("get", "/models/absent", 404, documented="/models/{name}"),
        *rows_of("/models/one/invoke", b"0.3,0.9", of_model=True),
        Ask("post", "/models/one/invoke", 200, file.getvalue(), NPY),
        *of_protocol("one", [tensor("a", "FP32", 0.3), tensor("b", "FP32", 0.9)]),
        Ask("post", "/v2/repository/index", 200),
        Ask("post", "/v2/repository/index", 400, b"3"),
        Ask("post", load, 400, b"3"),
        Ask("post", load, 415, b"{}", "text/plain"),
        Ask("post", load.replace("one", "absent"), 404, documented=of(load, "one")),
        Ask("post", load.replace("one", "damaged"), 422, documented=of(load, "one")),
        Ask("post", load.replace("one", "two"), 507, documented=of(load, "one")),
        Ask("delete", "/models/one", 200),
        Ask("delete", "/models/one", 404),
        Ask("post", load, 200),
        Ask("post", unload, 200),
        Ask("post", unload, 404),
        Ask("post", load, 200),
    ]
    seen = judge(server, asks, "one") | drain(server, "one")
    assert seen == covered(openapi.SEVERAL)
    assert json.loads(server.request("GET", "/openapi.json")[2]) == openapi.document(openapi.SEVERAL)

"""The OpenAPI document of the serving port, made from one table of operations.

``GET /openapi.json`` answers the part that the server's mode has; ``python -m scoring.openapi`` writes all of it. Tests
compare the table with the routes of both modes, and ask a running server for every status it names.
Source: OpenAPI Specification 3.1.0; Open Inference Protocol, "HTTP/REST".
"""

from __future__ import annotations

import functools
import sys
from http import HTTPStatus
from typing import NamedTuple

import orjson

from scoring.contract import IMAGE_CONTRACT
from scoring.openapi_schemas import OCTETS, SCHEMAS, STRING, refer

ONE, SEVERAL = "one", "several"
"""Modes of the server: one model, or several."""

BOTH = (ONE, SEVERAL)

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
TEXT = "text/plain"

ROWS = {CSV: "Text", JSON: "Instances", NPY: "Bytes"}
ANSWERS = {CSV: "Text", JSON: "Predictions", NPY: "Bytes"}
TENSORS = {JSON: "InferRequest", OCTETS: "Bytes"}
TENSOR_ANSWERS = {JSON: "InferResponse", OCTETS: "Bytes"}
ERROR = {JSON: "Error"}
PREDICT = "Predict rows, with contributions=true behind the media type of Accept also what each feature adds."
PROTOCOL_ERROR = {JSON: "ProtocolError"}


class Documented(NamedTuple):
    """One operation."""

    method: str
    path: str
    summary: str
    answers: dict[int, dict[str, str]]
    """Schema by media type, by status."""
    body: dict[str, str] | None = None
    """Schema by media type of the request."""
    modes: tuple[str, ...] = BOTH


def _errors(*statuses: int, form: dict[str, str] = ERROR) -> dict[int, dict[str, str]]:
    return dict.fromkeys(statuses, form)


_STATE = {JSON: "State"}
_READY = {JSON: "Ready"}
_REPOSITORY = "/v2/repository/models/{name}"

OPERATIONS = (
    Documented("get", "/ping", "Whether new requests should come here.", {200: _STATE, 503: _STATE}),
    Documented(
        "post",
        "/invocations",
        PREDICT,
        {200: ANSWERS} | _errors(400, 406, 413, 415),
        ROWS,
        (ONE,),
    ),
    Documented("get", "/metrics", "Counters, in Prometheus' text format.", {200: {TEXT: "Text"}}),
    Documented("get", "/version", "Versions of the contract and of the model.", {200: {JSON: "Version"}}),
    Documented("get", "/openapi.json", "This document.", {200: {JSON: "Object"}}),
    Documented("get", "/models", "What is loaded.", {200: {JSON: "Models"}}, modes=(SEVERAL,)),
    Documented(
        "post",
        "/models",
        "Load a model.",
        {200: {JSON: "Model"}} | _errors(400, 409, 415, 422, 507),
        {JSON: "LoadRequest"},
        (SEVERAL,),
    ),
    Documented("get", "/models/{name}", "Describe.", {200: {JSON: "Model"}} | _errors(404), modes=(SEVERAL,)),
    Documented("delete", "/models/{name}", "Unload.", {200: {JSON: "Object"}} | _errors(404), modes=(SEVERAL,)),
    Documented(
        "post",
        "/models/{name}/invoke",
        PREDICT,
        {200: ANSWERS} | _errors(400, 404, 406, 413, 415),
        ROWS,
        (SEVERAL,),
    ),
    Documented("get", "/v2", "Describe the server.", {200: {JSON: "Server"}}),
    Documented("get", "/v2/health/live", "Whether the process answers.", {200: {JSON: "Object"}}),
    Documented(
        "get",
        "/v2/health/ready",
        "Whether new requests should come here.",
        {200: {JSON: "Ready"}, 503: {JSON: "Ready"}},
    ),
    Documented(
        "get",
        "/v2/models/{name}",
        "Describe a model's tensors.",
        {200: {JSON: "Metadata"}} | _errors(404, form=PROTOCOL_ERROR),
    ),
    Documented(
        "get",
        "/v2/models/{name}/ready",
        "Whether a model answers.",
        {200: _READY, 503: _READY} | _errors(404, form=PROTOCOL_ERROR),
    ),
    Documented(
        "post",
        "/v2/models/{name}/infer",
        "Predict the rows of tensors.",
        {200: TENSOR_ANSWERS} | _errors(400, 404, 413, 415, form=PROTOCOL_ERROR),
        TENSORS,
    ),
    Documented(
        "post",
        "/v2/repository/index",
        "The models of the repository and of memory.",
        {200: {JSON: "Index"}} | _errors(400, form=PROTOCOL_ERROR),
        {JSON: "IndexRequest"},
        (SEVERAL,),
    ),
    Documented(
        "post",
        _REPOSITORY + "/load",
        "Load a model of the repository, also in the place of a loaded version.",
        {200: {JSON: "Object"}} | _errors(400, 404, 415, 422, 507, form=PROTOCOL_ERROR),
        {JSON: "RepositoryLoadRequest"},
        (SEVERAL,),
    ),
    Documented(
        "post",
        _REPOSITORY + "/unload",
        "Unload a model.",
        {200: {JSON: "Object"}} | _errors(404, form=PROTOCOL_ERROR),
        modes=(SEVERAL,),
    ),
)
"""Every operation of the serving port."""


def document(*modes: str) -> dict[str, object]:
    """Give the document of the operations that any of some modes has."""
    paths: dict[str, dict[str, object]] = {}
    for operation in OPERATIONS:
        if set(modes) & set(operation.modes):
            paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    about = {
        "title": "Slipway model server",
        "version": str(IMAGE_CONTRACT),
        "description": "x-modes tells whether an operation belongs to a server of one model, of several, or of both.",
    }
    return {"openapi": "3.1.0", "info": about, "paths": paths, "components": {"schemas": SCHEMAS}}


def _operation(operation: Documented) -> dict[str, object]:
    form = PROTOCOL_ERROR if operation.path.startswith("/v2") else ERROR
    answers: dict[str, object] = {
        str(status): _content("Success" if status < HTTPStatus.BAD_REQUEST else "Refused", media)
        for status, media in sorted(operation.answers.items())
    }
    answers["default"] = _content("What any request can meet: bad HTTP, a limit, a full queue, a defect", form)
    written: dict[str, object] = {"summary": operation.summary, "x-modes": [*operation.modes], "responses": answers}
    if operation.body:
        written["requestBody"] = {"content": _media(operation.body)}
    if "{name}" in operation.path:
        written["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": STRING}]
    return written


def _content(description: str, media: dict[str, str]) -> dict[str, object]:
    return {"description": description, "content": _media(media)}


def _media(schemas: dict[str, str]) -> dict[str, object]:
    return {name: {"schema": refer(schema)} for name, schema in schemas.items()}


@functools.cache
def served(mode: str) -> bytes:
    """Give the bytes that a server of a mode answers."""
    return orjson.dumps(document(mode))


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(document(*BOTH), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

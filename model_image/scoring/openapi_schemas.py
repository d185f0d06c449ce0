"""Schemas of the OpenAPI document: what goes over the serving port as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

OCTETS = "application/octet-stream"


def _object(
    required: Mapping[str, object], optional: Mapping[str, object] | None = None, *, more: bool = False
) -> object:
    properties = {**required, **(optional or {})}
    written: dict[str, object] = {"type": "object", "properties": properties, "additionalProperties": more}
    return written | ({"required": [*required]} if required else {})


def _list(items: object) -> object:
    return {"type": "array", "items": items}


def refer(name: str) -> object:
    """Point at a schema by name."""
    return {"$ref": f"#/components/schemas/{name}"}


STRING = {"type": "string"}
_WHOLE = {"type": "integer"}
_NUMBER = {"type": "number"}
_SWITCH = {"type": "boolean"}
_LIMIT = {"type": "integer", "minimum": 1, "description": "At most the server's own."}
_TENSOR = {"name": STRING, "datatype": STRING, "shape": _list(_WHOLE)}
_VERSIONS = {"model_version": STRING, "manifest_sha256": STRING, "xgboost": STRING}
_ROW = {"type": ["array", "object"], "description": "Cells in schema order, or every feature by name; null is missing."}

SCHEMAS: dict[str, object] = {
    "Text": STRING,
    "Bytes": {"contentMediaType": OCTETS},
    "Object": {"type": "object"},
    "Error": _object({"error": _object({"code": STRING, "message": STRING}, {"row": _WHOLE, "column": STRING})}),
    "ProtocolError": _object({"error": STRING, "code": STRING}),
    "State": _object({"status": {"enum": ["ready", "loading", "draining"]}}),
    "Ready": _object({"ready": _SWITCH}, {"name": STRING}),
    "Instances": _object({"instances": {"type": "array", "items": _ROW, "minItems": 1}}),
    "Predictions": _object(
        {"predictions": _list({"anyOf": [_NUMBER, _list(_NUMBER)]})},
        {"contributions": _list(_list({"anyOf": [_NUMBER, _list(_NUMBER)]}))},
    ),
    "Version": _object({"image_contract": _WHOLE, "schema_version": _WHOLE, "xgboost": STRING}, _VERSIONS),
    "Server": _object({"name": STRING, "version": STRING, "extensions": _list(STRING)}),
    "Metadata": _object(
        {"name": STRING, "versions": _list(STRING), "platform": STRING}
        | dict.fromkeys(("inputs", "outputs"), _list(_object(_TENSOR)))
    ),
    "InferRequest": _object(
        {"inputs": _list(_object(_TENSOR, {"data": _list({}), "parameters": {"type": "object"}}))},
        {"parameters": _object({}, dict.fromkeys(("binary_data_output", "contributions"), _SWITCH), more=True)},
        more=True,
    ),
    "InferResponse": _object(
        {
            "model_name": STRING,
            "model_version": STRING,
            "outputs": _list(_object({**_TENSOR, "data": _list(_NUMBER)})),
        },
        {"id": STRING},
    ),
    "Model": _object({"modelName": STRING, "modelUrl": STRING, "charged_bytes": _WHOLE, **_VERSIONS}),
    "Models": _object({"models": _list(refer("Model"))}),
    "LoadRequest": _object({"model_name": STRING, "url": STRING}),
    "IndexRequest": _object({}, {"ready": _SWITCH}, more=True),
    "Index": _list(
        _object(
            {"name": STRING, "state": {"enum": ["READY", "LOADING", "UNAVAILABLE"]}, "reason": STRING},
            {"version": STRING},
        )
    ),
    "RepositoryLoadRequest": _object(
        {}, {"parameters": _object({}, {"max_batch_rows": _LIMIT, "max_queued_bytes": _LIMIT})}, more=True
    ),
}

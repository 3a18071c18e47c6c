"""The parts of the OpenAPI description that FastAPI cannot see, since bodies are parsed in the workers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from edge_kit.serve.schemas import EarlyAnswer, EarlyRequest, NoResult, OcrAnswer, OcrOptions, OcrRequest

_STATUS = {
    400: "The request is not HTTP",
    401: "The API key is missing or wrong",
    408: "The body took too long",
    413: "The body, or the file at an address, is too large",
    415: "The body is of a type that is not read",
    422: "A field is wrong, or the file cannot be read or is too large",
    429: "Too many requests wait; see Retry-After",
    500: "A fault of the service",
    503: "No worker was free before the deadline, or the worker of this request ended; see Retry-After",
    504: "The worker was not done before the deadline",
}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's schema with its parts inside it."""
    schema = model.model_json_schema()
    return _inlined(schema, schema.pop("$defs", {}))  # type: ignore[no-any-return]


def _inlined(value: Any, parts: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_inlined(entry, parts) for entry in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _inlined(parts[value["$ref"].rpartition("/")[2]], parts)
    return {key: _inlined(entry, parts) for key, entry in value.items()}


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = _schema(OcrOptions)
_FORM["properties"] = {"file": {"type": "string", "format": "binary"}, **_FORM["properties"]}

REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"anyOf": [_schema(OcrRequest), _schema(EarlyRequest)]}},
            "multipart/form-data": {"schema": _FORM},
            "image/*": _BINARY,
            "application/pdf": _BINARY,
            "application/octet-stream": _BINARY,
        },
    },
    "parameters": [
        {"name": name, "in": "query", "schema": schema, "description": "for a body of raw bytes"}
        for name, schema in _schema(OcrOptions)["properties"].items()
    ],
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The text that was read",
        "headers": {
            "X-Ignored-Fields": {
                "schema": {"type": "string"},
                "description": "Fields of the request that mean nothing here, such as misspelt ones",
            }
        },
        "content": {"application/json": {"schema": {"anyOf": [_schema(OcrAnswer), _schema(EarlyAnswer)]}}},
    },
    **{status: {"model": NoResult, "description": text} for status, text in _STATUS.items()},
}

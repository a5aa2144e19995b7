"""The OpenAPI 3.1 document, completed with what the framework does not know: headers, media types, path formats."""

from http import HTTPStatus
from typing import Any, Final, TypeAlias

from statestore.api.problems import CONTENT_TYPE
from statestore.api.schemas.common import ProblemOut
from statestore.api.schemas.events import BatchIn
from statestore.db.ids import ADDRESS

NDJSON: Final = "application/x-ndjson"
FILE: Final = "application/octet-stream"
_ID: Final = f"^({ADDRESS})$"
_ADDRESS: Final = "The id if it matches `[A-Za-z0-9._:@-]{1,128}`, otherwise `~` followed by its base64url encoding."
_ETAG: Final = {"description": "The current ETag of the resource.", "schema": {"type": "string"}}
_IF_MATCH: Final = {
    "name": "If-Match", "in": "header", "required": False,
    "description": "Write only if the ETag still matches; otherwise 412. The weak form (`W/`) of an ETag is the same.",
    "schema": {"type": "string", "pattern": r'^(\*|(W/)?"[0-9a-f]{64}")$'},
}  # fmt: skip
_IF_NONE_MATCH: Final = {
    "name": "If-None-Match", "in": "header", "required": False, "description": "`*`: create only, never overwrite.",
    "schema": {"type": "string", "enum": ["*"]},
}  # fmt: skip
_CACHED: Final = {
    "name": "If-None-Match", "in": "header", "required": False, "description": "304 if the ETag still matches.",
    "schema": {"type": "string"},
}  # fmt: skip
_KEY: Final = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "Makes retries safe: within 24 hours a request with the same key and body replays the response.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}  # fmt: skip

Schema: TypeAlias = dict[str, Any]


def completed(schema: Schema) -> dict[str, object]:
    """Return the framework's document, completed."""
    for operations in schema["paths"].values():
        for method, operation in operations.items():
            _complete(method, operation)
    for model in (BatchIn, ProblemOut):
        described = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema["components"]["schemas"] |= {**described.pop("$defs", {}), model.__name__: described}
    return schema


def _complete(method: str, operation: Schema) -> None:
    tagged = operation.pop("x-tagged")
    for parameter in operation["parameters"]:
        if parameter["in"] == "path" and parameter["schema"]["type"] == "string":
            parameter["schema"] = {"type": "string", "pattern": _ID}
            parameter["description"] = _ADDRESS
    operation["parameters"] += _headers(method, tagged=tagged, conditional=operation.pop("x-conditional"))
    # The framework would describe the problem anew for each status of each call, which took two seconds.
    operation["responses"] |= {status: _problem(status) for status in operation.pop("x-problems")}
    for status, response in sorted(operation["responses"].items()):
        _complete_response(int(status), response, tagged=tagged)
    body = operation.pop("x-body", None)
    if body == NDJSON:
        lines = {"type": "string", "description": "An export, one row per line."}
        operation["requestBody"] = {"required": True, "content": {NDJSON: {"schema": lines}}}
    if body == FILE:
        file = {"type": "string", "format": "binary", "description": "The file, as it is."}
        operation["requestBody"] = {"required": True, "content": {FILE: {"schema": file}}}
    if operation.pop("x-answers", None) == NDJSON:
        operation["responses"][200]["content"] = {NDJSON: {"schema": {"type": "string"}}}
    if body == "BatchIn":
        event = {"type": "string", "description": "One event per line."}
        operation["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/BatchIn"}},
                NDJSON: {"schema": event},
            },
        }


def _problem(status: int) -> Schema:
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _headers(method: str, *, tagged: bool, conditional: bool) -> list[dict[str, object]]:
    headers = [_KEY] if method == "post" else []
    if conditional:
        headers.append(_IF_MATCH)
    if method == "put":
        headers.append(_IF_NONE_MATCH)
    if method == "get" and tagged:
        headers.append(_CACHED)
    return headers


def _complete_response(status: int, response: Schema, *, tagged: bool) -> None:
    headers = response.setdefault("headers", {})
    if (status in (200, 201) and tagged) or status == 412:
        headers["ETag"] = _ETAG
    if status == 201:
        headers["Location"] = {"description": "The URL of the new resource.", "schema": {"type": "string"}}
    if status in (429, 503):
        headers["Retry-After"] = {"schema": {"type": "string", "pattern": "^[0-9]+$"}}
    if status == 401:
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}}

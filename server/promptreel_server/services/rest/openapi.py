"""The OpenAPI 3.1 document of the REST API, made from the contract's descriptors."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from promptreel.v2 import (
    api_key_pb2,
    import_job_pb2,
    index_pb2,
    llm_call_pb2,
    run_pb2,
    video_pb2,
)
from promptreel_server.services.call import scopes
from promptreel_server.services.call.contract_files import FILES
from promptreel_server.services.rest.openapi_schemas import Schema, Schemas

_HTTP: Any = annotations_pb2.http  # the stubs know an extension as a plain descriptor
_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_ID_PATTERN = "^[0-9A-Za-z_-]{1,80}$"
_VERBS = ("get", "post", "put", "delete")
_WRITES = ("post", "put", "delete")

_ARRAYS: dict[str, Any] = {
    "ListIndexes": index_pb2.Index,
    "ListVideoPromptRuns": run_pb2.PromptRun,
    "BatchGetVideos": video_pb2.Video,
    "BatchGetVideoStatus": video_pb2.VideoStatus,
    "BatchGetVideoSegments": video_pb2.VideoSegments,
    "ListImportJobs": import_job_pb2.ImportJob,
    "ListPromptRuns": run_pb2.PromptRun,
    "ListLlmCalls": llm_call_pb2.LlmCall,
    "ListApiKeys": api_key_pb2.ApiKey,
}
"""Methods of RestService that answer a bare array, and what of."""

_CONTENT_TYPES = {
    "GetSegmentThumbnail": "image/jpeg",
    "GetVideoGif": "image/gif",
    "WatchPromptRunEvents": "text/event-stream",
    "StreamEvents": "text/event-stream",
}

_REFUSALS = {
    "400": "The request is malformed or invalid.",
    "401": "No API key, or an unknown, revoked or expired one.",
    "403": "The API key's scope does not reach this far.",
    "404": "There is no such thing.",
    "409": "The thing is in a state that forbids this.",
    "413": "More bytes than are allowed.",
    "422": "The idempotency key came with another request.",
    "429": "Too many calls; `Retry-After` says when to come back.",
    "500": "The server failed.",
    "503": "The server can't do this now; `Retry-After` says when to come back.",
}

_FORM: Schema = {
    "type": "object",
    "required": ["file", "title"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "title": {"type": "string", "minLength": 1, "maxLength": 255},
        "index_id": {"type": "string"},
    },
}

_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details", "request_id"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "object"},
                "request_id": {"type": "string"},
            },
        }
    },
}

_HEALTH: Schema = {
    "operationId": "healthz",
    "summary": "Whether the server takes calls",
    "security": [],
    "responses": {"200": {"description": "It does."}, "503": {"description": "Not now."}},
}

_IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A write that comes twice with one key happens once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


@cache
def openapi_json() -> bytes:
    """Answer the document as JSON; it is made once."""
    return json.dumps(openapi(), separators=(",", ":")).encode()


def openapi() -> Schema:
    """Make the document."""
    schemas = Schemas()
    paths: dict[str, Schema] = {}
    for route in routes():
        paths.setdefault(route.path, {})[route.verb] = _operation(route, schemas)
    paths["/healthz"] = {"get": _HEALTH}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Promptreel", "version": version("promptreel")},
        "security": [{"key": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas.components, "Error": _ERROR},
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


@dataclass(frozen=True, kw_only=True)
class Route:
    """How REST reaches a method; `body` names the field that the body is, `*` all the rest."""

    method: MethodDescriptor
    verb: str
    path: str
    body: str

    @property
    def in_path(self) -> frozenset[str]:
        """The fields that the path carries."""
        return frozenset(_VARIABLE.findall(self.path))


def routes() -> Iterator[Route]:
    """Answer how REST reaches the methods of the contract."""
    for file in FILES:
        for service in file.services_by_name.values():
            for method in service.methods:
                rule: HttpRule = method.GetOptions().Extensions[_HTTP]
                for binding in (rule, *rule.additional_bindings):
                    yield from _route(method, binding)


def _route(method: MethodDescriptor, rule: HttpRule) -> Iterator[Route]:
    for verb in _VERBS:
        path = getattr(rule, verb)
        if path:
            yield Route(method=method, verb=verb, path=path, body=rule.body)


def _operation(route: Route, schemas: Schemas) -> Schema:
    method, service = route.method, route.method.containing_service
    name = f"{service.name}_{method.name}"
    operation: Schema = {
        "operationId": name if route.path.startswith("/api/") else f"{name}_root",
        "tags": [service.name.removesuffix("Service")],
        "summary": _summary(method.name),
        "parameters": _parameters(route, schemas),
        "responses": {"200": _answer(method, schemas), **_refusals()},
    }
    if scopes.is_open(f"/{service.full_name}/{method.name}"):
        operation["security"] = []
    if route.body:
        operation["requestBody"] = _body(route, schemas)
    return operation


def _summary(name: str) -> str:
    parts = re.findall(r"[A-Z][a-z]+", name)
    return " ".join([parts[0], *(part.lower() for part in parts[1:])])


def _parameters(route: Route, schemas: Schemas) -> list[Schema]:
    found: list[Schema] = []
    for field in route.method.input_type.fields:
        if field.name in route.in_path:
            schema: Schema = {"type": "string", "pattern": _ID_PATTERN}
            found.append({"name": field.name, "in": "path", "required": True, "schema": schema})
        elif route.body not in ("*", field.name):
            found.append(_query(field, schemas))
    if route.verb in _WRITES:
        found.append(_IDEMPOTENCY_KEY)
    return found


def _query(field: FieldDescriptor, schemas: Schemas) -> Schema:
    required = field.name in schemas.required(field.containing_type)
    return {
        "name": field.name,
        "in": "query",
        "required": required,
        "schema": schemas.field(field, asked=True),
    }


def _body(route: Route, schemas: Schemas) -> Schema:
    if route.method.name == "UploadVideoForm":
        return {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
    asked = route.method.input_type
    if route.body == "*":
        schema = schemas.body(asked, route.in_path)
        return {"required": "required" in schema, "content": _json(schema)}
    field = schemas.field(asked.fields_by_name[route.body], asked=True)
    return {"required": True, "content": _json(field)}


def _answer(method: MethodDescriptor, schemas: Schemas) -> Schema:
    name = method.name
    answer: Schema = {"description": "Done.", "headers": _headers("X-Request-Id")}
    if method.output_type.full_name != "google.api.HttpBody":
        return {**answer, "content": _json(schemas.answer(method.output_type))}
    if name in _ARRAYS:
        items = schemas.answer(_ARRAYS[name].DESCRIPTOR)
        headers = _headers("X-Request-Id", "X-Next-Cursor")
        return {**answer, "headers": headers, "content": _json({"type": "array", "items": items})}
    if name == "UploadVideoForm":
        job = schemas.answer(import_job_pb2.ImportJob.DESCRIPTOR)
        return {**answer, "content": _json(job)}
    if name in _CONTENT_TYPES:
        return {**answer, "content": {_CONTENT_TYPES[name]: {}}}
    return {**answer, "content": _json({"type": "object"})}


def _headers(*names: str) -> Schema:
    return {name: {"schema": {"type": "string"}} for name in names}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _refusals() -> Schema:
    error = _json({"$ref": "#/components/schemas/Error"})
    refusals: Schema = {
        status: {"description": why, "content": error} for status, why in _REFUSALS.items()
    }
    return {**refusals, "default": {"description": "Any other refusal.", "content": error}}

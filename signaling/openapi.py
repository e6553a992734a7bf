"""The OpenAPI 3.1 document of the HTTP API, made from what the routes say of themselves (`signaling.operations`)."""

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from signaling.json_body import JSON
from signaling.operations import Answer, Operation, Operations, Tag
from signaling.problem_codes import PROBLEM_CODES
from signaling.problems import PROBLEM_JSON, Problem

Node = dict[str, Any]

_DESCRIPTION = """\
Watch and drive Android phones: every route of media-service.

Errors are `application/problem+json` (RFC 9457) with a stable `code`; `error` repeats their text. Where tokens are
asked for, each request carries one in `Authorization: Bearer`. Descriptions, candidates and credentials never stand in
an error or in a log. The messages of the WebSockets are described at `/api/media/asyncapi.json`.
"""

_SCHEMAS = "#/components/schemas/"

_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "HS256 or RS256, with `sub`, `iss`, `aud` and `exp`. A WebSocket takes it as the subprotocols"
        " `bearer` and the token, too.",
    },
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "Opens one WebSocket, once: see `POST /api/media/tickets`.",
    },
}

_HEADERS: dict[str, tuple[str, Node]] = {
    "Location": ("Where the session is.", {"type": "string", "format": "uri-reference"}),
    "ETag": ("Names the ICE session; another one after a restart.", {"type": "string"}),
    "Link": ("An ICE server each, as RFC 9725 section 4.6 has them.", {"type": "string"}),
    "Accept-Patch": ("What a PATCH may send.", {"type": "string"}),
    "Accept-Post": ("What a POST may send.", {"type": "string"}),
    "Allow": ("The methods that there are.", {"type": "string"}),
    "If-Match": ("The ETag of the ICE session that is meant, or `*` to restart ICE.", {"type": "string"}),
    "Retry-After": ("Seconds after which it may work.", {"type": "integer", "minimum": 0}),
    "WWW-Authenticate": ("That a bearer token is asked for (RFC 6750).", {"type": "string"}),
}

_PARAMETERS = {
    "deviceId": "The device's id, serial or name.",
    "sessionId": "The session's id.",
}


def document(operations: Operations, *, needs_token: bool) -> Node:
    """The document of `operations`; `needs_token` says whether a request has to have one where it is not open."""
    paths: dict[str, Node] = {}
    for (method, path), declared in sorted(operations.items(), key=_order):
        item = paths.setdefault(openapi_path(path), {})
        if names := _NAME.findall(path):
            item["parameters"] = [_path_parameter(to_camel(name)) for name in names]
        item[method.lower()] = _operation(declared, names, needs_token=needs_token)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "media-service",
            "version": _version(),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag.value} for tag in Tag],
        "paths": paths,
        "components": {"schemas": _schemas(operations.values()), "securitySchemes": _SECURITY_SCHEMES},
    }


def openapi_path(path: str) -> str:
    """A path of aiohttp as the document names it: `/devices/{device_id}` is `/devices/{deviceId}`."""
    return _NAME.sub(lambda name: "{" + to_camel(name[1]) + "}", path)


_NAME = re.compile(r"{([a-z_]+)}")


def _order(declared: tuple[tuple[str, str], Operation]) -> tuple[int, str]:
    (_, path), operation = declared
    return list(Tag).index(operation.tag), path


def _operation(declared: Operation, names: list[str], *, needs_token: bool) -> Node:
    node: Node = {"operationId": declared.operation_id, "summary": declared.summary, "tags": [declared.tag.value]}
    if declared.description:
        node["description"] = declared.description
    if declared.request_headers:
        node["parameters"] = [
            {"name": name, "in": "header", "required": True, "description": text, "schema": schema}
            for name in declared.request_headers
            for text, schema in [_HEADERS[name]]
        ]
    if declared.body is not None:
        node["requestBody"] = {"required": True, "content": {JSON: {"schema": _reference(declared.body)}}}
    elif declared.body_media_type is not None:
        node["requestBody"] = {"required": True, "content": {declared.body_media_type: _text(declared.body_media_type)}}
    answers = {str(status): _answer(answer) for status, answer in declared.answers.items()}
    node["responses"] = dict(sorted((_problems(_codes(declared, names)) | answers).items()))
    schemes = ["bearer", "ticket"] if declared.is_socket else ["bearer"]
    node["security"] = [{scheme: []} for scheme in schemes] if needs_token and not declared.is_open else []
    return node


def _codes(declared: Operation, names: list[str]) -> list[str]:
    """Everything that the route may be refused with."""
    # Where none is asked for, a token that is not taken is refused all the same.
    codes = [*declared.problems, "forbidden", "unauthorized", "keys_unavailable"]
    if names:
        codes.append("not_found")
    if declared.body is not None:
        codes.append("malformed_message")
    if declared.body is not None or declared.body_media_type is not None:
        codes += ["bad_request", "body_too_large", "unsupported_media_type"]
    return list(dict.fromkeys(codes))


def _problems(codes: Iterable[str]) -> dict[str, Node]:
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(PROBLEM_CODES[code][0], []).append(code)
    return {str(status): _problem(status, by_status[status]) for status in sorted(by_status)}


def _problem(status: int, codes: list[str]) -> Node:
    node: Node = {
        "description": "\n".join(f"* `{code}`: {PROBLEM_CODES[code][1]}" for code in codes),
        "content": {PROBLEM_JSON: {"schema": _reference(Problem)}},
    }
    if status == 401:
        node["headers"] = _headers(("WWW-Authenticate",))
    elif status in (429, 503):
        node["headers"] = _headers(("Retry-After",), is_required=False)
    return node


def _answer(answer: Answer) -> Node:
    node: Node = {"description": answer.description}
    if answer.headers:
        node["headers"] = _headers(answer.headers)
    if isinstance(answer.body, tuple):
        node["content"] = {JSON: {"schema": {"anyOf": [_reference(model) for model in answer.body]}}}
    elif answer.body is not None:
        node["content"] = {answer.media_type or JSON: {"schema": _reference(answer.body)}}
    elif answer.media_type is not None:
        node["content"] = {answer.media_type: _text(answer.media_type)}
    return node


def _headers(names: Iterable[str], *, is_required: bool = True) -> Node:
    return {
        name: {"description": _HEADERS[name][0], "required": is_required, "schema": _HEADERS[name][1]} for name in names
    }


def _path_parameter(name: str) -> Node:
    description = _PARAMETERS.get(name, "")
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1},
    }


def _text(media_type: str) -> Node:
    if media_type == JSON:
        return {"schema": {"type": "object"}}
    return {"schema": {"type": "string", "format": media_type.rpartition("/")[2]}}


def _reference(model: type[BaseModel]) -> Node:
    return {"$ref": _SCHEMAS + model.__name__}


def _schemas(operations: Iterable[Operation]) -> Node:
    """The schemas of all models, those of what we send without the defaults of what we take."""
    taken: dict[type[BaseModel], JsonSchemaMode] = {}
    sent: dict[type[BaseModel], JsonSchemaMode] = {Problem: "serialization"}
    for declared in operations:
        if declared.body is not None:
            taken[declared.body] = "validation"
        for answer in declared.answers.values():
            models = answer.body if isinstance(answer.body, tuple) else (answer.body,)
            sent.update({model: "serialization" for model in models if model is not None})
    _, schemas = models_json_schema([*taken.items(), *sent.items()], ref_template=_SCHEMAS + "{model}")
    return dict(sorted(schemas["$defs"].items()))


def _version() -> str:
    try:
        return version("media-service")
    except PackageNotFoundError:
        return "0"

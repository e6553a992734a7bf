"""A request's JSON body as a model: each error names the field, what it was and what is allowed."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from signaling.errors import MalformedMessage

JSON = "application/json"

_SHOWN = 60

Model = TypeVar("Model", bound=BaseModel)
Schema = dict[str, Any]


async def read_json(request: web.Request, model: type[Model]) -> Model:
    """The request's body. Raises `MalformedMessage`, and what becomes a 413 or a 415."""
    if request.content_type != JSON:
        given = request.headers.get(hdrs.CONTENT_TYPE, "none")
        raise web.HTTPUnsupportedMediaType(
            text=f"Content-Type must be {JSON}, not {given[:_SHOWN]!r}", headers={"Accept-Post": JSON}
        )
    return parse_json(await request.read(), model)


def parse_json(body: bytes, model: type[Model]) -> Model:
    """The model that `body` is the JSON of. Raises `MalformedMessage`."""
    try:
        return model.model_validate_json(body)
    except ValidationError as invalid:
        # The first is enough to go on with, and the input of the others is not for any log.
        raise MalformedMessage(_told(invalid.errors(include_url=False)[0], _schema(model))) from None


@cache
def _schema(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _told(error: ErrorDetails, document: Schema) -> str:
    if error["type"] == "json_invalid":
        return f"the body is not JSON: {error['ctx']['error']}"
    name, field = _field(document, error["loc"])
    allowed = " or ".join(dict.fromkeys(_words(option) for option in _options(document, field)))
    if error["type"] == "missing":
        return f"{name} is missing: it must be {allowed}"
    # Where a text is not what is asked for, or is one with a format, it may be anything.
    is_secret = field.get("type") != "string" or "format" in field
    shown = _described(error["input"], is_secret=is_secret)
    return f"{name or 'the body'} must be {allowed if name else 'a JSON object'}, not {shown}"


def _field(document: Schema, location: Sequence[str | int]) -> tuple[str, Schema]:
    """The name of what is at `location`, as `candidates[3].sdpMid`, and its schema."""
    name, field = "", document
    for part in location:
        options = list(_options(document, field))
        if isinstance(part, int):
            name += f"[{part}]"
            field = next((option["items"] for option in options if "items" in option), {})
        elif found := [option["properties"][part] for option in options if part in option.get("properties", ())]:
            name += f".{part}" if name else part
            field = found[0]
        # Else it names one of several forms that the field may have.
    return name, field


def _options(document: Schema, field: Schema) -> Iterator[Schema]:
    """The schemas that a field may fit, each without references and alternatives."""
    if "$ref" in field:
        yield from _options(document, document["$defs"][field["$ref"].rpartition("/")[2]])
    elif alternatives := field.get("anyOf") or field.get("oneOf"):
        for alternative in alternatives:
            yield from _options(document, alternative)
    else:
        yield field


def _words(schema: Schema) -> str:
    """What is allowed by a schema, in words."""
    if "const" in schema:
        return json.dumps(schema["const"])
    match schema.get("type"):
        case "string" if "minLength" in schema:
            return f"a string of {schema['minLength']} to {schema['maxLength']} characters"
        case "string":
            return f"a string of at most {schema['maxLength']} characters"
        case "integer":
            return f"an integer from {schema['minimum']} to {schema['maximum']}"
        case "array":
            return f"an array of at most {schema['maxItems']} elements"
        case "null":
            return "null"
        case _:
            return "an object"


def _described(value: object, *, is_secret: bool) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(value)} elements"
    if isinstance(value, str) and (is_secret or len(value) > _SHOWN):
        return f"a string of {len(value)} characters"
    return json.dumps(value)[:_SHOWN]

"""What `signaling.asyncapi` says about one kind of message, and the pieces of JSON Schema (draft 07) that it takes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MessageDescription:
    """One kind of message."""

    name: str
    """What the document calls it."""
    summary: str
    schema: Schema
    examples: tuple[Mapping[str, Any], ...]
    replies: tuple[str, ...] = ()
    """The names of the messages that may answer it, beside `error`."""


def text(longest: int, shortest: int = 1, **more: object) -> Schema:
    return {"type": "string", "minLength": shortest, "maxLength": longest, **more}


def integer(lowest: int, highest: int, **more: object) -> Schema:
    return {"type": "integer", "minimum": lowest, "maximum": highest, **more}


def number(lowest: float, highest: float, **more: object) -> Schema:
    return {"type": "number", "minimum": lowest, "maximum": highest, **more}


def one_of(words: Iterable[str], **more: object) -> Schema:
    return {"enum": list(words), **more}


def nullable(schema: Schema) -> Schema:
    """The same or null, which counts as missing."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


def message(kind: str, required: Mapping[str, Schema], optional: Mapping[str, Schema], **more: object) -> Schema:
    """An object with that `type`; it may have further fields, which mean nothing."""
    return {
        "type": "object",
        "properties": {"type": {"const": kind}, **required, **optional},
        "required": ["type", *required],
        **more,
    }

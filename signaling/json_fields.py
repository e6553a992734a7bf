"""Strict reading of a JSON object that a client sent: each error names the field, what it was and what is allowed."""

import json
import math
from collections.abc import Container
from typing import Any, NoReturn

from signaling.errors import MalformedMessage

MAX_SAFE_INTEGER = 2**53 - 1
"""Integers above this are not exact in JavaScript."""


class JsonFields:
    """The fields of one object; `path` is put in front of their names in errors."""

    __slots__ = ("_path", "_values")

    def __init__(self, values: dict[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path

    def __contains__(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._values.get(name) is not None

    def text(self, name: str, *, longest: int, shortest: int = 1, is_secret: bool = False) -> str:
        """A string of so many characters; the value of a secret one never stands in an error."""
        value = self._values.get(name)
        if type(value) is not str or not shortest <= len(value) <= longest:
            self.refuse(name, f"a string of {shortest} to {longest} characters", is_secret=is_secret)
        return value

    def optional_text(self, name: str, *, longest: int, shortest: int = 1) -> str | None:
        """As `text`; None when the field is missing or null."""
        return self.text(name, longest=longest, shortest=shortest) if name in self else None

    def choice(self, name: str, allowed: Container[str], names: str) -> str:
        """One of the `allowed` words; `names` lists them for the error."""
        value = self._values.get(name)
        if type(value) is not str or value not in allowed:
            self.refuse(name, f"one of {names}")
        return value

    def integer(self, name: str, lowest: int, highest: int) -> int:
        """A whole number; 3.0 is one, as JavaScript does not tell them apart."""
        value = self._values.get(name)
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not lowest <= value <= highest:
            self.refuse(name, f"an integer from {lowest} to {highest}")
        return value

    def optional_integer(self, name: str, lowest: int, highest: int) -> int | None:
        """As `integer`; None when the field is missing or null."""
        return self.integer(name, lowest, highest) if name in self else None

    def number(self, name: str, lowest: float, highest: float) -> float:
        """A finite number."""
        value = self._values.get(name)
        # A bool is an int to isinstance().
        if not (type(value) is float or type(value) is int) or not lowest <= value <= highest:
            self.refuse(name, f"a number from {lowest:g} to {highest:g}")
        return float(value)

    def is_text(self, name: str) -> bool:
        """Whether the field holds a string."""
        return type(self._values.get(name)) is str

    def object(self, name: str) -> "JsonFields":
        """An object within this one."""
        value = self._values.get(name)
        if type(value) is not dict:
            self.refuse(name, "an object")
        return JsonFields(value, f"{self._path}{name}.")

    def refuse(self, name: str, allowed: str, *, is_secret: bool = False) -> NoReturn:
        """Raise what says that the field must be `allowed`."""
        if name not in self._values:
            raise MalformedMessage(f"{self._path}{name} is missing: it must be {allowed}")
        value = self._values[name]
        raise MalformedMessage(f"{self._path}{name} must be {allowed}, not {_described(value, is_secret=is_secret)}")


def parse_object(text: str) -> JsonFields:
    """The fields of a text that is one JSON object. Raises `MalformedMessage`."""
    try:
        values = _DECODER.decode(text)
    except MalformedMessage:
        raise
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "a number or the nesting is too large"
        raise MalformedMessage(f"the message is not JSON: {reason}") from None
    if type(values) is not dict:
        raise MalformedMessage(f"the message must be a JSON object, not {_described(values, is_secret=False)}")
    return JsonFields(values)


def _refuse_constant(name: str) -> NoReturn:
    """`NaN` and `Infinity`, which Python's parser would take (RFC 8259 section 6 has neither)."""
    raise MalformedMessage(f"the message is not JSON: {name} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _described(value: object, *, is_secret: bool) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str) and (is_secret or len(value) > 60):
        return f"a string of {len(value)} characters"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number beyond all bounds"
    return json.dumps(value)[:60]

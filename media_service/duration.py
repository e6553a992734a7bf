"""Lengths of time as people write them in settings."""

import re
from typing import Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)


class Duration(float):
    """A length of time; as a number it is seconds, as text it is `10s`, `5m`, `200ms` or `1m30s`."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a duration as it is written, or take one that is a number of seconds already.

        Raises `ValueError` for text without a unit and for anything that is no duration.
        """
        match value:
            case str() if value.strip() and _PART.sub("", value.strip()) == "":
                seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))
            case int() | float():
                seconds = float(value)
            case _:
                raise ValueError(f"{value!r} is not a number with its unit")
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"{str(value)[:40]!r} is not a number with its unit")
        return cls(seconds)

    def __str__(self) -> str:
        for unit in ("h", "m", "s"):
            if self >= _SECONDS[unit] and self % _SECONDS[unit] == 0:
                return f"{self / _SECONDS[unit]:.12g}{unit}"
        return f"{self * 1000:.12g}ms" if 0 < self < 1 else f"{float(self):.12g}s"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse, serialization=core_schema.to_string_ser_schema())

"""Which metrics the service exports, and which an expression of Prometheus names."""

import re
from collections.abc import Iterable

_SAMPLES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}


def exported(exposition: str) -> set[str]:
    """The names of the samples in what `/metrics` answers, those of families without one now included."""
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", exposition, re.MULTILINE):
        names |= {name + ending for ending in _SAMPLES.get(kind, ("",))}
    return names


def named(expressions: Iterable[str]) -> set[str]:
    """The metrics in `expressions`. `up` is Prometheus' own."""
    return {name for text in expressions for name in re.findall(r"\b(?:media_service|process|python)_\w+", text)}

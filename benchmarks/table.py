"""Numbers as a table for people and as JSON for programs."""

import json
import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, padded so that it reads well as it is; the first column is text, the others are numbers."""
    cells = [list(columns), *([cell(value) for value in row] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    lines = [
        "| " + " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) + " |" for line in cells
    ]
    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def cell(value: object) -> str:
    """Three significant digits for a float, a dash for what was not measured, ∞ beyond a histogram's last bucket."""
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        if math.isinf(value):
            return "∞"
        digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
        return f"{value:.{min(digits, 3)}f}"
    return str(value)


def write_json(path: Path, document: object) -> None:
    """Write dataclasses, mappings and numbers; NaN, which JSON lacks, becomes null."""
    path.write_text(json.dumps(_plain(document), indent=2) + "\n")


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        # dataclasses.asdict makes something else of a Counter.
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

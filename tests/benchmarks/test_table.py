"""What benchmarks write for others to read."""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.table import write_json


@dataclass
class Outcome:
    rate: float = math.nan
    drops: Counter[str] = field(default_factory=lambda: Counter(input_full=3))
    parts: tuple[int, ...] = (1, 2)


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    write_json(path, {"outcome": Outcome()})
    assert json.loads(path.read_text()) == {"outcome": {"rate": None, "drops": {"input_full": 3}, "parts": [1, 2]}}

"""Results for people, line by line, and for programs. Pure."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from tests.checklist.point import Result, Section, Status

_COLOURS: Mapping[Status, str] = {Status.PASS: "32", Status.FAIL: "1;31", Status.NOT_APPLICABLE: "2"}
_NARROWEST = 40
"""Letters of a line of what was seen, at least."""


class Report:
    """Lines of a table with three columns: status, point, what was seen."""

    def __init__(self, sections: Sequence[Section], *, width: int, is_coloured: bool) -> None:
        """`width` is how many letters a line may have."""
        self._title_width = max(len(point.title) for section in sections for point in section.points)
        self._status_width = max(map(len, Status))
        self._margin = self._status_width + self._title_width + 6
        self._text_width = max(_NARROWEST, width - self._margin)
        self._is_coloured = is_coloured

    def heading(self, section: Section) -> str:
        """The line above its points."""
        return f"\n{section.number}  {section.title}"

    def lines(self, result: Result) -> Iterator[str]:
        """A point's line, with the lines that follow where much was seen."""
        status = f"{result.status:{self._status_width}}"
        if self._is_coloured:
            status = f"\x1b[{_COLOURS[result.status]}m{status}\x1b[0m"
        first, *more = [
            part
            for line in result.text.splitlines() or [""]
            for part in textwrap.wrap(line, self._text_width, break_long_words=False, break_on_hyphens=False) or [""]
        ]
        yield f"  {status}  {result.point:{self._title_width}}  {first}".rstrip()
        yield from (f"{'':{self._margin}}{line}" for line in more)


def summary(results: Sequence[Result], seconds: float) -> str:
    """The last line."""
    counts = Counter(result.status for result in results)
    return (
        f"\n{counts[Status.PASS]} pass, {counts[Status.FAIL]} failed, "
        f"{counts[Status.NOT_APPLICABLE]} not applicable here; {seconds:.0f} s"
    )


def as_json(results: Sequence[Result], seconds: float) -> str:
    """Everything, for programs."""
    counts = Counter(result.status for result in results)
    document = {
        "seconds": round(seconds, 1),
        "passed": counts[Status.PASS],
        "failed": counts[Status.FAIL],
        "notApplicable": counts[Status.NOT_APPLICABLE],
        "points": [asdict(result) | {"seconds": round(result.seconds, 3)} for result in results],
    }
    return json.dumps(document, indent=2) + "\n"

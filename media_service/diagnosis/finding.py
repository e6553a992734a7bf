"""What was found, and how it is shown. Pure."""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import groupby

from media_service.settings import Settings


class Status(StrEnum):
    OK = "ok"
    INFO = "info"
    """Neither good nor bad."""
    WARNING = "warning"
    """It works, but worse than it could, or not for everybody."""
    PROBLEM = "problem"
    """The service cannot start, or something that the settings ask for does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. Made by the functions below."""

    area: str
    status: Status
    text: str
    remedy: str = ""
    """What to do about it; of every warning and problem there is one."""


Check = Callable[[Settings], Awaitable[Sequence[Finding]]]
"""Looks at one area. What it does not expect it may raise."""


def ok(area: str, text: str) -> Finding:
    """It is as it should be."""
    return Finding(area, Status.OK, text)


def info(area: str, text: str) -> Finding:
    """It is as it is."""
    return Finding(area, Status.INFO, text)


def warning(area: str, text: str, remedy: str) -> Finding:
    """It could be better."""
    return Finding(area, Status.WARNING, text, remedy)


def problem(area: str, text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(area, Status.PROBLEM, text, remedy)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found, grouped by area."""

    findings: tuple[Finding, ...]
    redact: Callable[[str], str] = field(default=str, repr=False, compare=False)
    """Takes secrets out of what is shown; the words of others may hold them."""

    @property
    def is_well(self) -> bool:
        """Whether there is no problem."""
        return not any(finding.status is Status.PROBLEM for finding in self.findings)

    def text(self) -> str:
        """For people: a group of aligned lines for each area, and a count at the end."""
        return self.redact("\n".join(_lines(self.findings)))

    def json(self) -> str:
        """For programs."""
        findings = [asdict(finding) for finding in self.findings]
        return self.redact(json.dumps({"isWell": self.is_well, "findings": findings}, indent=2))


def _lines(findings: Iterable[Finding]) -> Iterator[str]:
    width = max(map(len, Status))
    counts = dict.fromkeys(Status, 0)
    for area, group in groupby(findings, lambda finding: finding.area):
        yield area
        for finding in group:
            counts[finding.status] += 1
            first, *more = finding.text.splitlines() or [""]
            yield f"  {finding.status:{width}}  {first}".rstrip()
            yield from (f"  {'':{width}}  {line}".rstrip() for line in more)
            if finding.remedy:
                yield f"  {'':{width}}  > {finding.remedy}"
        yield ""
    yield f"{_counted(counts[Status.PROBLEM], 'problem')}, {_counted(counts[Status.WARNING], 'warning')}"


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"

"""What a link's emulator and its owner say to each other: a line of JSON each. Pure."""

import json
from dataclasses import asdict, dataclass
from typing import Final

from benchmarks.link.impairment import Counts, Impairment

PREFIX_LENGTH: Final = 24


def addresses(number: int) -> tuple[str, str]:
    """The server's and the client's end of the link of that number."""
    return f"10.99.{number}.1", f"10.99.{number}.2"


@dataclass(frozen=True, slots=True)
class Change:
    """Be another link from now on."""

    down: Impairment
    """From the server to the client."""
    up: Impairment


@dataclass(frozen=True, slots=True)
class Ask:
    """How is it."""


Request = Change | Ask


@dataclass(frozen=True, slots=True)
class Answer:
    """To either."""

    moment: float
    """When the request was carried out, on the monotonic clock, which the processes of a machine share."""
    time: float
    """The same moment in seconds since the epoch."""
    down: Counts
    up: Counts
    refused: int
    """Packets that a device did not take."""
    late_mean: float
    """Seconds by which packets left the emulator later than they should."""
    late_most: float


def serialize(message: Request | Answer) -> bytes:
    """One line, without its end."""
    return json.dumps(asdict(message)).encode()


def parse_request(line: bytes) -> Request:
    values = json.loads(line)
    return Change(Impairment(**values["down"]), Impairment(**values["up"])) if values else Ask()


def parse_answer(line: bytes) -> Answer:
    values = json.loads(line)
    return Answer(**values | {"down": Counts(**values["down"]), "up": Counts(**values["up"])})

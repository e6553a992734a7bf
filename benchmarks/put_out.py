"""What a phone's encoders put out, piece by piece, and how that compares with what arrived."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from benchmarks.errors import BenchmarkError

PICTURES, SOUND = "pictures", "sound"
"""The streams of a phone."""

COMMAND: Final = "benchmark-put-out"
"""The phone's command that tells what was put out so far, of the stream that is named after it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One coded picture, or one packet of sound."""

    digest: str
    """Stands for its bytes (`digest`)."""
    written_at: float
    """When its last byte was on the wire to adb, in seconds of `time.monotonic()`."""
    size: int
    """Bytes."""

    @classmethod
    def parse(cls, line: str) -> Self:
        """The piece that `str` made the line of. Raises `BenchmarkError`."""
        try:
            digest, written_at, size = line.split()
            return cls(digest, float(written_at), int(size))
        except ValueError as error:
            raise BenchmarkError(f"a phone told of a piece {line[:80]!r}") from error

    def __str__(self) -> str:
        return f"{self.digest} {self.written_at!r} {self.size}"


def digest(parts: Iterable[bytes]) -> str:
    """What stands for a picture, given as its NAL units, or for a packet of sound."""
    content = b"".join(len(part).to_bytes(4) + part for part in parts)
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which of the pieces that arrived are which of those that were put out."""

    arrived: tuple[tuple[int, int], ...]
    """Positions among those put out and among those that arrived, of each that is in both."""
    lost: int
    """Pieces that were put out and did not arrive."""
    foreign: int
    """Pieces that arrived and were not put out: they were cut, or came twice."""


def compare(put_out: Sequence[str], arrived: Sequence[str], *, due: int, missed: int = 0) -> Comparison:
    """Compare digests, in their order.

    The first `due` of those put out have to have arrived, but for at most `missed` at the beginning, while nobody
    listened yet.
    """
    pairs = []
    position = foreign = 0
    for number, piece in enumerate(arrived):
        try:
            position = put_out.index(piece, position)
        except ValueError:
            foreign += 1
            continue
        pairs.append((position, number))
        position += 1
    found = {position for position, _ in pairs}
    first = min(found, default=0)
    lost = due - sum(position < due for position in found) - (first if first <= missed else 0)
    return Comparison(tuple(pairs), lost, foreign)

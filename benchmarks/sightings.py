"""What a viewer saw and heard of a phone, and what that says. Pure."""

from dataclasses import dataclass, field
from itertools import pairwise

_APART = 0.1
"""Seconds."""


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """One picture. Seconds since the epoch."""

    shown_at: float
    """When it was handed to the compositor."""
    drawn_at: float
    """When the phone drew it."""
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Told:
    """One message about a state, or a change of the viewer's own."""

    at: float
    """Seconds since the epoch."""
    kind: str
    """`viewer`, `session-state`, `device-state` or `stream-state`."""
    state: str
    reason: str


@dataclass(slots=True)
class Sightings:
    """All that one viewer noted, in the order in which it came."""

    pictures: list[ShownPicture] = field(default_factory=list)
    unreadable: list[float] = field(default_factory=list)
    """When pictures were shown whose strip could not be read."""
    told: list[Told] = field(default_factory=list)

    def longest_freeze(self, since: float, until: float) -> float:
        """The longest time without a new picture, in seconds, of those that overlap the given time."""
        longest = 0.0
        before: ShownPicture | None = None
        for picture in self.pictures:
            if before is not None and picture.drawn_at <= before.drawn_at:
                continue
            if before is not None and picture.shown_at > since and before.shown_at < until:
                longest = max(longest, picture.shown_at - before.shown_at)
            before = picture
        if before is not None and before.shown_at < until:
            longest = max(longest, until - before.shown_at)
        return longest

    def first_drawn_after(self, moment: float) -> ShownPicture | None:
        """The first picture that the phone drew after a moment."""
        return next((picture for picture in self.pictures if picture.drawn_at > moment), None)

    def device_states(self, since: float) -> tuple[str, ...]:
        """What the service said of the phone since a moment at which it was online, each state once."""
        said = ["online", *(told.state for told in self.told if told.kind == "device-state" and told.at > since)]
        return tuple(state for before, state in pairwise(said) if state != before)

    def backwards(self) -> int:
        """How many pictures were older than one that was shown before.

        Two recorders at once draw a picture apart, and more on a busy machine: that much is not counted.
        """
        count = 0
        newest = float("-inf")
        for picture in self.pictures:
            count += picture.drawn_at < newest - _APART
            newest = max(newest, picture.drawn_at)
        return count

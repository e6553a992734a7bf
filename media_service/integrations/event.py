"""A thing that happened, as others are told of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One message; it may arrive twice, which its id tells."""

    message_id: str
    """The same however often it is sent."""
    event_type: str
    """`media.session.created` and the like; the routing key too."""
    timestamp: float
    """Seconds since 1970."""
    body: bytes
    """A JSON object."""

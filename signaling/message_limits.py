"""How many messages a WebSocket may send. Pure: the time is passed in."""

from signaling.allowance import Allowance
from signaling.errors import TooMany

INPUTS_PER_SECOND = 1000
"""Touches, keys and all else that goes to a device, of all sessions of a socket; each session takes fewer."""

OTHERS_PER_SECOND = 50
OTHERS_AT_ONCE = 1000
"""A page that opens 64 phones trickles that many candidates."""

REFUSALS_PER_SECOND = 50
REFUSALS_AT_ONCE = 1000
"""What a client may send beyond that before its socket is closed: one that heeds the replies never comes so far."""


class MessageLimits:
    """Lets the messages of one socket in."""

    def __init__(self) -> None:
        self.is_flooded = False
        """Whether so much was refused that the socket is better closed."""
        self._inputs = Allowance(INPUTS_PER_SECOND)
        self._others = Allowance(OTHERS_PER_SECOND, OTHERS_AT_ONCE)
        self._refusals = Allowance(REFUSALS_PER_SECOND, REFUSALS_AT_ONCE)

    def admit(self, now: float, *, is_input: bool) -> None:
        """Let a message in; raises `TooMany`."""
        if (self._inputs if is_input else self._others).take(now):
            return
        self.is_flooded |= not self._refusals.take(now)
        what = f"{INPUTS_PER_SECOND} input messages" if is_input else f"{OTHERS_PER_SECOND} messages beside input"
        raise TooMany(f"one connection sends at most {what} per second", retry_after=1)

"""Who asks, and what they may. Pure: tokens are read in `signaling.tokens`, and every request is given its caller there
is in `signaling.guard`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from signaling.errors import Forbidden


class Capability(StrEnum):
    """What a token can allow."""

    VIEW = "view"
    """Watch a device, and see it in lists."""
    CONTROL = "control"
    """Send input to it."""
    ADMIN = "admin"
    """See and end everybody's sessions, and look into the process; no device is closed to it."""


ALL: frozenset[Capability] = frozenset(Capability)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who made a request, by the token that came with it."""

    user_id: str | None = None
    """The token's `sub`; None where nobody has to have a token."""
    address: str = ""
    """The IP address that the request came from, as the nearest proxy that is trusted saw it."""
    capabilities: frozenset[Capability] = ALL
    """What is allowed on devices that `devices` does not name one by one, and beside devices."""
    devices: Mapping[str, frozenset[Capability]] | None = None
    """What is allowed on each device, by any of its names; others are closed. None: all are open."""
    expires_at: float | None = None
    """When the token ends, in seconds since 1970."""
    has_token: bool = False
    """Whether it was a token that said so; without one it is what everybody may."""

    @property
    def is_admin(self) -> bool:
        return Capability.ADMIN in self.capabilities

    def may(self, capability: Capability, names: Iterable[str]) -> bool:
        """Whether `capability` is allowed on the device that is called all of `names`."""
        if self.is_admin or self.devices is None:
            return self.is_admin or capability in self.capabilities
        return any(capability in self.devices.get(name, ()) for name in names)

    def require(self, capability: Capability, names: Iterable[str]) -> None:
        """Raises `Forbidden` unless `capability` is allowed on the device that is called all of `names`."""
        named = tuple(names)
        if not self.may(capability, named):
            raise Forbidden(f"this token does not allow {capability} of {named[0] if named else 'it'!r}")

    def owns(self, user_id: str | None) -> bool:
        """Whether a session of that user is this caller's to see and to end."""
        return self.is_admin or self.user_id == user_id

    def acting_as(self, user_id: str | None) -> str | None:
        """The user that a session is for, when the request names `user_id`.

        Raises `Forbidden` for another user than the token's. Where there are no tokens anybody may be named.
        """
        if self.user_id is None or user_id is None:
            return self.user_id or user_id
        if user_id != self.user_id:
            raise Forbidden(f"userId {user_id[:100]!r} is not the token's user")
        return self.user_id

"""STUN and TURN servers for one viewer, with credentials that expire (draft-uberti-behave-turn-rest-00). Pure.

coturn takes them with `use-auth-secret` and `static-auth-secret`: it knows no users, only the secret that we share.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import quote

# RFC 8489 section 14.3 allows 508 bytes, and the time is in front of it.
_LONGEST_USER = 128


@dataclass(frozen=True, slots=True)
class TurnCredentials:
    """What opens a relay until a certain time. An allocation that is there by then goes on."""

    username: str
    """That time and whose they are, which the TURN server can log."""
    credential: str = field(repr=False)
    expires_at: int
    """Seconds since 1970."""


def turn_credentials(secret: str, user_id: str | None, ttl: float, now: float) -> TurnCredentials:
    """Credentials for `ttl` seconds from `now`, by the TURN server's clock as by ours, in seconds since 1970."""
    expires_at = int(now + ttl)
    username = f"{expires_at}:{_user(user_id)}" if user_id else str(expires_at)
    digest = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return TurnCredentials(username, base64.b64encode(digest).decode(), expires_at)


@dataclass(frozen=True, slots=True)
class StunAndTurn:
    """The servers as the operator named them. With a `secret` viewers get credentials that expire."""

    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)
    """What we share with the TURN servers."""
    ttl: float = 3600.0
    """Seconds that credentials made of it are good for."""
    username: str | None = None
    """For TURN servers without such a secret; `credential` belongs to it."""
    credential: str | None = field(default=None, repr=False)

    def for_user(self, user_id: str | None, now: float) -> list[dict[str, str | list[str]]]:
        """What that user's browser puts into `RTCConfiguration.iceServers` (W3C webrtc-pc section 4.2.1)."""
        servers: list[dict[str, str | list[str]]] = []
        if self.stun_urls:
            servers.append({"urls": list(self.stun_urls)})
        if not self.turn_urls:
            return servers
        if self.secret:
            made = turn_credentials(self.secret, user_id, self.ttl, now)
            username, credential = made.username, made.credential
        else:
            username, credential = self.username or "", self.credential or ""
        servers.append({"urls": list(self.turn_urls), "username": username, "credential": credential})
        return servers


def _user(user_id: str) -> str:
    """A name that every TURN server takes: ASCII without a colon, and another one for another user."""
    name = quote(user_id, safe="@")
    if len(name) <= _LONGEST_USER:
        return name
    return f"{name[: _LONGEST_USER - 33]}-{hashlib.sha256(user_id.encode()).hexdigest()[:32]}"

"""Tokens that the service itself signs: the one of a run that nobody set up tokens for, and those of the command line.

Asked to listen beyond this machine without `JWT_SECRET` or a public key, the service makes a secret for this run and
puts a token into the link that it prints, as notebook servers do. Other tokens there are none; the secret is kept
nowhere and ends with the run.
"""

import secrets
import time
from collections.abc import Sequence
from typing import Any

import jwt

from signaling.claims import ROLES, caller_by_claims
from signaling.errors import Unauthorized
from signaling.tokens import MAX_TOKEN, SharedSecret

RUN_TOKEN_SECONDS = 12 * 3600
"""How long the printed link is good: a day's work, and nothing tomorrow."""

RUN_TOKEN_USER = "operator"
"""Whose sessions are those of who opened the link."""


def random_secret() -> str:
    """A secret for one run."""
    return secrets.token_hex(32)


def token_for(
    secret: str,
    *,
    issuer: str,
    audience: str,
    user: str,
    roles: Sequence[str] = (),
    devices: Sequence[str] | None = None,
    seconds: float,
    now: float | None = None,
) -> str:
    """A token signed with `secret` (HS256) that says what `signaling.claims` reads.

    Without `roles` it allows to watch and to control; without `devices`, all devices. `now` is in seconds since 1970.
    Raises `ValueError` for what would not be taken, or would not be what it seems.
    """
    for role in roles:
        if role not in ROLES:
            raise ValueError(f"{role[:100]!r} is not a role: they are {', '.join(ROLES)}")
    if devices is not None and "admin" in roles:
        raise ValueError("a token that names devices is never an admin's")
    if seconds < 1:
        raise ValueError("a token is good for a second at least")
    issued_at = time.time() if now is None else now
    claims: dict[str, Any] = {
        "sub": user,
        "iss": issuer,
        "aud": audience,
        "iat": int(issued_at),
        "exp": int(issued_at + seconds),
    }
    if roles:
        claims["roles"] = list(roles)
    if devices is not None:
        claims["devices"] = list(devices)
    try:
        caller_by_claims(claims, now=issued_at)
    except Unauthorized as error:
        raise ValueError(error.detail) from None
    token = jwt.encode(claims, SharedSecret.of(secret).secret, algorithm="HS256")
    if len(token) > MAX_TOKEN:
        raise ValueError(f"the token has {len(token)} characters, and {MAX_TOKEN} are taken: name fewer devices")
    return token


def page_link(address: str, token: str) -> str:
    """The link that brings the token to the page at `address`: what is behind # is never sent, and in no log."""
    return f"{address}#token={token}"

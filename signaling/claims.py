"""What a token's claims (RFC 7519 section 4) let its bearer do. Pure.

    roles or role   `admin`, `operator`, `user` or `viewer`: a list, or words in one text; without any, as `user`
    devices         the only devices that are open: a list of names, or for each name what is allowed on it

Errors name the claim and never its value: they may be logged by others, and a claim may hold anything.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from signaling.caller import ALL, Caller, Capability
from signaling.errors import Unauthorized

LEEWAY = 10.0
"""Seconds that the clock of who signs may be off."""

MAX_NAME = 255
"""Characters of a user's or a device's name; OpenID Connect allows a user's as many."""

MAX_DEVICES = 500
MAX_ROLES = 50

_END_OF_TIME = 2**53

_VIEWER = frozenset({Capability.VIEW})
_USER = frozenset({Capability.VIEW, Capability.CONTROL})
ROLES: Mapping[str, frozenset[Capability]] = {"admin": ALL, "operator": _USER, "user": _USER, "viewer": _VIEWER}
"""What each role allows; further roles, for other services, are ignored."""

_NAMEABLE = {capability.value: capability for capability in _USER}


def caller_by_claims(claims: Mapping[str, Any], *, now: float, address: str = "") -> Caller:
    """Whom the claims describe. Raises `Unauthorized`.

    A token that names devices is never an admin's: what is closed by default would be open again.
    """
    expires_at = _times(claims, now)
    capabilities = _capabilities(claims)
    devices = _devices(claims, capabilities)
    return Caller(
        user_id=_name(claims.get("sub"), "its sub"),
        address=address,
        capabilities=capabilities if devices is None else capabilities & _USER,
        devices=devices,
        expires_at=expires_at,
        has_token=True,
    )


def _times(claims: Mapping[str, Any], now: float) -> float:
    """When the token ends; it must have begun (RFC 7519 sections 4.1.4 to 4.1.6)."""
    expires_at = _time(claims, "exp")
    begins_at = max((_time(claims, name) for name in ("nbf", "iat") if name in claims), default=now)
    if begins_at > now + LEEWAY:
        raise Unauthorized("the token is not valid yet", code="token_not_yet_valid")
    if now >= expires_at + LEEWAY:
        raise Unauthorized("the token has expired", code="token_expired")
    return expires_at


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # A bool is an int to isinstance().
    if not (type(value) is int or type(value) is float) or not 0 <= value < _END_OF_TIME:
        raise _bad(f"its {name} must be a number of seconds since 1970")
    return float(value)


def _capabilities(claims: Mapping[str, Any]) -> frozenset[Capability]:
    given = [claims[name] for name in ("roles", "role") if name in claims]
    if not given:
        return _USER
    named = {word for value in given for word in _words(value)}
    known = [ROLES[word] for word in named if word in ROLES]
    if not known:
        raise _bad(f"its roles name none of {', '.join(ROLES)}")
    return frozenset[Capability]().union(*known)


def _words(value: object) -> Iterable[str]:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or len(words) > MAX_ROLES or not all(isinstance(word, str) for word in words):
        raise _bad(f"its roles must be a list of at most {MAX_ROLES} words, or a text of them")
    return words


def _devices(
    claims: Mapping[str, Any], capabilities: frozenset[Capability]
) -> Mapping[str, frozenset[Capability]] | None:
    if "devices" not in claims:
        return None
    value = claims["devices"]
    if not isinstance(value, list | dict) or len(value) > MAX_DEVICES:
        raise _bad(f"its devices must be a list of at most {MAX_DEVICES} names, or an object with one list for each")
    names = [_name(name, "each of its devices") for name in value]
    if isinstance(value, list):
        return dict.fromkeys(names, capabilities & _USER)
    return {name: capabilities & _named_capabilities(value[name]) for name in names}


def _named_capabilities(value: object) -> frozenset[Capability]:
    if not isinstance(value, list) or not all(isinstance(word, str) and word in _NAMEABLE for word in value):
        raise _bad("what its devices allow must be lists of view and control")
    return frozenset(_NAMEABLE[word] for word in value)


def _name(value: object, what: str) -> str:
    # What is not printable would forge lines of a log, and half a surrogate pair cannot be written at all.
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME or not value.isprintable():
        raise _bad(f"{what} must be 1 to {MAX_NAME} printable characters")
    return value


def _bad(detail: str) -> Unauthorized:
    return Unauthorized(f"the token cannot be used: {detail}", code="token_claims")

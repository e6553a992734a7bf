"""Who needs a token and how it is verified, by the settings."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from media_service.errors import CannotStart
from media_service.run_token import RUN_TOKEN_SECONDS, RUN_TOKEN_USER, page_link, random_secret, token_for
from media_service.settings import Settings
from signaling.key_set import KeySet
from signaling.tickets import Tickets
from signaling.tokens import BadKey, Keys, PublicKey, SharedSecret, TokenVerifier


@dataclass(frozen=True, slots=True)
class Authentication:
    """How this run knows who asks."""

    verifier: TokenVerifier | None
    """None: nobody needs a token, since only this machine can ask."""
    tickets: Tickets
    key_set: KeySet | None
    """What has to be followed, where public keys are published."""
    run_token: str | None
    """What the printed link carries, where nobody set up tokens."""

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], float] = time.time) -> Self:
        """As the settings want it; `clock` gives seconds since 1970. Raises `CannotStart`."""
        tickets = Tickets(clock)
        issuer, audience = settings.jwt_issuer, settings.jwt_audience
        if settings.has_authentication:
            key_set = KeySet(settings.jwt_jwks_url) if settings.jwt_jwks_url is not None else None
            # What is at hand is tried before what may have to be fetched.
            keys = [*_configured_keys(settings), *([key_set] if key_set is not None else [])]
            verifier = TokenVerifier(keys, issuer=issuer, audience=audience, clock=clock)
            return cls(verifier, tickets, key_set, None)
        if not settings.is_reachable_from_elsewhere:
            return cls(None, tickets, None, None)
        secret = random_secret()
        token = token_for(
            secret,
            issuer=issuer,
            audience=audience,
            user=RUN_TOKEN_USER,
            roles=("admin",),
            seconds=RUN_TOKEN_SECONDS,
            now=clock(),
        )
        verifier = TokenVerifier([SharedSecret.of(secret)], issuer=issuer, audience=audience, clock=clock)
        return cls(verifier, tickets, None, token)

    def link(self, address: str) -> str:
        """What a person opens to come to the page at `address`."""
        return address if self.run_token is None else page_link(address, self.run_token)


def _configured_keys(settings: Settings) -> list[Keys]:
    keys: list[Keys] = []
    name = ""
    try:
        if settings.jwt_secret is not None:
            name = "JWT_SECRET"
            keys.append(SharedSecret.of(settings.jwt_secret.get_secret_value()))
        if settings.jwt_public_key is not None:
            name = "JWT_PUBLIC_KEY"
            keys.append(PublicKey.of(settings.jwt_public_key.read_bytes()))
    except (BadKey, OSError) as error:
        raise CannotStart(f"{name} cannot be used: {error}") from error
    return keys

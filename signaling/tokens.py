"""Whose a token is: JSON Web Tokens (RFC 7519) signed by who knows the secret, or has the private key.

The kind of key decides the algorithm (RFC 8725 section 3.1); a token that names another one is not even verified.

    code                   the token
    token_malformed        is no JWS in its compact form, or is too long
    token_algorithm        names an algorithm that none of our keys is for, as `none`
    token_signature        was signed by somebody else
    token_issuer           is not from the issuer it has to be from
    token_audience         is for others
    token_expired          has ended
    token_not_yet_valid    has not begun
    token_claims           lacks a claim, or has one that cannot be used
"""

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import HMACAlgorithm

from signaling.caller import Caller
from signaling.claims import caller_by_claims
from signaling.errors import Unauthorized

MAX_TOKEN = 8192
"""Characters; headers of that length are refused by most servers anyway."""

MAX_REMEMBERED = 500
"""Tokens whose signature is not verified again."""

MIN_SECRET_BYTES = 32
"""RFC 7518 section 3.2: as many as the hash has."""

MIN_RSA_BITS = 2048
"""RFC 7518 section 3.3."""

# RFC 7515 section 3.1. The signature of `alg: none` is empty: that is refused for its algorithm.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


class BadKey(ValueError):
    """A configured key that cannot be used; the text says why and does not repeat it."""


class Keys(Protocol):
    """Where the keys come from that may have signed a token."""

    @property
    def algorithm(self) -> str:
        """The one algorithm that these keys are for."""
        ...

    async def candidates(self, key_id: str | None) -> Sequence[bytes | RSAPublicKey]:
        """Those that a token with this `kid` may be signed with; none where it is not known."""
        ...


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """What signer and verifier both know."""

    algorithm: ClassVar[str] = "HS256"
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises `BadKey`."""
        secret = text.encode()
        if len(secret) < MIN_SECRET_BYTES:
            raise BadKey(f"a secret has at least {MIN_SECRET_BYTES} bytes")
        try:
            HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
        except jwt.InvalidKeyError:
            # Who knows a public key could sign with it, if it were taken for a secret.
            raise BadKey("it is a key or a certificate, and not a secret") from None
        return cls(secret)

    async def candidates(self, key_id: str | None) -> Sequence[bytes]:
        return (self.secret,)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public key of the one who signs."""

    algorithm: ClassVar[str] = "RS256"
    key: RSAPublicKey = field(repr=False)

    @classmethod
    def of(cls, pem: bytes) -> Self:
        """Raises `BadKey`."""
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            raise BadKey("it holds no PEM public key that can be read") from None
        if not isinstance(key, RSAPublicKey):
            raise BadKey("it is not an RSA key")
        if key.key_size < MIN_RSA_BITS:
            raise BadKey(f"an RSA key has at least {MIN_RSA_BITS} bits, not {key.key_size}")
        return cls(key)

    async def candidates(self, key_id: str | None) -> Sequence[RSAPublicKey]:
        return (self.key,)


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that was taken."""

    key_id: str | None
    keys: Keys
    """Where the key came from."""
    key: bytes | RSAPublicKey = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)


class TokenVerifier:
    """Fits `signaling.guard.Authenticator`. A token that any of `keys` is for is taken.

    Signatures that were good are remembered, as long as their key is known: whoever has a token sends it with every
    request. What changes with time is looked at every time.
    """

    def __init__(
        self, keys: Sequence[Keys], *, issuer: str, audience: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = tuple(keys)
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._remembered: OrderedDict[bytes, _Verified] = OrderedDict()
        """By a digest of the token: tokens themselves are not kept. The one that came last is at the end."""

    async def caller(self, token: str, address: str) -> Caller:
        """Who sends `token` from `address`. Raises `Unauthorized`, or `KeysUnavailable` while keys are not known."""
        digest = _digest(token)
        verified = self._remembered.get(digest)
        if verified is None or verified.key not in await verified.keys.candidates(verified.key_id):
            verified = await self._verify(token)
        self._remembered[digest] = verified
        self._remembered.move_to_end(digest)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return caller_by_claims(verified.claims, now=self._clock(), address=address)

    async def _verify(self, token: str) -> _Verified:
        """Raises as `caller` does, but for what depends on the time."""
        algorithm, key_id = _header(token)
        usable = [keys for keys in self._keys if keys.algorithm == algorithm]
        if not usable:
            allowed = " or ".join(sorted({keys.algorithm for keys in self._keys}))
            raise Unauthorized(f"a token must be signed with {allowed}", code="token_algorithm")
        for keys in usable:
            for key in await keys.candidates(key_id):
                claims = self._claims(token, key, keys.algorithm)
                if claims is not None:
                    return _Verified(key_id, keys, key, claims)
        raise Unauthorized("the token was not signed with a key that is known here", code="token_signature")

    def _claims(self, token: str, key: bytes | RSAPublicKey, algorithm: str) -> Mapping[str, Any] | None:
        """The claims of a token that was signed with `key`, from whom and for whom it must be; None for another key."""
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                # Times are compared with the clock that was passed in.
                options={
                    "require": ["sub", "iss", "aud", "exp"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidSignatureError:
            return None
        except jwt.MissingRequiredClaimError as error:
            raise Unauthorized(f"the token has no {error.claim}", code="token_claims") from None
        except jwt.InvalidIssuerError:
            raise Unauthorized(f"the token's iss must be {self._issuer!r}", code="token_issuer") from None
        except jwt.InvalidAudienceError:
            raise Unauthorized(f"the token's aud must be {self._audience!r}", code="token_audience") from None
        except (jwt.DecodeError, RecursionError):
            raise _malformed() from None
        except jwt.InvalidTokenError:
            raise Unauthorized("a claim of the token is not of its type (RFC 7519)", code="token_claims") from None


def _digest(token: str) -> bytes:
    # aiohttp makes lone surrogates of what is not UTF-8.
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _header(token: str) -> tuple[object, str | None]:
    """`alg` and `kid`, as the token has them."""
    if len(token) > MAX_TOKEN:
        raise Unauthorized(f"a token has at most {MAX_TOKEN} characters", code="token_malformed")
    if not _COMPACT.fullmatch(token):
        raise _malformed()
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, RecursionError):
        raise _malformed() from None
    return header.get("alg"), header.get("kid")


def _malformed() -> Unauthorized:
    return Unauthorized("the token is not a signed JSON Web Token (RFC 7515, compact form)", code="token_malformed")

"""The public keys that who signs tokens publishes: a JSON Web Key Set (RFC 7517 section 5), fetched and kept."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import aiohttp
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from signaling.errors import KeysUnavailable
from signaling.tokens import MIN_RSA_BITS

PATIENCE = 30.0
"""Seconds between two questions at least, whatever keys tokens name."""

MAX_AGE = 900.0
"""Seconds after which it is asked again unasked, so that a key that was withdrawn is not taken for ever."""

MAX_SIZE = 256 * 1024
"""Bytes of a set."""

MAX_KEYS = 100

_MAX_RSA_BITS = 16384  # OpenSSL verifies with no larger ones.

_TIMEOUT = 5.0

_log = structlog.get_logger(__name__)


class BadKeySet(ValueError):
    """What the address gave is no key set."""


class KeySet:
    """Fits `signaling.tokens.Keys`. Known keys are good while the server is away, and wait for nothing."""

    algorithm: ClassVar[str] = "RS256"

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = _TIMEOUT,
        max_age: float = MAX_AGE,
    ) -> None:
        self._url = url
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._max_age = max_age
        self._keys: Mapping[str | None, RSAPublicKey] = {}
        self._trouble: str | None = None
        self._asked_at: float | None = None
        self._asking: asyncio.Event | None = None

    async def candidates(self, key_id: str | None) -> Sequence[RSAPublicKey]:
        """The key of that id, without one the only key there is. Raises `KeysUnavailable`."""
        while (key := self._known(key_id)) is None and self._may_ask:
            await self._ask()
        if key is not None:
            return (key,)
        if self._trouble is not None:
            raise KeysUnavailable("the keys that tokens are verified with cannot be fetched now", retry_after=30)
        return ()

    async def follow(self) -> None:
        """Fetch the keys now, and again before they are too old. Never ends."""
        while True:
            await self._ask()
            await asyncio.sleep(self._max_age if self._trouble is None else min(PATIENCE, self._max_age))

    def _known(self, key_id: str | None) -> RSAPublicKey | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id) if key_id is not None else None

    @property
    def _may_ask(self) -> bool:
        """Whether there is an answer to wait for, or that may be asked for."""
        is_due = self._asked_at is None or self._clock() - self._asked_at >= PATIENCE
        return self._asking is not None or is_due

    async def _ask(self) -> None:
        """Fetch the set, or wait for who is fetching it."""
        if self._asking is not None:
            await self._asking.wait()
            return
        self._asking = asyncio.Event()
        try:
            keys = parse_key_set(await self._fetch())
        except (aiohttp.ClientError, TimeoutError, OSError, BadKeySet) as error:
            self._asked_at = self._clock()
            self._tell(str(error) or type(error).__name__)
        else:
            self._asked_at = self._clock()
            self._keys = keys
            self._tell(None if keys else "there is no RSA key for signatures in it")
        finally:
            self._asking.set()
            self._asking = None

    async def _fetch(self) -> bytes:
        # A redirection would let others than the configured server say whose tokens are good.
        async with (
            aiohttp.ClientSession(timeout=self._timeout) as session,
            session.get(self._url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise BadKeySet(f"it answers with {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                body += chunk
                if len(body) > MAX_SIZE:
                    raise BadKeySet(f"it is larger than {MAX_SIZE} bytes")
            return bytes(body)

    def _tell(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self._trouble:
            _log.warning("the keys that tokens are verified with cannot be fetched", reason=trouble)
        elif trouble is None and self._trouble is not None:
            _log.info("the keys that tokens are verified with are fetched again")
        self._trouble = trouble


def parse_key_set(text: bytes) -> dict[str | None, RSAPublicKey]:
    """The RSA keys for signatures in a JSON Web Key Set, by `kid`; others are left out. Raises `BadKeySet`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise BadKeySet("it is not JSON") from None
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise BadKeySet("it is not a JSON Web Key Set: that is an object with a list of keys")
    if len(keys) > MAX_KEYS:
        raise BadKeySet(f"it has more than {MAX_KEYS} keys")
    usable: dict[str | None, RSAPublicKey] = {}
    for entry in keys:
        if isinstance(entry, dict) and (key := _signature_key(entry)) is not None:
            usable.setdefault(entry.get("kid"), key)
    return usable


def _signature_key(entry: dict[str, Any]) -> RSAPublicKey | None:
    """The key, where it is for RS256 signatures and public: one that tells its private part is everybody's."""
    is_meant = entry.get("kty") == "RSA" and entry.get("use", "sig") == "sig" and entry.get("alg", "RS256") == "RS256"
    if not is_meant or "d" in entry or not isinstance(entry.get("kid"), str | None):
        return None
    try:
        key = RSAAlgorithm.from_jwk(entry)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return None
    return key if isinstance(key, RSAPublicKey) and MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS else None

"""Who may do what: whether the settings lock what should be locked."""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import aiohttp
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from media_service.diagnosis.finding import Finding, info, ok, problem, warning
from media_service.diagnosis.reason import reason
from media_service.settings import Settings

AREA = "Access"

_TIMEOUT: Final = 3.0
_LARGEST_KEY_SET: Final = 1 << 20
_FEWEST_LETTERS: Final = 10
_LEAST_RSA_BITS: Final = 2048
_EXAMPLE_WORDS: Final = ("your-", "change", "secret-key", "example", "password", "placeholder")
_NEW_SECRET: Final = "openssl rand -base64 48 makes a good one"
_KEY_SET_REMEDY: Final = "set JWT_JWKS_URL to the jwks_uri of who signs the tokens"


async def check(settings: Settings) -> Sequence[Finding]:
    """Look at the settings; published keys are fetched."""
    findings = [*_authentication(settings), *_networks(settings)]
    if settings.jwt_jwks_url is not None:
        findings.append(await _key_set(settings.jwt_jwks_url))
    return findings


def _authentication(settings: Settings) -> Iterator[Finding]:
    if not settings.has_authentication:
        if settings.is_reachable_from_elsewhere:
            yield warning(
                AREA,
                f"HOST={settings.host} lets others in and no key for tokens is set: each start makes one of its own "
                "and prints a link with a token that soon expires",
                "set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL",
            )
        else:
            yield ok(AREA, f"nobody needs a token: HOST={settings.host} lets only this machine in")
        return
    if settings.jwt_secret is not None:
        yield secret_finding(settings.jwt_secret.get_secret_value())
    if settings.jwt_public_key is not None:
        yield _public_key(settings.jwt_public_key)
    yield info(AREA, f"tokens are of issuer {settings.jwt_issuer!r} for audience {settings.jwt_audience!r}")


def secret_finding(secret: str) -> Finding:
    """What to say of JWT_SECRET, without saying it."""
    lower = secret.lower()
    remedy = f"set another one: {_NEW_SECRET}"
    if len(set(secret)) < _FEWEST_LETTERS:
        return warning(AREA, "JWT_SECRET is made of few letters and can be guessed", remedy)
    if word := next((word for word in _EXAMPLE_WORDS if word in lower), None):
        return warning(AREA, f"JWT_SECRET looks like an example: it has {word!r} in it", remedy)
    # Two machines can be compared by this, and it gives nothing away.
    fingerprint = hashlib.sha256(b"media-service doctor:" + secret.encode()).hexdigest()[:8]
    return ok(AREA, f"tokens signed with JWT_SECRET (HS256) are taken; its fingerprint is {fingerprint}")


def _public_key(path: Path) -> Finding:
    remedy = "write the PEM public key (BEGIN PUBLIC KEY) of who signs the tokens there: RSA of 2048 bits or more"
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        return problem(AREA, f"JWT_PUBLIC_KEY={path} cannot be used: {error}", remedy)
    if not isinstance(key, RSAPublicKey):
        return problem(AREA, f"JWT_PUBLIC_KEY={path} is no RSA key", remedy)
    if key.key_size < _LEAST_RSA_BITS:
        return warning(AREA, f"JWT_PUBLIC_KEY={path} has {key.key_size} bits, which is too few to be safe", remedy)
    return ok(AREA, f"tokens signed for JWT_PUBLIC_KEY (RS256, {key.key_size} bits) are taken")


async def _key_set(url: str) -> Finding:
    try:
        async with (
            asyncio.timeout(_TIMEOUT),
            aiohttp.ClientSession() as session,
            session.get(url) as response,
        ):
            body = await response.content.read(_LARGEST_KEY_SET)
            if response.status != 200:
                return problem(AREA, f"JWT_JWKS_URL={url} answers with {response.status}", _KEY_SET_REMEDY)
    except TimeoutError:
        return problem(AREA, f"JWT_JWKS_URL={url} does not answer within {_TIMEOUT:g} s", _KEY_SET_REMEDY)
    except (aiohttp.ClientError, OSError) as error:
        return problem(AREA, f"JWT_JWKS_URL={url}: {reason(error)}", _KEY_SET_REMEDY)
    return key_set_finding(url, body)


def key_set_finding(url: str, body: bytes) -> Finding:
    """What to say of what JWT_JWKS_URL answers with (RFC 7517 section 5)."""
    try:
        keys = json.loads(body)["keys"]
        usable = [key for key in keys if isinstance(key, dict) and key.get("kty") == "RSA"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return problem(AREA, f"JWT_JWKS_URL={url} has no JSON Web Key Set", _KEY_SET_REMEDY)
    if not usable:
        return problem(AREA, f"JWT_JWKS_URL={url} has no RSA key among its {len(keys)}", _KEY_SET_REMEDY)
    return ok(AREA, f"tokens signed with one of {len(usable)} keys of {url} (RS256) are taken")


def _networks(settings: Settings) -> Iterator[Finding]:
    for name, networks, what in (
        ("MONITORING_NETWORKS", settings.monitoring_networks, "anybody may read /metrics and /health"),
        ("TRUSTED_PROXIES", settings.trusted_proxies, "anybody may claim to come from any address"),
    ):
        for network in networks:
            if ip_network(network).prefixlen == 0:
                yield warning(AREA, f"{name} has {network}: {what}", f"name only the networks that {name} is for")
    for origin in settings.allowed_origins:
        if origin.startswith("http://") and settings.is_reachable_from_elsewhere:
            yield warning(
                AREA,
                f"ALLOWED_ORIGINS has {origin}, whose pages anybody on the way can change",
                "serve that site by https",
            )
    if settings.enable_pprof:
        yield info(AREA, "ENABLE_PPROF is on: this machine, and tokens with the role admin, may look into the process")

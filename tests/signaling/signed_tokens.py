"""Tokens for the tests, and who signs them."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from signaling.tokens import SharedSecret, TokenVerifier

ISSUER, AUDIENCE = "https://accounts.example", "phones"
SECRET = "a secret of the tests, which is long enough"
NOW = 1_800_000_000.0

RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)


def claims(**changes: Any) -> dict[str, Any]:
    """Good ones of `ann` for ten minutes, with `changes`; ... leaves one out."""
    good = {"sub": "ann", "iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 600}
    return {name: value for name, value in (good | changes).items() if value is not ...}


def signed(**changes: Any) -> str:
    """A token with such claims, signed with `SECRET`."""
    return jwt.encode(claims(**changes), SECRET, algorithm="HS256")


def rsa_signed(key: rsa.RSAPrivateKey = RSA_KEY, *, kid: str | None = None, **changes: Any) -> str:
    """A token with such claims, signed with a private key."""
    return jwt.encode(claims(**changes), key, algorithm="RS256", headers={"kid": kid} if kid is not None else None)


def assembled(header: object, payload: object, signature: bytes = b"") -> str:
    """A token out of any JSON."""
    parts = [json.dumps(part).encode() for part in (header, payload)]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))


def pem(key: rsa.RSAPrivateKey = RSA_KEY) -> bytes:
    """The public half, as a file."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: rsa.RSAPrivateKey = RSA_KEY, **changes: Any) -> dict[str, Any]:
    """The public half, as a JSON Web Key."""
    published = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"use": "sig", "alg": "RS256"} | changes
    return {name: value for name, value in published.items() if value is not ...}


def verifier(now: float = NOW) -> TokenVerifier:
    """One that takes what `signed` makes, at that time."""
    return TokenVerifier([SharedSecret.of(SECRET)], issuer=ISSUER, audience=AUDIENCE, clock=lambda: now)

"""Tokens that come again: verified once, and refused all the same when their time or their key is over."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from signaling.claims import LEEWAY
from signaling.errors import KeysUnavailable, Unauthorized
from signaling.tokens import MAX_REMEMBERED, SharedSecret, TokenVerifier
from tests.signaling.signed_tokens import AUDIENCE, ISSUER, NOW, OTHER_RSA_KEY, RSA_KEY, SECRET, rsa_signed, signed


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class PublishedKeys:
    """Fits `signaling.tokens.Keys`; whoever publishes them may take them back, or be away."""

    algorithm: ClassVar[str] = "RS256"

    def __init__(self) -> None:
        self.keys: dict[str, RSAPublicKey] = {}
        self.is_away = False

    async def candidates(self, key_id: str | None) -> Sequence[RSAPublicKey]:
        if self.is_away:
            raise KeysUnavailable("nobody answers", retry_after=1)
        return [self.keys[key_id]] if key_id in self.keys else []


def by_secret(clock: Clock) -> TokenVerifier:
    return TokenVerifier([SharedSecret.of(SECRET)], issuer=ISSUER, audience=AUDIENCE, clock=clock)


async def refused(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthorized) as refusal:
        await verifier.caller(token, "")
    return refusal.value.code


async def test_one_that_comes_again_says_the_same_from_wherever_it_comes() -> None:
    verifier, token = by_secret(Clock()), signed(roles=["viewer"], devices=["cam"])
    first, again = await verifier.caller(token, "192.0.2.1"), await verifier.caller(token, "192.0.2.2")
    assert (first.address, again.address) == ("192.0.2.1", "192.0.2.2")
    assert replace(again, address=first.address) == first


async def test_one_that_was_good_ends_when_it_ends() -> None:
    clock = Clock()
    verifier, token = by_secret(clock), signed()
    await verifier.caller(token, "")
    clock.now = NOW + 600 + LEEWAY - 1
    await verifier.caller(token, "")
    clock.now = NOW + 600 + LEEWAY
    assert await refused(verifier, token) == "token_expired"


async def test_one_that_was_too_early_is_good_when_its_time_has_come() -> None:
    clock = Clock()
    verifier, token = by_secret(clock), signed(nbf=NOW + 300)
    assert await refused(verifier, token) == "token_not_yet_valid"
    clock.now = NOW + 300
    assert (await verifier.caller(token, "")).user_id == "ann"


async def test_another_signature_under_the_same_words_is_not_taken_for_it() -> None:
    verifier, token = by_secret(Clock()), signed()
    await verifier.caller(token, "")
    head, body, _ = token.split(".")
    *_, others_signature = signed(sub="bob").split(".")
    assert await refused(verifier, f"{head}.{body}.{others_signature}") == "token_signature"
    assert await refused(verifier, f"{head}.{body}.") == "token_signature"


async def test_a_key_that_is_published_no_more_is_good_no_more() -> None:
    keys = PublishedKeys()
    keys.keys["first"] = RSA_KEY.public_key()
    verifier = TokenVerifier([keys], issuer=ISSUER, audience=AUDIENCE, clock=Clock())
    token = rsa_signed(kid="first")
    await verifier.caller(token, "")
    # Fetched again, it is another object with the same numbers.
    keys.keys["first"] = RSA_KEY.public_key()
    await verifier.caller(token, "")
    keys.keys["first"] = OTHER_RSA_KEY.public_key()
    assert await refused(verifier, token) == "token_signature"
    keys.keys = {}
    assert await refused(verifier, token) == "token_signature"
    keys.is_away = True
    with pytest.raises(KeysUnavailable):
        await verifier.caller(token, "")


async def test_neither_tokens_nor_secrets_are_kept_in_the_open() -> None:
    verifier, token = by_secret(Clock()), signed()
    await verifier.caller(token, "")
    kept = repr(vars(verifier))
    assert SECRET not in kept
    assert not any(part in kept for part in token.split("."))


async def test_the_oldest_is_forgotten_and_still_good() -> None:
    verifier = by_secret(Clock())
    tokens = [signed(sub=f"user {number}") for number in range(MAX_REMEMBERED + 2)]
    for number, token in enumerate(tokens):
        await verifier.caller(token, "")
        if number:
            await verifier.caller(tokens[0], "")
    assert len(verifier._remembered) == MAX_REMEMBERED
    for number, token in enumerate(tokens):
        assert (await verifier.caller(token, "")).user_id == f"user {number}"


async def test_what_is_no_text_is_refused_as_ever() -> None:
    assert await refused(by_secret(Clock()), "a.b.c\udcff") == "token_malformed"

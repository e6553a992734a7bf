"""Whose a token is, and which ones are not taken."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from signaling.caller import ALL, Capability
from signaling.claims import LEEWAY, MAX_DEVICES, MAX_NAME, MAX_ROLES
from signaling.errors import Unauthorized
from signaling.tokens import MAX_TOKEN, BadKey, PublicKey, SharedSecret, TokenVerifier
from tests.signaling.signed_tokens import (
    AUDIENCE,
    ISSUER,
    NOW,
    OTHER_RSA_KEY,
    SECRET,
    assembled,
    claims,
    pem,
    rsa_signed,
    signed,
    verifier,
)

VIEW, CONTROL, ADMIN = Capability.VIEW, Capability.CONTROL, Capability.ADMIN
USER = {VIEW, CONTROL}


def rsa_verifier() -> TokenVerifier:
    return TokenVerifier([PublicKey.of(pem())], issuer=ISSUER, audience=AUDIENCE, clock=lambda: NOW)


async def refused(token: str, by: TokenVerifier | None = None) -> str:
    """The code that the token is refused with; its text repeats nothing of the token."""
    with pytest.raises(Unauthorized) as refusal:
        await (by or verifier()).caller(token, "192.0.2.1")
    for part in token.split("."):
        assert len(part) < 8 or part not in refusal.value.detail
    return refusal.value.code


async def test_a_good_token_says_who_sends_it() -> None:
    caller = await verifier().caller(signed(), "192.0.2.1")
    assert (caller.user_id, caller.address, caller.expires_at) == ("ann", "192.0.2.1", NOW + 600)
    assert caller.has_token
    assert caller.capabilities == USER
    assert caller.devices is None


async def test_a_public_key_verifies_what_its_private_key_signed() -> None:
    assert (await rsa_verifier().caller(rsa_signed(), "")).user_id == "ann"
    assert await refused(rsa_signed(OTHER_RSA_KEY), rsa_verifier()) == "token_signature"


async def test_every_key_there_is_may_have_signed() -> None:
    both = TokenVerifier(
        [SharedSecret.of(SECRET), PublicKey.of(pem()), PublicKey.of(pem(OTHER_RSA_KEY))],
        issuer=ISSUER,
        audience=AUDIENCE,
        clock=lambda: NOW,
    )
    for token in (signed(), rsa_signed(), rsa_signed(OTHER_RSA_KEY)):
        assert (await both.caller(token, "")).user_id == "ann"


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", None, 5, [], ["HS256"], {}, "HS384", "RS256", "hs256"]
)
async def test_the_token_does_not_choose_the_algorithm(algorithm: object) -> None:
    assert await refused(assembled({"alg": algorithm, "typ": "JWT"}, claims())) == "token_algorithm"


async def test_no_algorithm_at_all() -> None:
    assert await refused(assembled({"typ": "JWT"}, claims())) == "token_algorithm"


async def test_a_public_key_is_no_secret() -> None:
    """Who knows it could sign with it (RFC 8725 section 2.1)."""
    head, body, _ = assembled({"alg": "HS256", "typ": "JWT"}, claims()).split(".")
    signature = urlsafe_b64encode(hmac.digest(pem(), f"{head}.{body}".encode(), hashlib.sha256)).rstrip(b"=").decode()
    assert await refused(f"{head}.{body}.{signature}", rsa_verifier()) == "token_algorithm"
    with pytest.raises(BadKey, match="not a secret"):
        SharedSecret.of(pem().decode())


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
async def test_a_longer_hash_is_another_algorithm(algorithm: str) -> None:
    token = jwt.encode(claims(), SECRET * 2, algorithm=algorithm)
    assert await refused(token) == "token_algorithm"


async def test_another_secret() -> None:
    token = jwt.encode(claims(), "x" * 32, algorithm="HS256")
    assert await refused(token) == "token_signature"


async def test_a_changed_claim_breaks_the_signature() -> None:
    head, _, signature = signed().split(".")
    _, body, _ = signed(sub="bob").split(".")
    assert await refused(f"{head}.{body}.{signature}") == "token_signature"
    assert await refused(f"{head}.{body}.") == "token_signature"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "....",
        signed() + "=",
        signed() + " ",
        signed() + "\n",
        " " + signed(),
        signed().replace(".", "\udcff."),
        signed().replace("e", "é"),
        signed() + "A" * MAX_TOKEN,
        assembled([], claims()),
        assembled("x", claims()),
        assembled({"alg": "HS256", "kid": 5}, claims()),
        assembled({"alg": "HS256", "crit": ["exp"]}, claims()),
        urlsafe_b64encode(b"[" * 5000).decode().rstrip("=") + ".e30.",
        urlsafe_b64encode(b'{"alg":' + b"9" * 5000 + b"}").decode().rstrip("=") + ".e30.",
    ],
)
async def test_what_is_no_token(token: str) -> None:
    assert await refused(token) == "token_malformed"


def signed_text(payload: bytes) -> str:
    """What the secret's holder signed, whatever it is."""
    return jwt.api_jws.encode(payload, SECRET, algorithm="HS256")


@pytest.mark.parametrize(
    "payload", [b"", b"x", b"[]", b'"x"', b"5", b"\xff", b"[" * 5000, b'{"exp":' + b"9" * 5000 + b"}"]
)
async def test_what_was_signed_and_holds_no_claims(payload: bytes) -> None:
    assert await refused(signed_text(payload)) == "token_malformed"


@pytest.mark.parametrize("name", ["sub", "iss", "aud", "exp"])
@pytest.mark.parametrize("value", [..., None])
async def test_a_claim_that_has_to_be_there(name: str, value: object) -> None:
    token = jwt.api_jws.encode(json.dumps(claims(**{name: value})).encode(), SECRET, algorithm="HS256")
    assert await refused(token) == "token_claims"


@pytest.mark.parametrize("audience", ["", []])
async def test_nobody_is_no_audience(audience: object) -> None:
    assert await refused(signed(aud=audience)) == "token_claims"


@pytest.mark.parametrize("issuer", ["", "https://accounts.example/", "other"])
async def test_another_issuer(issuer: str) -> None:
    assert await refused(signed(iss=issuer)) == "token_issuer"


@pytest.mark.parametrize(
    ("audience", "is_ours"),
    [
        (AUDIENCE, True),
        ([AUDIENCE], True),
        (["others", AUDIENCE], True),
        ("others", False),
        ([5], False),
        ({AUDIENCE: 1}, False),
        (5, False),
        (AUDIENCE + "x", False),
    ],
)
async def test_the_audience(audience: object, is_ours: bool) -> None:
    if is_ours:
        assert (await verifier().caller(signed(aud=audience), "")).user_id == "ann"
    else:
        assert await refused(signed(aud=audience)) == "token_audience"


@pytest.mark.parametrize(
    ("later", "is_good"), [(0, True), (599, True), (600 + LEEWAY - 1, True), (600 + LEEWAY, False), (86_400, False)]
)
async def test_a_token_ends(later: float, is_good: bool) -> None:
    if is_good:
        assert (await verifier(NOW + later).caller(signed(), "")).expires_at == NOW + 600
    else:
        assert await refused(signed(), verifier(NOW + later)) == "token_expired"


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize(("begin", "is_good"), [(-3600, True), (LEEWAY, True), (LEEWAY + 1, False), (300, False)])
async def test_a_token_begins(name: str, begin: float, is_good: bool) -> None:
    token = signed(**{name: NOW + begin})
    if is_good:
        assert (await verifier().caller(token, "")).user_id == "ann"
    else:
        assert await refused(token) == "token_not_yet_valid"


async def test_twenty_four_hours_of_a_token_a_user_renews() -> None:
    """A token is good for its hour, whatever the day has been."""
    for hour in range(24):
        begin = NOW + 3600 * hour
        token = signed(iat=begin, exp=begin + 3600)
        for minute in (0, 30, 59):
            assert (await verifier(begin + 60 * minute).caller(token, "")).has_token
        assert await refused(token, verifier(begin + 3600 + LEEWAY)) == "token_expired"
        if hour:
            assert await refused(token, verifier(NOW)) == "token_not_yet_valid"


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", ["1800000600", True, [], {}, -1, 2**53, 10**400, float("nan"), float("inf"), float("-inf")]
)
async def test_times_are_numbers(name: str, value: object) -> None:
    assert await refused(signed(**{name: value})) == "token_claims"


@pytest.mark.parametrize(
    "user", ["", 5, ["ann"], {}, True, "a\nb", "a\x00b", "\ud800", "\u202eann", "x" * (MAX_NAME + 1)]
)
async def test_what_is_no_user(user: object) -> None:
    assert await refused(signed(sub=user)) == "token_claims"


@pytest.mark.parametrize("user", ["ann", "auth0|5f7c8ec7c33c6c004bbafe82", "Änne Müller", "用户", "x" * MAX_NAME])
async def test_users(user: str) -> None:
    assert (await verifier().caller(signed(sub=user), "")).user_id == user


@pytest.mark.parametrize(
    ("given", "capabilities"),
    [
        ({}, USER),
        ({"roles": ["admin"]}, ALL),
        ({"roles": ["operator"]}, USER),
        ({"roles": ["user"]}, USER),
        ({"roles": ["viewer"]}, {VIEW}),
        ({"roles": ["viewer", "operator"]}, USER),
        ({"roles": ["billing", "viewer"]}, {VIEW}),
        ({"roles": "billing viewer"}, {VIEW}),
        ({"role": "admin"}, ALL),
        ({"role": ["viewer"]}, {VIEW}),
        ({"roles": ["viewer"], "role": "user"}, USER),
    ],
)
async def test_roles(given: dict[str, Any], capabilities: set[Capability]) -> None:
    assert (await verifier().caller(signed(**given), "")).capabilities == capabilities


@pytest.mark.parametrize(
    "roles",
    [
        *(None, [], "", " ", ["billing"], "Admin", ["ADMIN"], 5, True, {}, {"admin": True}, [5], [["admin"]]),
        ["viewer", 5],
        ["viewer"] * (MAX_ROLES + 1),
    ],
)
@pytest.mark.parametrize("name", ["roles", "role"])
async def test_roles_that_allow_nothing_here(name: str, roles: object) -> None:
    assert await refused(signed(**{name: roles})) == "token_claims"


async def test_a_token_that_lists_devices_is_for_these_only() -> None:
    caller = await verifier().caller(signed(devices=["a", "192.0.2.5:5555"]), "")
    assert caller.may(CONTROL, ["a"])
    assert caller.may(VIEW, ["b", "192.0.2.5:5555"])
    assert not caller.may(VIEW, ["b"])
    watching = await verifier().caller(signed(devices=["a"], roles=["viewer"]), "")
    assert watching.may(VIEW, ["a"])
    assert not watching.may(CONTROL, ["a"])


async def test_a_token_that_lists_no_device_closes_all() -> None:
    for token in (signed(devices=[]), signed(devices={})):
        caller = await verifier().caller(token, "")
        assert not caller.may(VIEW, ["a"])


async def test_a_token_may_say_what_is_allowed_on_each_device() -> None:
    caller = await verifier().caller(signed(devices={"a": ["view"], "b": ["view", "control"], "c": []}), "")
    assert [caller.may(VIEW, [name]) for name in "abcd"] == [True, True, False, False]
    assert [caller.may(CONTROL, [name]) for name in "abcd"] == [False, True, False, False]
    viewer = await verifier().caller(signed(devices={"b": ["view", "control"]}, role="viewer"), "")
    assert not viewer.may(CONTROL, ["b"])


async def test_devices_close_what_admin_would_open() -> None:
    for devices in (["a"], {"a": ["view", "control"]}):
        caller = await verifier().caller(signed(devices=devices, roles=["admin"]), "")
        assert not caller.is_admin
        assert caller.may(CONTROL, ["a"])
        assert not caller.may(VIEW, ["b"])


@pytest.mark.parametrize(
    "devices",
    [
        None,
        "a",
        5,
        True,
        [5],
        [""],
        [None],
        [["a"]],
        ["a\nb"],
        ["\ud800"],
        ["x" * (MAX_NAME + 1)],
        {"": ["view"]},
        {"a": "view"},
        {"a": None},
        {"a": ["admin"]},
        {"a": ["View"]},
        {"a": [5]},
        {"a": [["view"]]},
        {"a": {"view": True}},
        ["x"] * (MAX_DEVICES + 1),
    ],
)
async def test_devices_that_cannot_be_understood(devices: object) -> None:
    assert await refused(signed(devices=devices)) == "token_claims"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
CLAIM_NAMES = st.sampled_from(["sub", "iss", "aud", "exp", "nbf", "iat", "jti", "role", "roles", "devices", "x"])


async def taken_or_refused(token: str) -> None:
    """Anything else than a caller or a refusal fails the test."""
    for by in (verifier(), rsa_verifier()):
        try:
            caller = await by.caller(token, "")
        except Unauthorized:
            continue
        assert caller.has_token
        assert caller.user_id


@given(st.dictionaries(CLAIM_NAMES, JSON, max_size=6))
async def test_any_claims_are_taken_or_refused(changes: dict[str, Any]) -> None:
    payload = json.dumps(claims() | changes).encode()
    await taken_or_refused(signed_text(payload))


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x"]), JSON, max_size=5), JSON)
async def test_any_header_is_refused(header: dict[str, Any], payload: object) -> None:
    assert await refused_quietly(assembled({"alg": "HS256"} | header, payload, b"signed"))


@given(st.text(max_size=80) | st.lists(st.text(st.sampled_from("eyJ0_-.=A\udcff\x00"), max_size=9)).map(".".join))
async def test_any_text_is_refused(text: str) -> None:
    assert await refused_quietly(text)


async def refused_quietly(token: str) -> str:
    with pytest.raises(Unauthorized) as refusal:
        await verifier().caller(token, "")
    return refusal.value.code


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no PEM public key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no PEM public key"),
        (
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "not an RSA key",
        ),
        (pem(rsa.generate_private_key(65537, 1024)), "at least 2048 bits, not 1024"),
    ],
)
def test_what_is_no_public_key(text: bytes, words: str) -> None:
    with pytest.raises(BadKey, match=words):
        PublicKey.of(text)


@pytest.mark.parametrize(
    ("text", "words"), [("x" * 31, "at least 32 bytes"), ("ssh-rsa " + "A" * 40, "not a secret"), ("ü" * 16, "")]
)
def test_what_is_no_secret(text: str, words: str) -> None:
    if not words:
        assert SharedSecret.of(text).secret == text.encode()
        return
    with pytest.raises(BadKey, match=words) as refusal:
        SharedSecret.of(text)
    assert text not in str(refusal.value)


def test_keys_are_not_shown() -> None:
    assert SECRET not in repr(SharedSecret.of(SECRET))

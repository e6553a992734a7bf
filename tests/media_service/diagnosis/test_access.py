"""What is said of who may do what."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from media_service.diagnosis import access
from media_service.diagnosis.access import check, key_set_finding, secret_finding
from media_service.diagnosis.finding import Finding, Status
from media_service.settings import Settings
from tests.fixtures.adb import free_port

GOOD_SECRET = "kR3vQ9zL1xW7mT5bN8cY2pD6fH4jG0sA"


async def look(**settings: object) -> Sequence[Finding]:
    return await check(Settings.model_validate(settings))


async def test_without_tokens_only_this_machine_may() -> None:
    (found,) = await look()
    assert found.status is Status.OK
    (found,) = await look(host="0.0.0.0")
    assert (found.status, found.remedy) == (Status.WARNING, "set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL")


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("a" * 40, "few letters"),
        ("your-256-bit-secret-your-256-bit-secret", "'your-'"),
        ("please-change-me-please-change-me-please", "'change'"),
    ],
)
def test_secrets_that_can_be_guessed(secret: str, said: str) -> None:
    finding = secret_finding(secret)
    assert finding.status is Status.WARNING
    assert said in finding.text
    assert secret not in finding.text + finding.remedy


async def test_a_good_secret_is_told_by_its_fingerprint_only() -> None:
    found, names = await look(jwt_secret=GOOD_SECRET, host="0.0.0.0")
    assert found.status is Status.OK
    assert GOOD_SECRET not in found.text
    assert found == secret_finding(GOOD_SECRET) != secret_finding(GOOD_SECRET[::-1])
    assert names.text == "tokens are of issuer 'cloudphone-platform' for audience 'cloudphone-users'"


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("content", "verdict", "said"),
    [
        (pem(rsa.generate_private_key(65537, 2048)), Status.OK, "RS256, 2048 bits"),
        (pem(rsa.generate_private_key(65537, 1024)), Status.WARNING, "1024 bits"),
        (pem(ec.generate_private_key(ec.SECP256R1())), Status.PROBLEM, "no RSA key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", Status.PROBLEM, "cannot be used"),
    ],
)
async def test_public_keys(tmp_path: Path, content: bytes, verdict: Status, said: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    found, _ = await look(jwt_public_key=path)
    assert found.status is verdict
    assert said in found.text


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, '{"keys": [{"kty": "RSA", "kid": "1"}, {"kty": "EC"}]}', Status.OK),
        (200, '{"keys": [{"kty": "EC"}]}', Status.PROBLEM),
        (200, "<html>", Status.PROBLEM),
        (404, '{"keys": [{"kty": "RSA"}]}', Status.PROBLEM),
    ],
)
async def test_published_keys(status: int, body: str, verdict: Status) -> None:
    async def keys(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_get("/keys", keys)
    async with TestServer(app) as server:
        _, found = await look(jwt_jwks_url=str(server.make_url("/keys")))
    assert found.status is verdict
    assert bool(found.remedy) == (verdict is Status.PROBLEM)


async def test_keys_that_nobody_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_TIMEOUT", 5.0)
    url = f"http://127.0.0.1:{free_port()}/keys"
    _, found = await look(jwt_jwks_url=url)
    assert (found.status, found.text) == (Status.PROBLEM, f"JWT_JWKS_URL={url}: Connection refused")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["keys", "kty", "x"]), inner),
)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_judged(body: bytes) -> None:
    assert key_set_finding("http://x/keys", body).status in (Status.OK, Status.PROBLEM)


async def test_networks_that_are_everybody() -> None:
    _, monitoring, proxies = await look(monitoring_networks="0.0.0.0/0", trusted_proxies="10.0.0.0/8,::/0")
    assert [monitoring.status, proxies.status] == [Status.WARNING] * 2
    assert monitoring.text == "MONITORING_NETWORKS has 0.0.0.0/0: anybody may read /metrics and /health"
    assert proxies.text.startswith("TRUSTED_PROXIES has ::/0")


async def test_sites_without_tls_and_profiling() -> None:
    found = await look(
        host="0.0.0.0",
        jwt_secret=GOOD_SECRET,
        allowed_origins="http://phones.example,https://phones.example",
        enable_pprof=True,
    )
    assert [one.status for one in found[2:]] == [Status.WARNING, Status.INFO]
    assert "http://phones.example" in found[2].text

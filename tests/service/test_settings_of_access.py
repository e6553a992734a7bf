"""Settings that say who may use the service, from where and with which token."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from media_service.app import serve
from tests.fixtures.adb import RunningAdb
from tests.service.outside import AUDIENCE, ISSUER, SECRET, ask, settings, token
from tests.signaling.signed_tokens import OTHER_RSA_KEY, RSA_KEY, jwk, pem, rsa_signed

pytestmark = pytest.mark.adb

ELSEWHERE = "127.0.0.2"
"""An address of this machine that a service on 127.0.0.1 does not listen on."""

DEVICES = "api/media/devices"


@asynccontextmanager
async def served(adb: RunningAdb, **others: object) -> AsyncIterator[str]:
    """The address of a service with such settings."""
    async with serve(settings(adb, **others), sources={}, demo=False) as serving:
        yield serving.address


def seen_from_elsewhere(address: str) -> str:
    return re.sub("//[^:/]+", f"//{ELSEWHERE}", address)


async def test_by_default_only_this_machine_is_listened_to(adb_server: RunningAdb) -> None:
    async with served(adb_server) as address:
        assert (await ask(address, DEVICES)).status == 200
        with pytest.raises(aiohttp.ClientConnectorError):
            await ask(seen_from_elsewhere(address), DEVICES)


async def test_listening_wider_takes_the_token_of_the_printed_link(adb_server: RunningAdb) -> None:
    wide = settings(adb_server, host="0.0.0.0")
    async with serve(wide, sources={}, demo=False) as serving:
        link, _, bearer = serving.link.partition("#token=")
        assert re.fullmatch(r"http://[\d.]+:\d+/", link)
        for address in (serving.address, seen_from_elsewhere(serving.address)):
            assert (await ask(address, DEVICES)).code == "token_missing"
            assert (await ask(address, DEVICES, bearer=bearer)).status == 200
        assert (await ask(serving.address, "")).status == 200, "the page itself is for everybody"


async def test_with_a_secret_the_link_has_no_token_and_those_of_others_are_asked_for(adb_server: RunningAdb) -> None:
    wide = settings(adb_server, host="0.0.0.0", jwt_secret=SECRET)
    async with serve(wide, sources={}, demo=False) as serving:
        assert "token" not in serving.link
        address = seen_from_elsewhere(serving.address)
        assert (await ask(address, DEVICES)).code == "token_missing"
        assert (await ask(address, DEVICES, bearer=token())).status == 200
        assert (await ask(address, DEVICES, bearer=token(SECRET[::-1]))).code == "token_signature"


async def test_issuer_and_audience_of_tokens_are_as_set(adb_server: RunningAdb) -> None:
    async with served(adb_server, jwt_secret=SECRET, jwt_issuer="us", jwt_audience="you") as address:
        assert (await ask(address, DEVICES, bearer=token(iss="us", aud="you"))).status == 200
        assert (await ask(address, DEVICES, bearer=token(aud="you"))).code == "token_issuer"
        assert (await ask(address, DEVICES, bearer=token(iss="us"))).code == "token_audience"


def signed_by_somebody(key: object = RSA_KEY, **how: object) -> str:
    """A token that is as good as those of `outside.token`, but signed with a private key."""
    later = {"iss": ISSUER, "aud": AUDIENCE, "iat": ..., "exp": 2**40}
    return rsa_signed(key, **{**later, **how})  # type: ignore[arg-type]


async def test_a_public_key_in_a_file(adb_server: RunningAdb, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(pem())
    async with served(adb_server, jwt_public_key=str(file)) as address:
        assert (await ask(address, DEVICES, bearer=signed_by_somebody())).status == 200
        assert (await ask(address, DEVICES, bearer=signed_by_somebody(OTHER_RSA_KEY))).code == "token_signature"
        assert (await ask(address, DEVICES, bearer=token())).code == "token_algorithm"


async def test_public_keys_at_an_address(adb_server: RunningAdb) -> None:
    async def publish(_: web.Request) -> web.Response:
        return web.Response(text=json.dumps({"keys": [jwk(kid="one")]}))

    app = web.Application()
    app.router.add_get("/keys", publish)
    async with (
        TestServer(app) as issuer,
        served(adb_server, jwt_jwks_url=str(issuer.make_url("/keys"))) as address,
    ):
        assert (await ask(address, DEVICES, bearer=signed_by_somebody(kid="one"))).status == 200
        assert (await ask(address, DEVICES, bearer=signed_by_somebody(kid="two"))).code == "token_signature"
        assert (await ask(address, DEVICES)).code == "token_missing"


async def test_pages_of_allowed_origins(adb_server: RunningAdb) -> None:
    friend = "https://phones.example"
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with served(adb_server, allowed_origins=friend) as address:
        allowed = await ask(address, "api/media/sessions", method="OPTIONS", headers={"Origin": friend, **preflight})
        assert (allowed.status, allowed.headers["Access-Control-Allow-Origin"]) == (204, friend)
        assert (await ask(address, DEVICES, headers={"Origin": friend})).status == 200
        assert (await ask(address, DEVICES, headers={"Origin": f"{friend}.evil"})).code == "forbidden"
    async with served(adb_server) as address:
        assert (await ask(address, DEVICES, headers={"Origin": friend})).code == "forbidden"


INSIDE, OUTSIDE = "10.1.2.3", "203.0.113.9"


def said_to_be(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def test_monitoring_is_for_the_networks_that_are_named(adb_server: RunningAdb) -> None:
    beside = "10.2.0.1"
    async with served(adb_server, monitoring_networks="10.1.0.0/16") as address:
        for path in ("metrics", "health", "health/detailed"):
            assert (await ask(address, path, headers=said_to_be(INSIDE))).status == 200
            assert (await ask(address, path, headers=said_to_be(beside))).code == "forbidden"
        assert (await ask(address, "livez", headers=said_to_be(beside))).status == 200
    async with served(adb_server) as address:
        assert (await ask(address, "metrics", headers=said_to_be(beside))).status == 200
        assert (await ask(address, "metrics", headers=said_to_be(OUTSIDE))).code == "forbidden"


async def test_only_proxies_that_are_trusted_say_who_asks(adb_server: RunningAdb) -> None:
    async with served(adb_server, trusted_proxies="192.0.2.1") as address:
        assert (await ask(address, "metrics", headers=said_to_be(OUTSIDE))).status == 200
    async with served(adb_server, trusted_proxies="127.0.0.0/8") as address:
        assert (await ask(address, "metrics", headers=said_to_be(INSIDE))).status == 200
        assert (await ask(address, "metrics", headers=said_to_be(OUTSIDE))).code == "forbidden"
        # The proxy that is trusted wrote the last one; who is before it may have written anything.
        assert (await ask(address, "metrics", headers=said_to_be(f"{INSIDE}, {OUTSIDE}"))).code == "forbidden"


@pytest.mark.parametrize(
    ("name", "path", "is_there"),
    [
        ("enable_metrics", "metrics", lambda text: "media_service_sessions_total" in text),
        ("enable_pprof", "debug/pprof/goroutine?debug=1", lambda text: "look_after" in text),
    ],
)
async def test_what_is_switched_off_is_not_there(
    adb_server: RunningAdb, name: str, path: str, is_there: Callable[[str], bool]
) -> None:
    async with served(adb_server, **{name: True}) as address:
        answer = await ask(address, path)
        assert (answer.status, is_there(answer.body.decode())) == (200, True)
    async with served(adb_server, **{name: False}) as address:
        assert (await ask(address, path)).code == "not_found"


async def test_profiles_are_for_this_machine_and_for_admins(adb_server: RunningAdb) -> None:
    path, away = "debug/pprof/", said_to_be(INSIDE)
    async with served(adb_server, enable_pprof=True, jwt_secret=SECRET) as address:
        assert (await ask(address, path)).status == 200
        assert (await ask(address, path, headers=away)).code == "forbidden"
        assert (await ask(address, path, headers=away, bearer=token(roles=["operator"]))).code == "forbidden"
        assert (await ask(address, path, headers=away, bearer=token(roles=["admin"]))).status == 200

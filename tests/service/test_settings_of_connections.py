"""Settings that say by which addresses and servers browsers and the service find each other."""

import base64
import hashlib
import hmac
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from media_service.app import serve
from tests.fixtures.adb import RunningAdb
from tests.rtc.receivers import free_ports
from tests.service.outside import PICTURES, SECRET, ask, join, settings, token

pytestmark = pytest.mark.adb

TURN = "turn:127.0.0.1:3478?transport=udp"


async def offered(adb: RunningAdb, **others: object) -> str:
    """What a service with such settings offers."""
    async with serve(settings(adb, **others), sources={"a": PICTURES}, demo=False) as serving:
        return str((await join(serving.address, "a")).json["offer"]["sdp"])


async def test_media_takes_a_port_of_the_range(adb_server: RunningAdb) -> None:
    ports = free_ports()
    sdp = await offered(adb_server, ice_port_min=ports.start, ice_port_max=ports.stop - 1)
    (port,) = {int(found) for found in re.findall(r"a=candidate:\S+ 1 \S+ \d+ \S+ (\d+) typ host", sdp)}
    assert port in ports


async def test_the_addresses_behind_which_it_is_are_announced(adb_server: RunningAdb) -> None:
    sdp = await offered(adb_server, nat_1to1_ips="203.0.113.7,2001:db8::7")
    assert {"203.0.113.7", "2001:db8::7"} <= set(re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) ", sdp))
    assert "203.0.113.7" not in await offered(adb_server)


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a STUN server that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


async def test_the_start_waits_for_the_public_address_as_long_as_it_may(
    adb_server: RunningAdb, silent_server: int
) -> None:
    stun = f"stun:127.0.0.1:{silent_server}"
    impatient = settings(adb_server, stun_servers=stun, ice_gathering_timeout="50ms")
    with capture_logs() as log:
        async with serve(impatient, sources={}, demo=False) as serving:
            servers = (await ask(serving.address, "api/media/ice-servers")).json["iceServers"]
    assert [entry["waited"] for entry in log if entry["event"].startswith("public media address not")] == ["50ms"]
    assert servers == [{"urls": [stun]}]


async def turn_server(adb: RunningAdb, **others: object) -> dict[str, Any]:
    """The TURN server as a browser of `ann` is told of it."""
    authenticated = settings(adb, jwt_secret=SECRET, turn_urls=TURN, **others)
    async with serve(authenticated, sources={}, demo=False) as serving:
        (server,) = (await ask(serving.address, "api/media/turn-credentials", bearer=token())).json["iceServers"]
    assert server["urls"] == [TURN]
    return dict(server)


async def test_credentials_are_made_with_the_secret_and_expire(adb_server: RunningAdb) -> None:
    before = time.time()
    server = await turn_server(adb_server, turn_secret="hush", turn_ttl="2h")
    expires_at, user = server["username"].split(":")
    assert before + 7200 - 1 <= int(expires_at) <= time.time() + 7200 + 1
    assert user == "ann"
    signature = hmac.new(b"hush", server["username"].encode(), hashlib.sha1).digest()
    assert server["credential"] == base64.b64encode(signature).decode()


async def test_without_a_secret_the_password_is_handed_out(adb_server: RunningAdb) -> None:
    server = await turn_server(adb_server, turn_username="phones", turn_credential="hush")
    assert (server["username"], server["credential"]) == ("phones", "hush")

"""Settings that say how many sessions there may be, and how long one that failed is remembered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from media_service.app import serve
from tests.fixtures.adb import RunningAdb
from tests.fixtures.service import metric
from tests.service.outside import PICTURES, ask, join, sessions, settings

pytestmark = pytest.mark.adb


@asynccontextmanager
async def served(adb: RunningAdb, *, connect_timeout: float = 30, **others: object) -> AsyncIterator[str]:
    """The address of a service with two devices and such settings."""
    sources = {"a": PICTURES, "b": PICTURES}
    async with serve(settings(adb, **others), sources=sources, demo=False, connect_timeout=connect_timeout) as serving:
        yield serving.address


@pytest.mark.parametrize(
    ("limit", "status", "code", "others"),
    [
        ("max_sessions", 503, "too_many_viewers", []),
        ("max_sessions_per_device", 503, "too_many_viewers_of_device", [("b", "ann")]),
        ("max_sessions_per_user", 429, "too_many_sessions_of_user", [("a", "bob")]),
        ("max_joins_per_minute", 429, "too_many_joins", [("a", "bob")]),
    ],
)
async def test_a_limit_of_two(
    adb_server: RunningAdb, limit: str, status: int, code: str, others: list[tuple[str, str]]
) -> None:
    async with served(adb_server, **{limit: 2}) as address:
        first, second = [await join(address, "a", user="ann") for _ in range(2)]
        assert (first.status, second.status) == (201, 201)
        refusal = await join(address, "a", user="ann")
        assert (refusal.status, refusal.code) == (status, code)
        assert int(refusal.headers["Retry-After"]) > 0
        for device, user in others:
            assert (await join(address, device, user=user)).status == 201
        if limit != "max_joins_per_minute":
            ended = await ask(address, f"api/media/sessions/{first.json['sessionId']}", method="DELETE")
            assert ended.status == 200
            assert (await join(address, "a", user="ann")).status == 201


async def failed(address: str) -> str:
    """A session that failed, since nobody answered."""
    session_id = str((await join(address, "a")).json["sessionId"])
    async with asyncio.timeout(10):
        while (await sessions(address))[session_id]["state"] != "failed":
            pass
    return session_id


async def test_a_failed_session_is_forgotten_when_its_time_has_come(adb_server: RunningAdb) -> None:
    soon = {"session_inactive_timeout": "20ms", "session_cleanup_interval": "500ms"}
    async with served(adb_server, connect_timeout=0.05, **soon) as address:
        session_id = (await join(address, "a")).json["sessionId"]
        async with asyncio.timeout(10):
            while session_id in await sessions(address):
                pass
        assert await metric(address, "media_service_sessions_failed_total") == 1
        assert (await ask(address, f"api/media/sessions/{session_id}")).code == "session_not_found"


@pytest.mark.parametrize("long", ["session_inactive_timeout", "session_cleanup_interval"])
async def test_not_before(adb_server: RunningAdb, long: str) -> None:
    times = {"session_inactive_timeout": "1ms", "session_cleanup_interval": "1ms"} | {long: "1h"}
    async with served(adb_server, connect_timeout=0.05, **times) as address:
        first = await failed(address)
        second = await failed(address)
        assert (await sessions(address)).keys() == {first, second}

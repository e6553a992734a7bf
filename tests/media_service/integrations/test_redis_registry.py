"""The registry with a real Redis that is absent, refuses, hangs, dies and comes back."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from benchmarks.sender import free_port
from media_service.integrations.instance import Instance
from media_service.integrations.leases import parse_lease
from media_service.integrations.redis_address import RedisAddress
from media_service.integrations.redis_registry import _PATIENCE_OF_A_JOIN as PATIENCE_OF_A_JOIN
from media_service.integrations.redis_registry import AWAY, FORGOTTEN, RedisRegistry
from media_service.session_state import SessionState
from signaling.errors import DeviceUnavailable
from tests.fixtures.redis import RedisServer
from tests.media_service.integrations.records import closed, record
from tests.media_service.integrations.running import healthy, running, unhealthy
from tests.media_service.integrations.silent_server import silent_server
from tests.waiting import until

PHONE = "127.0.0.1:5555"
LEASE = f"media:device:{PHONE}"
HERE, THERE = Instance("media-service", "127.0.0.1", 1), Instance("media-service", "127.0.0.1", 2)
NEVER_LONGER = 0.5
"""Seconds; far above what is promised, far below what a Redis that hangs would take."""


def address(redis: RedisServer) -> RedisAddress:
    return RedisAddress("127.0.0.1", redis.port, 0, redis.password)


@pytest.fixture
def here(redis: RedisServer) -> RedisRegistry:
    return RedisRegistry(address(redis), HERE)


@pytest.fixture
def there(redis: RedisServer) -> RedisRegistry:
    return RedisRegistry(address(redis), THERE)


@pytest.fixture
async def client(redis: RedisServer) -> AsyncIterator[Redis]:
    client = Redis(port=redis.port, password=redis.password)
    yield client
    await client.aclose()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is well has all the time in the world, on however busy a machine."""
    monkeypatch.setattr("media_service.integrations.redis_registry._PATIENCE_OF_A_JOIN", 10.0)


@pytest.fixture
def usual_patience(patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Joins wait as short as they do."""
    monkeypatch.setattr("media_service.integrations.redis_registry._PATIENCE_OF_A_JOIN", PATIENCE_OF_A_JOIN)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at once a second is looked at all the time."""
    monkeypatch.setattr("media_service.integrations.redis_registry._LOOK_INTERVAL", 0.005)


async def now(client: Redis, key: str) -> str | None:
    """What is there."""
    found = await client.get(key)
    return found.decode() if isinstance(found, bytes) else found


async def keys(client: Redis, pattern: str = "*") -> list[str]:
    """Which keys there are."""
    return sorted(key.decode() if isinstance(key, bytes) else key for key in await client.keys(pattern))


async def value(client: Redis, key: str) -> str:
    """What is there, as soon as something is."""
    async with asyncio.timeout(5):
        while (text := await now(client, key)) is None:
            await asyncio.sleep(0.001)
    return text


async def gone(client: Redis, key: str) -> None:
    async with asyncio.timeout(5):
        while await client.exists(key):
            await asyncio.sleep(0.001)


@asynccontextmanager
async def at_once() -> AsyncIterator[None]:
    """The block ends before anybody notices."""
    async with asyncio.timeout(NEVER_LONGER):
        yield


# Sessions and instances ------------------------------------------------------------------------------------------


async def test_a_session_is_written_with_a_ttl_and_deleted(here: RedisRegistry, client: Redis) -> None:
    async with running(here):
        await healthy(here)
        here.session_opened(record())
        assert json.loads(await value(client, "media:session:s1")) == {
            "session_id": "s1",
            "device_id": PHONE,
            "user_id": "u1",
            "state": "connecting",
            "instance": "media-service-127.0.0.1-1",
            "created_at": "2023-11-14T22:13:20.250Z",
            "last_active": "2023-11-14T22:13:21.250Z",
        }
        assert 20 < await client.ttl("media:session:s1") <= 30
        here.session_ended(closed())
        await gone(client, "media:session:s1")
        assert not here.drops


async def test_the_instance_says_where_it_is_and_how_many_sessions_it_has(here: RedisRegistry, client: Redis) -> None:
    async with running(here):
        await healthy(here)
        here.session_opened(record())
        await value(client, "media:session:s1")
        key = "media:instance:media-service-127.0.0.1-1"
        assert json.loads(await value(client, key)) == {"address": "127.0.0.1:1", "sessions": 1}
        assert 10 < await client.ttl(key) <= 15


async def test_every_key_has_the_prefix_and_a_ttl(here: RedisRegistry, client: Redis) -> None:
    async with running(here):
        await healthy(here)
        await here.hold(PHONE)
        here.session_opened(record())
        await value(client, "media:session:s1")
        written = await keys(client)
        assert len(written) == 4
        for key in written:
            assert key.startswith("media:")
            assert await client.ttl(key) > 0


@pytest.mark.usefixtures("quick")
async def test_what_is_there_is_written_again_as_it_is_now(redis: RedisServer, client: Redis) -> None:
    registry = RedisRegistry(address(redis), HERE, lease_ttl=0.8, session_ttl=0.8)
    async with running(registry):
        await healthy(registry)
        registry.session_opened(record())
        await registry.hold(PHONE)
        lease = await value(client, LEASE)
        await value(client, "media:session:s1")
        registry.records = lambda: [record(state=SessionState.CONNECTED), record("another one's")]
        until_then = time.monotonic() + 1.7
        while time.monotonic() < until_then:  # Twice as long as anything would stay by itself.
            assert await now(client, "media:session:s1") is not None
            assert await now(client, LEASE) == lease
        assert json.loads(await value(client, "media:session:s1"))["state"] == "connected"
        assert not await client.exists("media:session:another one's")


async def test_at_the_end_nothing_of_ours_is_left(here: RedisRegistry, client: Redis) -> None:
    async with running(here):
        await healthy(here)
        await here.hold(PHONE)
        here.session_opened(record())
        await value(client, "media:session:s1")
    assert await keys(client) == ["media:fencing"]


async def test_a_thousand_sessions_are_written(here: RedisRegistry, client: Redis) -> None:
    async with running(here):
        await healthy(here)
        for number in range(1000):
            here.session_opened(record(str(number)))
        await value(client, "media:session:999")
        assert len(await keys(client, "media:session:*")) == 1000
        for number in range(1000):
            here.session_ended(closed(str(number)))
        await gone(client, "media:session:999")
        assert not await keys(client, "media:session:*")


# Devices -----------------------------------------------------------------------------------------------------------


async def test_one_instance_has_a_device(here: RedisRegistry, there: RedisRegistry, client: Redis) -> None:
    async with running(here), running(there):
        await healthy(here)
        await healthy(there)
        await here.hold(PHONE)
        await here.hold(PHONE)
        with pytest.raises(DeviceUnavailable, match=r"'media-service-127\.0\.0\.1-1'") as refused:
            await there.hold(PHONE)
        assert (refused.value.code, refused.value.retry_after) == ("device_elsewhere", 15)
        assert await now(client, LEASE) == f"media-service-127.0.0.1-1 {here.token(PHONE)}"
        assert 10 < await client.ttl(LEASE) <= 15
        assert there.token(PHONE) is None
        await there.hold("another")
        here.release(PHONE)
        await gone(client, LEASE)
        await there.hold(PHONE)
        assert (await value(client, LEASE)).startswith("media-service-127.0.0.1-2 ")


async def test_of_many_who_ask_at_the_same_time_one_gets_it(redis: RedisServer, client: Redis) -> None:
    registries = [RedisRegistry(address(redis), replace(HERE, port=port)) for port in range(1, 6)]
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for registry in registries:
            group.create_task(contest(registry, registries))
    assert len([registry for registry in registries if registry.token(PHONE)]) == 1


async def contest(registry: RedisRegistry, registries: list[RedisRegistry]) -> None:
    async with running_without_end(registry):
        await healthy(registry)
        await until(lambda: all(each.state.status == "healthy" for each in registries))
        with suppress(DeviceUnavailable):
            await registry.hold(PHONE)
        await until(lambda: any(each.token(PHONE) for each in registries))


@asynccontextmanager
async def running_without_end(registry: RedisRegistry) -> AsyncIterator[None]:
    """It is killed rather than stopped: it says no goodbye."""
    task = asyncio.get_running_loop().create_task(registry.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_device_of_an_instance_that_died_is_free_after_a_while(
    redis: RedisServer, there: RedisRegistry
) -> None:
    dying = RedisRegistry(address(redis), HERE, lease_ttl=0.2)
    async with running_without_end(dying):
        await healthy(dying)
        await dying.hold(PHONE)
    async with running(there):
        await healthy(there)
        async with asyncio.timeout(5):
            while True:
                try:
                    await there.hold(PHONE)
                except DeviceUnavailable:
                    await asyncio.sleep(0.01)
                else:
                    break
        assert (there.token(PHONE) or 0) > (dying.token(PHONE) or 0) > 0


async def test_an_instance_that_starts_anew_has_its_devices_at_once(redis: RedisServer) -> None:
    first, second = RedisRegistry(address(redis), HERE), RedisRegistry(address(redis), HERE)
    async with running_without_end(first):
        await healthy(first)
        await first.hold(PHONE)
    async with running(second):
        await healthy(second)
        await second.hold(PHONE)
        assert (second.token(PHONE) or 0) > (first.token(PHONE) or 0) > 0


async def test_tokens_ascend_even_when_redis_forgets(here: RedisRegistry, client: Redis) -> None:
    tokens = []
    async with running(here):
        await healthy(here)
        for number in range(6):
            await here.hold(PHONE)
            tokens.append(here.token(PHONE) or 0)
            here.release(PHONE)
            await gone(client, LEASE)
            if number % 2:
                await client.flushall()
    assert tokens == sorted(set(tokens))
    assert tokens[0] > 0


async def test_a_token_is_above_one_from_a_clock_that_was_ahead(here: RedisRegistry, client: Redis) -> None:
    await client.set("media:fencing", 8_000_000_000_000_000)
    async with running(here):
        await healthy(here)
        await here.hold(PHONE)
        assert here.token(PHONE) == 8_000_000_000_000_001


@pytest.mark.usefixtures("quick")
async def test_a_lease_that_another_took_is_noticed_and_not_taken_from_it(redis: RedisServer, client: Redis) -> None:
    registry = RedisRegistry(address(redis), HERE, lease_ttl=0.2)
    async with running(registry):
        await healthy(registry)
        await registry.hold(PHONE)
        await client.set(LEASE, "media-service-127.0.0.1-2 9")
        await until(lambda: registry.conflicts == 1)
        assert registry.token(PHONE) is None
        await registry.hold(PHONE)  # The stream goes on, and who comes to it may watch.
        registry.release(PHONE)
        registry.session_opened(record())
        await value(client, "media:session:s1")
        assert await now(client, LEASE) == "media-service-127.0.0.1-2 9"


@pytest.mark.usefixtures("quick")
async def test_a_lease_that_lapsed_is_taken_again(redis: RedisServer, client: Redis) -> None:
    registry = RedisRegistry(address(redis), HERE, lease_ttl=0.2)
    async with running(registry):
        await healthy(registry)
        await registry.hold(PHONE)
        before = registry.token(PHONE) or 0
        await client.delete(LEASE)
        await until(lambda: (registry.token(PHONE) or 0) > before)
        assert registry.conflicts == 0


async def test_who_gives_up_while_asking_keeps_nothing(redis: RedisServer, client: Redis) -> None:
    registry = RedisRegistry(address(redis), HERE, lease_ttl=0.5)
    async with running(registry):
        await healthy(registry)
        for turns in range(20):
            asking = asyncio.get_running_loop().create_task(registry.hold(PHONE))
            for _ in range(turns % 4):
                await asyncio.sleep(0)
            asking.cancel()
            assert isinstance((await asyncio.gather(asking, return_exceptions=True))[0], asyncio.CancelledError)
        assert registry.token(PHONE) is None
        # It may have been taken by the time that it is let go; then it lapses, since nobody renews it.
        await gone(client, LEASE)


def test_what_somebody_else_wrote_is_a_lease_too() -> None:
    assert parse_lease(b"media-service-a-1 17").token == 17
    for text in (b"", b"17", b"a 1x", b"a -1", b"\xff\xfe", b"a " + b"9" * 400):
        assert parse_lease(text).token == 0


# Outages -------------------------------------------------------------------------------------------------------------


async def test_absent_at_the_start_nobody_waits_for_it() -> None:
    registry = RedisRegistry(RedisAddress("127.0.0.1", free_port()), HERE)
    async with running(registry):
        await unhealthy(registry, "Connect call failed")
        async with at_once():
            await registry.hold(PHONE)
        registry.session_opened(record())
        assert registry.drops == {AWAY: 2}
        assert registry.token(PHONE) is None


async def test_it_dies_and_comes_back_empty_and_everything_is_written_again(
    redis: RedisServer, here: RedisRegistry, client: Redis
) -> None:
    async with running(here):
        await healthy(here)
        await here.hold(PHONE)
        here.session_opened(record("before"))
        here.session_opened(record("ends meanwhile"))
        await value(client, "media:session:ends meanwhile")
        first_token = here.token(PHONE) or 0
        redis.kill()
        await unhealthy(here, str(redis.port))
        async with at_once():
            await here.hold("phone-2")
        here.session_opened(record("meanwhile"))
        here.session_ended(closed("ends meanwhile"))
        assert here.drops == {AWAY: 3}
        redis.start()
        await healthy(here)
        assert await keys(client, "media:session:*") == ["media:session:before", "media:session:meanwhile"]
        assert await keys(client, "media:device:*") == [LEASE, "media:device:phone-2"]
        assert (here.token(PHONE) or 0) > first_token


@pytest.mark.usefixtures("usual_patience")
async def test_while_it_hangs_nobody_waits_for_it(redis: RedisServer, here: RedisRegistry) -> None:
    async with running(here):
        await healthy(here)
        redis.freeze()
        async with at_once():
            await here.hold(PHONE)
            for number in range(20):
                await here.hold(f"phone-{number}")
        await unhealthy(here, "no answer within 1.5 s")
        redis.thaw()
        await healthy(here)
        await until(lambda: here.token(PHONE))


async def test_what_takes_connections_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_service.integrations.redis_registry._PATIENCE", 0.1)
    async with silent_server() as port:
        registry = RedisRegistry(RedisAddress("127.0.0.1", port), HERE)
        async with running(registry):
            async with at_once():
                await registry.hold(PHONE)
            await unhealthy(registry, "no answer within 0.1 s")


@pytest.mark.parametrize(
    ("database", "password", "reason"),
    [(0, "wrong", "the password is refused"), (0, None, "it wants a password"), (99, "", "DB index is out of range")],
)
async def test_a_redis_that_refuses_us(redis: RedisServer, database: int, password: str | None, reason: str) -> None:
    own = redis.password if password == "" else password
    registry = RedisRegistry(RedisAddress("127.0.0.1", redis.port, database, own), HERE)
    async with running(registry):
        await unhealthy(registry, reason)
        assert "correct horse" not in registry.state.reason
        async with at_once():
            await registry.hold(PHONE)


async def test_a_redis_that_takes_no_writes(redis: RedisServer, here: RedisRegistry, client: Redis) -> None:
    async with running(here):
        await healthy(here)
        await client.replicaof("127.0.0.1", str(free_port()))
        await unhealthy(here, "it answers: ")
        await client.replicaof("NO", "ONE")
        await healthy(here)


async def test_memory_of_what_ended_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_service.integrations.redis_registry._LONGEST_MEMORY", 3)
    registry = RedisRegistry(RedisAddress("127.0.0.1", free_port()), HERE)
    for number in range(5):
        registry.session_opened(record(str(number)))
        registry.session_ended(closed(str(number)))
    assert registry.drops == {AWAY: 10, FORGOTTEN: 2}


def test_the_password_is_not_shown() -> None:
    assert "horse" not in f"{RedisAddress('127.0.0.1', 1, 0, 'correct horse')!r}"

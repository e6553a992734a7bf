"""The whole service with a real Redis, a real RabbitMQ and a stand-in Consul agent: what it tells them and hears."""

import asyncio
import gc
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest
from redis.asyncio import Redis

from capture.adb.client import AdbClient
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.phone import PhoneSpec
from media_service.app import serve
from media_service.integrations.rabbitmq import EXCHANGE
from media_service.settings import Settings
from tests.fixtures.adb import RunningAdb, free_port
from tests.fixtures.consul import ConsulAgent
from tests.fixtures.rabbitmq import RabbitMQServer
from tests.fixtures.redis import RedisServer
from tests.media_service.aiortc_viewer import AiortcViewer
from tests.service.door import Door
from tests.service.outside import PICTURES, ask, join, settings
from tests.waiting import until

pytestmark = [
    pytest.mark.adb,
    # aiormq 7.2 begins to close a connection that was broken in a task that nobody holds.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <coroutine object Connection.close:pytest.PytestUnraisableExceptionWarning"
    ),
]

DATABASE = 3


def neighbourly(
    adb: RunningAdb, redis: RedisServer, rabbitmq: RabbitMQServer, consul: ConsulAgent, **others: object
) -> Settings:
    """Settings of a service that knows all three."""
    return settings(
        adb,
        redis_enabled=True,
        redis_host="127.0.0.1",
        redis_port=redis.port,
        redis_db=DATABASE,
        redis_password=redis.password,
        rabbitmq_enabled=True,
        consul_enabled=True,
        consul_host="127.0.0.1",
        consul_port=consul.port,
        **{"rabbitmq_url": rabbitmq.url(), "consul_health_check_interval": "7s", **others},
    )


class Platform:
    """Who listens at RabbitMQ and tells of devices."""

    def __init__(self, exchange: aio_pika.abc.AbstractExchange) -> None:
        self.heard: list[dict[str, Any]] = []
        """The bodies of all events of sessions."""
        self._exchange = exchange

    @classmethod
    @asynccontextmanager
    async def at(cls, rabbitmq: RabbitMQServer) -> AsyncIterator["Platform"]:
        async with await aio_pika.connect(rabbitmq.url()) as connection:
            channel = await connection.channel()
            exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
            queue = await channel.declare_queue(exclusive=True)
            await queue.bind(EXCHANGE, "media.session.*")
            platform = cls(exchange)

            async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
                assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
                body = json.loads(message.body)
                assert body["event_type"] == message.routing_key
                platform.heard.append(body)
                await message.ack()

            await queue.consume(take)
            yield platform

    def events(self, session_id: str) -> list[str]:
        return [each["event_type"] for each in self.heard if each["session_id"] == session_id]

    async def until_heard(self, session_id: str, *kinds: str) -> None:
        """Wait until it has heard of the session what it is to hear, once or more often, and nothing else."""
        await until(lambda: set(self.events(session_id)) == set(kinds))

    async def tell(self, kind: str, **body: object) -> None:
        message = aio_pika.Message(json.dumps(body).encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self._exchange.publish(message, kind)


@pytest.fixture
async def platform(rabbitmq: RabbitMQServer) -> AsyncIterator[Platform]:
    async with Platform.at(rabbitmq) as platform:
        yield platform


@pytest.fixture
async def database(redis: RedisServer) -> AsyncIterator[Redis]:
    """A client of the database that the service writes to."""
    client = Redis(port=redis.port, password=redis.password, db=DATABASE, decode_responses=True)
    yield client
    await client.aclose()


async def until_known(address: str, accepted: Callable[[dict[str, Any]], bool], timeout: float = 20) -> dict[str, Any]:
    """What `/health/detailed` says as soon as that is accepted."""
    health: dict[str, Any] = {}
    try:
        async with asyncio.timeout(timeout):
            while not accepted(health := (await ask(address, "health/detailed")).json):
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"it is not so: {health}")
    return health


def all_three(status: str) -> Callable[[dict[str, Any]], bool]:
    return lambda health: {health["dependencies"][name] for name in ("redis", "rabbitmq", "consul")} == {status}


async def keys(database: Redis) -> dict[str, int]:
    """The keys there are, with the milliseconds that they have left."""
    return {str(key): await database.pttl(key) for key in await database.keys("*")}


async def test_what_is_told_of_sessions_and_of_the_service(
    adb_server: RunningAdb,
    redis: RedisServer,
    rabbitmq: RabbitMQServer,
    consul_agent: ConsulAgent,
    platform: Platform,
    database: Redis,
) -> None:
    here = {"service_name": "media-7", "service_host": "media-7.example"}
    wanted = neighbourly(adb_server, redis, rabbitmq, consul_agent, **here)
    async with serve(wanted, sources={"a": PICTURES}, demo=False, grace=0.05) as serving:
        address, port = serving.address, serving.address.rstrip("/").rpartition(":")[2]
        name = f"media-7-media-7.example-{port}"
        health = await until_known(address, all_three("healthy"))
        assert health["status"] == "healthy"

        service = consul_agent.services[name]
        assert (service["Service"], service["Address"], service["Port"]) == ("media-7", "media-7.example", int(port))
        assert service["Tags"] == ["cloudphone", "media", "webrtc", "v1", "prometheus"]
        (check,) = consul_agent.checks[name]
        found = {key.lower(): value for key, value in check.items()}
        assert (found["http"], found["interval"]) == (f"http://media-7.example:{port}/health", "7s")
        assert found["deregistercriticalserviceafter"] == "3m"
        assert (await ask(address, "health")).status == 200, "what the agent would ask"

        async with AiortcViewer(address, "a") as viewer:
            await viewer.watched(1)
            session_id = viewer.location.rpartition("/")[2]
            await until(lambda: platform.events(session_id) == ["media.session.created"])
            async with asyncio.timeout(10):
                while f"media:session:{session_id}" not in (found := await keys(database)):
                    pass
            assert found.keys() >= {"media:device:a", f"media:instance:{name}"}
            assert all(key.startswith("media:") and left > 0 for key, left in found.items()), found
            written = json.loads(await database.get(f"media:session:{session_id}") or "")
            assert (written["device_id"], written["instance"]) == ("a", name)
        await until(lambda: platform.events(session_id) == ["media.session.created", "media.session.closed"])
        closed = platform.heard[-1]
        assert (closed["service"], closed["device_id"], closed["user_id"]) == ("media-7", "a", None)
        assert closed["duration_seconds"] > 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", closed["timestamp"])
        async with asyncio.timeout(10):
            while (await keys(database)).keys() & {f"media:session:{session_id}", "media:device:a"}:
                pass
    assert name not in consul_agent.services
    # The counter that makes leases comparable outlives its instance, for a while.
    assert [key for key in await keys(database) if name in key or ":session:" in key] == []
    assert all(left > 0 for left in (await keys(database)).values())


async def test_all_three_come_later_go_and_come_again(
    adb_server: RunningAdb,
    redis: RedisServer,
    rabbitmq: RabbitMQServer,
    consul_agent: ConsulAgent,
    platform: Platform,
) -> None:
    async with Door.to(rabbitmq.port) as door:

        async def go() -> None:
            redis.kill()
            await asyncio.gather(door.shut(), consul_agent.stop())

        async def come() -> None:
            redis.start()
            await asyncio.gather(door.open(), consul_agent.start())

        await go()
        url = rabbitmq.url().replace(f":{rabbitmq.port}/", f":{door.port}/")
        wanted = neighbourly(adb_server, redis, rabbitmq, consul_agent, rabbitmq_url=url)
        async with serve(wanted, sources={"a": PICTURES}, demo=False) as serving:
            address = serving.address
            for _ in range(2):
                health = await until_known(address, all_three("unhealthy"))
                assert health["status"] == (await ask(address, "health")).json["status"] == "degraded"
                assert {"redis", "rabbitmq", "consul"} <= health["reasons"].keys()
                assert (await ask(address, "readyz")).status == 200, "viewers are taken all the same"
                async with AiortcViewer(address, "a") as viewer:
                    await viewer.watched(2)
                    left = (await join(address, "a")).json["sessionId"]
                    await ask(address, f"api/media/sessions/{left}", method="DELETE")
                    await come()
                    health = await until_known(address, all_three("healthy"))
                    assert not {"redis", "rabbitmq", "consul"} & health["reasons"].keys()
                    session_id = viewer.location.rpartition("/")[2]
                    await platform.until_heard(session_id, "media.session.created")
                    # What came and went while nobody could hear of it is told too.
                    await platform.until_heard(left, "media.session.created", "media.session.closed")
                    assert len(consul_agent.services) == 1
                    await viewer.watched(2)
                    await go()
            await come()
    gc.collect()  # What nobody holds is found here, and not in a test that has nothing to do with it.


async def test_phones_that_the_platform_announces(
    adb_server: RunningAdb,
    adb_client: AdbClient,
    redis: RedisServer,
    rabbitmq: RabbitMQServer,
    consul_agent: ConsulAgent,
    platform: Platform,
) -> None:
    wanted = neighbourly(adb_server, redis, rabbitmq, consul_agent)
    async with (
        DemoPhone(PhoneSpec(name="announced", width=240, height=320)) as phone,
        serve(wanted, sources={}, demo=False) as serving,
    ):
        address = serving.address
        await until_known(address, all_three("healthy"))
        await platform.tell("device.started", device_id="phone-2", adb_address=phone.address)
        async with asyncio.timeout(20):
            while (await ask(address, "api/media/devices/phone-2")).status != 200:
                pass
            while (found := (await ask(address, "api/media/devices/phone-2")).json)["state"] != "online":
                pass
        assert (found["serial"], found["origin"]) == (phone.address, "device.started")
        async with AiortcViewer(address, "phone-2") as viewer:
            await viewer.watched(2)
        await platform.tell("device.deleted", device_id="phone-2")
        async with asyncio.timeout(20):
            while phone.address in [each.serial for each in await adb_client.devices()]:
                pass
        assert (await ask(address, "api/media/devices/phone-2")).json.get("state") != "online"


async def test_a_device_is_captured_by_one_instance(
    adb_server: RunningAdb, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A Redis that is well has all the time in the world, on however busy a machine.
    monkeypatch.setattr("media_service.integrations.redis_registry._PATIENCE_OF_A_JOIN", 10.0)
    shared = {"redis_enabled": True, "redis_host": "127.0.0.1", "redis_port": redis.port}
    shared |= {"redis_db": DATABASE, "redis_password": redis.password}
    wanted = settings(adb_server, **shared)
    sources = {"a": PICTURES, "b": PICTURES}
    async with (
        serve(wanted, sources=sources, demo=False, grace=0.05) as first,
        serve(wanted, sources=sources, demo=False, grace=0.05) as second,
    ):
        for serving in (first, second):
            await until_known(serving.address, lambda health: health["dependencies"]["redis"] == "healthy")
        async with AiortcViewer(first.address, "a") as viewer:
            await viewer.watched(1)
            refusal = await join(second.address, "a")
            assert (refusal.status, refusal.code) == (503, "device_elsewhere")
            assert int(refusal.headers["Retry-After"]) > 0
            assert first.address.removeprefix("http://").rstrip("/").rpartition(":")[2] in refusal.json["detail"]
            assert (await join(second.address, "b")).status == 201
            assert (await join(first.address, "a")).status == 201
            for session in (await ask(first.address, "api/media/sessions")).json["sessions"][1:]:
                await ask(first.address, f"api/media/sessions/{session['sessionId']}", method="DELETE")
        # When nobody watches there any more it is free.
        async with asyncio.timeout(20):
            while (await join(second.address, "a")).status != 201:
                pass


async def test_without_them_nothing_is_asked_of_them(adb_server: RunningAdb) -> None:
    nobody = free_port()
    off = settings(adb_server, redis_port=nobody, consul_port=nobody, rabbitmq_url=f"amqp://127.0.0.1:{nobody}/")
    async with serve(off, sources={}, demo=False) as serving:
        health = (await ask(serving.address, "health/detailed")).json
    assert all_three("disabled")(health)
    assert {name: health["reasons"][name] for name in ("redis", "rabbitmq", "consul")} == {
        "redis": "REDIS_ENABLED is false",
        "rabbitmq": "RABBITMQ_ENABLED is false",
        "consul": "CONSUL_ENABLED is false",
    }

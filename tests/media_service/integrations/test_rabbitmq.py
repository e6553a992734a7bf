"""Events to and from a real RabbitMQ that is absent, refuses, hangs, dies and comes back."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from structlog.testing import capture_logs

from benchmarks.sender import free_port
from media_service.integrations.device_events import DeviceEvent, DeviceEventKind
from media_service.integrations.event_buffer import FULL
from media_service.integrations.instance import Instance
from media_service.integrations.rabbitmq import EXCHANGE, MALFORMED, UNSENT, EventBroker
from tests.fixtures.rabbitmq import RabbitMQServer
from tests.media_service.integrations.cutting_proxy import cutting_proxy
from tests.media_service.integrations.records import closed, record
from tests.media_service.integrations.running import healthy, running, unhealthy
from tests.media_service.integrations.silent_server import silent_server
from tests.waiting import until

HERE, THERE = Instance("media-service", "127.0.0.1", 1), Instance("media-service", "127.0.0.1", 2)


def broker(url: str, instance: Instance = HERE, **how: int) -> EventBroker:
    return EventBroker(url, instance, lambda event: None, limit=how.get("limit", 10_000))


class Platform:
    """What is at the other side of RabbitMQ: hears every event of ours, and tells of devices."""

    def __init__(self, channel: aio_pika.abc.AbstractChannel, exchange: aio_pika.abc.AbstractExchange) -> None:
        self.messages: list[AbstractIncomingMessage] = []
        self._channel = channel
        self._exchange = exchange

    @property
    def heard(self) -> list[str]:
        """The ids of messages, each once, in the order in which they came first."""
        return list(dict.fromkeys(message.message_id or "" for message in self.messages))

    async def tell(self, kind: str, body: bytes | dict[str, object]) -> None:
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        message = aio_pika.Message(octets, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self._exchange.publish(message, kind, mandatory=False)

    async def waiting_for(self, instance: Instance) -> int:
        """How many messages wait in the instance's queue."""
        name = f"media-service.devices.{instance.instance_id}"
        queue = await self._channel.declare_queue(name, passive=True)
        return queue.declaration_result.message_count or 0

    async def delete_queue_of(self, instance: Instance) -> None:
        await self._channel.queue_delete(f"media-service.devices.{instance.instance_id}")


@asynccontextmanager
async def listening(server: RabbitMQServer, queue_name: str = "") -> AsyncIterator[Platform]:
    """With a name its queue stays, and hears what happens while nobody listens."""
    async with await aio_pika.connect(server.url()) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(
            queue_name or None, durable=bool(queue_name), exclusive=not queue_name, auto_delete=not queue_name
        )
        await queue.bind(EXCHANGE, "media.#")
        platform = Platform(channel, exchange)

        async def heard(message: AbstractIncomingMessage) -> None:
            platform.messages.append(message)
            await message.ack()

        await queue.consume(heard)
        yield platform


@pytest.fixture
async def platform(rabbitmq: RabbitMQServer) -> AsyncIterator[Platform]:
    async with listening(rabbitmq) as platform:
        yield platform


def created(*numbers: int) -> list[str]:
    return [f"{number}.created" for number in numbers]


# Events of ours --------------------------------------------------------------------------------------------------


async def test_sessions_are_told_of(rabbitmq: RabbitMQServer, platform: Platform) -> None:
    async with running(broker(rabbitmq.url())) as events:
        events.session_opened(record())
        events.session_ended(closed())
        await until(lambda: len(platform.messages) == 2)
        first, last = platform.messages
        assert (first.routing_key, first.message_id, first.type) == (
            "media.session.created",
            "s1.created",
            "media.session.created",
        )
        assert (first.delivery_mode, first.content_type) == (aio_pika.DeliveryMode.PERSISTENT, "application/json")
        assert first.app_id == "media-service-127.0.0.1-1"
        assert json.loads(first.body)["session_id"] == "s1"
        assert last.routing_key == "media.session.closed"
        await until(lambda: events.published == 2)
        assert (events.waiting, events.drops) == (0, {})


async def test_many_events_arrive_in_order(rabbitmq: RabbitMQServer, platform: Platform) -> None:
    async with running(broker(rabbitmq.url())) as events:
        for number in range(500):
            events.session_opened(record(str(number)))
        await until(lambda: len(platform.messages) >= 500)
        assert platform.heard == created(*range(500))
        assert len(platform.messages) == 500


async def test_what_waits_at_the_end_is_sent(rabbitmq: RabbitMQServer, platform: Platform) -> None:
    async with running(broker(rabbitmq.url())) as events:
        for number in range(200):
            events.session_opened(record(str(number)))
    assert (events.waiting, events.drops) == (0, {})
    await until(lambda: len(platform.heard) == 200)


async def test_at_the_end_nobody_waits_long_for_one_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_service.integrations.rabbitmq._FLUSH_TIMEOUT", 0.1)
    async with running(broker(f"amqp://127.0.0.1:{free_port()}/")) as events:
        events.session_opened(record())
        await unhealthy(events, "cannot be reached: Connect call failed")
        assert events.waiting == 1
    assert (events.waiting, events.drops) == (0, {UNSENT: 1})


async def test_more_events_than_are_kept_are_counted() -> None:
    events = broker("amqp://127.0.0.1:1/", limit=3)
    for number in range(5):
        events.session_opened(record(str(number)))
    assert (events.waiting, events.drops) == (3, {FULL: 2})


# Outages -------------------------------------------------------------------------------------------------------------


async def test_it_dies_and_comes_back_and_nothing_is_lost(rabbitmq: RabbitMQServer) -> None:
    heard: list[DeviceEvent] = []
    async with running(EventBroker(rabbitmq.url(), HERE, heard.append)) as events:
        async with listening(rabbitmq, "survivor") as platform:
            await healthy(events)
            for number in range(10):
                events.session_opened(record(str(number)))
            await until(lambda: len(platform.heard) == 10)
        for number in range(10, 100):
            events.session_opened(record(str(number)))
        await until(lambda: events.waiting < 60)  # Some are under way, some wait.
        rabbitmq.kill()
        await unhealthy(events, f"127.0.0.1:{rabbitmq.port}")
        for number in range(100, 150):
            events.session_opened(record(str(number)))
        await asyncio.to_thread(rabbitmq.start)
        await healthy(events)
        async with listening(rabbitmq, "survivor") as platform:
            # The first ten may come again: RabbitMQ is slow to write down what was acknowledged.
            await until(lambda: len(set(platform.heard) - set(created(*range(10)))) >= 140)
            assert platform.heard[-140:] == created(*range(10, 150))
            await platform.tell("device.stopped", {"device_id": "phone-1"})
            await until(lambda: heard == [DeviceEvent(DeviceEventKind.STOPPED, None, "phone-1")])
        assert (events.published, events.drops) == (150, {})


async def test_while_it_hangs_events_wait(rabbitmq: RabbitMQServer, platform: Platform) -> None:
    async with running(broker(rabbitmq.url())) as events:
        await healthy(events)
        rabbitmq.freeze()
        try:
            for number in range(100):
                events.session_opened(record(str(number)))
            await unhealthy(events, "does not answer within 2.5 s")
            assert events.waiting == 100
        finally:
            rabbitmq.thaw()
        await healthy(events)
        await until(lambda: len(platform.heard) == 100)
        assert platform.heard == created(*range(100))


async def test_a_connection_that_breaks_in_the_middle_of_a_message(
    rabbitmq: RabbitMQServer, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_service.integrations.reconnection._SHORTEST", 0.01)
    # The first ones break while connecting, the others while events are sent.
    async with (
        cutting_proxy(rabbitmq.port, iter((4, 400, 2_000, 5_000, 9_000))) as port,
        running(broker(f"amqp://guest:guest@127.0.0.1:{port}/")) as events,
    ):
        for number in range(200):
            events.session_opened(record(str(number)))
        await until(lambda: events.published >= 200, timeout=20)
        await until(lambda: len(platform.heard) == 200)
        assert platform.heard == created(*range(200))
        assert events.drops == {}


async def test_what_takes_connections_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_service.integrations.rabbitmq._PATIENCE", 0.1)
    async with silent_server() as port, running(broker(f"amqp://127.0.0.1:{port}/")) as events:
        await unhealthy(events, "does not answer within 0.1 s")


@pytest.mark.parametrize(
    ("password", "virtual_host", "reason"),
    [
        ("wrong horse", "%2F", "refuses the user or the password"),
        ("guest", "nowhere", "does not open the virtual host 'nowhere' for this user"),
    ],
)
async def test_a_broker_that_refuses_us(
    rabbitmq: RabbitMQServer, password: str, virtual_host: str, reason: str
) -> None:
    with capture_logs() as log:
        async with running(broker(rabbitmq.url(password=password, virtual_host=virtual_host))) as events:
            await unhealthy(events, reason)
    assert "horse" not in repr(log)


# What others say of devices ------------------------------------------------------------------------------------------


async def test_every_instance_hears_of_devices_in_order(rabbitmq: RabbitMQServer, platform: Platform) -> None:
    heard: dict[Instance, list[DeviceEvent]] = {HERE: [], THERE: []}
    async with (
        running(EventBroker(rabbitmq.url(), HERE, heard[HERE].append)) as here,
        running(EventBroker(rabbitmq.url(), THERE, heard[THERE].append)) as there,
    ):
        await healthy(here)
        await healthy(there)
        for number in range(1, 60):
            await platform.tell("device.started", {"device_id": f"10.0.0.{number}:5555"})
        await platform.tell("device.deleted", {"device_id": "phone-1"})
        await until(lambda: len(heard[HERE]) == len(heard[THERE]) == 60)
        expected = [DeviceEvent(DeviceEventKind.STARTED, f"10.0.0.{number}:5555", None) for number in range(1, 60)]
        assert heard[HERE] == [*expected, DeviceEvent(DeviceEventKind.DELETED, None, "phone-1")]
        assert heard[THERE] == heard[HERE]


async def test_what_happened_while_an_instance_was_away_is_heard_afterwards(
    rabbitmq: RabbitMQServer, platform: Platform
) -> None:
    heard: list[DeviceEvent] = []
    async with running(broker(rabbitmq.url())) as events:
        await healthy(events)
    await platform.tell("device.started", {"device_id": "10.0.0.2:5555"})
    async with running(EventBroker(rabbitmq.url(), HERE, heard.append)):
        await until(lambda: heard == [DeviceEvent(DeviceEventKind.STARTED, "10.0.0.2:5555", None)])


async def test_messages_that_cannot_be_read_are_counted_and_do_not_come_again(
    rabbitmq: RabbitMQServer, platform: Platform
) -> None:
    heard: list[DeviceEvent] = []
    unreadable = [b"", b"\xff\x00", b"null", b"[]", b'{"device_id": 1}', b'{"device_id": "correct horse"}', b"{" * 9999]
    with capture_logs() as log:
        async with running(EventBroker(rabbitmq.url(), HERE, heard.append)) as events:
            await healthy(events)
            for body in unreadable:
                await platform.tell("device.started", body)
            await platform.tell("device.started", {"device_id": "10.0.0.2:5555"})
            await until(lambda: heard)
            assert events.drops == {MALFORMED: len(unreadable)}
        assert await platform.waiting_for(HERE) == 0
    assert "horse" not in repr(log)
    assert len([line for line in log if line["event"] == "a device event cannot be read"]) == len(unreadable)


async def test_a_bug_of_who_is_told_is_seen_and_costs_one_event(
    rabbitmq: RabbitMQServer, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[DeviceEvent] = []

    def on_device(event: DeviceEvent) -> None:
        heard.append(event)
        if len(heard) == 1:
            raise ZeroDivisionError("a bug")

    with caplog.at_level(logging.ERROR):
        async with running(EventBroker(rabbitmq.url(), HERE, on_device)) as events:
            await healthy(events)
            for _ in range(2):
                await platform.tell("device.started", {"device_id": "10.0.0.2:5555"})
            await until(lambda: len(heard) == 2)
    assert "a bug" in caplog.text
    assert await platform.waiting_for(HERE) == 0


async def test_a_queue_that_somebody_deletes_is_made_again(rabbitmq: RabbitMQServer, platform: Platform) -> None:
    heard: list[DeviceEvent] = []
    async with running(EventBroker(rabbitmq.url(), HERE, heard.append)) as events:
        await healthy(events)
        await platform.delete_queue_of(HERE)
        await unhealthy(events, f"127.0.0.1:{rabbitmq.port}")
        await healthy(events)
        await platform.tell("device.started", {"device_id": "10.0.0.2:5555"})
        await until(lambda: heard)

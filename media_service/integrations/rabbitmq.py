"""Events to RabbitMQ, and what it says of devices."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from urllib.parse import unquote, urlsplit

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage
from aiormq.exceptions import AMQPError, AuthenticationError, InvalidFrameError, ProbableAuthenticationError

from media_service.dependency import DependencyState
from media_service.integrations.device_events import (
    DeviceEvent,
    DeviceEventKind,
    MalformedDeviceEvent,
    parse_device_event,
)
from media_service.integrations.event import Event
from media_service.integrations.event_buffer import LIMIT, EventBuffer
from media_service.integrations.instance import Instance
from media_service.integrations.known_state import KnownState
from media_service.integrations.reconnection import heed_cancellation, keep_connected
from media_service.integrations.session_events import session_created, session_over
from media_service.session_record import SessionRecord

EXCHANGE = "cloudphone.events"
MALFORMED = "malformed_device_event"
UNSENT = "unsent_at_stop"

_PATIENCE = 2.5
"""Seconds that RabbitMQ has for one answer."""
_PROBE_INTERVAL = 1.0
_HEARTBEAT = 5
"""Seconds; for RabbitMQ to notice that we are gone. That it is, we notice sooner by asking it something."""
_CONFIRM_TIMEOUT = 10.0
"""A disk that is busy may take a while to have written what is persistent."""
_FLUSH_TIMEOUT = 3.0
_CLOSE_TIMEOUT = 3.0
_UNDER_WAY = 64
"""Events that are sent without waiting for each other's confirm."""
_PREFETCH = 64
_FORGOTTEN_AFTER = 3600_000
"""Milliseconds after which RabbitMQ drops the queue of an instance that does not come back."""
_LONGEST_QUEUE = 10_000

_log = structlog.get_logger(__name__)


class _Lost(Exception):
    """The connection is lost; the text says how."""


_TROUBLES = (AMQPError, OSError, RuntimeError, _Lost)


class EventBroker:
    """Sends every session's events at least once, in order, when RabbitMQ is there; fits `SessionObserver`.

    Each instance hears of devices by a queue of its own, since each has to know. The queue is durable, and neither
    exclusive nor deleted with its consumer: what happens to devices while an instance restarts, or cannot be reached,
    is heard afterwards. It is bounded, and RabbitMQ drops it an hour after its instance went for good.

    What is heard is believed: who may publish to `EXCHANGE` decides which addresses are connected to by adb, and what
    the devices there are called. RabbitMQ's topic permissions keep others from it.
    """

    def __init__(
        self, url: str, instance: Instance, on_device: Callable[[DeviceEvent], None], *, limit: int = LIMIT
    ) -> None:
        """`on_device` is told of every device that starts, stops or is deleted, some of them twice.

        Of events that wait to be sent, `limit` are kept.
        """
        self.name = "rabbitmq"
        self.published = 0
        """Events that RabbitMQ has taken."""
        self._url = url
        self._instance = instance
        self._on_device = on_device
        self._known = KnownState(self.name)
        self._events = EventBuffer(limit)
        self._drops: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._is_closing = False

    @property
    def state(self) -> DependencyState:
        return self._known.state

    @property
    def waiting(self) -> int:
        """Events that RabbitMQ has not confirmed yet."""
        return len(self._events)

    @property
    def drops(self) -> Counter[str]:
        """What was given up, by reason: events of ours, and messages of others that nobody can read."""
        return self._events.drops + self._drops

    def session_opened(self, record: SessionRecord) -> None:
        """Tell of it, as soon as that is possible."""
        self.publish(session_created(record, self._instance.service_name))

    def session_ended(self, record: SessionRecord) -> None:
        """Tell of it, as soon as that is possible."""
        self.publish(session_over(record, self._instance.service_name))

    def publish(self, event: Event) -> None:
        """Have the event sent. Neither waits nor raises."""
        self._events.add(event)
        self._changed.set()

    @property
    def counts(self) -> Mapping[str, int]:
        return {"published": self.published}

    async def run(self) -> None:
        """Stay connected, send and listen. Never ends."""
        # It has a line, or a traceback, for each of a hundred attempts; ours says it once.
        logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)
        await keep_connected(self._stay_connected, self._failed, _TROUBLES)

    async def aclose(self) -> None:
        """Send what waits, if that can be done within a few seconds; `run` must go on meanwhile.

        Nothing is heard of devices any more: RabbitMQ keeps what comes for the next start.
        """
        self._is_closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_TIMEOUT):
                while self._events:
                    self._changed.clear()
                    await self._changed.wait()
        if count := self._events.give_up(UNSENT):
            _log.warning("events were not sent", events=count, reason=self.state.reason)

    def _failed(self, error: BaseException) -> None:
        self._known.ill(self._reason(error))

    async def _stay_connected(self) -> None:
        async with asyncio.timeout(_PATIENCE):
            connection = await aio_pika.connect(
                self._url,
                heartbeat=_HEARTBEAT,
                client_properties={"connection_name": self._instance.instance_id},
            )
        try:
            async with asyncio.timeout(_PATIENCE):
                channel = await connection.channel()
                exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
                queue_name = await self._listen(channel)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_probe(channel, queue_name))
                    group.create_task(self._send(exchange))
                    # In the block itself: one that has only its tasks to wait for stays marked as cancelled when one of
                    # them fails, before Python 3.13 (github.com/python/cpython/issues/116720).
                    await _watch(connection, channel)
            except ExceptionGroup as errors:
                error = _first(errors)
                if not self._known.is_healthy or not isinstance(error, _TROUBLES):
                    raise error from None
                self._failed(error)
        finally:
            self._events.put_back()
            await _close(connection)

    async def _listen(self, channel: AbstractChannel) -> str:
        await channel.set_qos(prefetch_count=_PREFETCH)
        queue = await channel.declare_queue(
            f"media-service.devices.{self._instance.instance_id}",
            durable=True,
            arguments={"x-expires": _FORGOTTEN_AFTER, "x-max-length": _LONGEST_QUEUE},
        )
        for kind in DeviceEventKind:
            await queue.bind(EXCHANGE, kind.value)
        await queue.consume(self._heard)
        return queue.name

    async def _heard(self, message: AbstractIncomingMessage) -> None:
        if self._is_closing:  # It is not acknowledged, so it comes again after the next start.
            return
        try:
            self._on_device(parse_device_event(message.routing_key or "", message.body))
        except MalformedDeviceEvent as error:
            self._drops[MALFORMED] += 1
            _log.warning("a device event cannot be read", reason=str(error), size=len(message.body))
        finally:
            with suppress(*_TROUBLES):  # It comes again when the connection is back.
                await message.ack()

    async def _send(self, exchange: AbstractExchange) -> None:
        while True:
            if batch := self._events.take(_UNDER_WAY):
                async with asyncio.timeout(_CONFIRM_TIMEOUT), asyncio.TaskGroup() as group:
                    for event in batch:
                        # The channel's lock keeps them in the order in which they begin.
                        group.create_task(self._send_one(exchange, event))
                self._changed.set()
            heed_cancellation()
            # Not before something was confirmed: a broker without memory or disk takes connections, but no messages.
            self._known.well()
            while not self._events:
                self._changed.clear()
                await self._changed.wait()

    async def _send_one(self, exchange: AbstractExchange, event: Event) -> None:
        message = aio_pika.Message(
            event.body,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=event.message_id,
            timestamp=event.timestamp,
            type=event.event_type,
            app_id=self._instance.instance_id,
        )
        await exchange.publish(message, event.event_type, mandatory=False)
        self._events.confirmed(event)
        self.published += 1

    def _reason(self, error: BaseException) -> str:
        """In words, and never with the URL: that has a password in it."""
        parts = urlsplit(self._url)
        place = f"{parts.hostname}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}"
        if isinstance(error, AuthenticationError | ProbableAuthenticationError):
            return f"{place} refuses the user or the password"
        if (
            isinstance(error, InvalidFrameError)
            and "Connection.OpenOk" in str(error)
            and "Connection.Close" in str(error)
        ):
            # aiormq 7.2 keeps RabbitMQ's own words to itself.
            return f"{place} does not open the virtual host {unquote(parts.path[1:]) or '/'!r} for this user"
        if isinstance(error, TimeoutError):
            return f"{place} does not answer within {_PATIENCE:g} s"
        if isinstance(error, AMQPError) and len(error.args) > 1 and isinstance(error.args[0], int):
            return f"{place} cannot be reached: {error.args[1]}"
        return f"{place}: {str(error) or type(error).__name__}"[:300]


async def _watch(connection: AbstractConnection, channel: AbstractChannel) -> None:
    """Raise when the connection is closed, or the channel, which is closed with it too."""
    await channel.closed()
    raise _Lost("the connection was closed" if connection.is_closed else "the channel was closed")


async def _probe(channel: AbstractChannel, queue_name: str) -> None:
    """Ask whether our queue is there and we hear from it, again and again; raise when not."""
    while True:
        await asyncio.sleep(_PROBE_INTERVAL)
        async with asyncio.timeout(_PATIENCE):
            queue = await channel.declare_queue(queue_name, passive=True)
        heed_cancellation()
        if not queue.declaration_result.consumer_count:
            raise _Lost("we were cut off from our queue")


async def _close(connection: AbstractConnection) -> None:
    with suppress(*_TROUBLES):
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await connection.close()


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error

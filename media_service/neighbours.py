"""The programs beside this one, as far as the settings ask for them: Redis, RabbitMQ, Consul."""

from collections.abc import Callable, Iterable, Sequence
from typing import Self

import structlog

from media_service.dependency import Dependency
from media_service.integrations import (
    ConsulRegistration,
    DeviceEvent,
    EventBroker,
    Instance,
    RedisAddress,
    RedisRegistry,
)
from media_service.ownership import Ownership
from media_service.session_record import SessionObserver, SessionRecord
from media_service.settings import Settings
from media_service.tasks import Tasks

_log = structlog.get_logger(__name__)


class Neighbours:
    """Tells them of sessions, and hears of devices."""

    def __init__(
        self, events: EventBroker | None, registry: RedisRegistry | None, consul: ConsulRegistration | None
    ) -> None:
        self.events = events
        self.registry = registry
        self._consul = consul

    @classmethod
    def of(cls, settings: Settings, instance: Instance, on_device: Callable[[DeviceEvent], None]) -> Self:
        """Those that the settings ask for; `on_device` is told what the platform announces."""
        events = registry = consul = None
        if settings.rabbitmq_enabled:
            events = EventBroker(settings.rabbitmq_url.get_secret_value(), instance, on_device)
        if settings.redis_enabled:
            password = settings.redis_password.get_secret_value() if settings.redis_password is not None else None
            address = RedisAddress(settings.redis_host, settings.redis_port, settings.redis_db, password)
            registry = RedisRegistry(address, instance)
        if settings.consul_enabled:
            consul = ConsulRegistration(
                settings.consul_host,
                settings.consul_port,
                instance,
                check_interval=settings.consul_health_check_interval,
            )
        return cls(events, registry, consul)

    @property
    def observers(self) -> Sequence[SessionObserver]:
        """Who is to be told of sessions."""
        return [each for each in (self.events, self.registry) if each is not None]

    @property
    def dependencies(self) -> Sequence[Dependency]:
        """Whose health is to be told."""
        return [each for each in (self.registry, self.events, self._consul) if each is not None]

    @property
    def ownership(self) -> Ownership | None:
        """Who knows which devices are ours; without Redis all are."""
        return self.registry

    def meet(self, tasks: Tasks, records: Callable[[], Iterable[SessionRecord]]) -> None:
        """Begin to speak to them; `records` gives the sessions as they are."""
        if self.registry is not None:
            self.registry.records = records
            tasks.keep(self.registry.run, "Redis")
        if self.events is not None:
            tasks.keep(self.events.run, "RabbitMQ")

    def announce(self, tasks: Tasks) -> None:
        """Have others find us: we answer now."""
        if self._consul is not None:
            tasks.keep(self._consul.run, "Consul")

    async def leave(self) -> None:
        """Have others not find us any more. Idempotent."""
        if self._consul is not None:
            await self._consul.aclose()

    async def aclose(self) -> None:
        """Say what is still to be said; sessions have ended."""
        await self.leave()  # Ctrl-C and a second SIGTERM come here without.
        if self.events is not None:
            await self.events.aclose()
        if self.registry is not None:
            await self.registry.aclose()

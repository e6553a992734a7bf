"""What the service tells other programs and hears from them. Each may be absent; none is on the way of a picture.

`Instance` says who we are to them. `RedisRegistry` writes down our sessions and which devices are ours, `EventBroker`
sends events by RabbitMQ and hears of devices, `ConsulRegistration` keeps us registered. Each has a `run()` that never
ends and reconnects by itself, a `state` that says how it goes, and an `aclose()` that says goodbye.
"""

from media_service.integrations.consul_agent import ConsulRegistration
from media_service.integrations.device_events import DeviceEvent, DeviceEventKind
from media_service.integrations.instance import Instance
from media_service.integrations.rabbitmq import EventBroker
from media_service.integrations.redis_address import RedisAddress
from media_service.integrations.redis_registry import RedisRegistry
from media_service.integrations.service_host import reachable_host

__all__ = [
    "ConsulRegistration",
    "DeviceEvent",
    "DeviceEventKind",
    "EventBroker",
    "Instance",
    "RedisAddress",
    "RedisRegistry",
    "reachable_host",
]

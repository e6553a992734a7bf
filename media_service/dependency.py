"""A program beside this one that is used when it is there: a broker, a registry, the adb server, a container engine."""

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class DependencyStatus(StrEnum):
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DISABLED = "disabled"
    """The settings do not ask for it."""


@dataclass(frozen=True, slots=True)
class DependencyState:
    """How it is."""

    status: DependencyStatus
    reason: str = ""
    """Why it is not healthy, in words, without passwords; empty while it is."""
    since: float = field(default_factory=time.time)
    """Seconds since 1970."""


class Dependency(Protocol):
    """Something whose state `/health/detailed` tells."""

    @property
    def name(self) -> str:
        """`redis`, `rabbitmq`, `consul`, `docker` or `adb`."""
        ...

    @property
    def state(self) -> DependencyState:
        """How it is now, as far as is known without asking: this is read on every request for health."""
        ...

"""How the service is, in the words of `/health`: its own state, and that of the programs beside it."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from pydantic import Field

from media_service.dependency import Dependency, DependencyStatus
from signaling.bodies import Body
from signaling.rfc3339 import whole_seconds

Status = Literal["healthy", "degraded"]

_WHY_DISABLED: Final = {
    "redis": "REDIS_ENABLED is false",
    "rabbitmq": "RABBITMQ_ENABLED is false",
    "consul": "CONSUL_ENABLED is false",
    "docker": "there is neither DOCKER_HOST nor a /var/run/docker.sock that may be used",
    "adb": "it is not used",
}
"""What is told of, in this order, whether it is used or not; and why it is not."""


class HealthReport(Body):
    """`GET /health`."""

    status: Status
    """`degraded` while something that the settings ask for cannot be used. Streams go on all the same."""
    draining: bool
    """Whether no new viewers are taken, since the service is about to stop."""
    timestamp: str = Field(examples=["2025-01-15T10:30:00Z"])
    """Now (RFC 3339)."""
    uptime: str = Field(examples=["2h30m15s"])
    service: str
    version: str


class DetailedHealth(HealthReport):
    """`GET /health/detailed`."""

    dependencies: dict[str, DependencyStatus]
    """`redis`, `rabbitmq`, `consul`, `docker` and `adb`."""
    reasons: dict[str, str]
    """Why one of them is not healthy."""
    since: dict[str, str]
    """Since when each of them that is used is as it is (RFC 3339)."""


class Readiness(Body):
    """`GET /readyz`."""

    status: Literal["ready", "draining"]


class Health:
    """Answers at once: nobody is asked, what is known is told. All times are seconds since 1970."""

    def __init__(
        self,
        dependencies: Sequence[Dependency],
        is_draining: Callable[[], bool],
        *,
        started_at: float,
        service: str,
        version: str,
    ) -> None:
        """What of the five is not among `dependencies` is disabled."""
        self._dependencies = dependencies
        self._is_draining = is_draining
        self._started_at = started_at
        self._service = service
        self._version = version

    @property
    def dependencies(self) -> Sequence[Dependency]:
        """What is used."""
        return self._dependencies

    @property
    def status(self) -> Status:
        return "degraded" if any(_is_missing(each) for each in self._dependencies) else "healthy"

    def readiness(self) -> Readiness:
        return Readiness(status="draining" if self._is_draining() else "ready")

    def report(self, now: float) -> HealthReport:
        return HealthReport(
            status=self.status,
            draining=self._is_draining(),
            timestamp=whole_seconds(now),
            uptime=uptime(now - self._started_at),
            service=self._service,
            version=self._version,
        )

    def detailed(self, now: float) -> DetailedHealth:
        states = {each.name: each.state for each in self._dependencies}
        statuses = dict.fromkeys(_WHY_DISABLED, DependencyStatus.DISABLED)
        statuses.update((name, state.status) for name, state in states.items())
        reasons = {name: _WHY_DISABLED[name] for name in _WHY_DISABLED if name not in states}
        reasons.update((name, state.reason) for name, state in states.items() if state.reason)
        since = {
            name: whole_seconds(state.since)
            for name, state in states.items()
            if state.status is not DependencyStatus.DISABLED
        }
        return DetailedHealth(**dict(self.report(now)), dependencies=statuses, reasons=reasons, since=since)


def _is_missing(dependency: Dependency) -> bool:
    return dependency.state.status is DependencyStatus.UNHEALTHY


def uptime(seconds: float) -> str:
    """A duration as `2h30m15s`; a clock that was put back makes it `0s`."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    parts = [(hours, "h"), (minutes, "m"), (whole % 60, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return "".join(f"{count}{unit}" for count, unit in parts)

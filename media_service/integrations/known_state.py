"""How a dependency is, as far as is known, and one line in the log when that changes."""

import structlog

from media_service.dependency import DependencyState, DependencyStatus

_log = structlog.get_logger(__name__)


class KnownState:
    """Begins as unhealthy: nothing was tried yet."""

    def __init__(self, name: str) -> None:
        self.state = DependencyState(DependencyStatus.UNHEALTHY, "it was not reached yet")
        self._name = name

    @property
    def is_healthy(self) -> bool:
        return self.state.status is DependencyStatus.HEALTHY

    def well(self) -> None:
        """It does what it is asked."""
        if not self.is_healthy:
            self.state = DependencyState(DependencyStatus.HEALTHY)
            _log.info("dependency is there", dependency=self._name)

    def ill(self, reason: str) -> None:
        """It does not, for that reason, which must hold no password."""
        if self.is_healthy:
            self.state = DependencyState(DependencyStatus.UNHEALTHY, reason)
        elif reason != self.state.reason:
            self.state = DependencyState(DependencyStatus.UNHEALTHY, reason, self.state.since)
        else:  # The same trouble again and again is one line in the log.
            return
        _log.warning("dependency cannot be used; everything else goes on", dependency=self._name, reason=reason)

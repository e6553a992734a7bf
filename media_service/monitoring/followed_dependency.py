"""A dependency that somebody else follows: what they know of its trouble, as a state."""

import time
from collections.abc import Callable

from media_service.dependency import DependencyState, DependencyStatus


class FollowedDependency:
    """The adb server as `Devices` knows it, or the Docker engine as `RedroidContainers` does.

    Fits `media_service.dependency.Dependency`.
    """

    def __init__(self, name: str, trouble: Callable[[], str], *, clock: Callable[[], float] = time.time) -> None:
        """`trouble` says why it cannot be used, and nothing while it can; `clock` gives seconds since 1970."""
        self._name = name
        self._trouble = trouble
        self._clock = clock
        self._state = self._found()

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> DependencyState:
        """How it is now. It is since the first look that found it so, a reason that changes changes no state."""
        found = self._found()
        if found.status is not self._state.status:
            self._state = found
        elif found.reason != self._state.reason:
            self._state = DependencyState(found.status, found.reason, self._state.since)
        return self._state

    def _found(self) -> DependencyState:
        reason = self._trouble()
        status = DependencyStatus.UNHEALTHY if reason else DependencyStatus.HEALTHY
        return DependencyState(status, reason, self._clock())

"""What Prometheus is told of the process, and of the programs beside it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from media_service.dependency import Dependency, DependencyStatus
from media_service.monitoring.metric_families import counter, counters, gauge, gauges
from media_service.monitoring.resource_monitor import ResourceMonitor
from media_service.monitoring.task_monitor import TaskMonitor


@runtime_checkable
class Buffered(Protocol):
    """A dependency that what is meant for it waits for."""

    @property
    def waiting(self) -> int:
        """How much that is."""
        ...


@runtime_checkable
class Lossy(Protocol):
    """A dependency that does not get everything that is meant for it."""

    @property
    def drops(self) -> Counter[str]:
        """What it did not get, by reason; never falls."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A dependency that counts what is done with it."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each was done; never falls."""
        ...


class ProcessMetrics(Collector):
    """Reads the monitors and the states of the dependencies when Prometheus asks."""

    def __init__(
        self,
        version: str,
        dependencies: Sequence[Dependency],
        resources: ResourceMonitor,
        tasks: TaskMonitor,
        crashed: Callable[[], int],
    ) -> None:
        """`crashed` says how many tasks have crashed."""
        self._version = version
        self._dependencies = dependencies
        self._resources = resources
        self._tasks = tasks
        self._crashed = crashed

    def collect(self) -> Iterator[Metric]:
        yield gauges("build_info", "The version that runs.", ("version",), {(self._version,): 1})
        yield gauge("goroutines", "asyncio tasks.", len(asyncio.all_tasks()))
        yield gauge(
            "goroutines_unaccounted",
            "asyncio tasks beyond those that sessions, streams, phones and requests account for, when last counted.",
            self._tasks.unaccounted,
        )
        yield counter(
            "tasks_crashed", "asyncio tasks that a bug ended; what is to go on was begun anew.", self._crashed()
        )
        yield gauge(
            "memory_bytes", "Memory that the service and the programs it runs hold.", self._resources.memory_bytes
        )
        yield gauge(
            "cpu_percent",
            "Percent of one core that the service and the programs it runs take.",
            self._resources.cpu_percent,
        )
        states = {each.name: each.state.status for each in self._dependencies}
        yield gauges(
            "dependency_up",
            "Whether a program beside the service that the settings ask for can be used.",
            ("dependency",),
            {
                (name,): status is DependencyStatus.HEALTHY
                for name, status in states.items()
                if status is not DependencyStatus.DISABLED
            },
        )
        yield gauges(
            "dependency_waiting",
            "What waits for a dependency.",
            ("dependency",),
            {(each.name,): each.waiting for each in self._dependencies if isinstance(each, Buffered)},
        )
        yield counters(
            "dependency_operations",
            "What was done with a dependency: events `published`, devices found in `conflict`, `registrations`.",
            ("dependency", "operation"),
            {
                (each.name, operation): count
                for each in self._dependencies
                if isinstance(each, Counting)
                for operation, count in each.counts.items()
            },
        )
        yield counters(
            "dependency_dropped",
            "What a dependency did not get, by reason.",
            ("dependency", "reason"),
            {
                (each.name, reason): count
                for each in self._dependencies
                if isinstance(each, Lossy)
                for reason, count in each.drops.items()
            },
        )

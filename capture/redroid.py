"""Phones in containers: those that run Redroid, as the Docker engine tells, with the address of their adb."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from ipaddress import ip_address

import structlog

from capture.adb.address import DEFAULT_PORT, in_url
from capture.docker_engine import Container, DockerEngine, parse_docker_host
from capture.errors import DockerUnavailable

PORT_LABEL = "media-service.adb-port"
"""Label of a container whose adbd does not listen on 5555, but on the port that this label says."""

_PAUSE = 0.05
"""Seconds from a change to a look: what happens together, as the steps of a restart, is looked at together."""
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.25, 5.0
_IMAGE = "redroid"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RedroidContainer:
    """A running container that is a phone."""

    container_id: str
    name: str
    """The container's name."""
    address: str
    """Where adb connects to: `host:port`."""


Listener = Callable[[RedroidContainer], None]


def is_redroid(container: Container, label: str | None) -> bool:
    """Whether the container has the label, `key` or `key=value`; without one, whether its image is called redroid."""
    if label is None:
        return _IMAGE in container.image.lower()
    key, separator, value = label.partition("=")
    return key in container.labels and (not separator or container.labels[key] == value)


def adb_address(container: Container, published_at: str) -> str:
    """Where the container's adb is reached; its engine publishes ports at the address `published_at`.

    That is the published port, else the container's own address, else the host's where it shares its network. Raises
    ValueError, which says why there is none.
    """
    port = _adb_port(container)
    published = [
        each for each in container.ports if each.container_port == port and _is_reachable(each.host_ip, published_at)
    ]
    published.sort(key=lambda each: ":" in each.host_ip)
    if published:
        host_ip = published[0].host_ip
        is_everywhere = not host_ip or ip_address(host_ip).is_unspecified
        return f"{published_at if is_everywhere else in_url(host_ip)}:{published[0].host_port}"
    if container.addresses:
        return f"{in_url(container.addresses[0])}:{port}"
    if container.has_host_network:
        return f"{published_at}:{port}"
    raise ValueError(f"its port {port} is not published, and it has no address in any network")


class RedroidContainers:
    """The phones among the running containers of a Docker engine."""

    def __init__(self, docker_host: str, label: str | None = None) -> None:
        """`label` as `is_redroid` takes it. Raises ValueError when `docker_host` is no address of an engine."""
        parse_docker_host(docker_host)
        self.trouble = f"{docker_host} was not asked yet"
        """Why it is not known what runs; empty while it is."""
        self._docker_host = docker_host
        self._label = label
        self._known: dict[str, RedroidContainer] = {}
        self._unusable: dict[str, str] = {}

    async def run(self, appeared: Listener, vanished: Listener) -> None:
        """Tell what appears and what vanishes; one whose address or name changes does both. Never ends.

        While the engine does not answer, nothing changes: its containers may well run on.
        """
        backoff = _FIRST_BACKOFF
        while True:
            try:
                async with DockerEngine(self._docker_host) as engine, aclosing(engine.changes()) as changes:
                    async for _ in changes:
                        await asyncio.sleep(_PAUSE)
                        self._take(await engine.containers(), engine.published_at, appeared, vanished)
                        if self.trouble:
                            self.trouble = ""
                            _log.info("the Docker engine is followed", docker_host=self._docker_host)
                        backoff = _FIRST_BACKOFF
            except DockerUnavailable as error:
                if self.trouble != str(error):
                    self.trouble = str(error)
                    _log.warning("the Docker engine's containers are not known", reason=self.trouble)
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF)

    def _take(self, containers: Iterable[Container], published_at: str, appeared: Listener, vanished: Listener) -> None:
        previous, self._known = self._known, {}
        unusable: dict[str, str] = {}
        for container in containers:
            if not is_redroid(container, self._label):
                continue
            try:
                address = adb_address(container, published_at)
            except ValueError as error:
                unusable[container.container_id] = str(error)
                if self._unusable.get(container.container_id) != str(error):
                    _log.warning("a phone's container cannot be reached", container=container.name, reason=str(error))
            else:
                found = RedroidContainer(container.container_id, container.name, address)
                self._known[container.container_id] = found
        self._unusable = unusable
        # The old ones first: a new one may have the address of an old one.
        for gone in previous.keys() - self._known.keys():
            vanished(previous[gone])
        changed = [each for each in self._known.values() if previous.get(each.container_id) != each]
        for each in changed:
            if each.container_id in previous:
                vanished(previous[each.container_id])
        for each in changed:
            appeared(each)


def _adb_port(container: Container) -> int:
    text = container.labels.get(PORT_LABEL, str(DEFAULT_PORT))
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ValueError(f"its label {PORT_LABEL}={text[:80]!r} is not a port from 1 to 65535")
    return int(text)


def _is_reachable(host_ip: str, published_at: str) -> bool:
    """A port that another host publishes to itself alone cannot be reached from here."""
    return not host_ip or not ip_address(host_ip).is_loopback or published_at in ("127.0.0.1", "[::1]", "localhost")

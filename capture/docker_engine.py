"""What a Docker engine is asked: which containers run, and when that may have changed.

Source: the Docker Engine API reference (docs.docker.com/reference/api/engine), which Podman speaks too.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Annotated, Any, Self
from urllib.parse import quote

import aiohttp
import structlog
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from capture.errors import DockerUnavailable

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer; a thousand containers take about two million."""

_SETTLED = 0.5
"""Seconds after an event when everything that belongs to it has happened."""
_API_VERSION = (1, 44)
"""The oldest that today's engines speak. What is read here has been the same since 1.25."""
_EVENTS = {
    "type": ["container", "network"],
    "event": "start die stop destroy rename pause unpause connect disconnect".split(),
}
_ANY = TypeAdapter(Any)
_IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}")

_log = structlog.get_logger(__name__)

PortNumber = Annotated[int, Field(ge=0, le=65535)]


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A TCP port of a container that its host forwards."""

    container_port: int
    host_port: int
    host_ip: str
    """The host's address that it is forwarded from; `0.0.0.0`, `::` or nothing for all of them."""


@dataclass(frozen=True, slots=True)
class Container:
    """A running container."""

    container_id: str
    name: str
    image: str
    """The image's name that the container was made with."""
    labels: Mapping[str, str]
    has_host_network: bool
    ports: tuple[PublishedPort, ...]
    addresses: tuple[str, ...]
    """Its own IP addresses, IPv4 first."""


def parse_docker_host(docker_host: str) -> tuple[str | None, str, str]:
    """The socket's path for `unix:///path`, the URL to ask, and the address at which its ports are published.

    `tcp://host:port` and `http://host:port` have no path. Raises ValueError for anything else.
    """
    if match := re.fullmatch(r"unix://(/.+)", docker_host):
        return match[1], "http://docker", "127.0.0.1"
    if match := re.fullmatch(r"(?:tcp|http)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})/?", docker_host):
        return None, f"http://{match[1]}:{match[2]}", match[1]
    raise ValueError(f"{docker_host!r} is not the address of a Docker engine: unix:///PATH or tcp://HOST:PORT is")


class DockerEngine:
    """The engine at `docker_host`, for the duration of the `async with` block.

    Every method raises `DockerUnavailable` when none answers, or what answers makes no sense.
    """

    def __init__(self, docker_host: str, *, answer_timeout: float = 10.0, longest_quiet: float = 30.0) -> None:
        """Without events, `changes` yields after `longest_quiet` seconds.

        Raises ValueError when `docker_host` is no address of an engine.
        """
        self.docker_host = docker_host
        self._answer_timeout = answer_timeout
        self._longest_quiet = longest_quiet
        self._socket_path, self._url, self.published_at = parse_docker_host(docker_host)
        self._session: aiohttp.ClientSession | None = None
        self._prefix = ""
        self._image_names: dict[str, str] = {}
        self._complaint = ""

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector(self._socket_path) if self._socket_path is not None else None
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        try:
            self._prefix = f"/v{self._choose_version(await self._get('/version'))}"
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def containers(self) -> tuple[Container, ...]:
        """The containers that run and are not paused. One that cannot be understood is left out, and logged once."""
        answer = await self._get(f"{self._prefix}/containers/json", {"status": ["running"]})
        if not isinstance(answer, list):
            raise DockerUnavailable(f"{self.docker_host} answered with {type(answer).__name__} instead of a list")
        containers = [container for entry in answer if (container := await self._read(entry)) is not None]
        listed = {container.container_id for container in containers}
        self._image_names = {key: name for key, name in self._image_names.items() if key in listed}
        return tuple(containers)

    async def changes(self) -> AsyncGenerator[None]:
        """Yields now, after every event that can change the containers, and now and then when there is none.

        Whoever looks at the containers each time misses no change. Never ends; whoever stops early closes it
        (`contextlib.aclosing`).
        """
        quiet = _SETTLED
        async with self._request(f"{self._prefix}/events", _EVENTS) as response:
            while True:
                yield
                try:
                    async with asyncio.timeout(min(quiet, self._longest_quiet)):
                        if not await response.content.readany():
                            raise DockerUnavailable(f"{self.docker_host} has ended its stream of events")
                    # The engine tells of some changes a moment before its list has them.
                    quiet = _SETTLED
                except TimeoutError:
                    # Whoever looks now sees whether the engine still answers.
                    quiet = self._longest_quiet
                except (aiohttp.ClientError, OSError) as error:
                    raise self._unavailable(error) from error

    def _choose_version(self, answer: object) -> str:
        try:
            version = _Version.model_validate(answer)
            newest, oldest = _numbers(version.newest), _numbers(version.oldest)
        except ValidationError as error:
            raise DockerUnavailable(f"{self.docker_host} does not say which API it speaks: {_said(error)}") from error
        return ".".join(map(str, max(min(_API_VERSION, newest), oldest)))

    async def _read(self, entry: object) -> Container | None:
        try:
            container = _ListedContainer.model_validate(entry).container()
        except ValidationError as error:
            reason = _said(error)
            if reason != self._complaint:
                self._complaint = reason
                _log.warning("a container cannot be understood", docker_host=self.docker_host, reason=reason)
            return None
        if not _IMAGE_ID.fullmatch(container.image):
            return container
        # The list gives an id where the name has gone to a newer image meanwhile, as after `docker pull`.
        name = self._image_names.get(container.container_id)
        if name is None:
            name = await self._image_name(container)
            self._image_names[container.container_id] = name
        return Container(
            container.container_id,
            container.name,
            name,
            container.labels,
            container.has_host_network,
            container.ports,
            container.addresses,
        )

    async def _image_name(self, container: Container) -> str:
        try:
            answer = await self._get(f"{self._prefix}/containers/{quote(container.container_id, safe='')}/json")
            return _Inspected.model_validate(answer).config.image
        except (DockerUnavailable, ValidationError):
            return container.image  # It is gone by now, or its image has no other name.

    async def _get(self, path: str, filters: Mapping[str, list[str]] | None = None) -> object:
        """The JSON value that the engine answers with."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._answer_timeout), self._request(path, filters) as response:
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > LARGEST_ANSWER:
                        raise DockerUnavailable(
                            f"{self.docker_host} answers with more than {LARGEST_ANSWER} bytes, the most that is read"
                        )
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable(error) from error
        try:
            return _ANY.validate_json(bytes(body))
        except ValidationError as error:
            raise DockerUnavailable(f"{self.docker_host} answered what is not JSON: {bytes(body[:80])!r}") from error

    @asynccontextmanager
    async def _request(
        self, path: str, filters: Mapping[str, list[str]] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer whose body is still to be read."""
        if self._session is None:
            raise RuntimeError("the engine is asked outside of its async with block")
        request = self._session.get(
            self._url + path,
            params={"filters": json.dumps(filters)} if filters else {},
            timeout=aiohttp.ClientTimeout(total=None),
            allow_redirects=False,
        )
        try:
            async with asyncio.timeout(self._answer_timeout):
                response = await request
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable(error) from error
        async with response:
            if response.status != 200:
                raise await self._refused(path, response)
            yield response

    async def _refused(self, path: str, response: aiohttp.ClientResponse) -> DockerUnavailable:
        try:
            async with asyncio.timeout(self._answer_timeout):
                said = (await response.content.read(300)).decode(errors="replace").strip()
        except (aiohttp.ClientError, OSError):
            said = ""
        return DockerUnavailable(f"{self.docker_host} refuses {path} with {response.status}: {said!r}")

    def _unavailable(self, error: Exception) -> DockerUnavailable:
        match error:
            case TimeoutError():
                return DockerUnavailable(f"{self.docker_host} does not answer within {self._answer_timeout:g} s")
            case aiohttp.ClientConnectorError():
                reason = error.os_error.strerror or str(error)
                return DockerUnavailable(f"no Docker engine at {self.docker_host}: {reason}")
            case _:
                return DockerUnavailable(f"{self.docker_host} broke off: {str(error) or type(error).__name__}")


class _Version(BaseModel):
    newest: str = Field(alias="ApiVersion", pattern=r"^\d{1,3}\.\d{1,3}$")
    oldest: str = Field(alias="MinAPIVersion", pattern=r"^\d{1,3}\.\d{1,3}$", default="1.12")


class _ListedPort(BaseModel):
    ip: str = Field(alias="IP", default="")
    container_port: PortNumber = Field(alias="PrivatePort")
    host_port: PortNumber = Field(alias="PublicPort", default=0)
    kind: str = Field(alias="Type", default="tcp")


class _ListedNetwork(BaseModel):
    ipv4: str | None = Field(alias="IPAddress", default=None)
    ipv6: str | None = Field(alias="GlobalIPv6Address", default=None)


class _Networks(BaseModel):
    networks: dict[str, _ListedNetwork | None] | None = Field(alias="Networks", default=None)


class _HostConfig(BaseModel):
    network_mode: str | None = Field(alias="NetworkMode", default=None)


class _ListedContainer(BaseModel):
    """An entry of `GET /containers/json`; Go writes empty lists and maps as null."""

    container_id: str = Field(alias="Id", pattern=r"^[0-9A-Za-z]{1,128}$")
    names: list[str] | None = Field(alias="Names", default=None)
    image: str = Field(alias="Image", default="")
    labels: dict[str, str] | None = Field(alias="Labels", default=None)
    ports: list[_ListedPort] | None = Field(alias="Ports", default=None)
    host_config: _HostConfig | None = Field(alias="HostConfig", default=None)
    networks: _Networks | None = Field(alias="NetworkSettings", default=None)

    def container(self) -> Container:
        networks = [network for network in (self._networks() or {}).values() if network is not None]
        addresses = [network.ipv4 for network in networks] + [network.ipv6 for network in networks]
        return Container(
            container_id=self.container_id,
            name=self._name(),
            image=self.image,
            labels=self.labels or {},
            has_host_network=self.host_config is not None and self.host_config.network_mode == "host",
            ports=tuple(
                PublishedPort(port.container_port, port.host_port, port.ip)
                for port in self.ports or ()
                if port.kind == "tcp" and port.host_port and (not port.ip or _is_ip(port.ip))
            ),
            addresses=tuple(address for address in addresses if address and _is_ip(address)),
        )

    def _networks(self) -> dict[str, _ListedNetwork | None] | None:
        return self.networks.networks if self.networks is not None else None

    def _name(self) -> str:
        """Its own name, without the slash; those with another slash are what linked containers call it."""
        own = [name[1:] for name in self.names or () if re.fullmatch(r"/[A-Za-z0-9][A-Za-z0-9_.-]*", name)]
        return own[0] if own else self.container_id[:12]


class _Config(BaseModel):
    image: str = Field(alias="Image")


class _Inspected(BaseModel):
    config: _Config = Field(alias="Config")


def _numbers(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _said(error: ValidationError) -> str:
    """Where and what, in one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']} (got {first['input']!r:.80})"

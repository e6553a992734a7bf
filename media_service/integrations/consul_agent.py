"""Registration with the Consul agent of this machine."""

import asyncio
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from consul import Check, ConsulException  # type: ignore[import-untyped]
from consul.aio import Consul  # type: ignore[import-untyped]

from capture.adb.address import in_url
from media_service.dependency import DependencyState
from media_service.integrations.instance import Instance
from media_service.integrations.known_state import KnownState
from media_service.integrations.reconnection import heed_cancellation, keep_connected

TAGS = ("cloudphone", "media", "webrtc", "v1", "prometheus")
DEREGISTER_AFTER = "3m"

_PATIENCE = 2.5
"""Seconds that the agent has for one answer."""
_LOOK_INTERVAL = 2.0
_CHECK_TIMEOUT = "5s"

_TROUBLES = (ConsulException, aiohttp.ClientError, OSError)


class ConsulRegistration:
    """Keeps the service registered: at the start, when the agent has forgotten it, and when the agent is back."""

    def __init__(self, agent_host: str, agent_port: int, instance: Instance, *, check_interval: float) -> None:
        """The agent is to ask the instance's `/health` every `check_interval` seconds."""
        self.name = "consul"
        self.registrations = 0
        """How often we registered."""
        self._agent = (agent_host, agent_port)
        self._instance = instance
        self._check = Check.http(
            f"http://{instance.address}/health",
            interval=f"{check_interval:g}s",
            timeout=_CHECK_TIMEOUT,
            deregister=DEREGISTER_AFTER,
        )
        self._known = KnownState(self.name)
        self._is_closing = asyncio.Event()
        self._has_left = asyncio.Event()

    @property
    def state(self) -> DependencyState:
        return self._known.state

    @property
    def counts(self) -> Mapping[str, int]:
        return {"registrations": self.registrations}

    async def run(self) -> None:
        """Stay registered. Never ends."""
        await keep_connected(self._stay_registered, self._failed, _TROUBLES)

    async def aclose(self) -> None:
        """Deregister, if the agent can be asked; soon returns in any case. `run` must go on meanwhile."""
        self._is_closing.set()
        if self._known.is_healthy:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._has_left.wait()

    def _failed(self, error: BaseException) -> None:
        host, port = self._agent
        if isinstance(error, TimeoutError):
            self._known.ill(f"{host}:{port} does not answer within {_PATIENCE:g} s")
        else:
            self._known.ill(f"{host}:{port}: {str(error) or type(error).__name__}"[:300])

    async def _stay_registered(self) -> None:
        client = _client(*self._agent)
        try:
            while not self._is_closing.is_set():
                await self._register(client)
                heed_cancellation()
                self._known.well()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_INTERVAL):
                        await self._is_closing.wait()
            with suppress(*_TROUBLES):
                async with asyncio.timeout(_PATIENCE):
                    await client.agent.service.deregister(self._instance.instance_id)
            self._has_left.set()
            await asyncio.Event().wait()
        except _TROUBLES as error:
            if not self._known.is_healthy:
                raise
            self._failed(error)
        finally:
            await client.close()

    async def _register(self, client: Any) -> None:
        """Have the agent know us as we are."""
        instance = self._instance
        async with asyncio.timeout(_PATIENCE):
            if self._is_ours(await client.agent.service_definition(instance.instance_id)):
                return
            is_registered = await client.agent.service.register(
                instance.service_name,
                service_id=instance.instance_id,
                address=instance.host,
                port=instance.port,
                tags=list(TAGS),
                check=self._check,
                replace_existing_checks=True,
            )
        if not is_registered:
            raise ConsulException("the agent did not take the registration")
        self.registrations += 1

    def _is_ours(self, definition: object) -> bool:
        if not isinstance(definition, Mapping):
            return False
        instance = self._instance
        said = (definition.get("Service"), definition.get("Address"), definition.get("Port"))
        return said == (instance.service_name, instance.host, instance.port) and definition.get("Tags") == list(TAGS)


def _client(host: str, port: int) -> Any:
    with warnings.catch_warnings():
        # py-consul 1.8 asks aiohttp for its connector in a way that is to go.
        warnings.filterwarnings("ignore", "verify_ssl is deprecated", DeprecationWarning)
        return Consul(in_url(host), port, scheme="http", verify=False)

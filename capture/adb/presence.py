"""Keeps the configured devices connected to the adb server."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from contextlib import aclosing

import structlog

from capture.adb.client import AdbClient
from capture.errors import AdbError

DEFAULT_PORT = 5555

_WITH_PORT = re.compile(r"(\[[^]]*\]|[^:\[\]]+):\d+")

log = structlog.get_logger(__name__)


def with_port(address: str) -> str:
    """`address` as the server lists it: with adb's default port when none is given; IPv6 in brackets (RFC 3986)."""
    if _WITH_PORT.fullmatch(address):
        return address
    host = address.strip("[]")
    return f"[{host}]:{DEFAULT_PORT}" if ":" in host else f"{host}:{DEFAULT_PORT}"


async def keep_connected(
    client: AdbClient, addresses: Iterable[str], *, first_delay: float = 0.5, longest_delay: float = 30.0
) -> None:
    """Connect to every address now and again whenever the server does not list it any more. Never ends.

    An attempt that fails is repeated after `first_delay` seconds, then after twice as long each time, up to
    `longest_delay`. A device that is listed but offline is left to the server, which reconnects it by itself.
    """
    missing = {with_port(address): asyncio.Event() for address in addresses}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watch(client, missing, first_delay))
        for address, is_missing in missing.items():
            tasks.create_task(_keep(client, address, is_missing, first_delay, longest_delay))


async def _watch(client: AdbClient, missing: Mapping[str, asyncio.Event], retry_delay: float) -> None:
    """Set the events of the addresses that the server does not list, clear those of the others."""
    while True:
        try:
            async with aclosing(client.track_devices()) as changes:
                async for devices in changes:
                    listed = {device.serial for device in devices}
                    for address, is_missing in missing.items():
                        if address in listed:
                            is_missing.clear()
                        else:
                            is_missing.set()
        except AdbError as error:
            log.warning("adb devices unknown", reason=str(error))
            await asyncio.sleep(retry_delay)


async def _keep(
    client: AdbClient, address: str, is_missing: asyncio.Event, first_delay: float, longest_delay: float
) -> None:
    delay = first_delay
    reported = ""
    while True:
        await is_missing.wait()
        try:
            await client.connect(address)
        except AdbError as error:
            if str(error) != reported:  # The same trouble again and again is one line in the log.
                reported = str(error)
                log.warning("device not connected", address=address, reason=reported)
            await asyncio.sleep(delay)
            delay = min(2 * delay, longest_delay)
        else:
            log.info("device connected", address=address)
            is_missing.clear()  # The server's next list says whether it is still there.
            reported = ""
            delay = first_delay
            await asyncio.sleep(first_delay)  # One that comes and goes is no reason to be busy.

"""Keeps the configured devices connected to the adb server."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from contextlib import aclosing, suppress

import structlog

from capture.adb.client import AdbClient
from capture.errors import AdbError, DeviceNotFound

DEFAULT_PORT = 5555

_WITH_PORT = re.compile(r"(\[[^]]*\]|[^:\[\]]+):\d+")

log = structlog.get_logger(__name__)


def with_port(address: str) -> str:
    """`address` as the server lists it: with adb's default port when none is given; IPv6 in brackets (RFC 3986)."""
    if _WITH_PORT.fullmatch(address):
        return address
    host = address.strip("[]")
    return f"[{host}]:{DEFAULT_PORT}" if ":" in host else f"{host}:{DEFAULT_PORT}"


class _Absence:
    """Whether a device is to be connected, as the server's list has it."""

    def __init__(self) -> None:
        self.noticed = asyncio.Event()
        """Set while the device is not listed, or listed as offline."""
        self.is_offline = False

    def listed(self, state: str | None) -> None:
        """Note the state that the server lists; None for not listed."""
        self.is_offline = state == "offline"
        if state is None or self.is_offline:
            self.noticed.set()
        else:
            self.noticed.clear()


async def keep_connected(
    client: AdbClient, addresses: Iterable[str], *, first_delay: float = 0.5, longest_delay: float = 2.0
) -> None:
    """Connect to every address now and again whenever the server has lost it. Never ends.

    An attempt that fails is repeated after `first_delay` seconds, then after twice as long each time, up to
    `longest_delay`. A device that stays listed as offline is dropped and connected anew: left alone, the server takes
    ten seconds and more to notice that it is back.
    """
    absences = {with_port(address): _Absence() for address in addresses}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watch(client, absences, first_delay))
        for address, absence in absences.items():
            tasks.create_task(_keep(client, address, absence, first_delay, longest_delay))


async def _watch(client: AdbClient, absences: Mapping[str, _Absence], retry_delay: float) -> None:
    """Keep `absences` as the server lists the devices."""
    while True:
        try:
            async with aclosing(client.track_devices()) as changes:
                async for devices in changes:
                    states = {device.serial: device.state for device in devices}
                    for address, absence in absences.items():
                        absence.listed(states.get(address))
        except AdbError as error:
            log.warning("adb devices unknown", reason=str(error))
            await asyncio.sleep(retry_delay)


async def _keep(client: AdbClient, address: str, absence: _Absence, first_delay: float, longest_delay: float) -> None:
    delay = first_delay
    reported = ""
    while True:
        await absence.noticed.wait()
        if absence.is_offline:
            # The server lists a device as offline for a moment while it connects, too.
            await asyncio.sleep(first_delay)
            if not absence.noticed.is_set():
                continue
        # Before the attempt: a loss that is seen during it counts.
        absence.noticed.clear()
        try:
            if absence.is_offline:
                with suppress(DeviceNotFound):
                    await client.disconnect(address)
            await client.connect(address)
        except AdbError as error:
            absence.noticed.set()
            if str(error) != reported:  # The same trouble again and again is one line in the log.
                reported = str(error)
                log.warning("device not connected", address=address, reason=reported)
            await asyncio.sleep(delay)
            delay = min(2 * delay, longest_delay)
        else:
            log.info("device connected", address=address)
            reported = ""
            delay = first_delay
            await asyncio.sleep(first_delay)  # One that comes and goes is no reason to be busy.

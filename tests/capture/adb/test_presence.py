import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from capture.adb.client import AdbClient
from capture.adb.presence import keep_connected, with_port
from tests.capture.adb.fake_server import TIMEOUT, FakeAdbServer, block, okay

ADDRESS = "10.0.0.5:5555"


@pytest.mark.parametrize(
    ("address", "listed"),
    [
        ("10.0.0.5", "10.0.0.5:5555"),
        ("10.0.0.5:5556", "10.0.0.5:5556"),
        ("phone.local", "phone.local:5555"),
        ("fe80::1", "[fe80::1]:5555"),
        ("[fe80::1]", "[fe80::1]:5555"),
        ("[fe80::1]:5556", "[fe80::1]:5556"),
    ],
)
def test_an_address_as_the_server_lists_it(address: str, listed: str) -> None:
    assert with_port(address) == listed


class FakeNetwork:
    """A fake adb server's list of devices and what it says to `connect`."""

    def __init__(self, adb: FakeAdbServer) -> None:
        self.attempts: list[str] = []
        self.refusals = 0
        self._adb = adb
        self._devices: dict[str, str] = {}
        self._changed = asyncio.Condition()
        adb.on("host:track-devices-l", self.track)
        adb.on("host:connect:", self._connect)
        adb.on("host:disconnect:", okay(b"disconnected"))

    async def lists(self, devices: dict[str, str]) -> None:
        async with self._changed:
            self._devices = devices
            self._changed.notify_all()

    async def until_attempts(self, count: int) -> None:
        async with asyncio.timeout(TIMEOUT), self._changed:
            await self._changed.wait_for(lambda: len(self.attempts) >= count)

    async def track(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"OKAY")
        async with self._changed:
            while not writer.is_closing():
                listing = "".join(f"{serial} {state}\n" for serial, state in self._devices.items())
                writer.write(block(listing.encode()))
                await self._changed.wait()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = self._adb.asked[-1].removeprefix("host:connect:")
        async with self._changed:
            self.attempts.append(address)
            if self.refusals:
                self.refusals -= 1
                writer.write(okay(f"failed to connect to {address}".encode()))
            else:
                self._devices[address] = "device"
                writer.write(okay(f"connected to {address}".encode()))
            self._changed.notify_all()


@asynccontextmanager
async def keeping(adb: FakeAdbServer, *addresses: str) -> AsyncIterator[None]:
    client = AdbClient(port=adb.port, command_timeout=5.0)
    task = asyncio.get_running_loop().create_task(
        keep_connected(client, addresses, first_delay=0.01, longest_delay=0.02)
    )
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_devices_are_connected_at_the_start(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    async with keeping(fake_adb, "10.0.0.5", "10.0.0.6:7777"):
        await network.until_attempts(2)
    assert sorted(network.attempts) == [ADDRESS, "10.0.0.6:7777"]


async def test_a_device_that_is_listed_already_is_left_alone(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    await network.lists({ADDRESS: "unauthorized"})
    async with keeping(fake_adb, ADDRESS, "10.0.0.6"):
        await network.until_attempts(1)
    assert network.attempts == ["10.0.0.6:5555"]


async def test_it_is_tried_until_it_works(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    network.refusals = 4
    async with keeping(fake_adb, ADDRESS):
        await network.until_attempts(5)


async def test_a_device_that_is_gone_is_connected_again(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    async with keeping(fake_adb, ADDRESS):
        for count in range(1, 4):
            await network.until_attempts(count)
            await network.lists({})


async def test_a_device_that_stays_offline_is_dropped_and_connected_anew(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    await network.lists({ADDRESS: "offline"})
    async with keeping(fake_adb, ADDRESS):
        await network.until_attempts(1)
        await fake_adb.until_asked(f"host:disconnect:{ADDRESS}")
    assert fake_adb.asked.index(f"host:disconnect:{ADDRESS}") < fake_adb.asked.index(f"host:connect:{ADDRESS}")


async def test_a_server_that_comes_late(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    fake_adb.on("host:track-devices-l", b"")
    async with keeping(fake_adb, ADDRESS):
        await fake_adb.until_asked("host:track-devices-l", 2)
        fake_adb.on("host:track-devices-l", network.track)
        await network.until_attempts(1)

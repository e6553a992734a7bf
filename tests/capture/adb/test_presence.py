"""Phones that stay connected, whatever happens to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from structlog.testing import capture_logs

from capture.adb.client import AdbClient
from capture.adb.presence import KeptPhones, wait_after
from capture.adb.wire import EXIT
from capture.demo_phone.farm import DemoPhone
from tests.capture.adb.connected_phone import SMALL
from tests.capture.adb.fake_server import TIMEOUT, FakeAdbServer, block, okay, packet, until_closed
from tests.waiting import until

ADDRESS = "10.0.0.5:5555"
QUICK = {"shortest_wait": 0.01, "longest_wait": 0.02}


class FakeNetwork:
    """A fake adb server's list of devices and what it says to `connect`."""

    def __init__(self, adb: FakeAdbServer) -> None:
        self.attempts: list[str] = []
        self.refusals = 0
        self.silences = 0
        """How many attempts get no answer."""
        self.state = "device"
        """In which a phone is listed once it is connected."""
        self._adb = adb
        self._devices: dict[str, str] = {}
        self._changed = asyncio.Condition()
        adb.on("host:track-devices-l", self.track)
        adb.on("host:connect:", self._connect)
        adb.on("host:disconnect:", self._disconnect)

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

    async def _disconnect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._changed:
            self._devices.pop(self._adb.asked[-1].removeprefix("host:disconnect:"), None)
            writer.write(okay(b"disconnected"))
            self._changed.notify_all()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = self._adb.asked[-1].removeprefix("host:connect:")
        async with self._changed:
            self.attempts.append(address)
            if self.silences:
                self.silences -= 1
                self._changed.notify_all()
                self._changed.release()
                try:
                    await until_closed(reader)
                finally:
                    await self._changed.acquire()
            elif self.refusals:
                self.refusals -= 1
                writer.write(okay(f"failed to connect to {address}".encode()))
            else:
                self._devices[address] = self.state
                writer.write(okay(f"connected to {address}".encode()))
            self._changed.notify_all()


@asynccontextmanager
async def keeping(adb: FakeAdbServer, *addresses: str, **options: float) -> AsyncIterator[KeptPhones]:
    client = AdbClient(port=adb.port, command_timeout=5.0)
    async with running(KeptPhones(client, **{**QUICK, **options}), *addresses) as phones:
        yield phones


@asynccontextmanager
async def running(phones: KeptPhones, *addresses: str) -> AsyncIterator[KeptPhones]:
    for address in addresses:
        phones.add(address)
    task = asyncio.get_running_loop().create_task(phones.run())
    try:
        yield phones
        assert not task.done()
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("away", "wait"), [(0.0, 0.25), (2.5, 0.25), (5.0, 0.5), (20.0, 2.0), (50.0, 5.0), (86_400.0, 5.0)]
)
def test_the_wait_follows_the_outage(away: float, wait: float) -> None:
    assert wait_after(away, 0.25, 5.0) == wait


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
    with capture_logs() as logs:
        async with keeping(fake_adb, ADDRESS) as phones:
            await network.until_attempts(2)
            assert phones.trouble(ADDRESS) == f"adb cannot connect to '{ADDRESS}': failed to connect to {ADDRESS}"
            await network.until_attempts(5)
            await until(lambda: phones.trouble(ADDRESS) == "")
    assert [log["event"] for log in logs] == ["device not connected", "device connected"]


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
    assert fake_adb.asked.index(f"host:disconnect:{ADDRESS}") < fake_adb.asked.index(f"host:connect:{ADDRESS}")


async def test_a_device_that_takes_its_time_to_connect_is_not_dropped_meanwhile(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    network.state = "offline"
    async with keeping(fake_adb, ADDRESS, answer_timeout=60.0) as phones:
        await network.until_attempts(1)
        phones.add("10.0.0.6")
        await network.until_attempts(2)
        await network.lists({ADDRESS: "device", "10.0.0.6:5555": "device"})
    assert not [asked for asked in fake_adb.asked if asked.startswith("host:disconnect:")]


async def test_an_attempt_without_an_answer_holds_up_no_other(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    network.silences = 1
    async with keeping(fake_adb, ADDRESS) as phones:
        await until(lambda: "does not answer" in phones.trouble(ADDRESS))
        await network.until_attempts(2)
        await until(lambda: phones.trouble(ADDRESS) == "")


async def test_a_server_that_comes_late(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    fake_adb.on("host:track-devices-l", b"")
    async with keeping(fake_adb, ADDRESS):
        await fake_adb.until_asked("host:track-devices-l", 2)
        assert network.attempts == [], "nobody knows whether it is connected"
        fake_adb.on("host:track-devices-l", network.track)
        await network.until_attempts(1)


async def test_phones_may_be_added_and_removed_at_any_time(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    await network.lists({"10.0.0.9:5555": "device"})
    async with keeping(fake_adb, "10.0.0.5") as phones:
        await network.until_attempts(1)
        assert phones.add("10.0.0.6") == "10.0.0.6:5555"
        await network.until_attempts(2)
        phones.remove("10.0.0.5:5555")
        await fake_adb.until_asked(f"host:disconnect:{ADDRESS}")
        phones.remove("10.0.0.9")
        phones.add("10.0.0.9")
        phones.remove("10.0.0.6")
        await fake_adb.until_asked("host:disconnect:10.0.0.6:5555")
        phones.add("10.0.0.5")
        await network.until_attempts(3)
    assert network.attempts == [ADDRESS, "10.0.0.6:5555", ADDRESS]
    disconnected = [asked for asked in fake_adb.asked if asked.startswith("host:disconnect:")]
    assert disconnected == [f"host:disconnect:{ADDRESS}", "host:disconnect:10.0.0.6:5555"]


async def test_a_phone_that_is_added_twice_stays_until_it_is_removed_twice(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    async with keeping(fake_adb, "10.0.0.5", ADDRESS) as phones:
        await network.until_attempts(1)
        phones.remove(ADDRESS)
        await network.lists({})
        await network.until_attempts(2)
        assert f"host:disconnect:{ADDRESS}" not in fake_adb.asked
        phones.remove(ADDRESS)
        await fake_adb.until_asked(f"host:disconnect:{ADDRESS}")
        phones.remove(ADDRESS)


async def test_a_phone_that_is_removed_while_it_is_away_is_not_tried_any_more(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    network.refusals = 1_000_000
    async with keeping(fake_adb, ADDRESS) as phones:
        await network.until_attempts(1)
        phones.remove(ADDRESS)
        await fake_adb.until_asked(f"host:disconnect:{ADDRESS}")
        tried = len(network.attempts)
        phones.add("10.0.0.6")
        await until(lambda: network.attempts.count("10.0.0.6:5555") >= 3)
    assert network.attempts[:tried] == [ADDRESS] * tried
    assert ADDRESS not in network.attempts[tried:]


async def test_a_phone_that_is_doubted_without_need_stays_connected(fake_adb: FakeAdbServer) -> None:
    network = FakeNetwork(fake_adb)
    await network.lists({ADDRESS: "device"})
    fake_adb.on("host-serial", okay(b"shell_v2"))
    fake_adb.on("shell", b"OKAY" + packet(EXIT, b"\0"))
    async with keeping(fake_adb, ADDRESS) as phones:
        phones.doubt("10.0.0.9:5555")
        phones.doubt(ADDRESS)
        await until(lambda: any(asked.startswith("shell") for asked in fake_adb.asked))
        phones.add("10.0.0.6")
        await network.until_attempts(1)
    assert network.attempts == ["10.0.0.6:5555"]


@pytest.mark.adb
async def test_a_phone_that_loses_its_network(adb_client: AdbClient) -> None:
    async with DemoPhone(SMALL) as phone, running(KeptPhones(adb_client, **QUICK), phone.address) as phones:
        await until_state(adb_client, phone.address, "device")
        await phone.go_offline()
        await until(lambda: "refused" in phones.trouble(phone.address))
        await phone.come_online()
        await until_state(adb_client, phone.address, "device")
        phones.remove(phone.address)
        await until_state(adb_client, phone.address, "")


@pytest.mark.adb
async def test_a_phone_that_is_disconnected_by_others(adb_client: AdbClient) -> None:
    async with DemoPhone(SMALL) as phone, running(KeptPhones(adb_client, **QUICK), phone.address) as phones:
        for _ in range(3):
            await until_state(adb_client, phone.address, "device")
            await adb_client.disconnect(phone.address)
        await until_state(adb_client, phone.address, "device")
        phones.remove(phone.address)
        await until_state(adb_client, phone.address, "")


@pytest.mark.adb
async def test_a_phone_that_hangs_is_connected_anew(adb_client: AdbClient) -> None:
    kept = KeptPhones(adb_client, shortest_wait=0.02, longest_wait=0.1, answer_timeout=0.2)
    async with DemoPhone(SMALL) as phone, running(kept, phone.address) as phones:
        await until_state(adb_client, phone.address, "device")
        phone.faults.hangs = True
        phones.doubt(phone.address)
        await until(lambda: phones.trouble(phone.address))
        phone.faults.hangs = False
        await until_state(adb_client, phone.address, "device")
        phones.remove(phone.address)
        await until_state(adb_client, phone.address, "")


@pytest.mark.adb
async def test_a_phone_that_trusts_nobody_yet_stays_and_is_said(adb_client: AdbClient) -> None:
    async with DemoPhone(SMALL) as phone:
        phone.faults.unauthorized = True
        with capture_logs() as logs:
            async with running(KeptPhones(adb_client, **QUICK), phone.address) as phones:
                await until_state(adb_client, phone.address, "unauthorized")
                await until(lambda: [log for log in logs if log["event"] == "device connected"])
                phone.authorize()
                await until_state(adb_client, phone.address, "device")
                phones.remove(phone.address)
                await until_state(adb_client, phone.address, "")
                await until(lambda: logs[-1]["event"] == "device let go")
    said = [(log["event"], log.get("state")) for log in logs]
    assert said == [("device not connected", None), ("device connected", "unauthorized"), ("device let go", None)]
    assert "accept its key on the phone's screen" in logs[0]["reason"]


async def until_state(client: AdbClient, serial: str, state: str) -> None:
    """Wait until the server lists the phone in this state, "" for not at all."""
    async with asyncio.timeout(TIMEOUT), aclosing(client.track_devices()) as changes:
        async for devices in changes:
            if next((each.state for each in devices if each.serial == serial), "") == state:
                return

"""The client, the real adb server and the demo phone together."""

import asyncio
from contextlib import aclosing

import pytest

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.adb.screen import read_screen_size
from capture.demo_phone.phone import PhoneSpec
from capture.errors import AdbError, AdbTimeout, CommandFailed, DeviceNotFound, DeviceOffline
from capture.input_events import VideoSize
from tests.capture.adb.connected_phone import SMALL, connected_phone
from tests.fixtures.adb import free_port
from tests.waiting import until

pytestmark = pytest.mark.adb

TIMEOUT = 20.0


async def until_state(client: AdbClient, serial: str, *states: str) -> None:
    """Wait until the server lists the device in one of these states; "" is not at all."""
    async with asyncio.timeout(TIMEOUT), aclosing(client.track_devices()) as changes:
        async for devices in changes:
            if {device.serial: device.state for device in devices}.get(serial, "") in states:
                return


async def test_a_phone_is_listed_with_its_model(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client, PhoneSpec(model="Demo Phone")) as phone:
        (device,) = [device for device in await adb_client.devices() if device.serial == phone.address]
        assert device.is_ready
        assert (device.model, device.product) == ("Demo_Phone", "demo_phone")
        assert device.transport_id is not None


async def test_every_change_is_pushed(adb_client: AdbClient) -> None:
    async with aclosing(adb_client.track_devices()) as changes:
        assert all(device.serial for device in await anext(changes))
        async with connected_phone(adb_client) as phone:
            await until_state(adb_client, phone.address, "device")
            serial = phone.address
        seen = []
        async with asyncio.timeout(TIMEOUT):
            async for devices in changes:
                states = {device.serial: device.state for device in devices}
                seen.append(states.get(serial, ""))
                if "device" in seen and not seen[-1]:
                    break
        assert seen.index("device") < len(seen) - 1


async def test_connecting_again_changes_nothing(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        await adb_client.connect(phone.address)


async def test_an_address_where_nobody_listens(adb_client: AdbClient) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(DeviceOffline, match=f"adb cannot connect to '{address}'.*Connection refused"):
        await adb_client.connect(address)


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "127.0.0.1:port"])
async def test_what_is_no_address(adb_client: AdbClient, address: str) -> None:
    with pytest.raises(DeviceNotFound, match=address):
        await adb_client.connect(address)


async def test_a_serial_that_nobody_knows(adb_client: AdbClient) -> None:
    for request in (
        adb_client.shell("nobody", command_line(["true"])),
        adb_client.exec("nobody", command_line(["true"])),
        adb_client.push("nobody", b"", "/data/x"),
        adb_client.features("nobody"),
    ):
        with pytest.raises(DeviceNotFound, match="device 'nobody' not found"):
            await request
    with pytest.raises(DeviceNotFound, match="nobody"):
        await adb_client.disconnect("nobody")


async def test_a_phone_that_was_not_allowed_yet(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        await adb_client.disconnect(phone.address)
        phone.faults.unauthorized = True
        with pytest.raises(DeviceOffline, match="accept its key on the phone"):
            await adb_client.connect(phone.address)
        with pytest.raises(DeviceOffline, match="accept its key on the phone"):
            await adb_client.shell(phone.address, command_line(["true"]))
        phone.authorize()
        await until_state(adb_client, phone.address, "device")
        await adb_client.shell(phone.address, command_line(["echo"]), check=True)


async def test_exit_codes_and_both_outputs(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        result = await adb_client.shell(phone.address, command_line(["echo", "a b", "$HOME;"]))
        assert (result.stdout, result.stderr, result.exit_code) == ("a b $HOME;\n", "", 0)
        result = await adb_client.shell(phone.address, command_line(["nonsense"]))
        assert result.exit_code == 127
        assert "nonsense: inaccessible or not found" in result.stderr
        with pytest.raises(CommandFailed, match=r"'nonsense' ended with exit code 127: .*inaccessible"):
            await adb_client.shell(phone.address, command_line(["nonsense"]), check=True)
        assert await read_screen_size(adb_client, phone.address) == VideoSize(SMALL.width, SMALL.height)


async def test_a_raw_stream(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        stream = await adb_client.exec(phone.address, command_line(["screencap", "-p"]))
        picture = b""
        async with asyncio.timeout(TIMEOUT):
            while data := await stream.read():
                picture += data
        await stream.aclose()
        assert picture.startswith(b"\x89PNG\r\n")
        assert picture.endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize("size", [0, 1, 65_536, 300_001])
async def test_a_pushed_file_is_there(adb_client: AdbClient, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    async with connected_phone(adb_client) as phone:
        await adb_client.push(phone.address, content[:size], "/data/local/tmp/a file")
        stream = await adb_client.exec(phone.address, command_line(["cat", "/data/local/tmp/a file"]))
        pulled = b""
        async with asyncio.timeout(TIMEOUT):
            while data := await stream.read():
                pulled += data
        await stream.aclose()
        assert pulled == content[:size]


async def test_a_place_that_cannot_be_written(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        with pytest.raises(AdbError, match=r"cannot write '/sdcard/Movies': .*Is a directory"):
            await adb_client.push(phone.address, bytes(200_000), "/sdcard/Movies")


async def test_a_command_that_hangs(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        with pytest.raises(AdbTimeout, match=f"'sleep 3600' on device '{phone.address}' within 0\\.2 s"):
            await adb_client.shell(phone.address, command_line(["sleep", "3600"]), timeout=0.2)
        await until(lambda: not phone.processes.named("sleep"))


async def test_a_phone_that_loses_its_network(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        sleeping = asyncio.get_running_loop().create_task(
            adb_client.shell(phone.address, command_line(["sleep", "3600"]))
        )
        await until(lambda: phone.processes.named("sleep"))
        await phone.go_offline()
        async with asyncio.timeout(TIMEOUT):
            with pytest.raises(DeviceOffline, match=f"'{phone.address}' went away while it ran 'sleep 3600'"):
                await sleeping
        await until_state(adb_client, phone.address, "offline", "")
        with pytest.raises((DeviceOffline, DeviceNotFound), match=phone.address):
            await adb_client.shell(phone.address, command_line(["true"]))

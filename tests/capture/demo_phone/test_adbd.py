"""adbd against hosts that do what the real adb does not."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.demo_phone.adb_stream import AdbStream
from capture.demo_phone.adb_wire import VERSION_WITH_CHECKSUM, VERSION_WITHOUT_CHECKSUM, Authentication, Command
from capture.demo_phone.farm import DemoPhone, demo_phones
from capture.demo_phone.phone import PhoneSpec
from tests.capture.demo_phone.host import TIMEOUT, Host, host
from tests.capture.demo_phone.pictures import read_strips
from tests.fixtures.adb import free_port

small = pytest.mark.parametrize("demo_phone", [PhoneSpec(width=240, height=320)], indirect=True)
pytestmark = small


async def echo(stream: AdbStream) -> None:
    while data := await stream.read():
        await stream.write(data)


async def until_no_recorder_is_left(phone: DemoPhone) -> None:
    async with asyncio.timeout(TIMEOUT):
        while phone.recorders:
            await asyncio.sleep(0.001)


async def test_the_banner(demo_phone: DemoPhone) -> None:
    async with host(demo_phone.port) as adb:
        answer = await adb.connect()
    assert (answer.command, answer.argument0, answer.argument1) == (Command.CNXN, VERSION_WITHOUT_CHECKSUM, 1 << 20)
    assert answer.payload == (
        b"device::ro.product.name=demo_phone;ro.product.model=Demo Phone;ro.product.device=demo;"
        b"features=shell_v2,cmd,stat_v2"
    )


async def test_an_old_host_is_answered_with_checksums_and_small_packets(demo_phone: DemoPhone) -> None:
    demo_phone.files.write("/big", bytes(range(256)) * 40, 0o644, 0)
    async with host(demo_phone.port) as adb:
        await adb.connect(version=VERSION_WITH_CHECKSUM, max_payload=4096)
        stream = (await adb.open("exec:cat /big")).argument0
        data = b""
        while (packet := await adb.receive()).command is Command.WRTE:
            assert len(packet.payload) <= 4096
            data += packet.payload
            adb.send(Command.OKAY, 1, stream)
    assert data == bytes(range(256)) * 40


@pytest.mark.parametrize("service", ["tcp:80", "localabstract:none", "reverse:x", "", "jdwp:1", "shel:ls", "\udcff:x"])
async def test_an_unknown_service_is_refused(demo_phone: DemoPhone, service: str) -> None:
    async with host(demo_phone.port) as adb:
        await adb.connect()
        adb.send(Command.OPEN, 9, 0, service.encode(errors="surrogateescape"))
        answer = await adb.receive()
    assert (answer.command, answer.argument0, answer.argument1) == (Command.CLSE, 0, 9)


async def test_one_write_at_a_time(demo_phone: DemoPhone) -> None:
    demo_phone.files.write("/a", b"x" * 10_000, 0o644, 0)
    async with host(demo_phone.port) as adb:
        await adb.connect(max_payload=4096)
        stream = (await adb.open("exec:cat /a")).argument0
        assert len((await adb.receive()).payload) == 4096
        # Nothing more comes before the OKAY: the answer to another stream does.
        assert (await adb.open("tcp:1", local_id=2)).command is Command.CLSE
        adb.send(Command.OKAY, 1, stream)
        assert (await adb.receive()).command is Command.WRTE


async def test_a_socket_of_the_phone(demo_phone: DemoPhone) -> None:
    demo_phone.sockets["localabstract:echo"] = echo
    async with host(demo_phone.port) as adb:
        await adb.connect()
        stream = (await adb.open("localabstract:echo")).argument0
        adb.send(Command.WRTE, 1, stream, b"")
        assert (await adb.receive()).command is Command.OKAY
        adb.send(Command.WRTE, 1, stream, b"hello")
        answers = {packet.command: packet.payload for packet in [await adb.receive(), await adb.receive()]}
        assert answers == {Command.OKAY: b"", Command.WRTE: b"hello"}


async def test_a_host_that_does_not_wait_for_okay_is_dropped(demo_phone: DemoPhone) -> None:
    async with host(demo_phone.port) as adb:
        await adb.connect()
        stream = (await adb.open("exec:sleep 1000")).argument0
        adb.send(Command.WRTE, 1, stream, b"one")
        adb.send(Command.WRTE, 1, stream, b"two")
        with pytest.raises(EOFError):
            await adb.receive()


async def test_streams_have_a_limit(demo_phone: DemoPhone) -> None:
    async with host(demo_phone.port) as adb:
        await adb.connect()
        for number in range(1, 258):
            answer = await adb.open("exec:sleep 1000", local_id=number)
            assert answer.command is (Command.OKAY if number <= 256 else Command.CLSE)
    async with asyncio.timeout(TIMEOUT):
        while list(demo_phone.processes):
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: phone\r\n\r\n", bytes(24), b"\xff" * 100])
async def test_garbage_ends_the_connection_only(demo_phone: DemoPhone, data: bytes) -> None:
    async with host(demo_phone.port) as adb, host(demo_phone.port) as other:
        await other.connect()
        adb.send_bytes(data)
        with pytest.raises(EOFError):
            await adb.receive()
        assert (await other.open("exec:true")).command is Command.OKAY


async def test_nothing_is_served_before_cnxn(demo_phone: DemoPhone) -> None:
    async with host(demo_phone.port) as adb:
        with pytest.raises(EOFError):
            await adb.open("exec:true")


async def test_packets_for_streams_that_are_gone_do_no_harm(demo_phone: DemoPhone) -> None:
    async with host(demo_phone.port) as adb:
        await adb.connect()
        adb.send(Command.OKAY, 1, 77)
        adb.send(Command.CLSE, 1, 77)
        adb.send(Command.WRTE, 1, 77, b"late")
        assert (await adb.receive()).command is Command.CLSE
        assert (await adb.open("exec:true")).command is Command.OKAY


@given(
    st.lists(
        st.tuples(st.sampled_from(Command), st.integers(0, 4), st.integers(0, 4), st.binary(max_size=30)), max_size=8
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_sequence_of_packets_breaks_the_phone(
    demo_phone: DemoPhone, sent: list[tuple[Command, int, int, bytes]]
) -> None:
    async with host(demo_phone.port) as adb, host(demo_phone.port) as other:
        await adb.connect()
        await other.connect()
        for command, argument0, argument1, payload in sent:
            adb.send(command, argument0, argument1, payload)
        assert (await other.open("exec:true")).command is Command.OKAY


class TestAuthorization:
    async def test_a_host_waits_until_it_is_let_in(self, demo_phone: DemoPhone) -> None:
        demo_phone.faults.unauthorized = True
        async with host(demo_phone.port) as adb:
            token = await adb.connect()
            assert (token.command, token.argument0, len(token.payload)) == (Command.AUTH, Authentication.TOKEN, 20)
            adb.send(Command.AUTH, Authentication.SIGNATURE, 0, b"signed")
            again = await adb.receive()
            assert again.command is Command.AUTH
            assert again.payload != token.payload
            adb.send(Command.AUTH, Authentication.PUBLIC_KEY, 0, b"key host@here\0")
            demo_phone.authorize()
            assert (await adb.receive()).command is Command.CNXN
        async with host(demo_phone.port) as adb:
            assert (await adb.connect()).command is Command.CNXN

    async def test_without_it_there_is_no_service(self, demo_phone: DemoPhone) -> None:
        demo_phone.faults.unauthorized = True
        async with host(demo_phone.port) as adb:
            await adb.connect()
            adb.send(Command.AUTH, Authentication.PUBLIC_KEY, 0, b"key\0")
            with pytest.raises(EOFError):
                await adb.open("exec:true")


class TestRecorder:
    async def record(self, adb: Host, options: str = "") -> int:
        await adb.connect()
        return (await adb.open(f"exec:screenrecord --output-format=h264 {options} -")).argument0

    async def test_a_slow_reader_loses_pictures_and_delays_none(self, demo_phone: DemoPhone) -> None:
        async with host(demo_phone.port) as adb:
            stream = await self.record(adb)
            data = (await adb.receive()).payload
            with demo_phone.display.watch() as pictures:
                for _ in range(12):
                    await anext(pictures)
            for _ in range(4):
                adb.send(Command.OKAY, 1, stream)
                data += (await adb.receive()).payload
        numbers = [strip.frame_number for strip in read_strips(data)]
        assert max(later - earlier for earlier, later in pairwise(numbers)) > 5

    async def test_it_ends_when_its_stream_is_closed(self, demo_phone: DemoPhone) -> None:
        async with host(demo_phone.port) as adb:
            stream = await self.record(adb)
            await adb.receive()
            assert demo_phone.recorders == 1
            adb.send(Command.CLSE, 1, stream)
            await until_no_recorder_is_left(demo_phone)

    async def test_it_ends_when_the_connection_is_lost(self, demo_phone: DemoPhone) -> None:
        async with host(demo_phone.port) as adb:
            await self.record(adb)
            await adb.receive()
        await until_no_recorder_is_left(demo_phone)


async def test_offline_and_back(demo_phone: DemoPhone) -> None:
    port = demo_phone.port
    async with host(port) as adb:
        await adb.connect()
        await demo_phone.go_offline()
        with pytest.raises(EOFError):
            await adb.receive()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
    await demo_phone.come_online()
    async with host(port) as adb:
        assert (await adb.connect()).command is Command.CNXN


async def test_several_phones_and_a_port_in_use(demo_phone: DemoPhone) -> None:
    specs = [PhoneSpec(name=name, port=port, width=240, height=320) for name, port in (("a", 0), ("b", free_port()))]
    async with demo_phones(specs) as phones:
        assert [phone.properties["ro.serialno"] for phone in phones] == ["a", "b"]
        assert len({phone.address for phone in phones}) == 2
        taken = phones[0].port
        with pytest.raises(OSError, match="in use"):
            async with demo_phones([PhoneSpec(width=240, height=320), PhoneSpec(port=taken, width=240, height=320)]):
                pytest.fail("two phones on one port")
    async with demo_phones([PhoneSpec(port=taken, width=240, height=320)]) as (phone,):
        assert phone.port == taken

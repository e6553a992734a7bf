"""Demo phones that reboot."""

from contextlib import suppress

from capture.demo_phone.adb_wire import Command
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.phone import PhoneSpec
from tests.capture.demo_phone.host import host
from tests.waiting import until


async def reboot(phone: DemoPhone) -> None:
    async with host(phone.port) as adb:
        await adb.connect()
        await adb.open("reboot:")
        with suppress(EOFError):
            while True:
                await adb.receive()


async def test_a_reboot() -> None:
    async with DemoPhone(PhoneSpec(width=120, height=120, boot_time=0.1)) as phone:
        await reboot(phone)
        await until(lambda: phone.is_booting)
        async with host(phone.port) as adb:
            assert (await adb.connect()).command is Command.CNXN
        await until(lambda: not phone.is_booting)
        assert phone.properties["sys.boot_completed"] == "1"


async def test_a_phone_that_ends_while_it_reboots() -> None:
    async with DemoPhone(PhoneSpec(width=120, height=120, boot_time=3600)) as phone:
        await reboot(phone)
    assert not phone.is_booting

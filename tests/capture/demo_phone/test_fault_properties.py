"""Faults by `setprop`."""

import asyncio
from contextlib import suppress
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.demo_phone.adb_wire import Command
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.fault_properties import PREFIX, fault_properties, forms, set_fault
from capture.demo_phone.faults import Faults
from capture.demo_phone.phone import Phone, PhoneSpec
from tests.capture.demo_phone.host import host
from tests.capture.demo_phone.shell_run import run
from tests.waiting import until

TIMEOUT = 20.0
SMALL = PhoneSpec(width=120, height=120)

EXAMPLES = {"SECONDS": "2.5", "COUNT": "7", "true|false": "true", "TEXT": "WARNING: linker"}


class Told:
    """A phone that only notes what it is told."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.told: list[tuple[str, float]] = []

    def lose_network(self, seconds: float) -> None:
        self.told.append(("offline", seconds))

    def hang(self, seconds: float) -> None:
        self.told.append(("hangs", seconds))


def test_every_fault_can_be_set() -> None:
    names = [each.name for each in fields(Faults) if each.init]
    assert set(forms()) == {*names, "offline", "hangs"}
    for name in names:
        phone = Told()
        set_fault(phone, PREFIX + name, EXAMPLES[forms()[name]])
        assert getattr(phone.faults, name) != getattr(Faults(), name)
        assert fault_properties(phone.faults) == {PREFIX + name: EXAMPLES[forms()[name]]}
        set_fault(phone, PREFIX + name, "")
        assert fault_properties(phone.faults) == {}
        assert getattr(phone.faults, name) == getattr(Faults(), name)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("time_limit", "20", 20.0),
        ("time_limit", "0", 0.0),
        ("crash_after", "0", 0),
        ("single_idr", "1", True),
        ("single_idr", "0", False),
        ("prints_text", "a\nb", "a\nb"),
    ],
)
def test_values(name: str, text: str, value: object) -> None:
    phone = Told()
    set_fault(phone, PREFIX + name, text)
    assert getattr(phone.faults, name) == value
    assert type(getattr(phone.faults, name)) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("time_limit", "soon", "'soon' is not a number of seconds, as 20 or 0.5"),
        ("time_limit", "-1", "not a number of seconds"),
        ("time_limit", "inf", "not a number of seconds"),
        ("offline", "٣", "not a number of seconds"),
        ("hangs", "1e3", "not a number of seconds"),
        ("crash_after", "2.5", "'2.5' is not a count, as 0 or 100"),
        ("crash_after", "-1", "not a count"),
        ("no_space", "yes", "'yes' is neither true nor false"),
        ("answering", "", "there is no fault 'answering'; there are offline, hangs, time_limit"),
        ("", "1", "there is no fault ''"),
    ],
)
def test_what_cannot_be(name: str, text: str, said: str) -> None:
    phone = Told()
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        set_fault(phone, PREFIX + name, text)
    assert fault_properties(phone.faults) == {}
    assert phone.told == []


def test_faults_that_last_for_a_while() -> None:
    phone = Told()
    set_fault(phone, f"{PREFIX}offline", "5")
    set_fault(phone, f"{PREFIX}hangs", "0.5")
    set_fault(phone, f"{PREFIX}hangs", "")
    assert phone.told == [("offline", 5.0), ("hangs", 0.5)]


@given(st.sampled_from(sorted(forms())) | st.text(), st.text())
def test_any_text(name: str, text: str) -> None:
    with suppress(ValueError):
        set_fault(Told(), PREFIX + name, text)


async def test_setprop_and_getprop() -> None:
    phone = Phone(SMALL)
    assert (
        await run(phone, "setprop demo.fault.time_limit 20; setprop demo.fault.prints_text 'two words'")
    ).errors == b""
    assert (phone.faults.time_limit, phone.faults.prints_text) == (20.0, "two words")
    assert (await run(phone, "getprop demo.fault.time_limit")).output == b"20.0\n"
    assert b"[demo.fault.prints_text]: [two words]\n" in (await run(phone, "getprop")).output
    await run(phone, "setprop demo.fault.time_limit ''")
    assert phone.faults.time_limit is None
    assert (await run(phone, "getprop demo.fault.time_limit")).output == b"\n"


async def test_setprop_refuses_in_words() -> None:
    refused = await run(Phone(SMALL), "setprop demo.fault.crash_after many")
    assert refused.exit_code == 1
    words = b"Failed to set property 'demo.fault.crash_after' to 'many': 'many' is not a count, as 0 or 100.\n"
    assert refused.errors == words


async def test_it_is_offline_for_a_while_and_comes_back_by_itself() -> None:
    async with DemoPhone(SMALL) as phone:
        async with host(phone.port) as adb:
            await adb.connect()
            await adb.open("shell:setprop demo.fault.offline 0.2")
            with suppress(EOFError):
                while True:
                    await adb.receive()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", phone.port)
        async with asyncio.timeout(TIMEOUT):
            while True:
                with suppress(ConnectionRefusedError):
                    async with host(phone.port) as adb:
                        assert (await adb.connect()).command is Command.CNXN
                    break


async def test_it_hangs_for_a_while_and_then_answers() -> None:
    async with DemoPhone(SMALL) as phone, host(phone.port) as adb:
        await adb.connect()
        await adb.open("shell:setprop demo.fault.hangs 0.2")
        await until(lambda: phone.faults.hangs)
        adb.send(Command.OPEN, 2, 0, b"shell:true\0")
        closed: list[int] = []
        while len(closed) < 2:
            packet = await adb.receive()
            assert not phone.faults.hangs
            if packet.command is Command.CLSE:
                closed.append(packet.argument1)
        assert sorted(closed) == [1, 2]

"""Addresses of phones as operators write them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.adb.address import DeviceEntry, is_device_name, parse_device_entry, with_port


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


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("192.0.2.5", DeviceEntry("192.0.2.5:5555")),
        ("phone.lan:5556", DeviceEntry("phone.lan:5556")),
        ("lab=192.0.2.5", DeviceEntry("192.0.2.5:5555", "lab")),
        (" Lab_1.a-b = [fe80::1]:5556 ", DeviceEntry("[fe80::1]:5556", "Lab_1.a-b")),
    ],
)
def test_an_entry(text: str, entry: DeviceEntry) -> None:
    assert parse_device_entry(text) == entry
    assert parse_device_entry(str(entry)) == entry


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is not HOST:PORT"),
        ("192.0.2.5:0", "'192.0.2.5:0' is not HOST:PORT"),
        ("192.0.2.5:65536", "'192.0.2.5:65536' is not HOST:PORT"),
        ("phone one", "'phone one' is not HOST:PORT"),
        ("host;reboot:5555", "'host;reboot:5555' is not HOST:PORT"),
        ("lab=", "'' is not HOST:PORT"),
        ("a=b=c", "'b=c' is not HOST:PORT"),
        ("=192.0.2.5", "'=192.0.2.5': '' is no name: 1 to 63 letters"),
        ("-lab=192.0.2.5", "'-lab' is no name"),
        ("my lab=192.0.2.5", "'my lab' is no name"),
        ("10.0.0.1:5=192.0.2.5", "'10.0.0.1:5' is no name"),
    ],
)
def test_what_is_no_entry(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_device_entry(text)


@given(st.text() | st.from_regex(r"[a-z]{0,3}=?[0-9a-f.:\[\]]*", fullmatch=True))
def test_any_text_is_an_entry_or_a_value_error(text: str) -> None:
    try:
        entry = parse_device_entry(text)
    except ValueError:
        return
    assert entry.serial.isascii()
    assert entry.serial.isprintable()
    assert entry.name is None or is_device_name(entry.name)
    assert parse_device_entry(str(entry)) == entry

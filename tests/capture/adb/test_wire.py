"""The adb server's protocol as bytes: these tests are its documentation too."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.adb import wire
from capture.adb.wire import EXIT, STDERR, STDOUT, AdbDevice, ShellParser
from capture.errors import AdbError, AdbProtocolError, DeviceNotFound, DeviceOffline
from tests.capture.adb.fake_server import packet


def test_a_request_is_its_length_in_hexadecimal_and_its_text() -> None:
    assert wire.request("host:version") == b"000chost:version"
    assert wire.request("exec:é") == b"0007exec:\xc3\xa9"


def test_a_request_that_four_digits_cannot_announce_is_refused() -> None:
    assert wire.request("x" * 0xFFFF).startswith(b"ffffx")
    with pytest.raises(ValueError, match="65536 bytes is too long: at most 65535"):
        wire.request("x" * 0x10000)


def test_a_request_with_a_nul_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        wire.request("shell:a\0b")


def test_statuses() -> None:
    assert wire.parse_status(b"OKAY")
    assert not wire.parse_status(b"FAIL")
    with pytest.raises(AdbProtocolError, match="HTTP"):
        wire.parse_status(b"HTTP")


@pytest.mark.parametrize("digits", [b"zzzz", b"-001", b"+001", b" 1 2", b"0x1f", b"1_00", b"12", b"", b"00001"])
def test_a_length_is_four_hexadecimal_digits_and_nothing_else(digits: bytes) -> None:
    assert wire.parse_length(b"00fF") == 255
    with pytest.raises(AdbProtocolError):
        wire.parse_length(digits)


def test_a_listing_of_devices() -> None:
    listing = (
        b"127.0.0.1:5555         device product:redroid_x86_64 model:Redroid_14 device:redroid transport_id:1\n"
        b"R58M123ABC             unauthorized usb:1-2 transport_id:22\n"
        b"emulator-5554          offline transport_id:3\n"
        b"0123456789ABCDEF       no permissions (user in plugdev group; are your udev rules wrong?); see "
        b"[http://developer.android.com/tools/device.html] usb:3-1 transport_id:4\n"
    )
    tcp, usb, emulator, forbidden = wire.parse_devices(listing)
    assert tcp == AdbDevice("127.0.0.1:5555", "device", "Redroid_14", "redroid_x86_64", 1)
    assert usb == AdbDevice("R58M123ABC", "unauthorized", transport_id=22)
    assert (emulator.state, emulator.transport_id) == ("offline", 3)
    assert forbidden.state.startswith("no permissions (user in plugdev group;")
    assert forbidden.transport_id == 4
    assert [device.is_ready for device in (tcp, usb, emulator, forbidden)] == [True, False, False, False]


def test_the_short_listing_and_the_empty_one() -> None:
    assert wire.parse_devices(b"phone\tdevice\n") == (AdbDevice("phone", "device"),)
    assert wire.parse_devices(b"") == ()


def test_a_device_without_a_state_is_no_listing() -> None:
    with pytest.raises(AdbProtocolError, match="'phone'"):
        wire.parse_devices(b"phone\n")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_listing_or_a_protocol_error(listing: bytes) -> None:
    try:
        devices = wire.parse_devices(listing)
    except AdbProtocolError:
        return
    assert all(device.serial and device.state for device in devices)


SERIALS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)
WORDS = st.text(st.characters(min_codepoint=0x30, max_codepoint=0x7A), min_size=1, max_size=20)


@given(st.lists(st.tuples(SERIALS, st.sampled_from(["device", "offline", "recovery"]), WORDS, st.integers(0, 10**6))))
def test_every_device_of_a_listing_is_found(phones: list[tuple[str, str, str, int]]) -> None:
    listing = "".join(
        f"{serial:<22} {state} product:p model:{model} device:d transport_id:{number}\n"
        for serial, state, model, number in phones
    )
    expected = tuple(AdbDevice(serial, state, model, "p", number) for serial, state, model, number in phones)
    assert wire.parse_devices(listing.encode()) == expected


@pytest.mark.parametrize("serial", ["", "a b", "a\nb", "a\0b", "é", "x" * 256, "\x7f"])
def test_what_cannot_be_a_serial(serial: str) -> None:
    assert wire.checked_serial("127.0.0.1:5555") == "127.0.0.1:5555"
    with pytest.raises(DeviceNotFound, match="not a device serial"):
        wire.checked_serial(serial)


@pytest.mark.parametrize(
    ("message", "kind", "told"),
    [
        ("device 'x' not found", DeviceNotFound, "device 'x' not found"),
        ("no devices/emulators found", DeviceNotFound, "no devices"),
        ("no such device 'x'", DeviceNotFound, "'x'"),
        ("device offline", DeviceOffline, "device 'x' does not take commands now: device offline"),
        ("device still connecting", DeviceOffline, "connecting"),
        ("device unauthorized.\nThis adb server's ...", DeviceOffline, "accept its key on the phone"),
        ("device still authorizing", DeviceOffline, "accept its key on the phone"),
        ("closed", AdbError, "device 'x' refused: closed"),
        ("", AdbError, "no reason given"),
    ],
)
def test_what_a_refusal_means(message: str, kind: type[AdbError], told: str) -> None:
    error = wire.failure(message, "x")
    assert type(error) is kind
    assert told in str(error)


@pytest.mark.parametrize("message", ["connected to 10.0.0.5:5555", "already connected to 10.0.0.5:5555\n"])
def test_a_connection_that_succeeded(message: str) -> None:
    wire.check_connected(message, "10.0.0.5:5555")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("failed to connect to '10.0.0.5:5555': Connection refused", DeviceOffline),
        ("failed to connect to 10.0.0.5:5555", DeviceOffline),
        ("Connection refused", DeviceOffline),
        ("", DeviceOffline),
        ("failed to authenticate to 10.0.0.5:5555", DeviceOffline),
        ("failed to resolve host: '10.0.0.5': Name or service not known", DeviceNotFound),
        ("bad port number 'abc' in '10.0.0.5:abc'", DeviceNotFound),
    ],
)
def test_a_connection_that_failed_with_success(message: str, kind: type[AdbError]) -> None:
    with pytest.raises(kind, match=r"10\.0\.0\.5:5555") as raised:
        wire.check_connected(message, "10.0.0.5:5555")
    assert type(raised.value) is kind


def test_a_shell_packet_is_an_id_a_length_and_bytes() -> None:
    assert list(ShellParser().feed(b"\x01\x05\x00\x00\x00hello\x03\x01\x00\x00\x00\x07")) == [
        (STDOUT, b"hello"),
        (EXIT, b"\x07"),
    ]


PACKETS = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=40)), max_size=12)


@given(PACKETS, st.integers(0, 255), st.data())
def test_any_chunking_gives_the_same_streams(packets: list[tuple[int, bytes]], code: int, data: st.DataObject) -> None:
    sent = b"".join(packet(stream, content) for stream, content in packets) + packet(EXIT, bytes([code]))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sent)), max_size=15)) | {0, len(sent)})
    parser = ShellParser()
    got: dict[int, bytes] = {STDOUT: b"", STDERR: b"", EXIT: b""}
    for start, end in pairwise(cuts):
        for stream, piece in parser.feed(sent[start:end]):
            got[stream] += piece
    assert got[STDOUT] == b"".join(content for stream, content in packets if stream == STDOUT)
    assert got[STDERR] == b"".join(content for stream, content in packets if stream == STDERR)
    assert got[EXIT] == bytes([code])


def test_an_announced_length_is_passed_on_and_not_waited_for() -> None:
    assert list(ShellParser().feed(b"\x01\xff\xff\xff\xffabc")) == [(STDOUT, b"abc")]


@pytest.mark.parametrize("sent", [b"\x00\x01\x00\x00\x00a", b"\x04\x00\x00\x00\x00", b"\x03\x02\x00\x00\x00\x00\x00"])
def test_a_packet_that_no_device_sends(sent: bytes) -> None:
    with pytest.raises(AdbProtocolError):
        list(ShellParser().feed(sent))


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_any_bytes_are_shell_packets_or_a_protocol_error(chunks: list[bytes]) -> None:
    parser = ShellParser()
    try:
        pieces = [piece for chunk in chunks for piece in parser.feed(chunk)]
    except AdbProtocolError:
        return
    assert sum(len(piece) for _, piece in pieces) <= sum(map(len, chunks))


def test_the_exit_code_of_a_shell_without_one() -> None:
    assert wire.split_status(b"hello\n:0\n") == (b"hello\n", 0)
    assert wire.split_status(b"a:b\r\n:127\r\n") == (b"a:b\r\n", 127)
    assert wire.split_status(b":1\n") == (b"", 1)
    for output in (b"", b"hello\n", b"a:b", b"a:\n", b":12345\n"):
        with pytest.raises(AdbProtocolError, match="exit code"):
            wire.split_status(output)


def test_sync_messages() -> None:
    assert wire.sync_request(b"SEND", b"/tmp/x,33188") == b"SEND\x0c\x00\x00\x00/tmp/x,33188"
    assert wire.sync_done(1) == b"DONE\x01\x00\x00\x00"
    assert wire.parse_sync_status(b"OKAY\x00\x00\x00\x00") is None
    assert wire.parse_sync_status(b"FAIL\x05\x00\x00\x00") == 5


@pytest.mark.parametrize("header", [b"", b"OKAY", b"STAT\x00\x00\x00\x00", b"FAIL\xff\xff\xff\xff"])
def test_a_sync_answer_that_is_none(header: bytes) -> None:
    with pytest.raises(AdbProtocolError, match="sync"):
        wire.parse_sync_status(header)

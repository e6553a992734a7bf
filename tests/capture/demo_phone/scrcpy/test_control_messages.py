"""What a client says on the control socket, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.demo_phone.scrcpy.control_messages import (
    BackOrScreenOn,
    Bare,
    ControlMessage,
    ControlMessageParser,
    GetClipboard,
    InjectKeycode,
    InjectScrollEvent,
    InjectText,
    InjectTouchEvent,
    Kind,
    Position,
    SetClipboard,
    SetDisplayPower,
    StartApp,
    UnknownMessage,
)
from capture.demo_phone.scrcpy.log import Thrown
from capture.demo_phone.scrcpy.version import ServerVersion
from capture.input_events import VideoSize

NAMES = ("3.0", "3.1", "3.3", "3.3.4", "4.0", "4.1")
AT = Position(100, 200, VideoSize(1080, 1920))
WIRE_AT = "00000064 000000c8 0438 0780"

ALL_VERSIONS: list[tuple[str, ControlMessage]] = [
    ("00 00 00000003 00000000 00000000", InjectKeycode(0, 3, 0, 0)),
    ("00 01 00000042 00000005 00000041", InjectKeycode(1, 66, 5, 0x41)),
    ("01 00000006 68c3a96c6c6f", InjectText("héllo")),
    (
        f"02 00 1234567887654321 {WIRE_AT} ffff 00000001 00000001",
        InjectTouchEvent(0, 0x1234567887654321, AT, 1.0, 1, 1),
    ),
    (f"02 02 fffffffffffffffe {WIRE_AT} 8000 00000000 00000000", InjectTouchEvent(2, -2, AT, 0.5, 0, 0)),
    ("04 00", BackOrScreenOn(0)),
    ("05", Bare(Kind.EXPAND_NOTIFICATION_PANEL)),
    ("06", Bare(Kind.EXPAND_SETTINGS_PANEL)),
    ("07", Bare(Kind.COLLAPSE_PANELS)),
    ("08 01", GetClipboard(1)),
    ("09 0102030405060708 01 00000005 7061737465", SetClipboard(0x0102030405060708, True, "paste")),
    ("0a 00", SetDisplayPower(False)),
    ("0b", Bare(Kind.ROTATE_DEVICE)),
    ("0d 002a 0003 010203", Bare(Kind.UHID_INPUT)),
    ("0e 002a", Bare(Kind.UHID_DESTROY)),
    ("0f", Bare(Kind.OPEN_HARD_KEYBOARD_SETTINGS)),
    ("10 08 2b666972 65666f78", StartApp("+firefox")),
    ("11", Bare(Kind.RESET_VIDEO)),
]

BY_VERSION: list[tuple[str, ControlMessage, str, str]] = [
    (f"03 {WIRE_AT} 7fff 8000 00000001", InjectScrollEvent(AT, 1.0, -1.0, 1), "3.0", "3.3"),
    (f"03 {WIRE_AT} 0800 f800 00000000", InjectScrollEvent(AT, 1.0, -1.0, 0), "3.3.1", "4.1"),
    ("0c 002a 03414243 0002 0102", Bare(Kind.UHID_CREATE), "3.0", "3.0"),
    ("0c 002a 1234 5678 03414243 0002 0102", Bare(Kind.UHID_CREATE), "3.1", "4.1"),
    ("12 01", Bare(Kind.CAMERA_SET_TORCH), "4.0", "4.1"),
    ("13", Bare(Kind.CAMERA_ZOOM_IN), "4.0", "4.1"),
    ("14", Bare(Kind.CAMERA_ZOOM_OUT), "4.0", "4.1"),
    ("15 0500 02d0", Bare(Kind.RESIZE_DISPLAY), "4.0", "4.1"),
    ("16 00000004 2f612e62", Bare(Kind.SCAN_FILE), "4.1", "4.1"),
]


def parse(version: str, data: bytes) -> list[ControlMessage]:
    parser = ControlMessageParser(ServerVersion(version))
    parser.feed(data)
    messages = []
    while (message := parser.next_message()) is not None:
        messages.append(message)
    return messages


@pytest.mark.parametrize("version", NAMES)
@pytest.mark.parametrize(("wire", "message"), ALL_VERSIONS, ids=lambda value: type(value).__name__)
def test_messages_of_all_versions(version: str, wire: str, message: ControlMessage) -> None:
    assert parse(version, bytes.fromhex(wire)) == [message]


@pytest.mark.parametrize(("wire", "message", "first", "last"), BY_VERSION, ids=lambda value: type(value).__name__)
def test_messages_of_some_versions(wire: str, message: ControlMessage, first: str, last: str) -> None:
    for version in {first, last}:
        assert parse(version, bytes.fromhex(wire) + b"\x11") == [message, Bare(Kind.RESET_VIDEO)]


@pytest.mark.parametrize(("version", "first_unknown"), [("3.0", 18), ("3.3.4", 18), ("4.0", 22), ("4.1", 23)])
def test_what_a_version_does_not_know(version: str, first_unknown: int) -> None:
    for kind in range(first_unknown, 256):
        with pytest.raises(UnknownMessage, match=f"Unknown event type: {kind}"):
            parse(version, bytes([kind]) + bytes(40))


@given(st.lists(st.sampled_from(ALL_VERSIONS), max_size=8), st.data())
def test_any_chunks_give_the_same_messages(messages: list[tuple[str, ControlMessage]], data: st.DataObject) -> None:
    wire = b"".join(bytes.fromhex(one) for one, _ in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=10)))
    parser = ControlMessageParser(ServerVersion("4.1"))
    parsed = []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        parser.feed(wire[start:end])
        while (message := parser.next_message()) is not None:
            parsed.append(message)
    assert parsed == [message for _, message in messages]


@given(st.binary(max_size=200), st.sampled_from(NAMES))
def test_nothing_else_is_raised_for_garbage(data: bytes, version: str) -> None:
    try:
        parse(version, data)
    except (UnknownMessage, Thrown):
        pass


@pytest.mark.parametrize(
    ("length", "java_class"),
    [("ffffffff", "java.lang.NegativeArraySizeException"), ("7fffffff", "java.lang.OutOfMemoryError")],
)
def test_a_text_that_no_memory_is_there_for(length: str, java_class: str) -> None:
    with pytest.raises(Thrown) as caught:
        parse("3.3.4", bytes.fromhex(f"01 {length}"))
    assert caught.value.java_class == java_class

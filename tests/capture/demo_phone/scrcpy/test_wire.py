"""The bytes of scrcpy's server. Read from top to bottom, this is its protocol."""

import pytest

from capture.demo_phone.scrcpy import wire
from capture.demo_phone.scrcpy.version import ServerVersion

V3, V4 = ServerVersion("3.3.4"), ServerVersion("4.1")


def test_first_comes_a_byte_and_then_the_phones_name() -> None:
    assert wire.DUMMY_BYTE == b"\x00"
    assert wire.device_name("Pixel 8") == b"Pixel 8" + bytes(57)


def test_a_long_name_is_cut_between_characters() -> None:
    assert wire.device_name("é" * 40) == "é".encode() * 31 + bytes(2)


def test_the_video_header_of_3_is_codec_width_and_height() -> None:
    assert wire.video_header(V3, "h264", 1080, 1920) == bytes.fromhex("68323634 00000438 00000780")


def test_the_video_header_of_4_is_the_codec_and_sizes_come_in_session_packets() -> None:
    assert wire.video_header(V4, "h264", 1080, 1920) == bytes.fromhex("68323634")
    assert wire.session_packet(1080, 1920) == bytes.fromhex("80000000 00000438 00000780")


@pytest.mark.parametrize(
    ("version", "config", "picture", "keyframe"),
    [
        (V3, "8000000000000000 00000003", "0000000102030405 0000abcd", "4000000102030405 0000abcd"),
        (V4, "4000000000000000 00000003", "0000000102030405 0000abcd", "2000000102030405 0000abcd"),
    ],
)
def test_each_packet_has_flags_and_time_and_length(
    version: ServerVersion, config: str, picture: str, keyframe: str
) -> None:
    assert wire.config_packet(version, b"abc") == bytes.fromhex(config) + b"abc"
    assert wire.frame_header(version, 0x102030405, 0xABCD, is_keyframe=False) == bytes.fromhex(picture)
    assert wire.frame_header(version, 0x102030405, 0xABCD, is_keyframe=True) == bytes.fromhex(keyframe)


def test_the_audio_header_is_the_codec_or_a_reason_for_silence() -> None:
    assert wire.codec_id("opus") == bytes.fromhex("6f707573")
    assert wire.codec_id("raw") == bytes.fromhex("00726177")
    assert wire.codec_id("aac") == bytes.fromhex("00616163")
    assert bytes.fromhex("00000000") == wire.AUDIO_DISABLED
    assert bytes.fromhex("00000001") == wire.AUDIO_ERROR


def test_the_phone_tells_its_clipboard() -> None:
    assert wire.clipboard_message("hé") == bytes.fromhex("00 00000003") + "hé".encode()


def test_a_clipboard_that_is_too_long_is_cut_between_characters() -> None:
    message = wire.clipboard_message("€" * 100_000)
    text = message[5:].decode()
    assert len(message) <= 1 << 18
    assert text == "€" * ((2**18 - 5) // 3)
    assert message[:5] == b"\x00" + len(message[5:]).to_bytes(4, "big")


def test_the_phone_acknowledges_a_clipboard() -> None:
    assert wire.acknowledgement(0x0102030405060708) == bytes.fromhex("01 0102030405060708")

"""The bytes that the server sends: this documents that direction of the wire. And any chunking, and garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.input_events import VideoSize
from capture.scrcpy.version import ScrcpyVersion, parse_version
from capture.scrcpy.wire import (
    DISABLED,
    H264,
    LARGEST_AUDIO_PACKET,
    LARGEST_MESSAGE,
    LARGEST_PICTURE,
    MISCONFIGURED,
    OPUS,
    RAW_AUDIO,
    AudioParser,
    Clipboard,
    ClipboardSet,
    Codec,
    DeviceMessageParser,
    DeviceName,
    Packet,
    ScrcpyProtocolError,
    Session,
    UhidOutput,
    VideoParser,
)
from tests.capture.scrcpy.test_control_message import golden

V3, V4 = parse_version("3.3.4"), parse_version("4.1")

NAME = b"Demo Phone".ljust(64, b"\0")

HEAD = b"\0" + NAME

VIDEO_3 = HEAD + golden("""
    68323634              # h264
    000002d0 00000500     # 720 x 1280
    8000000000000000      # parameter sets
    00000004  00000167
    400000000000c350      # a keyframe at 50 ms
    00000003  000165
    0000000000014c08      # a picture at 85 ms
    00000002  0141
""")

VIDEO_4 = HEAD + golden("""
    68323634                    # h264
    80000000 000002d0 00000500  # a session of 720 x 1280
    4000000000000000            # parameter sets
    00000004  00000167
    200000000000c350            # a keyframe at 50 ms
    00000003  000165
    80000001 00000500 000002d0  # a session of 1280 x 720; the lowest flag is for displays that clients resize
    0000000000014c08            # a picture at 85 ms
    00000002  0141
""")

CONFIG = Packet(b"\x00\x00\x01\x67", 0, is_config=True, is_keyframe=False)
KEYFRAME = Packet(b"\x00\x01\x65", 50_000, is_config=False, is_keyframe=True)
PICTURE = Packet(b"\x01\x41", 85_000, is_config=False, is_keyframe=False)
START = [DeviceName("Demo Phone"), H264, Session(VideoSize(720, 1280))]

EVENTS_3 = [*START, CONFIG, KEYFRAME, PICTURE]
EVENTS_4 = [*START, CONFIG, KEYFRAME, Session(VideoSize(1280, 720)), PICTURE]

AUDIO_3 = golden("""
    6f707573                        # opus
    8000000000000000 00000002 4f70  # its header
    0000000000000014 00000003 f8fffe
""")
AUDIO_4 = golden("""
    6f707573
    4000000000000000 00000002 4f70
    0000000000000014 00000003 f8fffe
""")
SOUND = [OPUS, Packet(b"Op", 0, is_config=True, is_keyframe=False), Packet(b"\xf8\xff\xfe", 20, False, False)]

MESSAGES = golden("""
    00 00000003 e697a5          # the clipboard
    01 0102030405060708         # a clipboard was set
    02 0003 0001 02             # what goes to input device 3
    00 00000000                 # an empty clipboard
""")
DEVICE_MESSAGES = [Clipboard("日"), ClipboardSet(0x0102030405060708), UhidOutput(3, b"\x02"), Clipboard("")]


def test_video_before_4() -> None:
    assert VideoParser(V3).feed(VIDEO_3) == EVENTS_3


def test_video_since_4() -> None:
    assert VideoParser(V4).feed(VIDEO_4) == EVENTS_4


def test_audio() -> None:
    assert AudioParser(V3).feed(AUDIO_3) == SOUND
    assert AudioParser(V4).feed(AUDIO_4) == SOUND
    assert AudioParser(V4).feed(golden("00726177 0000000000000014 00000000")) == [
        RAW_AUDIO,
        Packet(b"", 20, False, False),
    ]


def test_no_audio_and_why() -> None:
    assert AudioParser(V3).feed(golden("00000000")) == [DISABLED]
    assert AudioParser(V4).feed(golden("00000001")) == [MISCONFIGURED]


def test_device_messages() -> None:
    assert DeviceMessageParser().feed(MESSAGES) == DEVICE_MESSAGES


def test_a_picture_comes_when_its_last_byte_is_there() -> None:
    parser = VideoParser(V3)
    parser.feed(VIDEO_3[:-1])
    assert not parser.is_idle
    assert parser.feed(VIDEO_3[-1:]) == [PICTURE]
    assert parser.is_idle


def test_codecs_have_their_names() -> None:
    assert [codec.name for codec in (H264, OPUS, RAW_AUDIO, DISABLED, Codec(0x61766331), Codec(0xFFFFFFFF))] == [
        "h264",
        "opus",
        "raw",
        "0",
        "avc1",
        "4294967295",
    ]


@given(st.lists(st.integers(1, 30), min_size=1), st.sampled_from(["3.0", "4.0"]))
def test_any_chunking_of_video_gives_the_same(sizes: list[int], version: str) -> None:
    data, expected = (VIDEO_4, EVENTS_4) if version == "4.0" else (VIDEO_3, EVENTS_3)
    parser = VideoParser(parse_version(version))
    events = []
    for chunk in _chunks(data, sizes):
        events += parser.feed(chunk)
    assert events == expected


@given(st.lists(st.integers(1, 9), min_size=1))
def test_any_chunking_of_audio_and_messages_gives_the_same(sizes: list[int]) -> None:
    audio, messages = AudioParser(V4), DeviceMessageParser()
    assert [event for chunk in _chunks(AUDIO_4, sizes) for event in audio.feed(chunk)] == SOUND
    assert [event for chunk in _chunks(MESSAGES, sizes) for event in messages.feed(chunk)] == DEVICE_MESSAGES


@pytest.mark.parametrize(
    ("version", "data", "complaint"),
    [
        ("4.1", b"[server] ERROR", r"the byte b'\['"),
        ("4.1", HEAD + b"h265", "codec 'h265' where h264"),
        ("3.0", HEAD + bytes(4), "codec '0' where h264"),
        ("3.0", HEAD + b"h264" + golden("00000000 00000500"), "a video of 0x1280"),
        ("3.0", HEAD + b"h264" + golden("00010000 00000500"), "a video of 65536x1280"),
        ("4.0", HEAD + b"h264" + golden("80000000 ffffffff 00000001"), "a video of 4294967295x1"),
        ("3.0", HEAD + b"h264" + golden("000002d0 00000500 0000000000000001 00000000"), "a picture of 0 bytes"),
        ("4.0", HEAD + b"h264" + golden("2000000000000001 00800001"), "a picture of 8388609 bytes: 1 to 8388608"),
        ("4.0", HEAD + b"h264" + golden("0000000000000001 ffffffff"), "a picture of 4294967295 bytes"),
    ],
)
def test_a_broken_video_header_is_named(version: str, data: bytes, complaint: str) -> None:
    with pytest.raises(ScrcpyProtocolError, match=complaint):
        VideoParser(parse_version(version)).feed(data)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\0aac", "codec 'aac' where opus or raw"),
        (b"opus" + golden("0000000000000001 00010001"), "the flags 000 and 65537 bytes"),
        (b"opus" + golden("8000000000000000 00000001"), "the flags 100 and 1 bytes"),
        (bytes(4) + bytes(12), "after it said that there is none"),
    ],
)
def test_a_broken_audio_header_is_named(data: bytes, complaint: str) -> None:
    with pytest.raises(ScrcpyProtocolError, match=complaint):
        AudioParser(V4).feed(data)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [(b"\x03", "type 3, where 0, 1 or 2"), (golden("00 00040001"), "a clipboard of 262145 bytes")],
)
def test_a_broken_message_is_named(data: bytes, complaint: str) -> None:
    with pytest.raises(ScrcpyProtocolError, match=complaint):
        DeviceMessageParser().feed(data)


def test_the_largest_are_taken() -> None:
    picture = golden("0000000000000001") + LARGEST_PICTURE.to_bytes(4, "big") + bytes(LARGEST_PICTURE)
    assert len(VideoParser(V4).feed(HEAD + b"h264" + picture)) == 3
    sound = golden("0000000000000001") + LARGEST_AUDIO_PACKET.to_bytes(4, "big") + bytes(LARGEST_AUDIO_PACKET)
    assert len(AudioParser(V4).feed(b"opus" + sound)) == 2
    text = b"\0" + LARGEST_MESSAGE.to_bytes(4, "big") + b"a" * LARGEST_MESSAGE
    assert DeviceMessageParser().feed(text) == [Clipboard("a" * LARGEST_MESSAGE)]


@given(st.sampled_from([V3, V4]), st.lists(st.binary(max_size=64), max_size=20), st.booleans())
def test_garbage_is_refused_or_understood(version: ScrcpyVersion, chunks: list[bytes], begins_well: bool) -> None:
    for parser, beginning in (
        (VideoParser(version), HEAD + b"h264"),
        (AudioParser(version), b"opus"),
        (DeviceMessageParser(), b""),
    ):
        try:
            if begins_well:
                parser.feed(beginning)
            for chunk in chunks:
                parser.feed(chunk)
        except ScrcpyProtocolError:
            pass


def _chunks(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks = []
    position = index = 0
    while position < len(data):
        size = sizes[index % len(sizes)]
        chunks.append(data[position : position + size])
        position, index = position + size, index + 1
    return chunks

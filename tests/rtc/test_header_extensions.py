"""RTP headers against aiortc's parser, which is not ours."""

import pytest
from aiortc import rtp as oracle
from hypothesis import assume, given
from hypothesis import strategies as st

from media_service.rtc.header_extensions import (
    PLAYOUT_DELAY_OF_SOUND,
    absolute_send_time,
    audio_shape,
    packet_shape,
)
from signaling.jsep import AudioTrack
from tests.rtc.samples import TRACK, video_track

identifiers = st.none() | st.integers(1, 14)


def extensions_of(header: bytes) -> dict[int, bytes]:
    """The header's extensions by id, as aiortc reads them."""
    oracle.RtpPacket.parse(header)
    if not header[0] & 0x10:
        return {}
    profile, words = int.from_bytes(header[12:14], "big"), int.from_bytes(header[14:16], "big")
    assert len(header) == 16 + 4 * words
    return dict(oracle.unpack_header_extensions(profile, header[16:]))


def test_what_chromium_negotiates() -> None:
    shape = packet_shape(TRACK, 16)
    header = shape.header(TRACK.payload_type, b"\1\2\3")
    assert extensions_of(header) == {4: b"0", 2: b"\1\2\3", 5: b"\0\0\0"}
    assert shape.header_size == len(header)


def test_pictures_that_wait_for_their_sound() -> None:
    header = packet_shape(TRACK, 16, PLAYOUT_DELAY_OF_SOUND).header(TRACK.payload_type, b"\1\2\3")
    # 12 bits of the least and 12 of the most, in units of 10 ms.
    assert extensions_of(header) == {4: b"0", 2: b"\1\2\3", 5: b"\x00\x00\x0a"}


def test_sound_has_its_mid_only() -> None:
    shape = audio_shape(AudioTrack("2", 1, 111, 4), 16)
    assert extensions_of(shape.header(111, b"")) == {4: b"2"}
    assert audio_shape(AudioTrack("2", 1, 111, None), 16).header(111, b"") == bytes((0x80, 111)) + bytes(10)


@given(identifiers, identifiers, identifiers, identifiers, st.binary(min_size=3, max_size=3), st.booleans())
def test_any_choice_of_extensions(
    mid: int | None,
    send_time: int | None,
    number: int | None,
    playout_delay: int | None,
    value: bytes,
    marker: bool,
) -> None:
    used = [each for each in (mid, send_time, number, playout_delay) if each is not None]
    assume(len(set(used)) == len(used))
    track = video_track(
        mid="video",
        mid_extension=mid,
        absolute_send_time_extension=send_time,
        playout_delay_extension=playout_delay,
        transport_sequence_extension=number,
    )
    shape = packet_shape(track, 16, numbers_packets=True)
    header = shape.header(TRACK.payload_type, value, marker=marker)
    wanted = {mid: b"video", send_time: value, number: b"\0\0", playout_delay: b"\0\0\0"}
    assert extensions_of(header) == {each: content for each, content in wanted.items() if each is not None}
    packet = oracle.RtpPacket.parse(header)
    assert (packet.payload_type, packet.marker) == (TRACK.payload_type, marker)
    assert (packet.sequence_number, packet.timestamp, packet.ssrc, packet.payload) == (0, 0, 0, b"")
    assert shape.header_size == len(header)
    if send_time is not None:
        offset = 12 + shape.send_time_offset
        assert header[offset : offset + 3] == value
    if number is not None:
        written = bytearray(header)
        offset = 12 + shape.transport_sequence_offset
        written[offset : offset + 2] = b"\x12\x34"
        assert extensions_of(bytes(written))[number] == b"\x12\x34"
    else:
        assert shape.transport_sequence_offset == 0


def test_packets_are_not_numbered_unless_somebody_counts() -> None:
    track = video_track(transport_sequence_extension=7)
    assert packet_shape(track, 16) is packet_shape(TRACK, 16)
    assert packet_shape(track, 16, numbers_packets=True) is not packet_shape(TRACK, 16)
    assert packet_shape(TRACK, 16, numbers_packets=True) is packet_shape(TRACK, 16)


def test_a_mid_too_long_for_a_one_byte_element_is_left_out() -> None:
    assert extensions_of(packet_shape(video_track(mid="m" * 16), 16).header(102, bytes(3)))[4] == b"m" * 16
    assert 4 not in extensions_of(packet_shape(video_track(mid="m" * 17), 16).header(102, bytes(3)))


def test_the_absolute_send_time_is_seconds_in_6_18_fixed_point() -> None:
    assert absolute_send_time(0.0) == bytes(3)
    assert absolute_send_time(1.0) == b"\x04\x00\x00"
    assert absolute_send_time(64.5) == absolute_send_time(0.5) == b"\x02\x00\x00"
    assert int.from_bytes(absolute_send_time(12.345), "big") / 2**18 == pytest.approx(12.345, abs=1e-5)


def test_viewers_that_negotiated_the_same_share_a_shape() -> None:
    assert packet_shape(TRACK, 16) == packet_shape(video_track(ssrc=7, rtx_ssrc=8), 16)
    assert packet_shape(TRACK, 16) != packet_shape(TRACK, 10)
    assert packet_shape(TRACK, 16) != packet_shape(video_track(mid="1"), 16)

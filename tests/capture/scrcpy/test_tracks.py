"""Pictures and sound out of scrcpy's packets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.input_events import VideoSize
from capture.scrcpy.device_clock import DeviceClock
from capture.scrcpy.tracks import AudioTrack, VideoTrack
from capture.scrcpy.version import parse_version
from capture.scrcpy.wire import OPUS, RAW_AUDIO, Packet
from encoders.access_unit import AccessUnit
from encoders.annexb import split_nal_units, to_annexb
from encoders.errors import BitstreamError
from encoders.h264 import NalUnitType, nal_unit_type
from encoders.sound_format import SoundFormat
from tests.capture.source_contract import decode
from tests.fixtures.media import encode_x264

V3, V4 = parse_version("3.3.4"), parse_version("4.1")
_PARAMETER_SETS = (NalUnitType.SPS, NalUnitType.PPS)


def packets_of(width: int, height: int, count: int, *, x264: str = "") -> list[Packet]:
    """What a phone sends of `count` pictures: parameter sets on their own, before the first keyframe only."""
    packets = []
    for number, coded in enumerate(encode_x264(width, height, count, x264=f"bframes=0:{x264}")):
        nal_units = split_nal_units(coded)
        kinds = [nal_unit_type(nal) for nal in nal_units]
        config = to_annexb(nal for nal, kind in zip(nal_units, kinds, strict=True) if kind in _PARAMETER_SETS)
        picture = to_annexb(nal for nal, kind in zip(nal_units, kinds, strict=True) if kind not in _PARAMETER_SETS)
        if number == 0:
            packets.append(Packet(config, 0, is_config=True, is_keyframe=False))
        packets.append(Packet(picture, number * 40_000, False, NalUnitType.IDR_SLICE in kinds))
    return packets


def take_all(track: VideoTrack, packets: list[Packet], now: float = 100.0) -> list[AccessUnit]:
    taken = (track.take(packet, now + packet.pts / 1e6) for packet in packets)
    return [access_unit for access_unit in taken if access_unit is not None]


def test_every_keyframe_gets_the_parameter_sets_and_every_picture_its_time() -> None:
    track = VideoTrack(V4, DeviceClock())
    access_units = take_all(track, packets_of(64, 96, 20))
    assert len(decode(access_units)) == 20
    assert sum(unit.is_keyframe for unit in access_units) == 3
    assert [unit.captured_at for unit in access_units] == pytest.approx([100 + number / 25 for number in range(20)])
    for unit in access_units:
        if unit.is_keyframe:
            assert [nal_unit_type(nal) for nal in unit.nal_units][:2] == [NalUnitType.SPS, NalUnitType.PPS]
            assert len(decode([unit])) == 1
    assert track.has_begun


def test_several_slices_and_delimiters_are_one_picture() -> None:
    access_units = take_all(VideoTrack(V4, DeviceClock()), packets_of(64, 96, 10, x264="slices=3:aud=1"))
    assert len(decode(access_units)) == len(access_units) == 10


def test_parameter_sets_within_the_keyframe_are_not_doubled() -> None:
    config, keyframe, *_ = packets_of(64, 96, 1)
    together = Packet(config.data + keyframe.data, 0, is_config=False, is_keyframe=True)
    (access_unit,) = take_all(VideoTrack(V4, DeviceClock()), [config, together])
    kinds = [nal_unit_type(nal) for nal in access_unit.nal_units]
    assert kinds.count(NalUnitType.SPS) == kinds.count(NalUnitType.PPS) == 1


def test_another_size_comes_with_its_keyframe() -> None:
    track = VideoTrack(V3, DeviceClock())
    track.size = VideoSize(64, 96)
    access_units = take_all(track, packets_of(64, 96, 3))
    assert track.size == VideoSize(64, 96)
    access_units += take_all(track, packets_of(96, 64, 3), now=101.0)
    assert track.size == VideoSize(96, 64)
    assert [(frame.width, frame.height) for frame in decode(access_units)] == [(64, 96)] * 3 + [(96, 64)] * 3


def test_before_4_0_the_size_is_the_coded_one_unless_that_is_only_whole_macroblocks() -> None:
    track = VideoTrack(V3, DeviceClock())
    track.size = VideoSize(720, 1280)  # What the header said, and the encoder refused.
    take_all(track, packets_of(64, 96, 1))
    assert track.size == VideoSize(64, 96)
    uncropped = VideoTrack(V3, DeviceClock())
    uncropped.size = VideoSize(60, 90)
    take_all(uncropped, packets_of(64, 96, 1))
    assert uncropped.size == VideoSize(60, 90)


def test_since_4_0_only_the_server_says_the_size() -> None:
    track = VideoTrack(V4, DeviceClock())
    track.size = VideoSize(720, 1280)
    take_all(track, packets_of(64, 96, 1))
    assert track.size == VideoSize(720, 1280)


def test_pictures_before_the_first_keyframe_are_left_out() -> None:
    config, keyframe, second, third = packets_of(64, 96, 3)
    track = VideoTrack(V4, DeviceClock())
    assert len(take_all(track, [second, config, third, keyframe])) == 1
    assert track.headless_pictures == 2


@pytest.mark.parametrize(
    ("data", "complaint"), [(b"no H.264", "holds no NAL unit"), (b"\0\0\1\x65\x88", "no sequence parameter set")]
)
def test_what_is_no_video_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(BitstreamError, match=complaint):
        VideoTrack(V4, DeviceClock()).take(Packet(data, 0, is_config=False, is_keyframe=True), 1.0)


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans()), max_size=10))
def test_garbage_is_refused_or_taken(pieces: list[tuple[bytes, bool]]) -> None:
    track = VideoTrack(V3, DeviceClock())
    try:
        for data, is_config in pieces:
            track.take(Packet(b"\0\0\1" + data, 0, is_config, is_keyframe=False), 1.0)
    except BitstreamError:
        pass


def test_opus_is_passed_on() -> None:
    track = AudioTrack(DeviceClock(), SoundFormat())
    track.begin(OPUS)
    assert track.take(Packet(b"OpusHead", 0, is_config=True, is_keyframe=False), 5.0) == []
    (packet,) = track.take(Packet(b"\xf8\xff\xfe", 20_000, False, False), 5.0)
    assert (packet.data, packet.duration, packet.captured_at) == (b"\xf8\xff\xfe", 0.02, 5.0)
    assert track.take(Packet(b"\xff\x00", 40_000, False, False), 5.02) == []
    assert track.dropped == {"broken_audio": 1}


def test_raw_sound_is_encoded() -> None:
    track = AudioTrack(DeviceClock(), SoundFormat())
    track.begin(RAW_AUDIO)
    packets = []
    for number in range(10):
        at = number * 1024 / 48_000
        packets += track.take(Packet(bytes(4096), round(at * 1e6), False, False), 5.0 + at)
    assert len(packets) == 10  # 213 ms
    assert {packet.duration for packet in packets} == {0.02}
    assert track.take(Packet(b"", 0, False, False), 6.0) == []
    assert track.take(Packet(b"odd", 220_000, False, False), 6.0) == []
    assert track.dropped == {"broken_audio": 1}

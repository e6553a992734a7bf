import av
import pytest
from av.video.frame import PictureType

from capture.playability import Playability
from encoders.access_unit import AccessUnit
from encoders.annexb import split_nal_units
from tests.encoders.test_h264 import sps_of
from tests.fixtures.media import encode_x264
from tests.media_service.pushed_source import parameter_sets

IDR, SLICE = bytes([0x65, 1, 2, 3]), bytes([0x41, 1, 2, 3])


def keyframe(*parameters: bytes) -> AccessUnit:
    return AccessUnit((*parameters, IDR), 0.0, is_keyframe=True)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        (parameter_sets(64, 96), ""),
        (parameter_sets(64, 96, b_frames=True), "its encoder makes B-frames (up to 2 out of order)"),
        ((b"\x67\x42",), "its parameter sets make no sense: "),
    ],
    ids=["without", "with", "nonsense"],
)
def test_what_browsers_show(parameters: tuple[bytes, ...], complaint: str) -> None:
    said = Playability().complaint(keyframe(*parameters))
    assert said.startswith(complaint)
    assert bool(said) is bool(complaint)


def test_each_parameter_set_is_looked_at_once() -> None:
    playability = Playability()
    assert playability.complaint(keyframe(*parameter_sets(64, 96))) == ""
    assert playability.complaint(AccessUnit((SLICE,), 0.1, is_keyframe=False)) == ""
    assert playability.complaint(keyframe(*parameter_sets(64, 96))) == ""
    assert "B-frames" in playability.complaint(keyframe(*parameter_sets(64, 96, b_frames=True)))


def test_b_frames_are_taken_where_they_are_coded_again() -> None:
    playability = Playability(takes_b_frames=True)
    assert playability.complaint(keyframe(*parameter_sets(64, 96, b_frames=True))) == ""
    assert playability.complaint(AccessUnit((SLICE,), 0.1, is_keyframe=False)) == ""
    assert "no sense" in playability.complaint(keyframe(b"\x67\x42"))


@pytest.mark.parametrize("x264", ["bframes=2", "bframes=2:slices=3", "bframes=3:b-pyramid=normal", "bframes=0:cabac=0"])
@pytest.mark.parametrize(
    ("sps", "may_reorder"),
    [(sps_of(100, 0), True), (sps_of(100, 0, reorder=0), False), (sps_of(100, 0, pic_order_cnt_type=2), False)],
    ids=["no word", "in order", "in order by its count"],
)
def test_b_frames_that_are_not_announced_are_seen(sps: bytes, may_reorder: bool, x264: str) -> None:
    coded = encode_x264(64, 96, 12, profile="high", x264=x264)
    decoder = av.CodecContext.create("h264", "r")
    packets = decoder.parse(b"".join(coded)) + decoder.parse(b"")
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    playability = Playability()
    assert playability.complaint(keyframe(sps)) == ""
    complaints = [
        playability.complaint(AccessUnit(tuple(split_nal_units(each)), 0.0, is_keyframe=False)) for each in coded
    ]
    b_frames = sum(frame.pict_type == PictureType.B for frame in frames)
    assert sum(map(bool, complaints)) == (b_frames if may_reorder else 0)
    assert set(complaints) <= {"", "its encoder makes B-frames, which browsers do not show"}

"""FLV as ffmpeg writes it, in any chunks, and what is none."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.annexb import AnnexBParser
from encoders.errors import BitstreamError
from encoders.flv import FlvParser, FlvVideo
from encoders.h264 import NalUnitType, nal_unit_type

HEADER = b"FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"
RECORD = b"\x01\x42\xc0\x1f\xff\xe1\x00\x03\x67\x42\xc0\x01\x00\x02\x68\xce"


def tag(data: bytes, kind: int = 9) -> bytes:
    size = len(data)
    return bytes((kind,)) + size.to_bytes(3, "big") + bytes(7) + data + (size + 11).to_bytes(4, "big")


def sequence_header(record: bytes = RECORD) -> bytes:
    return tag(b"\x17\x00\x00\x00\x00" + record)


def picture(*nal_units: bytes, key: int = 0x17) -> bytes:
    return tag(bytes((key, 1, 0, 0, 0)) + b"".join(len(nal).to_bytes(4, "big") + nal for nal in nal_units))


PIPE = HEADER + tag(b"\x02\x00\x0aonMetaData", 18) + sequence_header() + picture(b"\x06\x05", b"\x65" * 300)
PIPE += tag(b"\xaf\x00", 8) + picture(b"\x41\x9a", key=0x27) + tag(b"\x17\x02\x00\x00\x00")
VIDEO = [
    FlvVideo((b"\x67\x42\xc0", b"\x68\xce"), True),
    FlvVideo((b"\x06\x05", b"\x65" * 300), False),
    FlvVideo((b"\x41\x9a",), False),
]


@settings(max_examples=100)
@given(st.lists(st.integers(1, 40), max_size=60))
def test_any_chunking_gives_the_same(sizes: list[int]) -> None:
    parser, found, begin = FlvParser(), [], 0
    for size in [*sizes, len(PIPE)]:
        found += parser.feed(PIPE[begin : begin + size])
        begin += size
    assert found == VIDEO


def test_a_picture_is_there_with_its_last_byte() -> None:
    parser = FlvParser()
    whole = HEADER + sequence_header() + picture(b"\x65\x88")
    assert parser.feed(whole[:-1]) == [VIDEO[0]]
    assert parser.feed(whole[-1:]) == [FlvVideo((b"\x65\x88",), False)]


def test_what_ffmpeg_makes_of_a_clip_is_what_is_in_it(clip_h264: Path, tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("scripts/bootstrap test installs ffmpeg")
    command = ["ffmpeg", "-loglevel", "error", "-i", str(clip_h264), "-c", "copy", "-f", "flv", str(tmp_path / "flv")]
    subprocess.run(command, check=True, timeout=30)
    annexb = AnnexBParser()
    expected = [*annexb.feed(clip_h264.read_bytes(), 0.0), *annexb.flush()]
    header, *pictures = FlvParser().feed((tmp_path / "flv").read_bytes())
    assert header.is_header
    assert [nal_unit_type(nal) for nal in header.nal_units] == [NalUnitType.SPS, NalUnitType.PPS]
    assert [video.nal_units for video in pictures] == [unit.nal_units for unit in expected]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x00\x00\x00\x01\x67\x42\xc0\x1f\xda\x02\xd0\x28\x6c", "no FLV: it begins with"),
        (b"FLV\x01\x01\x00\x00\x00\x0a\x00\x00\x00\x00", "no FLV"),
        (HEADER + tag(b"", 7), "tag is of type 7"),
        (HEADER + b"\x09\xff\xff\xff" + bytes(7), "has 16777215 bytes: at most 8388608"),
        (HEADER + tag(b"\x17\x00\x00"), "is no H.264"),
        (HEADER + tag(b"\x12\x00\x00\x00\x00"), "is no H.264"),
        (HEADER + picture(b"\x65"), "before the sequence header"),
        (HEADER + sequence_header(b"\x02" + RECORD[1:]), "no decoder configuration record"),
        (HEADER + sequence_header(RECORD[:6]), "no decoder configuration record"),
        (HEADER + sequence_header(RECORD[:9]), "a sequence parameter set of 3 bytes"),
        (HEADER + sequence_header(RECORD[:11]), "ends before its picture parameter sets"),
        (HEADER + sequence_header(RECORD[:-1]), "a picture parameter set of 2 bytes"),
        (HEADER + sequence_header() + tag(b"\x17\x01\x00\x00\x00\x00\x00\x00\x09\x65"), "a NAL unit of 9 bytes"),
        (HEADER + sequence_header() + tag(b"\x17\x01\x00\x00\x00\x00\x00\x00\x00"), "a NAL unit of 0 bytes"),
    ],
)
def test_what_is_no_flv_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        FlvParser().feed(data)


def test_an_empty_sequence_header_is_passed_over() -> None:
    assert FlvParser().feed(HEADER + sequence_header(b"") + sequence_header()) == [VIDEO[0]]


@settings(max_examples=300)
@given(st.data())
def test_damaged_bytes_raise_nothing_else(data: st.DataObject) -> None:
    damaged = bytearray(PIPE)
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(PIPE) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(PIPE))) :]
    parser = FlvParser(limit=1000)
    try:
        found = parser.feed(bytes(damaged))
    except BitstreamError:
        return
    assert all(nal for video in found for nal in video.nal_units)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_raise_nothing_else(data: bytes, is_begun: bool) -> None:
    try:
        FlvParser().feed((HEADER + sequence_header() if is_begun else b"") + data)
    except BitstreamError:
        pass

"""The Annex-B parser: however the pipe cuts the bytes, the same pictures come out, and FFmpeg's parser agrees."""

from collections.abc import Iterable
from functools import cache

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.access_unit import AccessUnit
from encoders.annexb import AnnexBParser, picture_nal_units, split_nal_units, to_annexb
from encoders.errors import BitstreamError
from tests.fixtures.media import encode_x264

SETTINGS = {
    "baseline": ("baseline", "bframes=0"),
    "main with B-frames": ("main", "bframes=2"),
    "high": ("high", "bframes=0"),
    "four slices": ("high", "slices=4:bframes=0"),
    "delimiters": ("high", "aud=1:bframes=0"),
    "delimiters and four slices": ("main", "aud=1:slices=4:bframes=1"),
    "filler": ("high", "nal-hrd=cbr:vbv-maxrate=400:vbv-bufsize=400:bitrate=400:bframes=0"),
}

SPS, PPS, SEI = b"\x67\x42\xc0\x1f\xda", b"\x68\xce\x3c\x80", b"\x06\x05\x01\x01\x80"
IDR, IDR_REST = b"\x65\x88\x84\x21", b"\x65\x42\x11\x22"
PICTURE, PICTURE_REST = b"\x41\x9a\x33\x44", b"\x41\x5a\x33\x55"


@cache
def stream(name: str) -> list[bytes]:
    """Access units of x264, as it wrote them."""
    profile, parameters = SETTINGS[name]
    return encode_x264(96, 80, 20, profile=profile, x264=parameters)


def parse(chunks: Iterable[bytes]) -> list[AccessUnit]:
    parser = AnnexBParser()
    access_units = [access_unit for chunk in chunks for access_unit in parser.feed(chunk, 0.0)]
    return access_units + parser.flush()


def feed(parser: AnnexBParser, data: bytes, step: int) -> None:
    for start in range(0, len(data), step):
        parser.feed(data[start : start + step], 0.0)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """`data` in chunks, cut at `places` (taken modulo its length)."""
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


PLACES = st.lists(st.integers(0, 2**20), max_size=40)
STREAMS = st.sampled_from(sorted(SETTINGS))


class TestChunks:
    @given(name=STREAMS, places=PLACES)
    def test_any_chunking_gives_the_same_pictures(self, name: str, places: list[int]) -> None:
        data = b"".join(stream(name))
        assert parse(cut(data, places)) == parse([data])

    @pytest.mark.parametrize("name", SETTINGS)
    def test_byte_by_byte(self, name: str) -> None:
        data = b"".join(stream(name))
        assert parse(data[index : index + 1] for index in range(len(data))) == parse([data])

    @given(name=STREAMS, lengths=st.lists(st.integers(3, 6), min_size=1, max_size=7), places=PLACES)
    def test_start_codes_and_trailing_zeros_of_any_length(
        self, name: str, lengths: list[int], places: list[int]
    ) -> None:
        nal_units = split_nal_units(b"".join(stream(name)))
        data = b"".join(bytes(lengths[index % len(lengths)] - 1) + b"\x01" + nal for index, nal in enumerate(nal_units))
        assert parse(cut(data, places)) == parse([to_annexb(nal_units)])

    @given(
        data=st.lists(st.sampled_from([b"\0", b"\0\0\1", b"\1", b"\x65", b"\x41\x80", b"\x41\x10", b"\x67", b"\x09"])),
        places=PLACES,
    )
    def test_any_chunking_of_nonsense_gives_the_same_too(self, data: list[bytes], places: list[int]) -> None:
        nonsense = b"".join(data)
        assert parse(cut(nonsense, places)) == parse([nonsense])


class TestOracle:
    @pytest.mark.parametrize("name", SETTINGS)
    def test_ffmpeg_sees_the_same_pictures(self, name: str) -> None:
        data = b"".join(stream(name))
        codec = av.CodecContext.create("h264", "r")
        packets = [*codec.parse(data), *codec.parse(b"")]
        expected = [(picture_nal_units(bytes(packet)), packet.is_keyframe) for packet in packets]
        assert [(unit.nal_units, unit.is_keyframe) for unit in parse([data])] == expected
        assert len(expected) == 20

    def test_the_encoder_said_where_its_pictures_end(self) -> None:
        for name in SETTINGS:
            packets = stream(name)
            assert [unit.nal_units for unit in parse([b"".join(packets)])] == [*map(picture_nal_units, packets)]


class TestFlush:
    @pytest.mark.parametrize("name", SETTINGS)
    def test_a_quiet_pipe_gives_each_picture_at_once(self, name: str) -> None:
        parser = AnnexBParser()
        for packet in stream(name):
            assert parser.feed(packet, 0.0) == []
            assert [unit.nal_units for unit in parser.flush()] == [picture_nal_units(packet)]
            assert parser.flush() == []
        assert parser.cut_pictures == 0

    @given(
        name=STREAMS,
        number=st.integers(0, 18),
        place=st.integers(0, 2**20),
        places=PLACES,
    )
    def test_a_flush_within_a_slice_is_noticed(self, name: str, number: int, place: int, places: list[int]) -> None:
        packets = stream(name)
        before, torn, after = b"".join(packets[:number]), packets[number], b"".join(packets[number + 1 :])
        last = picture_nal_units(torn)[-1]
        start = torn.index(last)
        middle = start + 2 + place % (len(last) - 2)  # at least the header and one byte of the slice, not all of it
        parser = AnnexBParser()
        given_before = [*parser.feed(before + torn[:middle], 0.0), *parser.flush()]
        assert len(given_before) == number + 1
        assert parser.cut_pictures == 0
        given_after = [unit for chunk in cut(torn[middle:] + after, places) for unit in parser.feed(chunk, 0.0)]
        given_after += parser.flush()
        assert parser.cut_pictures == 1
        whole = parse([b"".join(packets)])[number + 1 :]
        keyframes = [index for index, unit in enumerate(whole) if unit.is_keyframe]
        resumed = keyframes[0] if keyframes else len(whole)
        assert given_after == whole[resumed:]
        assert parser.dropped_pictures == resumed
        assert parser.waits_for_keyframe == (not keyframes)

    def test_a_flush_between_two_slices_is_noticed(self) -> None:
        parser = AnnexBParser()
        parser.feed(to_annexb([SPS, PPS, IDR]), 0.0)
        assert [unit.nal_units for unit in parser.flush()] == [(SPS, PPS, IDR)]
        assert parser.feed(to_annexb([IDR_REST, IDR_REST, PICTURE]), 0.0) == []
        assert (parser.cut_pictures, parser.waits_for_keyframe) == (1, True)
        assert parser.feed(to_annexb([SPS, PPS, IDR, PICTURE]), 0.0) == [AccessUnit((SPS, PPS, IDR), 0.0, True)]
        assert (parser.dropped_pictures, parser.waits_for_keyframe) == (1, False)

    def test_parameter_sets_alone_are_no_picture_and_wait_for_theirs(self) -> None:
        parser = AnnexBParser()
        parser.feed(to_annexb([SPS, PPS[:2]]), 1.0)
        assert parser.flush() == []
        parser.feed(PPS[2:] + to_annexb([IDR]), 2.0)
        assert parser.flush() == [AccessUnit((SPS, PPS, IDR), 2.0, True)]
        assert parser.cut_pictures == 0

    def test_a_picture_is_pending_from_its_first_slice_to_the_flush(self) -> None:
        parser = AnnexBParser()
        pending = []
        for data in (SPS, PPS, IDR, IDR_REST, PICTURE, SEI):
            parser.feed(to_annexb([data]), 0.0)
            pending.append(parser.is_pending)
        assert pending == [False, False, True, True, True, False]
        parser.feed(to_annexb([PICTURE]), 0.0)
        parser.flush()
        assert not parser.is_pending

    @pytest.mark.parametrize("zeros", [1, 2, 3, 4])
    def test_a_start_code_that_came_in_part_before_the_flush(self, zeros: int) -> None:
        parser = AnnexBParser()
        parser.feed(to_annexb([SPS, PPS, IDR]) + bytes(zeros), 0.0)
        assert parser.flush() == [AccessUnit((SPS, PPS, IDR), 0.0, True)]
        parser.feed(bytes(max(0, 2 - zeros)) + b"\x01" + PICTURE, 1.0)
        assert parser.flush() == [AccessUnit((PICTURE,), 1.0, False)]
        assert parser.cut_pictures == 0

    def test_a_start_code_without_its_nal_unit_before_the_flush(self) -> None:
        parser = AnnexBParser()
        parser.feed(to_annexb([SPS, PPS, IDR, b""]), 0.0)
        assert parser.flush() == [AccessUnit((SPS, PPS, IDR), 0.0, True)]
        parser.feed(PICTURE, 1.0)
        assert parser.flush() == [AccessUnit((PICTURE,), 1.0, False)]
        assert parser.cut_pictures == 0

    def test_filler_after_a_flushed_picture_does_not_mean_it_was_cut(self) -> None:
        parser = AnnexBParser()
        parser.feed(to_annexb([SPS, PPS, IDR]), 0.0)
        parser.flush()
        parser.feed(to_annexb([b"\x0c\xff\xff\x80", PICTURE]), 0.0)
        assert parser.flush() == [AccessUnit((PICTURE,), 0.0, False)]
        assert parser.cut_pictures == 0


class TestAccessUnits:
    def test_captured_when_the_first_slice_came(self) -> None:
        parser = AnnexBParser()
        parser.feed(to_annexb([SPS, PPS]), 1.0)
        parser.feed(to_annexb([IDR]), 2.0)
        parser.feed(to_annexb([IDR_REST]), 3.0)
        first = parser.feed(to_annexb([PICTURE]), 4.0)
        assert [unit.captured_at for unit in [*first, *parser.flush()]] == [2.0, 4.0]

    @pytest.mark.parametrize("head", [SEI, SPS, PPS, b"\x09\x10", b"\x0e\x80", b"\x0f\x80", b"\x12\x80"])
    def test_what_begins_a_new_one_after_a_slice(self, head: bytes) -> None:
        parser = AnnexBParser()
        assert parser.feed(to_annexb([SPS, PPS, IDR, head]), 0.0) == [AccessUnit((SPS, PPS, IDR), 0.0, True)]

    @pytest.mark.parametrize("header", [0, 9, 10, 11, 12, 24, 28, 31])
    def test_what_is_left_out(self, header: int) -> None:
        other = bytes((header, 0x80, 0x80))
        units = parse([to_annexb([other, SPS, PPS, other, IDR, other])])
        assert [nal for unit in units for nal in unit.nal_units] == [SPS, PPS, IDR]

    def test_slices_without_their_beginning_are_left_out(self) -> None:
        units = parse([to_annexb([PICTURE_REST, IDR_REST, PICTURE, PICTURE_REST])])
        assert units == [AccessUnit((PICTURE, PICTURE_REST), 0.0, False)]

    def test_size(self) -> None:
        assert AccessUnit((SPS, IDR), 0.0, True).size == len(SPS) + len(IDR)


class TestOutsideBytes:
    def test_the_preamble_is_kept(self) -> None:
        parser = AnnexBParser()
        message = b"Unable to get output buffers (err=-38)\n"
        parser.feed(message[:20], 0.0)
        parser.feed(message[20:], 0.0)
        assert parser.preamble == message
        parser.feed(to_annexb([SPS, PPS, IDR]), 0.0)
        assert parser.flush() == [AccessUnit((SPS, PPS, IDR), 0.0, True)]
        assert parser.preamble == message

    def test_of_a_long_preamble_the_first_kilobyte_is_kept(self) -> None:
        parser = AnnexBParser()
        for _ in range(10):
            parser.feed(b"x" * 1000, 0.0)
        assert parser.preamble == b"x" * 1024

    def test_bytes_without_end_and_start_code_are_refused(self) -> None:
        parser = AnnexBParser(limit=10_000)
        with pytest.raises(BitstreamError, match=r"no H.264 start code in 1\d{4} bytes: b'error: "):
            feed(parser, b"error: " * 10_000, step=700)

    @pytest.mark.parametrize("step", [100, 100_000])
    @pytest.mark.parametrize(
        "endless",
        [
            to_annexb([SPS, PPS, IDR + b"\x55" * 20_000, PICTURE]),
            to_annexb([IDR, *[PICTURE_REST] * 2000, PICTURE]),
            to_annexb([SEI] * 2000),
            b"\x00\x00\x01\x65" + bytes(20_000) + b"\x00\x00\x01",
            to_annexb([IDR + b"\x55" * 20_000]),
        ],
        ids=["a slice", "many slices", "many SEI", "zeros", "not even at the end of the stream"],
    )
    def test_a_picture_without_end_is_refused(self, endless: bytes, step: int) -> None:
        parser = AnnexBParser(limit=10_000)
        with pytest.raises(BitstreamError, match="longer than 10000 bytes"):
            feed(parser, endless, step)

    @given(
        chunks=st.lists(
            st.one_of(
                st.binary(max_size=40),
                st.just(None),
                st.binary(max_size=6).map(lambda tail: b"\x00\x00\x01" + tail),
            ),
            max_size=40,
        ),
        limit=st.integers(0, 400),
    )
    def test_nonsense_raises_nothing_else(self, chunks: list[bytes | None], limit: int) -> None:
        parser = AnnexBParser(limit=limit)
        try:
            for chunk in chunks:
                units = parser.flush() if chunk is None else parser.feed(chunk, 0.0)
                assert all(unit.nal_units and all(unit.nal_units) for unit in units)
        except BitstreamError:
            pass

    def test_split_nal_units(self) -> None:
        assert split_nal_units(b"text\x00\x00\x00\x01\x67\x00\x00\x00\x01\x00\x00\x01\x65\x88\x00\x00") == [
            b"\x67",
            b"\x65\x88",
        ]
        assert split_nal_units(b"") == split_nal_units(b"no start code") == []

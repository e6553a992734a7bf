"""SPS parsing, checked with what FFmpeg's decoder makes of the same stream."""

from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.annexb import split_nal_units
from encoders.errors import BitstreamError
from encoders.h264 import NalUnitType, SequenceParameterSet, nal_unit_type, parse_pps_id, parse_sps
from encoders.h264_profile import H264Profile, profile_of
from tests.fixtures.media import encode_x264


def parameter_set(data: bytes, kind: NalUnitType) -> bytes:
    return next(nal for nal in split_nal_units(data) if nal_unit_type(nal) is kind)


class Bits:
    """Writes the bits of a parameter set."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, count: int, number: int) -> "Bits":
        self.text += f"{number:0{count}b}"
        return self

    def ue(self, *numbers: int) -> "Bits":
        for number in numbers:
            self.text += "0" * ((number + 1).bit_length() - 1) + f"{number + 1:b}"
        return self

    def se(self, *numbers: int) -> "Bits":
        return self.ue(*(2 * number - 1 if number > 0 else -2 * number for number in numbers))

    def nal(self, header: int) -> bytes:
        bits = self.text + "1"
        bits += "0" * (-len(bits) % 8)
        payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
        escaped = bytearray()
        for byte in payload:  # H.264 section 7.3.1
            if escaped[-2:] == b"\x00\x00" and byte <= 3:
                escaped.append(3)
            escaped.append(byte)
        return bytes((header,)) + bytes(escaped)


def sps_of(profile_idc: int, flags: int, *, pic_order_cnt_type: int = 0, reorder: int | None = None) -> bytes:
    """A hand-made SPS of 160x128."""
    bits = Bits().u(8, profile_idc).u(8, flags).u(8, 30).ue(0)
    if profile_idc in (100, 110, 122, 244, 44):
        bits.ue(1, 0, 0).u(2, 0)
    bits.ue(0, pic_order_cnt_type)
    if pic_order_cnt_type == 0:
        bits.ue(0)
    elif pic_order_cnt_type == 1:
        bits.u(1, 0).se(-2, 3).ue(3).se(1, -1, 100)
    bits.ue(1).u(1, 0).ue(9, 7).u(3, 0b110)  # frames only, not cropped
    if reorder is None:
        return bits.u(1, 0).nal(0x67)
    bits.u(1, 1).u(8, 0).u(1, 1).u(1, 1).ue(2, 1, 16, 16, reorder, 4)
    return bits.nal(0x67)


class TestAgainstTheDecoder:
    @pytest.mark.parametrize(
        ("width", "height", "profile", "pix_fmt", "x264"),
        [
            (64, 64, "baseline", "yuv420p", "bframes=0"),
            (16, 16, "baseline", "yuv420p", "bframes=0"),
            (178, 318, "baseline", "yuv420p", "bframes=0:ref=1"),
            (90, 50, "main", "yuv420p", "bframes=3"),
            (144, 96, "main", "yuv420p", "bframes=0:sar=4/3"),
            (144, 96, "high", "yuv420p", "cqm=jvt:bframes=0"),
            (66, 130, "high", "yuv420p", "sar=7/5:overscan=show:fullrange=on:colorprim=bt709:chromaloc=2"),
            (66, 98, "high", "yuv420p", "nal-hrd=vbr:vbv-maxrate=300:vbv-bufsize=300:pic-struct=1"),
            (98, 66, "high10", "yuv420p10le", "bframes=1"),
            (98, 66, "high422", "yuv422p", "bframes=1"),
            (98, 66, "high444", "yuv444p", "bframes=0:cqm=jvt"),
            (98, 66, "high", "gray", "bframes=0"),
            (96, 68, "high", "yuv420p", "interlaced=1"),
            (2046, 34, "high", "yuv420p", "bframes=0"),
        ],
    )  # fmt: skip
    def test_x264(self, width: int, height: int, profile: str, pix_fmt: str, x264: str) -> None:
        data = b"".join(encode_x264(width, height, 6, profile=profile, pix_fmt=pix_fmt, x264=x264))
        nal = parameter_set(data, NalUnitType.SPS)
        sps = parse_sps(nal)
        decoder = av.CodecContext.create("h264", "r")
        frames = [frame for packet in decoder.parse(data) + decoder.parse(b"") for frame in decoder.decode(packet)]
        frames += decoder.decode(None)
        assert (sps.width, sps.height) == (frames[0].width, frames[0].height) == (width, height)
        assert decoder.profile is not None
        assert profile_of(sps.profile_level_id) == decoder.profile.lower()
        assert sps.profile_level_id == nal[1:4].hex()
        assert sps.frame_rate == 25
        assert sps.frame_mbs_only == ("interlaced" not in x264)
        assert sps.may_reorder == (decoder.has_b_frames > 0)
        assert sps.seq_parameter_set_id == 0
        assert parse_pps_id(parameter_set(data, NalUnitType.PPS)) == 0

    def test_a_real_phone(self, android_recording: Path) -> None:
        nal = parameter_set(android_recording.read_bytes(), NalUnitType.SPS)
        assert parse_sps(nal) == SequenceParameterSet(
            seq_parameter_set_id=0,
            profile_idc=100,
            constraint_flags=0,
            level_idc=51,
            width=1080,
            height=2400,
            pic_order_cnt_type=2,
            max_num_reorder_frames=0,
            frame_rate=None,
        )


class TestReordering:
    @pytest.mark.parametrize(
        ("profile_idc", "flags", "pic_order_cnt_type", "reorder", "expected"),
        [
            (100, 0, 0, 0, False),
            (100, 0, 0, 2, True),
            (66, 0xC0, 2, 1, True),
            (100, 0, 0, None, True),
            (100, 0, 1, None, True),
            (100, 0, 2, None, False),
            (77, 0, 0, None, True),
            (66, 0, 0, None, False),
            (77, 0x80, 0, None, False),  # also constrained baseline
            (100, 0x0C, 0, None, False),  # constrained high
            (110, 0x10, 0, None, False),  # intra only
        ],
    )
    def test_whether_pictures_may_be_shown_in_another_order(
        self, profile_idc: int, flags: int, pic_order_cnt_type: int, reorder: int | None, expected: bool
    ) -> None:
        sps = parse_sps(sps_of(profile_idc, flags, pic_order_cnt_type=pic_order_cnt_type, reorder=reorder))
        assert (sps.width, sps.height) == (160, 128)
        assert sps.max_num_reorder_frames == reorder
        assert sps.may_reorder is expected


class TestBadInput:
    @pytest.mark.parametrize(
        ("nal", "message"),
        [
            (b"", "empty"),
            (b"\x68\xce", "not 8"),
            (b"\x67", "ends after 0 bits"),
            (b"\x67\x64\x00\x1f\x00\x00\x00\x00\x00\x00", "longer than 63 bits"),
            (Bits().u(24, 0x42001E).ue(32).nal(0x67), "32, at most 31"),
            (Bits().u(24, 0x42001E).ue(0, 0, 3).nal(0x67), "3, at most 2"),
            (Bits().u(24, 0x42001E).ue(0, 0, 2, 1).u(1, 0).ue(5000).nal(0x67), "5000, at most 1054"),
            (
                Bits().u(24, 0x42001E).ue(0, 0, 2, 1).u(1, 0).ue(0, 0).u(3, 0b111).ue(4, 4, 0, 0).u(1, 0).nal(0x67),
                "nothing of the picture: 0x16",
            ),
        ],
    )
    def test_the_reason_is_named(self, nal: bytes, message: str) -> None:
        with pytest.raises(BitstreamError, match=message):
            parse_sps(nal)

    @given(st.binary(max_size=200))
    def test_random_bytes(self, payload: bytes) -> None:
        for parse, header in ((parse_sps, b"\x67"), (parse_pps_id, b"\x68")):
            try:
                parse(header + payload)
            except BitstreamError:
                pass

    @given(
        profile_idc=st.sampled_from([66, 77, 100, 244]),
        changes=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255))),
        end=st.integers(0, 100),
    )
    def test_a_broken_parameter_set(self, profile_idc: int, changes: list[tuple[int, int]], end: int) -> None:
        nal = bytearray(sps_of(profile_idc, 0, pic_order_cnt_type=1, reorder=1))
        for place, byte in changes:
            nal[1 + place % (len(nal) - 1)] = byte
        try:
            sps = parse_sps(bytes(nal[:end]))
        except BitstreamError:
            return
        assert sps.width > 0
        assert sps.height > 0

    @given(st.binary(min_size=1, max_size=3))
    def test_every_header_has_a_type(self, nal: bytes) -> None:
        kind = nal_unit_type(nal)
        assert kind == nal[0] & 31 or (kind is NalUnitType.UNSPECIFIED and nal[0] & 31 >= 24)


class TestProfile:
    @pytest.mark.parametrize(
        ("profile_level_id", "expected"),
        [
            # RFC 6184 table 5, row by row, and what browsers offer.
            ("42e01f", H264Profile.CONSTRAINED_BASELINE),
            ("42C01F", H264Profile.CONSTRAINED_BASELINE),
            ("4d801f", H264Profile.CONSTRAINED_BASELINE),
            ("58c01f", H264Profile.CONSTRAINED_BASELINE),
            ("42001f", H264Profile.BASELINE),
            ("42a01f", H264Profile.BASELINE),
            ("58801f", H264Profile.BASELINE),
            ("4d001f", H264Profile.MAIN),
            ("4d401f", H264Profile.MAIN),
            ("58001f", H264Profile.EXTENDED),
            ("640033", H264Profile.HIGH),
            ("64081f", H264Profile.PROGRESSIVE_HIGH),
            ("640c1f", H264Profile.CONSTRAINED_HIGH),
            ("6e001f", H264Profile.HIGH_10),
            ("6e101f", H264Profile.HIGH_10_INTRA),
            ("7a001f", H264Profile.HIGH_422),
            ("7a101f", H264Profile.HIGH_422_INTRA),
            ("f4001f", H264Profile.HIGH_444_PREDICTIVE),
            ("f4101f", H264Profile.HIGH_444_INTRA),
            ("2c101f", H264Profile.CAVLC_444_INTRA),
        ],
    )
    def test_table(self, profile_level_id: str, expected: H264Profile) -> None:
        assert profile_of(profile_level_id) is expected

    @pytest.mark.parametrize("text", ["", "42e01", "42e01f0", "42e01g", "0x42e0", " 2e01f", "42e01\n", "００００００"])
    def test_what_is_no_profile_level_id(self, text: str) -> None:
        with pytest.raises(BitstreamError, match="six hexadecimal digits"):
            profile_of(text)

    def test_an_unknown_profile(self) -> None:
        with pytest.raises(BitstreamError, match="unknown profile_idc 76; known are 2c, 42, 4d, 58, 64, 6e, 7a, f4"):
            profile_of("76001f")

    @given(st.text(max_size=8))
    def test_any_text(self, text: str) -> None:
        try:
            profile_of(text)
        except BitstreamError:
            pass

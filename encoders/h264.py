"""What H.264 NAL units say about themselves: their type, and the sequence parameter set (ITU-T H.264, 08/2021)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from encoders.bit_reader import BitReader
from encoders.errors import BitstreamError


class NalUnitType(IntEnum):
    """nal_unit_type (H.264 table 7-1)."""

    UNSPECIFIED = 0
    """Also stands for 24 to 31, which H.264 leaves to others (RFC 6184 uses them on the wire)."""
    SLICE = 1
    PARTITION_A = 2
    PARTITION_B = 3
    PARTITION_C = 4
    IDR_SLICE = 5
    SEI = 6
    SPS = 7
    PPS = 8
    ACCESS_UNIT_DELIMITER = 9
    END_OF_SEQUENCE = 10
    END_OF_STREAM = 11
    FILLER = 12
    SPS_EXTENSION = 13
    PREFIX = 14
    SUBSET_SPS = 15
    DEPTH_PARAMETER_SET = 16
    RESERVED_17 = 17
    RESERVED_18 = 18
    AUXILIARY_SLICE = 19
    SLICE_EXTENSION = 20
    DEPTH_SLICE_EXTENSION = 21
    RESERVED_22 = 22
    RESERVED_23 = 23


_TYPES: Final = tuple(NalUnitType(number) if number < 24 else NalUnitType.UNSPECIFIED for number in range(32))


def nal_unit_type(nal: bytes) -> NalUnitType:
    """The type of a NAL unit that is given without its start code; raises `BitstreamError` for an empty one."""
    if not nal:
        raise BitstreamError("a NAL unit has at least one byte, this one is empty")
    return _TYPES[nal[0] & 0x1F]


@dataclass(frozen=True, slots=True)
class SequenceParameterSet:
    """What a decoder must be able to do, and what it will show."""

    seq_parameter_set_id: int

    profile_idc: int

    constraint_flags: int
    """The byte after profile_idc: constraint_set0_flag is its highest bit."""

    level_idc: int
    """Ten times the level: 31 is level 3.1."""

    width: int
    """Pixels after cropping."""

    height: int
    """Pixels after cropping."""

    pic_order_cnt_type: int

    max_num_reorder_frames: int | None
    """How many pictures may be shown after one that follows them in decoding order; None where the VUI does not say."""

    frame_rate: float | None
    """Pictures per second by the VUI's timing; None where it has none."""

    frame_mbs_only: bool = True
    """Whether every picture is a frame; otherwise some may be fields, or frames of interlaced macroblocks."""

    @property
    def profile_level_id(self) -> str:
        """The profile-level-id of RFC 6184 section 8.1: six lower-case hexadecimal digits, as `42c01f`."""
        return f"{self.profile_idc:02x}{self.constraint_flags:02x}{self.level_idc:02x}"

    @property
    def may_reorder(self) -> bool:
        """Whether pictures may be decoded in another order than shown (B-frames), which no browser plays over RTP."""
        if self.max_num_reorder_frames is not None:
            return self.max_num_reorder_frames > 0
        if self.pic_order_cnt_type == 2:  # output order is decoding order (section 8.2.1.3)
            return False
        baseline = self.profile_idc == 66 or (self.profile_idc in (77, 88) and self.constraint_flags & 0x80)
        # Sections A.2 and 7.4.2.1.1: no B slices by constraint_set5_flag, only intra pictures by constraint_set3_flag.
        no_b_slices = self.profile_idc in (77, 88, 100) and self.constraint_flags & 0x04
        intra_only = self.profile_idc in (44, 86, 100, 110, 122, 244) and self.constraint_flags & 0x10
        return not (baseline or no_b_slices or intra_only)


_PROFILES_WITH_CHROMA_FORMAT: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
"""The values of profile_idc whose SPS goes on with chroma_format_idc (section 7.3.2.1.1)."""

_LARGEST_SIDE: Final = 1055
"""Macroblocks: the square root of 8 * MaxFS of level 6.2 (section A.3.1)."""

_EXTENDED_SAR: Final = 255


def parse_sps(nal: bytes) -> SequenceParameterSet:
    """Parse a sequence parameter set NAL unit, header byte first (section 7.3.2.1.1).

    Raises `BitstreamError` for anything else.
    """
    if nal_unit_type(nal) is not NalUnitType.SPS:
        raise BitstreamError(f"a sequence parameter set is NAL unit type 7, not {nal[0] & 0x1F}")
    reader = BitReader(_payload(nal))
    profile_idc, constraint_flags, level_idc = reader.bits(8), reader.bits(8), reader.bits(8)
    seq_parameter_set_id = reader.unsigned(31)
    chroma_array_type = 1
    if profile_idc in _PROFILES_WITH_CHROMA_FORMAT:
        chroma_array_type = _read_chroma_format(reader)
    reader.unsigned(12)  # log2_max_frame_num_minus4
    pic_order_cnt_type = _read_picture_order_count(reader)
    reader.unsigned(16)  # max_num_ref_frames
    reader.flag()  # gaps_in_frame_num_value_allowed_flag
    width_in_macroblocks = reader.unsigned(_LARGEST_SIDE - 1) + 1
    height_in_map_units = reader.unsigned(_LARGEST_SIDE - 1) + 1
    frame_mbs_only = reader.flag()
    if not frame_mbs_only:
        reader.flag()  # mb_adaptive_frame_field_flag
    reader.flag()  # direct_8x8_inference_flag
    field_factor = 1 if frame_mbs_only else 2
    width, height = 16 * width_in_macroblocks, 16 * height_in_map_units * field_factor
    if reader.flag():  # frame_cropping_flag: equations 7-19 to 7-22
        crop_x = 2 if chroma_array_type in (1, 2) else 1
        crop_y = field_factor * (2 if chroma_array_type == 1 else 1)
        width -= crop_x * (reader.unsigned() + reader.unsigned())
        height -= crop_y * (reader.unsigned() + reader.unsigned())
        if width <= 0 or height <= 0:
            raise BitstreamError(f"cropping leaves nothing of the picture: {width}x{height}")
    frame_rate, max_num_reorder_frames = _read_vui(reader) if reader.flag() else (None, None)
    return SequenceParameterSet(
        seq_parameter_set_id=seq_parameter_set_id,
        profile_idc=profile_idc,
        constraint_flags=constraint_flags,
        level_idc=level_idc,
        width=width,
        height=height,
        pic_order_cnt_type=pic_order_cnt_type,
        max_num_reorder_frames=max_num_reorder_frames,
        frame_rate=frame_rate,
        frame_mbs_only=frame_mbs_only,
    )


def parse_pps_id(nal: bytes) -> int:
    """The pic_parameter_set_id of a picture parameter set (section 7.3.2.2); raises `BitstreamError` for others."""
    if nal_unit_type(nal) is not NalUnitType.PPS:
        raise BitstreamError(f"a picture parameter set is NAL unit type 8, not {nal[0] & 0x1F}")
    return BitReader(_payload(nal[:16])).unsigned(255)


def _payload(nal: bytes) -> bytes:
    """The raw byte sequence payload: no header byte, no emulation prevention (section 7.3.1)."""
    return nal[1:].replace(b"\x00\x00\x03", b"\x00\x00")


def _read_chroma_format(reader: BitReader) -> int:
    """ChromaArrayType; reads up to the scaling matrix."""
    chroma_format_idc = reader.unsigned(3)
    separate_colour_plane = chroma_format_idc == 3 and reader.flag()
    reader.unsigned(6)  # bit_depth_luma_minus8
    reader.unsigned(6)  # bit_depth_chroma_minus8
    reader.flag()  # qpprime_y_zero_transform_bypass_flag
    if reader.flag():  # seq_scaling_matrix_present_flag
        for index in range(8 if chroma_format_idc != 3 else 12):
            if reader.flag():
                _skip_scaling_list(reader, 16 if index < 6 else 64)
    return 0 if separate_colour_plane else chroma_format_idc


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    """Section 7.3.2.1.1.1."""
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + reader.signed()) % 256
        last = following or last


def _read_picture_order_count(reader: BitReader) -> int:
    """pic_order_cnt_type; reads what belongs to it."""
    pic_order_cnt_type = reader.unsigned(2)
    if pic_order_cnt_type == 0:
        reader.unsigned(12)  # log2_max_pic_order_cnt_lsb_minus4
    elif pic_order_cnt_type == 1:
        reader.flag()  # delta_pic_order_always_zero_flag
        reader.signed()  # offset_for_non_ref_pic
        reader.signed()  # offset_for_top_to_bottom_field
        for _ in range(reader.unsigned(255)):
            reader.signed()  # offset_for_ref_frame
    return pic_order_cnt_type


def _read_vui(reader: BitReader) -> tuple[float | None, int | None]:
    """Frame rate and max_num_reorder_frames of the video usability information (section E.1.1)."""
    if reader.flag() and reader.bits(8) == _EXTENDED_SAR:  # aspect_ratio_idc
        reader.bits(32)  # sar_width, sar_height
    if reader.flag():  # overscan_info_present_flag
        reader.flag()
    if reader.flag():  # video_signal_type_present_flag
        reader.bits(4)  # video_format, video_full_range_flag
        if reader.flag():  # colour_description_present_flag
            reader.bits(24)
    if reader.flag():  # chroma_loc_info_present_flag
        reader.unsigned(5)
        reader.unsigned(5)
    frame_rate = None
    if reader.flag():  # timing_info_present_flag
        num_units_in_tick, time_scale = reader.bits(32), reader.bits(32)
        reader.flag()  # fixed_frame_rate_flag
        if num_units_in_tick and time_scale:
            frame_rate = time_scale / num_units_in_tick / 2  # a tick is a field (equation D-2 and table E-6)
    nal_hrd = reader.flag()
    if nal_hrd:
        _skip_hrd(reader)
    vcl_hrd = reader.flag()
    if vcl_hrd:
        _skip_hrd(reader)
    if nal_hrd or vcl_hrd:
        reader.flag()  # low_delay_hrd_flag
    reader.flag()  # pic_struct_present_flag
    if not reader.flag():  # bitstream_restriction_flag
        return frame_rate, None
    reader.flag()  # motion_vectors_over_pic_boundaries_flag
    for _ in range(4):  # max_bytes_per_pic_denom, max_bits_per_mb_denom, log2_max_mv_length_horizontal and _vertical
        reader.unsigned(16)
    return frame_rate, reader.unsigned(16)


def _skip_hrd(reader: BitReader) -> None:
    """Section E.1.2."""
    schedules = reader.unsigned(31) + 1
    reader.bits(8)  # bit_rate_scale, cpb_size_scale
    for _ in range(schedules):
        reader.unsigned()  # bit_rate_value_minus1
        reader.unsigned()  # cpb_size_value_minus1
        reader.flag()  # cbr_flag
    reader.bits(20)  # four lengths of five bits

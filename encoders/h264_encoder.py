"""Raw pictures to H.264 by libavcodec: libx264 in software, NVENC or Quick Sync where there is such hardware."""

from dataclasses import replace
from fractions import Fraction
from typing import Final, Self

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from encoders import codec_options
from encoders.access_unit import AccessUnit
from encoders.annexb import picture_nal_units
from encoders.coded_picture import coded_picture
from encoders.errors import EncoderError
from encoders.frame_reference import FrameReferences
from encoders.parameter_sets import ParameterSets
from encoders.video_encoder import VideoCoding

_WORN: Final = 2.0
"""How many times too large or small the buffer may become by changes of the bit rate, until a keyframe mends it."""


class H264Encoder:
    """Fits `VideoEncoder`: encodes pictures of one size, each to one access unit at once, in one thread.

    The bit rate is also the most that `burst` seconds may take, so the stream is really about that while the pictures
    are busy, and less when they are still. An IDR picture comes every `keyframe_interval` seconds' worth of pictures
    and on demand, never for a scene cut.

    A new bit rate is taken on the run, up to four times the first one with libx264. Beyond that, and always with
    Quick Sync, the next picture begins a new coded video, which is an IDR picture; with NVENC it is one too. What a
    burst may take stays what it was, in bits, until it is more than twice too much or too little and a keyframe is
    asked for.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        frame_rate: int,
        bit_rate: int,
        keyframe_interval: float,
        profile: str = "baseline",
        preset: str = "ultrafast",
        burst: float = 0.5,
        codec: str = "libx264",
        gpu: int | None = None,
    ) -> None:
        """Settings as in `VideoCoding`; `codec` and `gpu` as in `codec_options`. Raises `EncoderError`."""
        self.name = codec
        self.coding = VideoCoding(width, height, frame_rate, bit_rate, keyframe_interval, profile, preset, burst)
        codec_options.check(self.coding)
        self._gpu = gpu
        self._references = FrameReferences()
        self._pictures = 0
        self._was_keyframe = False
        self._is_closed = False
        self._codec: _Codec | None = _Codec(codec, self.coding, gpu)

    @classmethod
    def of(cls, coding: VideoCoding, *, codec: str = "libx264", gpu: int | None = None) -> Self:
        """An encoder for `coding`. Raises `EncoderError`."""
        return cls(
            coding.width,
            coding.height,
            frame_rate=coding.frame_rate,
            bit_rate=coding.bit_rate,
            keyframe_interval=coding.keyframe_interval,
            profile=coding.profile,
            preset=coding.preset,
            burst=coding.burst,
            codec=codec,
            gpu=gpu,
        )

    @property
    def width(self) -> int:
        """Pixels."""
        return self.coding.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.coding.height

    def encode(self, frame: av.VideoFrame, captured_at: float, *, force_keyframe: bool = False) -> AccessUnit:
        """The access unit of `frame`; with `force_keyframe` an IDR picture. Every keyframe carries SPS and PPS.

        The frame is not changed; one in another pixel format is converted. Raises `EncoderError`, as for a frame of
        another size, and after `close`.
        """
        if self._is_closed:
            raise EncoderError("the encoder is closed")
        if (frame.width, frame.height) != (self.width, self.height):
            raise EncoderError(
                f"the frame is {frame.width}x{frame.height}, the encoder was made for {self.width}x{self.height}"
            )
        codec = self._codec_for(force_keyframe=force_keyframe)
        try:
            picture = self._references.refer(frame)
            picture.pts = self._pictures
            picture.time_base = codec.context.time_base
            picture.pict_type = PictureType.I if force_keyframe else PictureType.NONE
            packets = codec.context.encode(picture)
        except (av.FFmpegError, ValueError) as error:
            raise EncoderError(f"{self.name} failed: {_words(error)}") from error
        self._pictures += 1
        if len(packets) != 1:
            raise EncoderError(f"{self.name} gave {len(packets)} packets for one picture")
        access_unit = codec.access_unit(bytes(packets[0]), captured_at)
        self._was_keyframe = access_unit.is_keyframe
        return access_unit

    def set_bit_rate(self, bit_rate: int) -> None:
        """Code with another bit rate from the next picture on. Raises `EncoderError` for an impossible one."""
        codec_options.check_bit_rate(bit_rate)
        if bit_rate == self.coding.bit_rate:
            return
        self.coding = replace(self.coding, bit_rate=bit_rate)
        if self._codec is not None and not self._codec.take_bit_rate(bit_rate):
            self._codec = None

    def close(self) -> None:
        """Free the encoder. Idempotent."""
        self._is_closed = True
        self._codec = None

    def _codec_for(self, *, force_keyframe: bool) -> "_Codec":
        """The codec for the next picture, a new one where that is due."""
        codec = self._codec
        # Not between two IDR pictures in a row: both would have the same idr_pic_id.
        if codec is not None and force_keyframe and not self._was_keyframe and codec.is_worn(self.coding):
            codec = None
        if codec is None:
            self._codec = None  # The old one goes first: graphics cards have few sessions.
            codec = self._codec = _Codec(self.name, self.coding, self._gpu)
        return codec


class _Codec:
    """One run of libavcodec's encoder, which begins with an IDR picture."""

    def __init__(self, name: str, coding: VideoCoding, gpu: int | None) -> None:
        chosen = codec_options.codec_options(name, coding, gpu)
        self._highest_bit_rate = chosen.highest_bit_rate
        self._burst_bits = codec_options.burst_bits(coding)
        self._parameter_sets = ParameterSets()
        try:
            context = av.CodecContext.create(name, "w")
            assert isinstance(context, VideoCodecContext), "all of them are video codecs"
            context.width = coding.width
            context.height = coding.height
            context.pix_fmt = chosen.pixel_format
            context.time_base = Fraction(1, coding.frame_rate)
            context.framerate = Fraction(coding.frame_rate)
            context.gop_size = codec_options.pictures_per_keyframe(coding)
            context.max_b_frames = 0
            context.bit_rate = chosen.opening_bit_rate
            context.thread_count = 1
            context.options = dict(chosen.options)
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise EncoderError(
                f"{name} does not take {coding.width}x{coding.height} at {coding.bit_rate} bit/s, "
                f"preset {coding.preset}: {_words(error)}"
            ) from error
        context.bit_rate = coding.bit_rate
        self.context = context

    def take_bit_rate(self, bit_rate: int) -> bool:
        """Whether the next picture is coded with `bit_rate`; the codec reads the field before each picture."""
        if bit_rate > self._highest_bit_rate:
            return False
        self.context.bit_rate = bit_rate
        return True

    def is_worn(self, coding: VideoCoding) -> bool:
        """Whether the buffer has a size that `coding` should not have."""
        return not 1 / _WORN <= codec_options.burst_bits(coding) / self._burst_bits <= _WORN

    def access_unit(self, data: bytes, captured_at: float) -> AccessUnit:
        """Of the byte stream of one picture. Raises `EncoderError`."""
        return coded_picture(picture_nal_units(data), captured_at, self._parameter_sets)


def _words(error: Exception) -> str:
    """Without the list of all options."""
    return (error.strerror if isinstance(error, av.FFmpegError) else None) or str(error)

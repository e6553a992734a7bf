"""H.264 back to raw pictures, by FFmpeg: for those who get a smaller or simpler coding of a stream."""

from typing import Final, NamedTuple

import av

from encoders.access_unit import AccessUnit
from encoders.annexb import to_annexb
from encoders.errors import EncoderError
from encoders.h264 import NalUnitType

_LARGEST_AREA: Final = 1 << 25
"""Pixels of a picture, a little less than level 6.2 allows: what claims more gets no memory."""

_LONGEST_REORDERING: Final = 64
"""Pictures that may be on their way through the decoder; more than any stream makes it hold back."""

_DECODED: Final = frozenset(
    {
        NalUnitType.SLICE,
        NalUnitType.PARTITION_A,
        NalUnitType.PARTITION_B,
        NalUnitType.PARTITION_C,
        NalUnitType.IDR_SLICE,
        NalUnitType.SPS,
        NalUnitType.PPS,
        NalUnitType.SPS_EXTENSION,
    }
)
"""Nothing else changes a picture; a fault in a remark (SEI) must not cost one."""


class DecodedFrame(NamedTuple):
    """A raw picture with its time."""

    frame: av.VideoFrame
    captured_at: float
    """When it was captured, in seconds of `time.monotonic()`; later frames never have an earlier time."""


class H264Decoder:
    """Decodes one stream, of which any picture may be broken and any keyframe may change the size.

    Frames come in display order. Where that is the decoding order, each comes at once and with the `captured_at` of
    its access unit. Where it is not (B-frames), frames are held back until their turn, and times are given out in
    ascending order: the earliest of those that wait, because a picture that is decoded early is shown late.

    After a broken access unit all are left out up to the next keyframe, so that no picture is shown that builds on it.
    To be used from one thread at a time.
    """

    def __init__(self) -> None:
        self.broken = 0
        """Access units so far that could not be decoded."""
        self.skipped = 0
        """Access units that were left out, for want of a keyframe to begin with."""
        self.waits_for_keyframe = True
        """Whether pictures are being left out: a keyframe would help."""
        self._context: av.VideoCodecContext | None = _open()
        self._number = 0
        self._pending: dict[int, float] = {}  # captured_at of what is in the decoder, by number, in decoding order
        self._keyframes: list[int] = []  # the numbers of keyframes among these
        self._latest = float("-inf")

    @property
    def holds_back(self) -> bool:
        """Whether frames wait for their turn, which come out with later ones or by `flush`."""
        return bool(self._pending)

    def decode(self, access_unit: AccessUnit) -> list[DecodedFrame]:
        """The frames that can be shown now: mostly one.

        Bytes that are not H.264 raise nothing: they are counted in `broken`. Raises `EncoderError` after `close`.
        """
        context = self._context
        if context is None:
            raise EncoderError("the decoder is closed")
        if self.waits_for_keyframe:
            if not access_unit.is_keyframe:
                self.skipped += 1
                return []
            self.waits_for_keyframe = False
        number = self._number = self._number + 1
        self._pending[number] = access_unit.captured_at
        if access_unit.is_keyframe:
            self._keyframes.append(number)
        packet = av.Packet(to_annexb(nal for nal in access_unit.nal_units if nal and nal[0] & 0x1F in _DECODED))
        packet.pts = number
        try:
            frames = context.decode(packet) if packet.size else []
        except (av.FFmpegError, ValueError, MemoryError):
            self._begin_anew()
            return []
        if not packet.size or any(frame.is_corrupt for frame in frames):
            self._begin_anew()
            return []
        return self._timed(frames)

    def flush(self) -> list[DecodedFrame]:
        """The frames that were held back; the next picture has to be a keyframe. Raises as `decode` does."""
        if self._context is None:
            raise EncoderError("the decoder is closed")
        try:
            frames = self._timed(self._context.decode(None))
        except av.FFmpegError:
            frames = []
        self._reset()
        return frames

    def close(self) -> None:
        """Free the decoder. Idempotent."""
        self._context = None
        self._pending.clear()

    def _timed(self, frames: list[av.VideoFrame]) -> list[DecodedFrame]:
        timed = []
        for frame in frames:
            number = frame.pts if frame.pts is not None else self._number
            # Nothing that came before a keyframe is shown after it: what is left of that was lost in the decoder.
            while len(self._keyframes) > 1 and self._keyframes[1] <= number:
                del self._keyframes[0]
            begin = self._keyframes[0] if self._keyframes and self._keyframes[0] <= number else 0
            for early in [early for early in self._pending if early < begin]:
                del self._pending[early]
            while len(self._pending) > _LONGEST_REORDERING:
                del self._pending[next(iter(self._pending))]
            if self._pending:
                self._latest = max(self._latest, self._pending.pop(next(iter(self._pending))))
            timed.append(DecodedFrame(frame, self._latest))
        return timed

    def _begin_anew(self) -> None:
        self.broken += 1
        self._reset()

    def _reset(self) -> None:
        # Not flushed but opened anew: a decoder that met broken parameter sets keeps them.
        self._context = _open()
        self._pending.clear()
        self._keyframes.clear()
        self.waits_for_keyframe = True


def _open() -> av.VideoCodecContext:
    context = av.CodecContext.create("h264", "r")
    context.thread_count = 1
    # Without this FFmpeg patches up what is broken and shows it.
    context.options = {"err_detect": "explode", "max_pixels": str(_LARGEST_AREA)}
    return context

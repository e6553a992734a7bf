"""What WHEP players saw, and the decoding for those that hand over RTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import av
import numpy as np

from benchmarks.depacketizer import Depacketizer, is_keyframe
from encoders.annexb import to_annexb

DEMO_SIZE = (720, 1280)
"""Of the demo phone's screen."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was decoded."""

    width: int
    height: int
    darkest: int
    """The brightness of its darkest pixel, of 255."""
    brightest: int

    @classmethod
    def of_event(cls, event: dict[str, Any]) -> Self:
        """As a player that decodes tells of it."""
        return cls(event["width"], event["height"], *event["brightness"])

    @classmethod
    def of_frame(cls, frame: av.VideoFrame) -> Self:
        """Measured here."""
        plane = frame.planes[0]
        luma = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        return cls(frame.width, frame.height, int(luma.min()), int(luma.max()))

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    @property
    def is_blank(self) -> bool:
        """Whether it shows nothing, as what decoders make of a stream that they were not given whole."""
        return self.brightest - self.darkest < 100


class RtpPictures:
    """The pictures in a player's RTP packets: whole access units from a keyframe on, decoded by FFmpeg.

    A player that gets no processor time for a moment loses packets of the burst that a viewer begins with. No picture
    is taken then until the next keyframe.
    """

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self._needs_keyframe = False
        self._depacketizer = Depacketizer()
        self._decoder: av.VideoCodecContext = av.CodecContext.create("h264", "r")

    def receive(self, packet: bytes) -> bool:
        """Take one packet; whether it completes a picture that is of no use, because others before it are missing.

        Raises AssertionError when the very first picture is no keyframe.
        """
        errors = self._depacketizer.errors
        nal_units = self._depacketizer.receive(packet)
        self._needs_keyframe |= self._depacketizer.errors > errors
        if nal_units is None:
            return False
        can_begin = is_keyframe(nal_units)
        assert can_begin or self.pictures or self._needs_keyframe, "decoding cannot begin with the first picture"
        self._needs_keyframe &= not can_begin
        if not self._needs_keyframe:
            frames = self._decoder.decode(av.Packet(to_annexb(nal_units)))
            self.pictures += [Picture.of_frame(frame) for frame in frames]
        return self._needs_keyframe


def assert_demo_pictures(pictures: Sequence[Picture]) -> None:
    """All of them show the demo phone's screen."""
    assert pictures
    assert {picture.size for picture in pictures} == {DEMO_SIZE}
    assert not any(picture.is_blank for picture in pictures)

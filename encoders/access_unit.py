"""The one value that flows through the whole service."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture: every NAL unit of it, in decoding order (H.264 section 7.4.1.2)."""

    nal_units: tuple[bytes, ...]
    """The NAL units, header byte first, without start codes and without trailing zero bytes."""

    captured_at: float
    """When the picture was captured, in seconds of `time.monotonic()`; the RTP timestamp is made from it."""

    is_keyframe: bool
    """Whether decoding can start here: the picture holds an IDR slice."""

    @property
    def size(self) -> int:
        """Bytes of coded picture, start codes not counted."""
        return sum(map(len, self.nal_units))

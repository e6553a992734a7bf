"""How a demo phone misbehaves."""

import asyncio
from dataclasses import dataclass, field


def _happened() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class Faults:
    """How the phone misbehaves; takes effect with the next recorder, picture or connection."""

    time_limit: float | None = None
    """Seconds after which screenrecord ends, whatever it was asked for."""
    encoder_fails: bool = False
    """screenrecord cannot configure its encoder."""
    crash_after: int | None = None
    """screenrecord dies when it has written so many pictures; one that runs already, at its next picture."""
    hang_after: int | None = None
    """screenrecord writes nothing more after so many pictures, but does not end."""
    single_idr: bool = False
    """No IDR picture after the first."""
    no_encoder: bool = False
    """There is no H.264 encoder at all, as on 64-bit-only Redroid images: only raw frames can be had."""
    largest_video: int | None = None
    """The encoder refuses videos whose longer side has more pixels than this."""
    prints_text: str = ""
    """screenrecord prints this into its output, before the first picture and again after every 30."""
    b_frames: bool = False
    """The encoder reorders pictures."""
    sps_changes_after: int | None = None
    """After so many pictures the encoder goes on with another SPS: the video is half as wide and high."""
    no_space: bool = False
    """Nothing can be written to the phone's storage."""
    unauthorized: bool = False
    """Hosts have to show a key, and none is let in before `Phone.authorize`."""
    answering: asyncio.Event = field(default_factory=_happened, init=False, repr=False)
    """Whether adbd does anything at all; see `hangs`."""
    no_opus: bool = False
    """There is no Opus encoder."""
    scrcpy_dies_after: int | None = None
    """scrcpy's server crashes when it has written so many pictures; one that runs already, at its next picture."""
    scrcpy_truncates_after: int | None = None
    """scrcpy's server ends in the middle of a frame header when it has written so many pictures."""
    scrcpy_oversizes_after: int | None = None
    """After so many pictures scrcpy's server says that a frame has two gigabytes."""

    @property
    def hangs(self) -> bool:
        """adbd keeps its connections but answers nothing more, as one that was stopped."""
        return not self.answering.is_set()

    @hangs.setter
    def hangs(self, hangs: bool) -> None:
        if hangs:
            self.answering.clear()
        else:
            self.answering.set()

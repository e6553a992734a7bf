"""How many encoders each graphics card runs, and what happens when it takes no more.

A card codes as many videos at once as its driver allows: a consumer NVIDIA card a handful for the whole machine, others
until their memory is full. No driver says so beforehand. So a refusal teaches the limit, until it is tried again a
minute later, and what the cards do not take is coded by libx264.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import av
import structlog

from encoders.access_unit import AccessUnit
from encoders.errors import EncoderError
from encoders.video_encoder import OpenEncoder, VideoCoding, VideoEncoder

RETRY_AFTER: Final = 60.0
"""Seconds until a limit is doubted: other programs use the card too, and may have ended."""

_log = structlog.get_logger(__name__)


class SessionCounts:
    """Which card takes the next session. Pure: `now` is any clock in seconds."""

    def __init__(self, gpus: Sequence[str], *, retry_after: float = RETRY_AFTER) -> None:
        self._sessions = dict.fromkeys(gpus, 0)
        self._limits: dict[str, tuple[int, float]] = {}
        self._retry_after = retry_after

    @property
    def sessions(self) -> Mapping[str, int]:
        """Sessions that are open, by card."""
        return dict(self._sessions)

    def limits(self, now: float) -> Mapping[str, int]:
        """How many sessions a card takes, for those where it is known."""
        return {gpu: limit for gpu, (limit, learnt_at) in self._limits.items() if now < learnt_at + self._retry_after}

    def take(self, now: float) -> str | None:
        """Count a session on the card that has fewest; None when all are full."""
        limits = self.limits(now)
        free = [gpu for gpu, count in self._sessions.items() if gpu not in limits or count < limits[gpu]]
        if not free:
            return None
        gpu = min(free, key=self._sessions.__getitem__)
        self._sessions[gpu] += 1
        return gpu

    def refuse(self, gpu: str, now: float) -> None:
        """The card did not take the session that was counted: it takes no more than it has."""
        self.give_back(gpu)
        self._limits[gpu] = (self._sessions[gpu], now)

    def give_back(self, gpu: str) -> None:
        """A session on this card has ended."""
        self._sessions[gpu] -= 1


class GpuSessions:
    """Opens encoders on the graphics cards, and others where no card takes one. Any thread may use it."""

    def __init__(
        self,
        gpus: Sequence[str],
        open_on: Callable[[str, VideoCoding], VideoEncoder],
        otherwise: OpenEncoder,
        *,
        clock: Callable[[], float] = time.monotonic,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        """`open_on` opens an encoder on one of `gpus`, `otherwise` one that needs none."""
        self._counts = SessionCounts(gpus, retry_after=retry_after)
        self._open_on, self._otherwise = open_on, otherwise
        self._clock = clock
        self._lock = threading.Lock()
        self._refusals = 0

    @property
    def sessions(self) -> Mapping[str, int]:
        """Encoders that are open, by card."""
        with self._lock:
            return self._counts.sessions

    @property
    def limits(self) -> Mapping[str, int]:
        """How many a card takes, for those where it is known."""
        with self._lock:
            return self._counts.limits(self._clock())

    @property
    def refusals(self) -> int:
        """How often a card did not take an encoder."""
        return self._refusals

    def open(self, coding: VideoCoding) -> VideoEncoder:
        """Fits `OpenEncoder`. Raises `EncoderError` only when no encoder at all takes `coding`."""
        reason = "every card has as many encoders as it takes"
        while (gpu := self._take()) is not None:
            try:
                encoder = self._open_on(gpu, coding)
            except EncoderError as error:
                reason = str(error)
                self.refuse(gpu, reason)
            except BaseException:
                self.give_back(gpu)
                raise
            else:
                return GpuEncoder(self, gpu, encoder)
        return self.open_otherwise(coding, reason)

    def open_otherwise(self, coding: VideoCoding, reason: str) -> VideoEncoder:
        """One that needs no card. Raises `EncoderError`."""
        encoder = self._otherwise(coding)
        _log.warning("encoder without a graphics card", encoder=encoder.name, reason=reason)
        return encoder

    def give_back(self, gpu: str) -> None:
        """An encoder on this card was closed."""
        with self._lock:
            self._counts.give_back(gpu)

    def refuse(self, gpu: str, reason: str) -> None:
        """A card did not take the encoder that is counted for it."""
        with self._lock:
            self._counts.refuse(gpu, self._clock())
            self._refusals += 1
            sessions = self._counts.sessions[gpu]
        _log.warning("graphics card refused an encoder", gpu=gpu, sessions=sessions, reason=reason)

    def _take(self) -> str | None:
        with self._lock:
            return self._counts.take(self._clock())


class GpuEncoder:
    """Fits `VideoEncoder`: one that holds a session of a card.

    Some refuse with the first picture only. That one is then coded without a card, and so are those that follow.
    """

    def __init__(self, sessions: GpuSessions, gpu: str, encoder: VideoEncoder) -> None:
        self.name = encoder.name
        self.coding = encoder.coding
        self._sessions = sessions
        self._gpu: str | None = gpu
        self._encoder = encoder
        self._has_coded = False

    @property
    def gpu(self) -> str | None:
        """The card; None when it did not take the encoder, or that is closed."""
        return self._gpu

    def encode(self, frame: av.VideoFrame, captured_at: float, *, force_keyframe: bool = False) -> AccessUnit:
        """See `VideoEncoder.encode`."""
        coding = self.coding
        is_first = not self._has_coded and (frame.width, frame.height) == (coding.width, coding.height)
        try:
            access_unit = self._encoder.encode(frame, captured_at, force_keyframe=force_keyframe)
        except EncoderError as error:
            if self._gpu is None or not is_first:
                raise
            gpu, self._gpu = self._gpu, None
            self._encoder.close()
            self._sessions.refuse(gpu, str(error))
            self._encoder = self._sessions.open_otherwise(coding, str(error))
            self.name = self._encoder.name
            access_unit = self._encoder.encode(frame, captured_at)
        self._has_coded = True
        return access_unit

    def set_bit_rate(self, bit_rate: int) -> None:
        """See `VideoEncoder.set_bit_rate`."""
        self._encoder.set_bit_rate(bit_rate)
        self.coding = self._encoder.coding

    def close(self) -> None:
        """Give the session back. Idempotent."""
        gpu, self._gpu = self._gpu, None
        self._encoder.close()
        if gpu is not None:
            self._sessions.give_back(gpu)

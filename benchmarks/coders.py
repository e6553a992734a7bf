"""What the lanes of a benchmark's pool do, and how they are kept busy."""

import threading
from collections.abc import Callable
from typing import Final

from benchmarks.errors import BenchmarkError
from benchmarks.scrolling import ScrollingPictures
from encoders.access_unit import AccessUnit
from encoders.h264_decoder import DecodedFrame, H264Decoder
from encoders.h264_encoder import H264Encoder
from encoders.video_encoder import VideoCoding

_PATIENCE: Final = 300.0


class RawCoder:
    """Codes pictures of the clip, by their number."""

    def __init__(self, pictures: ScrollingPictures, coding: VideoCoding) -> None:
        self._pictures = pictures
        self._encoder = H264Encoder.of(coding)

    def code(self, number: int, *, force_keyframe: bool = False) -> AccessUnit:
        return self._encoder.encode(self._pictures.frame(number), float(number), force_keyframe=force_keyframe)

    def close(self) -> None:
        self._encoder.close()


class FrameCoder:
    """Codes frames that somebody else has made."""

    def __init__(self, coding: VideoCoding) -> None:
        self._encoder = H264Encoder.of(coding)

    def code(self, decoded: DecodedFrame) -> AccessUnit:
        return self._encoder.encode(decoded.frame, decoded.captured_at)

    def close(self) -> None:
        self._encoder.close()


class Decoder:
    """Decodes access units."""

    def __init__(self) -> None:
        self._decoder = H264Decoder()

    def code(self, access_unit: AccessUnit) -> list[DecodedFrame]:
        return self._decoder.decode(access_unit)

    def close(self) -> None:
        self._decoder.close()


class Race:
    """Streams that each get their next picture when one has come out, until all are through."""

    def __init__(self, streams: int, pictures: int) -> None:
        self.octets = 0
        self._lock = threading.Lock()
        self._pictures = pictures
        self._begun = [0] * streams
        self._ended = 0
        self._expected = streams * pictures
        self._over = threading.Event()
        self._failure: Exception | None = None

    def feed(self, stream: int, put: Callable[[int], None]) -> None:
        """Put the stream's next picture, if there is one more."""
        with self._lock:
            number = self._begun[stream]
            if number == self._pictures:
                return
            self._begun[stream] += 1
        put(number)

    def take(self, access_unit: AccessUnit) -> None:
        """One has come out."""
        with self._lock:
            self.octets += access_unit.size
            self._ended += 1
            if self._ended == self._expected:
                self._over.set()

    def fail(self, error: Exception) -> None:
        self._failure = error
        self._over.set()

    def wait(self) -> None:
        """Raises `BenchmarkError` when that takes too long, and for a coder that failed."""
        if not self._over.wait(_PATIENCE):
            raise BenchmarkError(f"{self._ended} of {self._expected} pictures came out within {_PATIENCE:g} s")
        if self._failure is not None:
            raise BenchmarkError(f"a coder failed: {self._failure}")

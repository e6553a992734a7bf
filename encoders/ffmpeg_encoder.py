"""Raw pictures to H.264 by a long-lived `ffmpeg` program: for VAAPI, which PyAV's wheel lacks.

    frame > Matroska > pipe:0 > ffmpeg > pipe:1 > FLV > access unit

ffmpeg 5.1 or newer. It codes a picture as soon as it has come and writes it as soon as it is coded. Its command line
cannot be changed on the run, so another bit rate takes another process, which is made ready while the old one goes on.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from encoders import codec_options
from encoders.access_unit import AccessUnit
from encoders.coded_picture import coded_picture
from encoders.errors import BitstreamError, EncoderError
from encoders.ffmpeg_process import FfmpegProcess
from encoders.flv import FlvParser, FlvVideo
from encoders.frame_reference import FrameReferences
from encoders.matroska import matroska_header, matroska_picture
from encoders.parameter_sets import ParameterSets
from encoders.video_encoder import VideoCoding

NEAR: Final = 0.1
"""How much, of itself, a bit rate may differ from the wished one: less is not worth a process and a keyframe."""

_KEYFRAME_WHEN: Final = "expr:mod(round(t*1000),2)"
"""The way to ask for a keyframe on the run: ffmpeg forces one where this is not 0, and times are ours to choose."""

_LONGEST: Final = 2**30
"""Milliseconds, 12 days, after which a process is replaced: FLV's times end at twice that."""


@dataclass(frozen=True, slots=True)
class FfmpegCodec:
    """What the program is to do."""

    name: str
    """FFmpeg's name of the encoder."""

    output: Callable[[VideoCoding], Sequence[str]]
    """The arguments behind the input: filters and the encoder with its options."""

    device: tuple[str, ...] = ()
    """The arguments before the input: the hardware."""

    program: str = "ffmpeg"

    @classmethod
    def vaapi(cls, render_node: str) -> "FfmpegCodec":
        """For the graphics card behind `render_node`, as `/dev/dri/renderD128`."""
        return cls("h264_vaapi", codec_options.vaapi_arguments, ("-vaapi_device", render_node))


class FfmpegEncoder:
    """Fits `VideoEncoder`. `encode` waits for the program, at most `timeout` seconds, and kills it when it hangs.

    A new bit rate begins a few pictures later, with a keyframe; one that differs by less than `NEAR` is not taken.
    After an `EncoderError` the next picture starts another process. None outlives us: without us its input ends.
    """

    def __init__(
        self,
        coding: VideoCoding,
        codec: FfmpegCodec,
        *,
        timeout: float = 2.0,
        start_timeout: float = 10.0,
        shutdown_timeout: float = 5.0,
    ) -> None:
        """Returns when the program has coded a first, black picture, which nobody gets. Raises `EncoderError`.

        That may take `start_timeout` seconds; `shutdown_timeout` is how many a process has to end before it is killed.
        """
        codec_options.check(coding)
        self.name = codec.name
        self.coding = coding
        self._codec = codec
        self._timeout, self._start_timeout, self._shutdown_timeout = timeout, start_timeout, shutdown_timeout
        self._references = FrameReferences()
        self._reformatter = VideoReformatter()
        self._is_closed = False
        self._retiring: list[threading.Thread] = []
        self._successor: _Successor | None = None
        self._run: _Run | None = self._start()
        self._run.warm_up(start_timeout)

    def encode(self, frame: av.VideoFrame, captured_at: float, *, force_keyframe: bool = False) -> AccessUnit:
        """See `VideoEncoder.encode`; a frame in another pixel format is converted."""
        if self._is_closed:
            raise EncoderError("the encoder is closed")
        coding = self.coding
        if (frame.width, frame.height) != (coding.width, coding.height):
            raise EncoderError(
                f"the frame is {frame.width}x{frame.height}, the encoder was made for {coding.width}x{coding.height}"
            )
        raw = self._raw(frame)
        self._follow()
        try:
            if self._run is None or self._run.is_over:
                self._end()
                self._run = self._start()
                self._run.warm_up(self._start_timeout)
            return self._run.encode(raw, captured_at, self._timeout, force_keyframe=force_keyframe)
        except EncoderError:
            self._end()
            raise

    def set_bit_rate(self, bit_rate: int) -> None:
        """See `VideoEncoder.set_bit_rate`. Raises `EncoderError` for an impossible one."""
        codec_options.check_bit_rate(bit_rate)
        self.coding = replace(self.coding, bit_rate=bit_rate)
        if not self._is_closed:
            self._follow()

    def close(self) -> None:
        """End the process, which takes `shutdown_timeout` at most. Idempotent."""
        self._is_closed = True
        self._end()

    def _follow(self) -> None:
        """Take the process that is ready for a new bit rate, and see that there is one where it is needed."""
        successor, run = self._successor, self._run
        if successor is not None and successor.is_ready:
            self._successor = None
            # If the card takes no second one beside the first, it may take it after that.
            run = self._replace(None if successor.error else successor.run)
        if run is not None and self._successor is None and not run.is_near(self.coding.bit_rate):
            try:
                self._successor = _Successor(self._start(), self._start_timeout)
            except EncoderError:
                self._replace(None)

    def _replace(self, run: "_Run | None") -> "_Run | None":
        """Go on with `run`; the one before ends in a thread of its own, so that no picture waits for that."""
        self._retiring = [thread for thread in self._retiring if thread.is_alive()]
        if self._run is not None:
            thread = threading.Thread(target=self._run.process.close, name="ffmpeg ends", daemon=True)
            thread.start()
            self._retiring.append(thread)
        self._run = run
        return run

    def _start(self) -> "_Run":
        return _Run(self._codec, self.coding, self._shutdown_timeout)

    def _end(self) -> None:
        successor, self._successor = self._successor, None
        if successor is not None:
            successor.cancel()
        self._replace(None)
        for thread in self._retiring:
            thread.join()

    def _raw(self, frame: av.VideoFrame) -> memoryview:
        """The samples without what pads the rows."""
        try:
            picture = self._reformatter.reformat(self._references.refer(frame), format="yuv420p", threads=1)
            return np.ascontiguousarray(picture.to_ndarray()).data.cast("B")
        except (av.FFmpegError, ValueError) as error:
            raise EncoderError(f"the frame cannot be converted to yuv420p: {error}") from error


class _Run:
    """One process."""

    def __init__(self, codec: FfmpegCodec, coding: VideoCoding, shutdown_timeout: float) -> None:
        self._coding = coding
        self._pictures = 0
        self._parser = FlvParser()
        self._parameter_sets = ParameterSets()
        self._coded: list[FlvVideo] = []
        arguments = (
            *codec.device,
            # Nothing is to be found out about the input, so no second picture is waited for.
            *("-probesize", "32", "-analyzeduration", "0", "-fpsprobesize", "0", "-threads", "1"),
            *("-f", "matroska", "-i", "pipe:0", "-an", "-fps_mode", "passthrough", "-enc_time_base", "1/1000"),
            *("-force_key_frames", _KEYFRAME_WHEN),
            *codec.output(coding),
            *("-flush_packets", "1", "-flvflags", "no_duration_filesize", "-f", "flv", "pipe:1"),
        )
        self.process = FfmpegProcess(arguments, program=codec.program, shutdown_timeout=shutdown_timeout)

    @property
    def is_over(self) -> bool:
        """Whether it has run for so long that another has to take its place."""
        return self._milliseconds() > _LONGEST

    def is_near(self, bit_rate: int) -> bool:
        """Whether it codes at about this bit rate."""
        return abs(self._coding.bit_rate - bit_rate) <= NEAR * bit_rate

    def warm_up(self, timeout: float) -> None:
        """Have it begin, which takes long. Raises `EncoderError`, and is then gone."""
        width, height = self._coding.width, self._coding.height
        black = np.zeros(width * height * 3 // 2, np.uint8)
        black[width * height :] = 128
        self.encode(black.data.cast("B"), 0.0, timeout)

    def encode(
        self, raw: memoryview, captured_at: float, timeout: float, *, force_keyframe: bool = False
    ) -> AccessUnit:
        """Raises `EncoderError`, and is then gone."""
        is_first_of_ours = self._pictures == 1
        head = matroska_picture(self._milliseconds() + (force_keyframe or is_first_of_ours), len(raw))
        if not self._pictures:
            head = matroska_header(self._coding.width, self._coding.height, self._coding.frame_rate) + head
        self._coded.clear()
        try:
            self.process.exchange((head, raw), self._take, timeout=timeout)
            if len(self._coded) != 1:
                raise EncoderError(f"ffmpeg gave {len(self._coded)} pictures for one")
            self._pictures += 1
            return coded_picture(self._coded[0].nal_units, captured_at, self._parameter_sets)
        except EncoderError:
            self.process.kill()
            raise

    def _milliseconds(self) -> int:
        """The next picture's time: an even number, so that an odd one can ask for a keyframe."""
        return round(self._pictures * 500 / self._coding.frame_rate) * 2

    def _take(self, data: bytes) -> bool:
        """Whether the picture has come by these bytes."""
        try:
            for video in self._parser.feed(data):
                if video.is_header:
                    self._parameter_sets.complete(AccessUnit(video.nal_units, 0.0, False))
                else:
                    self._coded.append(video)
        except BitstreamError as error:
            raise EncoderError(f"ffmpeg wrote something else than H.264 in FLV: {error}") from error
        return bool(self._coded)


class _Successor:
    """A process that is being made ready in a thread of its own."""

    def __init__(self, run: _Run, timeout: float) -> None:
        self.run = run
        self.error: EncoderError | None = None
        self._thread = threading.Thread(target=self._warm_up, args=(timeout,), name="ffmpeg warms up", daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether it can take over, or has failed."""
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """End it at once."""
        self.run.process.interrupt()
        self._thread.join()
        self.run.process.kill()

    def _warm_up(self, timeout: float) -> None:
        try:
            self.run.warm_up(timeout)
        except EncoderError as error:
            self.error = error

"""A stream's rungs: its pictures are decoded once, and scaled and coded once for each rung that somebody needs.

access unit > decoder, one lane of the pool > frame > scaler and encoder, a lane per rung > access unit
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import structlog

from encoders.access_unit import AccessUnit
from encoders.errors import EncoderError
from encoders.h264_decoder import DecodedFrame, H264Decoder
from encoders.pool import Lane
from media_service.rung_encoder import RungEncoder, Transcoding
from media_service.rungs import Rung

_LONGEST_BACKLOG: Final = 900
"""Access units that may wait to be decoded: the group of pictures that a rung begins with is long."""
_STILL_AFTER: Final = 0.4
"""Seconds without a picture after which the decoder is not left holding any back."""

log = structlog.get_logger(__name__)


class _Coded(NamedTuple):
    access_unit: AccessUnit | None
    """None for what the decoder holds back; it has to be given the pictures since the keyframe anew then."""
    is_shown: bool
    """Whether its frame is wanted, and not only needed to decode those that follow."""


class _Decoded(NamedTuple):
    frames: Sequence[DecodedFrame]
    needs_keyframe: bool
    """Whether the decoder has to begin anew."""
    holds_back: bool
    """Whether frames come out only with later ones: the stream has B-frames."""


class _Decoder:
    """Decodes in a worker of the pool."""

    def __init__(self) -> None:
        self._decoder = H264Decoder()

    def code(self, job: _Coded) -> _Decoded:
        decoder = self._decoder
        if job.access_unit is None:
            return _Decoded(decoder.flush(), needs_keyframe=False, holds_back=False)
        frames = decoder.decode(job.access_unit)
        return _Decoded(frames if job.is_shown else (), decoder.waits_for_keyframe, decoder.holds_back)

    def close(self) -> None:
        self._decoder.close()


class Transcoder:
    """All rungs of one stream. To be used in the event loop."""

    def __init__(self, name: str, transcoding: Transcoding, ask_for_keyframe: Callable[[], None]) -> None:
        """`ask_for_keyframe` is called, in the event loop, when the decoder has to begin anew."""
        self._drops: Counter[str] = Counter()
        self._ask_for_keyframe = ask_for_keyframe
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._transcoding = transcoding
        self._rungs: dict[str, RungEncoder] = {}
        self._lanes: tuple[Lane[DecodedFrame | float], ...] = ()
        self._decoding: Lane[_Coded] | None = None
        self._newest: DecodedFrame | None = None
        self._history: Callable[[], Sequence[AccessUnit]] = tuple
        self._awaits_keyframe = True
        self._pushed_at = float("-inf")
        self._holds_back = False
        """Whether the decoder has frames that come out only with later ones."""
        self._is_emptied = False
        """Whether it was made to give them out, and has to be given what later pictures build on."""

    @property
    def drops(self) -> Counter[str]:
        """Pictures that were not given to the pool, or coded by it and not sent, by reason."""
        return sum((each.output.drops for each in self._rungs.values()), Counter(self._drops))

    def push(self, access_unit: AccessUnit) -> None:
        """Take the stream's next picture; nothing is done while there is no rung."""
        if self._decoding is None:
            return
        self._pushed_at = time.monotonic()
        if self._is_emptied:
            self._is_emptied = False
            if not access_unit.is_keyframe:
                self._decode_group(self._history())
        self._decode(access_unit, is_shown=True)

    def look(self, now: float) -> None:
        """Have what the decoder holds back come out where no picture follows: the screen stands still."""
        if self._holds_back and now - self._pushed_at >= _STILL_AFTER and self._decoding is not None:
            self._holds_back, self._is_emptied = False, True
            self._decoding.put(_Coded(None, is_shown=True))

    def start(
        self,
        rung: Rung,
        bit_rate: int,
        history: Callable[[], Sequence[AccessUnit]],
        deliver: Callable[[AccessUnit], None],
        failed: Callable[[str], None],
    ) -> RungEncoder:
        """Begin to code a rung; `history` gives the pictures since the stream's last keyframe, if they are known.

        Raises `EncoderError`.
        """

        def ended(reason: str) -> None:
            self.stop(encoder)
            failed(reason)

        name = f"{self._name} {rung.level}"
        encoder = RungEncoder(name, rung, bit_rate, self._transcoding, deliver, ended)
        self._rungs[rung.level] = encoder
        self._lanes = tuple(each.lane for each in self._rungs.values())
        log.info("rung started", stream=self._name, rung=rung.level, bit_rate=bit_rate)
        if self._decoding is None:
            try:
                self._history = history
                self._begin(history())
            except EncoderError:
                self.stop(encoder)
                raise
        elif self._newest is not None:
            encoder.lane.put(self._newest)
        return encoder

    def stop(self, encoder: RungEncoder) -> None:
        """End a rung; the last one ends the decoding too. Idempotent."""
        encoder.close()
        if self._rungs.get(encoder.rung.level) is not encoder:
            return
        del self._rungs[encoder.rung.level]
        self._drops.update(encoder.output.drops)
        self._lanes = tuple(each.lane for each in self._rungs.values())
        log.info("rung stopped", stream=self._name, rung=encoder.rung.level, dropped=dict(encoder.drops))
        if not self._rungs:
            self._end_decoding()

    def close(self) -> None:
        """End all rungs. Idempotent."""
        for encoder in tuple(self._rungs.values()):
            self.stop(encoder)

    def _begin(self, history: Sequence[AccessUnit]) -> None:
        self._pushed_at = time.monotonic()
        self._holds_back = self._is_emptied = False
        self._decoding = self._transcoding.pool.open_lane(
            f"{self._name} decoder", _Decoder, self._decoded, self._broke, input_limit=_LONGEST_BACKLOG
        )
        if not history:
            self._ask_for_keyframe()
        self._decode_group(history[:-1])
        for access_unit in history[-1:]:
            self._decode(access_unit, is_shown=True)

    def _decode_group(self, access_units: Sequence[AccessUnit]) -> None:
        """Decode what later pictures build on, from a keyframe on."""
        self._awaits_keyframe = True
        for access_unit in access_units:
            self._decode(access_unit, is_shown=False)

    def _decode(self, access_unit: AccessUnit, *, is_shown: bool) -> None:
        lane = self._decoding
        if lane is None:
            return
        if lane.is_full:
            # What is left out now, all that follows builds on.
            self._awaits_keyframe = True
        if self._awaits_keyframe and not access_unit.is_keyframe:
            self._drops["no_keyframe"] += 1
            self._ask_for_keyframe()
            return
        self._awaits_keyframe = False
        lane.put(_Coded(access_unit, is_shown))

    def _decoded(self, decoded: _Decoded) -> None:
        """In the decoder's worker."""
        self._holds_back = decoded.holds_back
        if decoded.needs_keyframe:
            self._loop.call_soon_threadsafe(self._ask_for_keyframe)
        for frame in decoded.frames:
            self._newest = frame
            for lane in self._lanes:
                lane.put(frame)

    def _broke(self, error: Exception) -> None:
        """In the decoder's worker."""
        self._loop.call_soon_threadsafe(self._end, str(error))

    def _end(self, reason: str) -> None:
        """The pictures cannot be decoded: no rung that is coded now gets any more."""
        if self._decoding is None:
            return
        log.warning("decoder failed", stream=self._name, reason=reason)
        # A rung that is begun because of this has a decoder of its own.
        self._end_decoding()
        for encoder in tuple(self._rungs.values()):
            encoder.end(reason)

    def _end_decoding(self) -> None:
        if self._decoding is not None:
            self._decoding.close()
        self._decoding = self._newest = None

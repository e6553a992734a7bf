"""The packets of scrcpy's two streams, as pictures and as sound."""

from collections import Counter
from typing import Final

from capture.input_events import VideoSize
from capture.scrcpy.device_clock import DeviceClock, StreamTime
from capture.scrcpy.version import ScrcpyVersion
from capture.scrcpy.wire import RAW_AUDIO, Codec, Packet
from encoders.access_unit import AccessUnit
from encoders.annexb import picture_nal_units
from encoders.audio_packet import AudioPacket
from encoders.errors import BitstreamError, CodedVideoError
from encoders.h264 import NalUnitType
from encoders.opus import packet_duration
from encoders.opus_encoder import OpusEncoder
from encoders.parameter_sets import ParameterSets
from encoders.sound_format import SoundConverter, SoundFormat

_TYPE: Final = 0x1F


class VideoTrack:
    """Makes access units of video packets, the first one a keyframe and every keyframe with its parameter sets."""

    def __init__(self, version: ScrcpyVersion, clock: DeviceClock) -> None:
        self.size: VideoSize | None = None
        """What the device sends now: positions of touches are in these pixels, and it ignores all others."""
        self.has_begun = False
        """Whether there was a keyframe."""
        self.headless_pictures = 0
        """Pictures that came before any keyframe: they are of no use."""
        self._has_sizes = version.has_session_packets
        self._time = StreamTime(clock)
        self._parameter_sets = ParameterSets()
        self._config: tuple[bytes, ...] = ()

    def take(self, packet: Packet, now: float) -> AccessUnit | None:
        """The picture in a packet that came at `now`; None for parameter sets, which the next keyframe then has.

        Raises `BitstreamError` for what is not H.264; the track is of no use after that.
        """
        nal_units = picture_nal_units(packet.data)
        if packet.is_config:
            self._config = nal_units
            return None
        if not nal_units:
            raise BitstreamError("a packet of the video holds no NAL unit")
        types = {nal[0] & _TYPE for nal in nal_units}
        captured_at = self._time.captured_at(packet.pts, now)
        if NalUnitType.IDR_SLICE not in types:
            if not self.has_begun:
                self.headless_pictures += 1
                return None
            return AccessUnit(nal_units, captured_at, is_keyframe=False)
        if NalUnitType.SPS not in types:
            nal_units = self._config + nal_units
        access_unit = self._parameter_sets.complete(AccessUnit(nal_units, captured_at, is_keyframe=True))
        self._config = ()
        self.has_begun = True
        self._follow_size()
        return access_unit

    def _follow_size(self) -> None:
        """Servers before 4.0 tell the first size that they try, and no other: the coded pictures do."""
        sps = self._parameter_sets.sps
        if self._has_sizes or sps is None:
            return
        coded = VideoSize(sps.width, sps.height)
        # An encoder that does not crop codes whole macroblocks; the server means the size that it asked for.
        if self.size is None or _whole_macroblocks(self.size) != _whole_macroblocks(coded):
            self.size = coded


def _whole_macroblocks(size: VideoSize) -> tuple[int, int]:
    return -(-size.width // 16), -(-size.height // 16)


class AudioTrack:
    """Makes Opus packets of audio packets; raw ones are encoded here."""

    def __init__(self, clock: DeviceClock, raw_format: SoundFormat) -> None:
        """Sound that comes raw is encoded as `raw_format`."""
        self.dropped: Counter[str] = Counter()
        """Packets that gave no sound, by reason: `broken_audio`."""
        self._time = StreamTime(clock)
        self._format = raw_format
        self._converter = SoundConverter(raw_format)
        self._encoder: OpusEncoder | None = None

    def begin(self, codec: Codec) -> None:
        """The stream is coded in `codec`, Opus or raw. Raises `EncoderError` for a format that Opus does not have."""
        raw = self._format
        self._encoder = (
            OpusEncoder(sample_rate=raw.sample_rate, channels=raw.channels, bit_rate=raw.bit_rate)
            if codec == RAW_AUDIO
            else None
        )

    def take(self, packet: Packet, now: float) -> list[AudioPacket]:
        """The sound in a packet that came at `now`."""
        if packet.is_config or not packet.data:
            return []
        captured_at = self._time.captured_at(packet.pts, now)
        try:
            if self._encoder is not None:
                return self._encoder.encode(self._converter.convert(packet.data), captured_at)
            return [AudioPacket(packet.data, captured_at, packet_duration(packet.data))]
        except CodedVideoError:
            self.dropped["broken_audio"] += 1
            return []

"""The phone's audio codec: Opus packets of 20 milliseconds."""

import av
from av.audio.codeccontext import AudioCodecContext

from capture.demo_phone.sound import CHANNELS, SAMPLE_RATE, Samples
from encoders.errors import EncoderError

PACKET_SAMPLES = SAMPLE_RATE // 50


class SoundCoder:
    """Codes the phone's sound, each piece of `PACKET_SAMPLES` samples to one packet at once."""

    def __init__(self, bit_rate: int) -> None:
        """`bit_rate` in bits per second. Raises `EncoderError` for what the codec does not take."""
        context = av.CodecContext.create("libopus", "w")
        context.sample_rate = SAMPLE_RATE
        context.layout = "stereo"
        context.format = "s16"
        context.bit_rate = bit_rate
        context.options = {"frame_duration": "20", "application": "audio", "compression_level": "3"}
        try:
            context.open()
        except (av.FFmpegError, ValueError, OverflowError) as error:
            raise EncoderError(f"libopus does not take {bit_rate} bits per second: {error}") from error
        self._context: AudioCodecContext = context

    @property
    def header(self) -> bytes:
        """What a decoder has to know: `OpusHead` (RFC 7845 section 5.1)."""
        return bytes(self._context.extradata or b"")

    def encode(self, samples: Samples) -> bytes:
        """The packet of `PACKET_SAMPLES` samples. Raises `EncoderError`."""
        frame = av.AudioFrame.from_ndarray(
            samples.reshape(1, samples.shape[0] * CHANNELS), format="s16", layout="stereo"
        )
        frame.sample_rate = SAMPLE_RATE
        try:
            packets = self._context.encode(frame)
        except av.FFmpegError as error:
            raise EncoderError(f"libopus failed: {error}") from error
        if len(packets) != 1:
            raise EncoderError(f"libopus gave {len(packets)} packets for {samples.shape[0]} samples")
        return bytes(packets[0])

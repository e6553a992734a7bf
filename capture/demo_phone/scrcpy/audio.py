"""The sound of scrcpy's server (com.genymobile.scrcpy.audio.AudioEncoder, AudioRawRecorder)."""

from collections.abc import Callable
from contextlib import aclosing
from typing import NoReturn

from capture.demo_phone.adb_stream import StreamClosed
from capture.demo_phone.phone import Phone
from capture.demo_phone.scrcpy import wire
from capture.demo_phone.scrcpy.connection import Socket
from capture.demo_phone.scrcpy.encoders import encoder_list, encoder_of
from capture.demo_phone.scrcpy.log import Log, Thrown
from capture.demo_phone.scrcpy.options import Options
from capture.demo_phone.scrcpy.version import ServerVersion
from capture.demo_phone.scrcpy.video import missing_encoder
from capture.demo_phone.sound import Samples, Sound
from capture.demo_phone.sound_coder import PACKET_SAMPLES, SoundCoder
from encoders.errors import EncoderError

_FIRST_SDK = 30
"""Android 11: before it, no sound can be captured."""

_RAW_SAMPLES = 1024


class Audio:
    """One server's sound."""

    def __init__(self, phone: Phone, socket: Socket, options: Options, version: ServerVersion, log: Log) -> None:
        self._phone = phone
        self._socket = socket
        self._options = options
        self._version = version
        self._log = log
        self.last_words = f"Audio {'recorder' if options.audio_codec == 'raw' else 'encoder'} stopped"

    async def run(self) -> None:
        """Send the sound until the client closes its socket. Raises `Thrown` for what the Java code would not catch."""
        try:
            if self._phone.spec.sdk < _FIRST_SDK:
                await self._log.warn("Audio disabled: it is not supported before Android 11")
                await self._socket.write(wire.AUDIO_DISABLED)
            elif self._options.audio_codec == "raw":
                await self._send(_RAW_SAMPLES, b"", _raw)
            else:
                await self._send_coded()
        except StreamClosed:
            pass  # the client wants no sound any more, but perhaps the video

    async def _send_coded(self) -> None:
        codec = self._options.audio_codec
        encoder = encoder_of(codec, self._phone.faults)
        if encoder is None:
            listed = encoder_list("audio", self._phone.faults)
            await self._log.error(f"Could not create default audio encoder for {codec}\n{listed}")
            await self._give_up(missing_encoder(codec))
        await self._log.debug(f"Using audio encoder: '{encoder}'")
        try:
            coder = SoundCoder(self._options.audio_bit_rate)
        except EncoderError:
            await self._give_up(Thrown("Error 0xffffffea", "android.media.MediaCodec$CodecException"))
        await self._send(PACKET_SAMPLES, coder.header, coder.encode)

    async def _give_up(self, thrown: Thrown) -> NoReturn:
        failure = wire.AUDIO_ERROR if self._version.audio_failure_is_error else wire.AUDIO_DISABLED
        await self._socket.write(failure)
        raise thrown

    async def _send(self, count: int, config: bytes, code: Callable[[Samples], bytes]) -> None:
        if self._options.send_stream_meta:
            await self._socket.write(wire.codec_id(self._options.audio_codec))
        has_headers = self._options.send_frame_meta
        if config:
            await self._socket.write(wire.config_packet(self._version, config) if has_headers else config)
        async with aclosing(Sound().record(count)) as pieces:
            async for piece in pieces:
                data = code(piece.samples)
                if has_headers:
                    pts = round((piece.started_at - self._phone.booted_at) * 1_000_000)
                    data = wire.frame_header(self._version, pts, len(data), is_keyframe=False) + data
                await self._socket.write(data)


def _raw(samples: Samples) -> bytes:
    return samples.astype("<i2").tobytes()

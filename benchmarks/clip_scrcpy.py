"""scrcpy's server on a phone that plays: the demo phone's sockets and bytes, with pictures and sound of a `Media`."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress

from benchmarks.clip_media import PACKET_PERIOD, PICTURE_PERIOD, CodedPicture, CodedSound, Media, play
from benchmarks.put_out import Piece
from capture.demo_phone.adb_stream import StreamClosed
from capture.demo_phone.adbd import Service
from capture.demo_phone.scrcpy import wire
from capture.demo_phone.scrcpy.connection import Listener, Socket, socket_name
from capture.demo_phone.scrcpy.options import parse_options
from capture.demo_phone.scrcpy.version import ServerVersion


class ClipServer:
    """One run of it."""

    def __init__(self, media: Media, arguments: Sequence[str], pictures: list[Piece], sound: list[Piece]) -> None:
        """`arguments` begin with the version; what is put out is added to `pictures` and `sound`."""
        self._media = media
        self._version = ServerVersion(arguments[0])
        self._options = parse_options(tuple(arguments), self._version)
        self._pictures = pictures
        self._sound = sound
        self._parameter_sets = b""
        self._started_at = time.monotonic()

    async def run(self, sockets: dict[str, Service], delay: float) -> None:
        """Listen on one of the phone's `sockets`, and run until the client closes the video or the control connection.

        The first picture comes after `delay` seconds.
        """
        has_audio = self._options.audio
        listener = Listener(sockets, socket_name(self._options.scid), wanted=2 + has_audio)
        try:
            video = await listener.accept()
            await video.write(wire.DUMMY_BYTE)
            audio = await listener.accept() if has_audio else None
            control = await listener.accept()
            await video.write(wire.device_name("Clip"))
            async with asyncio.TaskGroup() as tasks:
                fatal = [
                    tasks.create_task(_until_closed(part)) for part in (self._send_video(video, delay), _read(control))
                ]
                others = [tasks.create_task(_until_closed(self._send_audio(audio)))] if audio is not None else []
                await asyncio.wait(fatal, return_when=asyncio.FIRST_COMPLETED)
                for task in (*fatal, *others):
                    task.cancel()
        finally:
            listener.close()

    async def _send_video(self, socket: Socket, delay: float) -> None:
        version, width, height = self._version, self._media.width, self._media.height
        await socket.write(wire.video_header(version, "h264", width, height))
        if version.has_sessions:
            await socket.write(wire.session_packet(width, height))

        async def write(picture: CodedPicture) -> None:
            if picture.parameter_sets and picture.parameter_sets != self._parameter_sets:
                self._parameter_sets = picture.parameter_sets
                await socket.write(wire.config_packet(version, picture.parameter_sets))
            await self._write_packet(socket, picture.slices, is_keyframe=picture.is_keyframe)
            self._pictures.append(Piece(picture.digest, time.monotonic(), len(picture.stream)))

        await play(self._media.pictures, write, period=PICTURE_PERIOD, delay=delay)

    async def _send_audio(self, socket: Socket) -> None:
        await socket.write(wire.codec_id(self._options.audio_codec))
        await socket.write(wire.config_packet(self._version, self._media.sound_header))

        async def write(packet: CodedSound) -> None:
            await self._write_packet(socket, packet.data, is_keyframe=False)
            self._sound.append(Piece(packet.digest, time.monotonic(), len(packet.data)))

        await play(self._media.sound, write, period=PACKET_PERIOD)

    async def _write_packet(self, socket: Socket, data: bytes, *, is_keyframe: bool) -> None:
        """As the server does, in two writes."""
        pts = round((time.monotonic() - self._started_at) * 1_000_000)
        await socket.write(wire.frame_header(self._version, pts, len(data), is_keyframe=is_keyframe))
        await socket.write(data)


async def _until_closed(part: Coroutine[None, None, None]) -> None:
    with suppress(StreamClosed):
        await part


async def _read(socket: Socket) -> None:
    while await socket.read():
        pass

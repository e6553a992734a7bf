"""One session with scrcpy's server: its process, and the connections to it.

start the process > connect video (again and again, until it listens) > connect audio > connect control
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar, cast

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.errors import AdbError, SourceEnded
from capture.scrcpy.server import ScrcpyServer, ServerOptions, ServerProcess, socket_name
from capture.scrcpy.wire import (
    AudioEvent,
    AudioParser,
    DeviceMessage,
    DeviceMessageParser,
    VideoEvent,
    VideoParser,
)

LISTEN_TIMEOUT: Final = 10.0
"""Seconds that the server has to start to listen: upstream's own client gives it as many."""

LISTEN_PAUSE: Final = 0.03
"""Seconds between two attempts to connect."""

END_TIMEOUT: Final = 1.0
"""Seconds that the server has to end by itself when its connections are closed; upstream's own client waits as long."""

ANSWER_TIMEOUT: Final = 5.0
"""Seconds in which a device that is there answers."""

LAST_PICTURES_TIMEOUT: Final = 0.5
"""Seconds for the pictures that are still on their way when the server's end is known from elsewhere."""

CONTROL_BUFFER: Final = 4096
"""Bytes of input that may be on their way to a device that does not read, beside what adb holds."""

_Event = TypeVar("_Event")


class SessionOwner(Protocol):
    """Whom a session tells what comes. Called from the event loop, never blocks."""

    def video(self, event: VideoEvent) -> None:
        """A piece of the video stream is complete. Raises `SourceEnded` to end the session with these words."""

    def audio(self, event: AudioEvent) -> None:
        """A piece of the audio stream is complete."""

    def message(self, message: DeviceMessage) -> None:
        """The device answers on the control connection."""

    def writable(self) -> None:
        """The control connection takes bytes again."""

    def audio_ended(self, complaint: str) -> None:
        """No more sound will come; pictures may. With what was wrong with it, or nothing."""

    def ended(self) -> None:
        """The session is over; told once."""


class _Connection(asyncio.Protocol):
    """One of the connections: what comes is parsed and passed on."""

    def __init__(
        self,
        feed: Callable[[bytes], None],
        lost: Callable[[str], None],
        writable: Callable[[], None] = lambda: None,
    ) -> None:
        """`feed` may raise `SourceEnded`; `lost` is told what was wrong with the stream, or nothing."""
        self.transport: asyncio.Transport | None = None
        self.is_full = False
        self._feed = feed
        self._lost = lost
        self._writable = writable
        self._complaint = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass of it.

    def data_received(self, data: bytes) -> None:
        try:
            self._feed(data)
        except SourceEnded as error:
            self._complaint = str(error)
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self._lost(self._complaint)

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        self._writable()

    def close(self) -> None:
        """Idempotent; what was written is not waited for."""
        if self.transport is not None:
            self.transport.abort()


class ScrcpySession:
    """A running server and the connections to it. It ends as a whole, by `aclose` or by the server's end."""

    def __init__(self, owner: SessionOwner, client: AdbClient, serial: str, server: ScrcpyServer) -> None:
        self.scid = secrets.randbits(31)
        """Names the server's socket on the device, so that sessions do not meet."""
        self._owner = owner
        self._client = client
        self._serial = serial
        self._server = server
        self._process: ServerProcess | None = None
        version = server.version
        self._video_parser = VideoParser(version)
        self._video = _Connection(_passing(self._video_parser.feed, owner.video), self._video_lost)
        self._audio = _Connection(_passing(AudioParser(version).feed, owner.audio), self._audio_lost)
        messages = DeviceMessageParser()
        self._control = _Connection(_passing(messages.feed, owner.message), self._end_soon, owner.writable)
        self._ending: asyncio.TimerHandle | None = None
        self._complaint = ""
        self._is_torn = False
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._is_over

    @property
    def is_full(self) -> bool:
        """Whether the control connection holds bytes that the device has not taken."""
        return self._control.is_full

    async def open(self, options: ServerOptions) -> None:
        """Start the server and connect to it; the owner is told what comes from then on. To be called once.

        Raises `SourceEnded`, with the server's own words, when there is none to connect to, and an `AdbError` when
        the device cannot be reached.
        """
        try:
            await self._server.install(self._client, self._serial)
            self._process = await self._server.start(
                self._client, self._serial, self.scid, options, lambda: self._end_soon("")
            )
            await self._connect_all(self._process, has_audio=options.audio_codec is not None)
        except BaseException:
            self._is_over = True
            self._close()
            raise
        if self._control.transport is not None:
            self._control.transport.set_write_buffer_limits(high=CONTROL_BUFFER, low=0)

    def send(self, message: bytes) -> None:
        """Write a control message; when the session is over, into nothing."""
        if self._control.transport is not None and not self._control.transport.is_closing():
            self._control.transport.write(message)

    async def why_ended(self) -> SourceEnded:
        """Why the session is over, as the server tells it; raises an `AdbError` when the device is gone."""
        reason = self._complaint
        if self._process is not None:
            if not await self._process.wait_ended(END_TIMEOUT):
                self._process.close()
            if self._process.exit_code is None:
                # A server may have been cut off rather than ended: a device that is there answers.
                await self._client.shell(self._serial, command_line(["true"]), timeout=ANSWER_TIMEOUT)
            reason = reason or self._process.last_words
            if self._is_torn:
                reason += ", in the middle of a packet of its video"
        return SourceEnded(f"scrcpy's server {self._server.version} on {self._serial!r} ended: {reason}")

    async def aclose(self) -> None:
        """End the server, and leave nothing on the device. Idempotent."""
        self._is_over = True
        if self._control.transport is not None:
            self._control.transport.close()  # What was written goes out.
        self._video.close()
        self._audio.close()
        try:
            if self._process is not None:
                await self._process.wait_ended(END_TIMEOUT)
        finally:
            self._close()

    async def _connect_all(self, process: ServerProcess, *, has_audio: bool) -> None:
        await self._connect_first(process)
        try:
            if has_audio:
                await self._connect(self._audio)
            await self._connect(self._control)
        except AdbError as error:
            if type(error) is not AdbError:
                raise
            raise await self.why_ended() from error  # It listened a moment ago.
        if self._is_over:
            raise await self.why_ended()

    async def _connect_first(self, process: ServerProcess) -> None:
        deadline = time.monotonic() + LISTEN_TIMEOUT
        while True:
            try:
                await self._connect(self._video)
                return
            except AdbError as error:
                if type(error) is not AdbError:
                    raise  # The device is gone; else nobody listens yet.
            if await process.wait_ended(LISTEN_PAUSE):
                raise await self.why_ended()
            if time.monotonic() >= deadline:
                raise SourceEnded(
                    f"scrcpy's server on {self._serial!r} did not listen within {LISTEN_TIMEOUT:g} s: "
                    f"{process.last_words}"
                )

    async def _connect(self, connection: _Connection) -> None:
        await self._client.open_service(self._serial, socket_name(self.scid), connection)

    def _video_lost(self, complaint: str) -> None:
        self._is_torn = not (complaint or self._is_over or self._video_parser.is_idle)
        if complaint:
            self._end(complaint)
        else:
            self._end_soon("")

    def _audio_lost(self, complaint: str) -> None:
        self._owner.audio_ended(complaint)
        if self._ending is not None and self._video.transport is None:
            self._end("")

    def _end_soon(self, complaint: str) -> None:
        """A part is gone: the last pictures, and what the server had to say of its sound, may still be on their way."""
        if self._video.transport is None and self._audio.transport is None:
            self._end(complaint)
        elif self._ending is None and not self._is_over:
            self._ending = asyncio.get_running_loop().call_later(LAST_PICTURES_TIMEOUT, self._end, complaint)

    def _end(self, complaint: str) -> None:
        """The session is over as a whole."""
        if self._is_over:
            return
        self._is_over = True
        self._cancel_ending()
        self._complaint = complaint
        for connection in (self._video, self._audio, self._control):
            connection.close()
        self._owner.ended()

    def _cancel_ending(self) -> None:
        if self._ending is not None:
            self._ending.cancel()

    def _close(self) -> None:
        self._cancel_ending()
        for part in (self._video, self._audio, self._control, self._process):
            if part is not None:
                part.close()


def _passing(parse: Callable[[bytes], list[_Event]], take: Callable[[_Event], None]) -> Callable[[bytes], None]:
    """What feeds a parser and passes on, one by one, what it gives."""

    def feed(data: bytes) -> None:
        for event in parse(data):
            take(event)

    return feed

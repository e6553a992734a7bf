"""What a command of the phone's shell reads and writes, over the two shell protocols of adb.

`shell:` and `exec:` carry raw bytes, and what goes to stderr is mixed in, as on a real phone. `shell,v2:` frames them
(packages/modules/adb/shell_protocol.h): one byte of kind, four of length, little-endian, then the data.
"""

from enum import IntEnum
from struct import Struct
from typing import Protocol

from capture.demo_phone.adb_stream import AdbStream, StreamClosed

_HEADER = Struct("<BI")
_LONGEST_FRAME = 1 << 20
_WRITE_CHUNK = 1 << 15


class FrameKind(IntEnum):
    """The kinds of frames of the shell protocol."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    EXIT = 3
    CLOSE_STDIN = 4
    WINDOW_SIZE = 5


class BadFrame(ValueError):
    """Bytes that are not the shell protocol."""


class FrameParser:
    """Frames out of a byte stream that arrives in any chunks."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[FrameKind, bytes]]:
        """The frames that are complete now. Raises `BadFrame`."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= _HEADER.size:
            number, length = _HEADER.unpack_from(self._buffer)
            if length > _LONGEST_FRAME:
                raise BadFrame(f"a frame of {length} bytes, more than the {_LONGEST_FRAME} allowed")
            try:
                kind = FrameKind(number)
            except ValueError:
                raise BadFrame(f"{number} is not a kind of frame") from None
            end = _HEADER.size + length
            if len(self._buffer) < end:
                break
            frames.append((kind, bytes(self._buffer[_HEADER.size : end])))
            del self._buffer[:end]
        return frames


def serialize_frame(kind: FrameKind, data: bytes) -> bytes:
    """One frame of the shell protocol."""
    return _HEADER.pack(kind, len(data)) + data


class Stdio(Protocol):
    """Standard input, output and error of a command."""

    async def read(self) -> bytes:
        """The next bytes of input, b"" at its end."""
        ...

    async def write(self, data: bytes) -> None:
        """Write to standard output. Raises `StreamClosed` when nobody reads it any more."""
        ...

    async def write_error(self, data: bytes) -> None:
        """Write to standard error, as `write`."""
        ...


class RawStdio:
    """Raw bytes both ways; output and errors are one."""

    def __init__(self, stream: AdbStream) -> None:
        self._stream = stream

    async def read(self) -> bytes:
        return await self._stream.read()

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def write_error(self, data: bytes) -> None:
        await self._stream.write(data)

    async def exit(self, code: int) -> None:
        """The exit code has no way to the host."""


class FramedStdio:
    """The shell protocol, version 2."""

    def __init__(self, stream: AdbStream) -> None:
        self._stream = stream
        self._parser = FrameParser()
        self._input = bytearray()
        self._input_ended = False

    async def read(self) -> bytes:
        while not self._input and not self._input_ended:
            data = await self._stream.read()
            self._input_ended = not data
            try:
                frames = self._parser.feed(data)
            except BadFrame as error:
                raise StreamClosed(f"the host does not speak the shell protocol: {error}") from error
            for kind, content in frames:
                if kind is FrameKind.STDIN:
                    self._input += content
                elif kind is FrameKind.CLOSE_STDIN:
                    self._input_ended = True
        data = bytes(self._input)
        self._input.clear()
        return data

    async def write(self, data: bytes) -> None:
        await self._write(FrameKind.STDOUT, data)

    async def write_error(self, data: bytes) -> None:
        await self._write(FrameKind.STDERR, data)

    async def exit(self, code: int) -> None:
        """Tell the host the exit code, the last thing that it is told."""
        await self._write(FrameKind.EXIT, bytes([code & 0xFF]))

    async def _write(self, kind: FrameKind, data: bytes) -> None:
        chunks = (data[start : start + _WRITE_CHUNK] for start in range(0, len(data), _WRITE_CHUNK))
        await self._stream.write(b"".join(serialize_frame(kind, chunk) for chunk in chunks))

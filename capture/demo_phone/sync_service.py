"""The `sync:` service, by which adb pushes and pulls files (AOSP packages/modules/adb, file_sync_protocol.h).

Every request is four letters and a length, little-endian, and as many bytes of path.
"""

from struct import Struct

from capture.demo_phone.adb_stream import AdbStream
from capture.demo_phone.files import File, Files, NoSpaceLeft, StorageError

_HEADER = Struct("<4sI")
_STAT = Struct("<4sIII")  # id, mode, size, time
_STAT2 = Struct("<4sIQQIIIIQqqq")  # id, error, dev, ino, mode, nlink, uid, gid, size, atime, mtime, ctime
_ENTRY = Struct("<4sIIII")  # id, mode, size, time, length of the name
_LONGEST_PATH = 1024
_LARGEST_CHUNK = 64 * 1024  # SYNC_DATA_MAX
_ENOENT = 2
_DEFAULT_MODE = 0o644


class BadRequest(Exception):
    """A request that is not the sync protocol; the service ends after it."""


class SyncService:
    """Serves one `sync:` stream."""

    def __init__(self, stream: AdbStream, files: Files) -> None:
        self._stream = stream
        self._files = files
        self._buffer = bytearray()

    async def run(self) -> None:
        """Answer requests until the host quits or closes the stream."""
        try:
            while await self._serve_one():
                pass
        except BadRequest as error:
            await self._fail(str(error))
        except EOFError:
            pass

    async def _serve_one(self) -> bool:
        request, length = await self._header()
        if request == b"QUIT":
            return False
        if length > _LONGEST_PATH:
            raise BadRequest(f"a path of {length} bytes is too long: at most {_LONGEST_PATH} are allowed")
        path = (await self._exactly(length)).decode(errors="surrogateescape")
        match request:
            case b"STAT":
                await self._stream.write(_stat(self._files.find(path)))
            case b"STA2" | b"LST2":
                await self._stream.write(_stat2(request, self._files.find(path)))
            case b"LIST":
                await self._list(path)
            case b"RECV":
                await self._send_file(path)
            case b"SEND":
                await self._receive_file(path)
            case _:
                raise BadRequest(f"unknown request {request!r}")
        return True

    async def _list(self, path: str) -> None:
        entries = bytearray()
        for name, file in self._files.list(path):
            encoded = name.encode(errors="surrogateescape")
            entries += _ENTRY.pack(b"DENT", file.mode, len(file.data), file.modified, len(encoded)) + encoded
        await self._stream.write(bytes(entries) + _ENTRY.pack(b"DONE", 0, 0, 0, 0))

    async def _send_file(self, path: str) -> None:
        try:
            data = self._files.read(path)
        except StorageError as error:
            await self._fail(f"open failed: {error}")
            return
        for start in range(0, len(data), _LARGEST_CHUNK):
            chunk = data[start : start + _LARGEST_CHUNK]
            await self._stream.write(_HEADER.pack(b"DATA", len(chunk)) + chunk)
        await self._stream.write(_HEADER.pack(b"DONE", 0))

    async def _receive_file(self, request: str) -> None:
        path, comma, mode = request.rpartition(",")
        if not comma:
            path, mode = request, ""
        room = self._files.room(path)
        data = bytearray()
        while True:
            kind, number = await self._header()
            if kind == b"DONE":
                break
            if kind != b"DATA":
                raise BadRequest(f"{kind!r} in the middle of a file")
            if number > _LARGEST_CHUNK:
                raise BadRequest(f"oversize data message: {number} bytes, at most {_LARGEST_CHUNK} are allowed")
            chunk = await self._exactly(number)
            # A file that does not fit is read to its end all the same: the host looks for an answer only then.
            if len(data) <= room:
                data += chunk
        try:
            self._files.write(path, bytes(data), int(mode) if mode.isdecimal() else _DEFAULT_MODE, number)
        except NoSpaceLeft as error:
            await self._fail(f"write failed: {error}")
        except StorageError as error:
            await self._fail(f"couldn't create file: {error}")
        else:
            await self._stream.write(_HEADER.pack(b"OKAY", 0))

    async def _fail(self, message: str) -> None:
        encoded = message.encode(errors="replace")
        await self._stream.write(_HEADER.pack(b"FAIL", len(encoded)) + encoded)

    async def _header(self) -> tuple[bytes, int]:
        request, number = _HEADER.unpack(await self._exactly(_HEADER.size))
        return request, number

    async def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = await self._stream.read()
            if not data:
                raise EOFError
            self._buffer += data
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data


def _stat(file: File | None) -> bytes:
    if file is None:
        return _STAT.pack(b"STAT", 0, 0, 0)
    return _STAT.pack(b"STAT", file.mode, len(file.data), file.modified)


def _stat2(request: bytes, file: File | None) -> bytes:
    if file is None:
        return _STAT2.pack(request, _ENOENT, *[0] * 10)
    time = file.modified
    return _STAT2.pack(request, 0, 1, 1, file.mode, 1, 0, 0, len(file.data), time, time, time)

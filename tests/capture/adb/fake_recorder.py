"""Recorders of a fake phone, whose every byte a test decides."""

import asyncio
from dataclasses import dataclass, field

from capture.adb.wire import EXIT, STDERR, STDOUT
from encoders.annexb import to_annexb
from tests.capture.adb.fake_server import TIMEOUT, FakeAdbServer, okay, packet, until_closed

SPS, PPS = b"\x67\x42\xc0\x1f\xda", b"\x68\xce\x3c\x80"


def idr(mark: int, size: int = 40) -> bytes:
    """A keyframe as a recorder begins with; `mark` tells it from others."""
    return to_annexb([SPS, PPS, b"\x65\x88" + bytes([mark]) * size])


def slice_(mark: int, size: int = 40) -> bytes:
    """A picture that builds on the one before."""
    return to_annexb([b"\x41\x9a" + bytes([mark]) * size])


@dataclass
class FakeRecorder:
    """One run of `screenrecord`."""

    writer: asyncio.StreamWriter
    is_raw: bool
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """The other side has hung up."""

    def send(self, data: bytes) -> None:
        """Write to standard output."""
        self.writer.write(data if self.is_raw else packet(STDOUT, data))

    def complain(self, text: bytes) -> None:
        """Write to standard error."""
        self.writer.write(text if self.is_raw else packet(STDERR, text))

    def end(self, exit_code: int = 0) -> None:
        """Exit."""
        if not self.is_raw:
            self.writer.write(packet(EXIT, bytes([exit_code])))
        self.writer.close()


class FakePhone:
    """A phone behind a fake adb server; its recorders do nothing by themselves."""

    def __init__(self, adb: FakeAdbServer, *, sdk: str = "33", features: bytes = b"shell_v2,cmd") -> None:
        self.adb = adb
        self.recorders: list[FakeRecorder] = []
        self._started = asyncio.Condition()
        adb.on("host-serial:", okay(features))
        adb.on("shell,v2,raw:getprop", b"OKAY" + packet(STDOUT, sdk.encode() + b"\n") + packet(EXIT, b"\0"))
        adb.on("shell:getprop", b"OKAY" + sdk.encode() + b"\r\n:0\r\n")
        adb.on("shell,v2,raw:exec screenrecord", self._record)
        adb.on("exec:screenrecord", self._record)

    async def recorder(self, number: int) -> FakeRecorder:
        """The recorder that was started as the `number`th, once it was."""
        async with asyncio.timeout(TIMEOUT), self._started:
            await self._started.wait_for(lambda: len(self.recorders) >= number)
        return self.recorders[number - 1]

    async def _record(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"OKAY")
        recorder = FakeRecorder(writer, self.adb.asked[-1].startswith("exec:"))
        async with self._started:
            self.recorders.append(recorder)
            self._started.notify_all()
        try:
            await until_closed(reader)
        except ConnectionError:
            pass
        recorder.closed.set()

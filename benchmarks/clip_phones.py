"""Demo phones that cost nearly nothing: they play a clip that was coded beforehand, and neither draw nor encode.

Fifty demo phones that do would fill the machine that is to be measured. All but their recorder and scrcpy's server is
the demo phone's.

    python -m benchmarks.clip_phones CLIP COUNT      prints the addresses for `adb connect`, then serves

Each write of a phone's program is an ADB packet of its own, which is the worst that can come: `screenrecord` writes
whole pages and then the rest, scrcpy's server a header and then its packet.
"""

import asyncio
import random
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.clip_media import PICTURE_PERIOD, CodedPicture, Media, play
from benchmarks.clip_scrcpy import ClipServer
from benchmarks.put_out import COMMAND, PICTURES, SOUND, Piece
from capture.demo_phone.adb_stream import AdbStream
from capture.demo_phone.adbd import Service
from capture.demo_phone.commands import COMMANDS
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.phone import PhoneSpec
from capture.demo_phone.shell import Invocation, Shell
from capture.demo_phone.stdio import FramedStdio, RawStdio

_SOUND_BIT_RATE: Final = 64_000
_SDK: Final = 34
"""Android 14, whose recorders end when they are told to."""
_PAGE: Final = 4096


class ClipPhone(DemoPhone):
    """One of them."""

    def __init__(self, name: str, media: Media, delay: float) -> None:
        """Its encoder gives the first picture `delay` seconds after it was started."""
        super().__init__(PhoneSpec(name=name, width=media.width, height=media.height, sdk=_SDK, still=True))
        self._media = media
        self._delay = delay
        self._put_out: dict[str, list[Piece]] = {PICTURES: [], SOUND: []}
        self._programs = {
            **COMMANDS,
            "app_process": self._serve_scrcpy,
            "screenrecord": self._record,
            COMMAND: self._tell_put_out,
        }

    def find_service(self, name: str) -> Service | None:
        kind, _, line = name.partition(":")
        if not kind.startswith("shell,v2") and kind != "exec":
            return super().find_service(name)

        async def run(stream: AdbStream) -> None:
            stdio = RawStdio(stream) if kind == "exec" else FramedStdio(stream)
            await stdio.exit(await Shell(self, self._programs, stdio).run(line))

        return run

    async def _record(self, invocation: Invocation) -> int:
        if "--output-format=h264" not in invocation.arguments:
            return await COMMANDS["screenrecord"](invocation)

        async def write(picture: CodedPicture) -> None:
            whole_pages = len(picture.stream) // _PAGE * _PAGE
            for part in (picture.stream[:whole_pages], picture.stream[whole_pages:]):
                if part:
                    await invocation.stdio.write(part)
            self._put_out[PICTURES].append(Piece(picture.digest, time.monotonic(), len(picture.stream)))

        await play(self._media.pictures, write, period=PICTURE_PERIOD, delay=self._delay)
        return 0

    async def _serve_scrcpy(self, invocation: Invocation) -> int:
        _, _, *arguments = invocation.arguments
        server = ClipServer(self._media, arguments, self._put_out[PICTURES], self._put_out[SOUND])
        await server.run(self.sockets, self._delay)
        return 0

    async def _tell_put_out(self, invocation: Invocation) -> int:
        [name] = invocation.arguments
        await invocation.print("\n".join(map(str, self._put_out[name])))
        return 0


async def _serve(clip: Path, count: int) -> None:
    media = Media.load(clip, _SOUND_BIT_RATE)
    phases = random.Random(count)
    async with AsyncExitStack() as stack:
        for number in range(count):
            # The phones' pictures fall together no more than those of real phones do.
            phone = ClipPhone(f"clip{number}", media, phases.uniform(0.0, PICTURE_PERIOD))
            print((await stack.enter_async_context(phone)).address)
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))

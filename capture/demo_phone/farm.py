"""Demo phones that adb can connect to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self

from capture.demo_phone.adb_stream import AdbStream
from capture.demo_phone.adbd import Adbd, Service
from capture.demo_phone.commands import COMMANDS
from capture.demo_phone.phone import Phone, PhoneSpec
from capture.demo_phone.shell import Shell
from capture.demo_phone.stdio import FramedStdio, RawStdio
from capture.demo_phone.sync_service import SyncService

FEATURES = ("shell_v2", "cmd", "stat_v2")
"""What the banner announces. adb 36 cannot push where `sendrecv_v2` is announced and not there."""


class DemoPhone(Phone):
    """A phone with its adbd. Entering the context starts it, leaving it ends everything that runs on it."""

    def __init__(self, spec: PhoneSpec | None = None) -> None:
        """Raises ValueError as `Phone`."""
        super().__init__(spec or PhoneSpec())
        self._adbd = Adbd(self, self.spec.host, self.spec.port)
        self._ordeal: asyncio.Task[None] | None = None
        """In which adbd is away or hangs; it goes on without the connection that it was asked for on."""

    async def __aenter__(self) -> Self:
        """Raises OSError when the port cannot be had."""
        await self._adbd.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._ordeal is not None:
            self._ordeal.cancel()
            await asyncio.wait([self._ordeal])
        await self._adbd.stop()

    @property
    def port(self) -> int:
        return self._adbd.port

    @property
    def address(self) -> str:
        """What to give to `adb connect`, and the serial that adb then has for the phone."""
        return f"{self.spec.host}:{self.port}"

    async def go_offline(self) -> None:
        """Lose the network: all connections are dropped and new ones refused. What ran for them ends."""
        await self._adbd.stop()

    async def come_online(self) -> None:
        """Be there again, on the same port."""
        await self._adbd.start()

    async def reboot(self) -> None:
        """Be away for a while, and then go through a boot. What ran on the phone ends."""
        away = self.spec.boot_time / 4
        await self.go_offline()
        await asyncio.sleep(away)
        await self.come_online()
        await self.boot(self.spec.boot_time - away)

    def lose_network(self, seconds: float) -> None:
        """Be offline for so long, from the next moment on."""

        async def be_offline() -> None:
            await self.go_offline()
            await asyncio.sleep(seconds)
            await self.come_online()

        self._suffer(be_offline)

    def hang(self, seconds: float) -> None:
        """Answer nothing for so long; what came in meanwhile is then answered."""

        async def be_hanging() -> None:
            self.faults.hangs = True
            try:
                await asyncio.sleep(seconds)
            finally:
                self.faults.hangs = False

        self._suffer(be_hanging)

    def _suffer(self, ordeal: Callable[[], Coroutine[None, None, None]]) -> None:
        """Go through something in the background; nothing else while that lasts."""
        if self._ordeal is None or self._ordeal.done():
            self._ordeal = asyncio.get_running_loop().create_task(ordeal())

    def banner(self) -> str:
        """What CNXN says about the phone."""
        names = ("ro.product.name", "ro.product.model", "ro.product.device")
        facts = [f"{name}={self.properties[name]}" for name in names]
        return "device::" + ";".join([*facts, f"features={','.join(FEATURES)}"])

    def find_service(self, name: str) -> Service | None:
        """The services of adbd: `shell:`, `shell,v2:`, `exec:`, `sync:`, `reboot:`, and the sockets of the phone."""
        kind, _, argument = name.partition(":")
        kind, *options = kind.split(",")
        match kind:
            case "shell" if "v2" in options:
                return lambda stream: self._serve_shell(FramedStdio(stream), argument)
            case "shell" | "exec":
                return lambda stream: self._serve_shell(RawStdio(stream), argument)
            case "sync":
                return lambda stream: SyncService(stream, self.files).run()
            case "reboot":
                return self._serve_reboot
        return self.sockets.get(name)

    async def _serve_reboot(self, _: AdbStream) -> None:
        self._suffer(self.reboot)

    async def _serve_shell(self, stdio: RawStdio | FramedStdio, line: str) -> None:
        shell = Shell(self, COMMANDS, stdio)
        await stdio.exit(await shell.run(line) if line else await shell.run_input())


@asynccontextmanager
async def demo_phones(specs: Sequence[PhoneSpec]) -> AsyncIterator[tuple[DemoPhone, ...]]:
    """Several phones in one process, each with its own port and size; started and ended together.

    Raises ValueError for a size that a screen cannot have and OSError when a port cannot be had.
    """
    async with AsyncExitStack() as stack:
        yield tuple([await stack.enter_async_context(DemoPhone(spec)) for spec in specs])


async def run_demo_phones(specs: Sequence[PhoneSpec], ready: Callable[[Sequence[DemoPhone]], None]) -> None:
    """Run phones until cancelled; `ready` is called when adb can connect to all of them.

    Raises as `demo_phones`.
    """
    async with demo_phones(specs) as phones:
        ready(phones)
        await asyncio.get_running_loop().create_future()

"""scrcpy's server from its first argument to its end (com.genymobile.scrcpy.Server)."""

import asyncio
import signal
from contextlib import suppress

from capture.demo_phone.adb_stream import StreamClosed
from capture.demo_phone.files import StorageError
from capture.demo_phone.key_codes import key_code
from capture.demo_phone.phone import Phone
from capture.demo_phone.scrcpy import wire
from capture.demo_phone.scrcpy.audio import Audio
from capture.demo_phone.scrcpy.connection import Listener, Socket, socket_name
from capture.demo_phone.scrcpy.controller import Controller
from capture.demo_phone.scrcpy.encoders import encoder_list
from capture.demo_phone.scrcpy.log import BadConfiguration, Log, Thrown
from capture.demo_phone.scrcpy.options import Options, parse_options
from capture.demo_phone.scrcpy.version import ServerVersion
from capture.demo_phone.scrcpy.video import Video
from capture.demo_phone.shell import Invocation

CLASS_NAME = "com.genymobile.scrcpy.Server"

_POWER = key_code("POWER")
_FAILED = 1
_KILLED = 128 + signal.SIGKILL
_CONNECT = (
    "android.net.LocalSocketImpl.connectLocal(Native Method)",
    "com.genymobile.scrcpy.device.DesktopConnection.connect(DesktopConnection.java)",
    "com.genymobile.scrcpy.Server.scrcpy(Server.java)",
)


async def run_server(invocation: Invocation, jar_path: str, version: ServerVersion, arguments: tuple[str, ...]) -> int:
    """Run the server whose file lies at `jar_path`; its exit code."""
    phone = invocation.phone
    log = Log(invocation.stdio)
    try:
        if not version.is_emulated:
            raise Thrown(f"the demo phone emulates scrcpy 3 and 4, not {version.name}", "java.lang.VerifyError")
        if phone.is_booting:
            raise Thrown("Could not get Android's services", "java.lang.NullPointerException")
        options = parse_options(arguments, version)
        for key in options.unknown:
            await log.warn(f"Unknown server option: {key}")
        log.threshold = options.log_level
        await log.info("Device: [{manufacturer}] {brand} {model} (Android {release})".format_map(_device(phone)))
        if options.list_encoders or options.list_displays:
            if options.cleanup:
                _remove(phone, jar_path)
            await _list(phone, options, log)
            return 0
        return await _Server(phone, options, version, log).run(jar_path)
    except Thrown as thrown:
        await log.error(thrown.message, thrown)
        return _FAILED
    except BadConfiguration:
        return 0


async def _list(phone: Phone, options: Options, log: Log) -> None:
    if options.list_encoders:
        await log.info(encoder_list("video", phone.faults))
        await log.info(encoder_list("audio", phone.faults))
    if options.list_displays:
        await log.info(_display_list(phone))


class _Completion:
    """Notices when a server is over: when its video or its control is, or when everything is."""

    def __init__(self, running: int) -> None:
        self.exit_code = 0
        self._running = running
        self._is_over = asyncio.Event()

    def ended(self, *, fatal: bool, exit_code: int = 0) -> None:
        self._running -= 1
        if fatal or not self._running:
            self.exit_code = self.exit_code or exit_code
            self._is_over.set()

    async def wait(self) -> None:
        await self._is_over.wait()


class _Server:
    def __init__(self, phone: Phone, options: Options, version: ServerVersion, log: Log) -> None:
        self._phone = phone
        self._options = options
        self._version = version
        self._log = log
        self._completion = _Completion(options.video + options.audio + options.control)

    async def run(self, jar_path: str) -> int:
        """The exit code. Raises `Thrown` for what ends the main thread, and `BadConfiguration`."""
        await self._check()
        options = self._options
        if options.cleanup:
            _remove(self._phone, jar_path)  # a second process of it waits for the end, and needs the file no more
        wanted = options.video + options.audio + options.control
        if not options.tunnel_forward and wanted:
            raise Thrown("Connection refused", "java.io.IOException", _CONNECT)
        listener = Listener(self._phone.sockets, socket_name(options.scid), wanted)
        try:
            await self._serve(listener)
        finally:
            listener.close()
            if options.cleanup and options.power_off_on_close and self._phone.is_on:
                self._phone.press_key(_POWER)
        return self._completion.exit_code

    async def _check(self) -> None:
        options = self._options
        if options.not_emulated:
            await self._log.error(f"The demo phone has nothing for {', '.join(options.not_emulated)}")
            raise BadConfiguration
        if options.video_source == "camera":
            await self._log.error("Could not find any matching camera")
            raise BadConfiguration
        if options.display_id != 0 and options.video:
            await self._log.error(f"Display {options.display_id} not found\n{_display_list(self._phone)}")
            raise BadConfiguration

    async def _serve(self, listener: Listener) -> None:
        options = self._options
        sockets: list[Socket] = []
        for is_wanted in (options.video, options.audio, options.control):
            if is_wanted:
                sockets.append(await listener.accept())
                if len(sockets) == 1 and options.send_dummy_byte:
                    await sockets[0].write(wire.DUMMY_BYTE)
        if not sockets:
            return
        if options.send_device_meta:
            await sockets[0].write(wire.device_name(self._phone.properties["ro.product.model"]))
        await self._run_all(sockets)

    async def _run_all(self, sockets: list[Socket]) -> None:
        options = self._options
        left = iter(sockets)
        video = Video(self._phone, next(left), options, self._version, self._log) if options.video else None
        audio = Audio(self._phone, next(left), options, self._version, self._log) if options.audio else None
        control = (
            Controller(self._phone, next(left), options, self._version, self._log, video) if options.control else None
        )
        async with asyncio.TaskGroup() as tasks:
            threads = [
                tasks.create_task(self._thread(name, part, fatal=fatal))
                for name, part, fatal in (
                    ("control-recv", control, True),
                    ("audio-encoder", audio, False),
                    ("video", video, True),
                )
                if part is not None
            ]
            await self._completion.wait()
            for thread in threads:
                thread.cancel()

    async def _thread(self, name: str, part: Video | Audio | Controller, *, fatal: bool) -> None:
        """One of the server's threads; with a `fatal` one the server ends, with the others it goes on."""
        exit_code = 0
        thrown: Thrown | None = None
        try:
            await part.run()
        except StreamClosed:
            pass
        except BadConfiguration:
            fatal = True
        except Thrown as caught:
            thrown = caught
            if self._version.uncaught_kills:
                fatal, exit_code = True, _KILLED
        with suppress(StreamClosed):
            await self._log.debug(part.last_words)
            if thrown is not None:
                await self._log.error(f"Exception on thread Thread[{name},5,main]", thrown)
        self._completion.ended(fatal=fatal, exit_code=exit_code)


def _remove(phone: Phone, path: str) -> None:
    with suppress(StorageError):
        phone.files.remove(path)


def _device(phone: Phone) -> dict[str, str]:
    names = {
        "manufacturer": "ro.product.manufacturer",
        "brand": "ro.product.brand",
        "model": "ro.product.model",
        "release": "ro.build.version.release",
    }
    return {key: phone.properties[name] for key, name in names.items()}


def _display_list(phone: Phone) -> str:
    return f"List of displays:\n    --display-id=0    ({phone.display.width}x{phone.display.height})"

"""The composition: everything is built and wired here, and nowhere else."""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from capture.adb.client import AdbClient
from capture.adb.presence import keep_connected
from capture.adb.screen import fit_screen, read_screen_size
from capture.adb.server import AdbServer
from capture.controller import Controller
from capture.errors import AdbError
from capture.file_source import open_file
from capture.input_events import VideoSize
from capture.screenrecord import open_screenrecord
from capture.shell_controller import ShellController
from capture.source import Source, Sources
from capture.synthetic_source import open_synthetic
from media_service.devices import Device, Devices
from media_service.loop_lag import watch_loop_lag
from media_service.metrics import Histograms, ServiceCollector
from media_service.rtc.candidates import announced, host_addresses
from media_service.rtc.dtls import Certificate
from media_service.rtc.egress import Egress
from media_service.rtc.media_port import SEND_BUFFER, MediaPort
from media_service.session import CONNECT_TIMEOUT, Surroundings
from media_service.sessions import Sessions
from media_service.settings import Settings
from media_service.streams import GRACE
from media_service.stun_discovery import StunDiscovery
from media_service.tasks import Tasks
from signaling import http

_log = structlog.get_logger(__name__)

_WEB = Path(str(files("media_service"))) / "web"


class CannotStart(Exception):
    """The service cannot start; the text says what to change."""


async def run(
    settings: Settings,
    *,
    sources: Mapping[str, str],
    demo: bool,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or until cancelled, as Ctrl-C does through `asyncio.Runner`.

    `sources` are named source URIs beside the phones that adb knows; with `demo` a demo phone is started too. `ready`
    is told the address of the viewer page. Raises `CannotStart`, `NoMediaPort` or an `AdbError`.
    """
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(settings, sources=sources, demo=demo) as address:
        _settle_memory()
        if ready is not None:
            ready(address)
        await stop.wait()
        _log.info("stopping")


def _settle_memory() -> None:
    """What is there by now stays: the garbage collector need not look at it while pictures wait."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@asynccontextmanager
async def serve(
    settings: Settings,
    *,
    sources: Mapping[str, str],
    demo: bool,
    grace: float = GRACE,
    connect_timeout: float = CONNECT_TIMEOUT,
) -> AsyncIterator[str]:
    """The running service, for the duration of the block; gives the address of the viewer page.

    Capture goes on for `grace` seconds without a viewer, and a viewer has `connect_timeout` seconds to connect.
    """
    async with AsyncExitStack() as stack:
        tasks = Tasks()
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        histograms = Histograms(registry)

        adb = AdbClient(
            port=settings.android_adb_server_port,
            connect_timeout=settings.adb_connect_timeout,
            command_timeout=settings.adb_command_timeout,
        )
        devices = Devices(sources)
        try:
            adb_path = str(settings.adb_path) if settings.adb_path is not None else None
            await stack.enter_async_context(AdbServer.ensure(adb, adb_path=adb_path))
        except AdbError as error:
            if demo or settings.adb_devices:
                raise
            devices.adb_trouble = str(error)
            _log.warning("no phones: adb cannot be used", reason=str(error))
        stack.push_async_callback(tasks.aclose)
        tasks.start(devices.follow(adb), "devices")
        addresses = [*settings.adb_devices]
        if demo:
            addresses.append(await stack.enter_async_context(_demo_phone()))
        if addresses:
            tasks.start(keep_connected(adb, addresses), "connected devices")

        port = await MediaPort.open(host_addresses(), range(settings.ice_port_min, settings.ice_port_max + 1))
        stack.push_async_callback(port.aclose)
        if port.send_buffer < SEND_BUFFER:
            _log.warning(
                "the kernel keeps little for the media port to send; many viewers at once may lose pictures",
                bytes=port.send_buffer,
                remedy=f"sysctl -w net.core.wmem_max={SEND_BUFFER}",
            )
        stun = StunDiscovery(port, settings.stun_servers)
        if settings.stun_servers:
            tasks.start(stun.run(), "stun discovery")
        egress = Egress(histograms.egress_latency.observe)
        stack.callback(egress.close)
        certificate = Certificate.generateCertificate()

        capture = Sources()
        capture.register("test", open_synthetic)
        capture.register("file", open_file)
        box = VideoSize(settings.video_width, settings.video_height)

        async def open_phone(serial: str) -> Source:
            screen = await read_screen_size(adb, serial)
            return await open_screenrecord(adb, serial, size=fit_screen(screen, box), bit_rate=settings.video_bitrate)

        capture.register("adb", open_phone)

        def candidates() -> tuple[str, ...]:
            return announced(port.hosts, port.number, mapped=settings.nat_1to1_ips, reflexive=stun.addresses)

        def open_controller(device: Device) -> Controller | None:
            return ShellController(adb, device.serial) if device.serial is not None else None

        surroundings = Surroundings(
            port, certificate, egress, tasks, candidates, histograms.join.observe, connect_timeout
        )
        sessions = Sessions(surroundings, devices, capture, settings.ice_servers(), open_controller, grace=grace)
        stack.push_async_callback(sessions.aclose)
        tasks.start(sessions.look_after(), "sender reports")
        tasks.start(watch_loop_lag(histograms.loop_lag.observe), "loop lag")
        registry.register(ServiceCollector(sessions, port, egress))

        app = _application(settings, sessions, registry)
        address = await _listen(app, settings, stack)
        _log.info("serving", page=address, media_port=port.number, media_hosts=port.hosts)
        yield address


def _application(settings: Settings, sessions: Sessions, registry: CollectorRegistry) -> web.Application:
    app = http.application(sessions, allowed_origins=settings.allowed_origins, loopback_only=True)

    async def page(_: web.Request) -> web.FileResponse:
        return web.FileResponse(_WEB / "index.html")

    async def revalidated(_: web.Request, response: web.StreamResponse) -> None:
        # Modules of two versions must not meet in one page.
        if isinstance(response, web.FileResponse):
            response.headers["Cache-Control"] = "no-cache"

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.on_response_prepare.append(revalidated)
    app.router.add_get("/", page)
    if settings.enable_metrics:
        app.router.add_get("/metrics", metrics)
    app.router.add_static("/", _WEB)
    return app


async def _listen(app: web.Application, settings: Settings, stack: AsyncExitStack) -> str:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        raise CannotStart(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; stop what uses the port or set PORT"
        ) from error
    number = runner.addresses[0][1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{number}/"


@asynccontextmanager
async def _demo_phone() -> AsyncIterator[str]:
    """A demo phone in a process of its own; gives its adb address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "capture.demo_phone", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode().split()
        if not line:
            raise CannotStart("the demo phone did not start")
        yield line[-1]
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()

"""The composition: everything is built and wired here, and nowhere else."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from capture.adb.client import AdbClient
from capture.adb.presence import KeptPhones
from capture.adb.server import AdbServer
from capture.controller import Controller
from capture.demo_phone.scrcpy.jar import make_jar
from capture.errors import AdbError, AdbTimeout
from capture.file_source import open_file
from capture.input_events import VideoSize
from capture.ladder import CaptureMode
from capture.phone import CaptureWishes, open_phone
from capture.redroid import RedroidContainer, RedroidContainers
from capture.scrcpy import ScrcpyServer, parse_version
from capture.shell_controller import ShellController
from capture.source import Source, Sources
from capture.synthetic_source import open_synthetic
from encoders.errors import EncoderUnavailable
from encoders.hardware import EncoderChoice
from encoders.hardware import choose as choose_encoder
from encoders.pool import EncoderPool
from encoders.sound_format import SoundFormat
from media_service import memory
from media_service.admission import Limits
from media_service.devices import Devices
from media_service.loop_lag import watch_loop_lag
from media_service.metrics import Histograms, ServiceCollector
from media_service.rtc.candidates import announced, host_addresses
from media_service.rtc.dtls import Certificate
from media_service.rtc.egress import Egress
from media_service.rtc.estimation import SEND_SIDE, Estimation
from media_service.rtc.media_port import SEND_BUFFER, MediaPort
from media_service.rung_encoder import Transcoding
from media_service.session import CONNECT_TIMEOUT, Surroundings
from media_service.sessions import Sessions
from media_service.settings import Settings
from media_service.streams import GRACE
from media_service.stun_discovery import StunDiscovery
from media_service.tasks import Tasks
from signaling import http

_log = structlog.get_logger(__name__)

_DOCKER_SOCKET = "/var/run/docker.sock"
_DEMO_SCRCPY = "4.1"

_WEB = Path(str(files("media_service"))) / "web"


class CannotStart(Exception):
    """The service cannot start; the text says what to change."""


async def run(
    settings: Settings,
    *,
    sources: Mapping[str, str],
    demo: bool,
    ready: Callable[[str], None] | None = None,
    estimation: Estimation = SEND_SIDE,
) -> None:
    """Serve until SIGTERM or until cancelled, as Ctrl-C does through `asyncio.Runner`.

    `sources` are named source URIs beside the phones that adb knows; with `demo` a demo phone is started too. `ready`
    is told the address of the viewer page; `estimation` says how viewers' paths are estimated. Raises `CannotStart`,
    `NoMediaPort` or an `AdbError`.
    """
    memory.share_arenas()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(settings, sources=sources, demo=demo, estimation=estimation) as address:
        memory.settle()
        if ready is not None:
            ready(address)
        await stop.wait()
        _log.info("stopping")


@asynccontextmanager
async def serve(
    settings: Settings,
    *,
    sources: Mapping[str, str],
    demo: bool,
    grace: float = GRACE,
    connect_timeout: float = CONNECT_TIMEOUT,
    estimation: Estimation = SEND_SIDE,
) -> AsyncIterator[str]:
    """The running service, for the duration of the block; gives the address of the viewer page.

    `estimation` says how viewers' paths are estimated. Capture goes on for `grace` seconds without a viewer, and a
    viewer has `connect_timeout` seconds to connect.
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
        kept = KeptPhones(adb)
        devices.why_away = kept.trouble
        for entry in settings.adb_devices:
            devices.expect(entry.serial, "ADB_DEVICES", entry.name)
            kept.add(entry.serial)
        demo_phone = await stack.enter_async_context(_demo_phone()) if demo else None
        if demo_phone is not None:
            devices.expect(demo_phone.serial, "--demo")
            kept.add(demo_phone.serial)
        tasks.start(kept.run(), "connected phones")
        tasks.start(devices.follow(adb), "devices")
        if (docker_host := _docker_host(settings)) is not None:
            tasks.start(_follow_containers(docker_host, settings.redroid_label, devices, kept), "Redroid containers")

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
        encoders = await _encoders(settings)
        pool = EncoderPool(
            workers=settings.worker_count if settings.use_worker_pool else None,
            input_limit=settings.worker_input_buffer,
            timeout=settings.pipeline_encoding_timeout,
        )
        stack.push_async_callback(pool.aclose)
        egress = Egress(histograms.egress_latency.observe)
        stack.callback(egress.close)
        certificate = Certificate.generateCertificate()

        capture = Sources()
        capture.register("test", open_synthetic)
        capture.register("file", open_file)
        wishes = _capture_wishes(settings, encoders, pool)

        async def open_adb(serial: str) -> Source:
            own = wishes
            if demo_phone is not None and serial == demo_phone.serial:
                own = replace(wishes, scrcpy=demo_phone.server)
            try:
                return await open_phone(adb, serial, own)
            except AdbTimeout:
                kept.doubt(serial)
                raise

        capture.register("adb", open_adb)

        def candidates() -> tuple[str, ...]:
            return announced(port.hosts, port.number, mapped=settings.nat_1to1_ips, reflexive=stun.addresses)

        def open_shell(serial: str) -> Controller:
            return ShellController(adb, serial)

        surroundings = Surroundings(
            port,
            certificate,
            egress,
            tasks,
            candidates,
            histograms.join.observe,
            connect_timeout,
            estimation.open,
            estimation.feedback,
        )
        sessions = Sessions(
            surroundings,
            devices,
            capture,
            open_shell,
            grace=grace,
            ice_servers=lambda caller: settings.ice_servers(),
            limits=Limits(
                settings.max_sessions,
                settings.max_sessions_per_user,
                settings.max_sessions_per_device,
                settings.max_joins_per_minute,
            ),
            remembered=settings.session_inactive_timeout,
            transcoding=_transcoding(settings, pool, encoders),
            always_encoded="VIDEO_ENCODER_TYPE is h264" if settings.video_encoder_type == "h264" else "",
        )
        stack.push_async_callback(sessions.aclose)
        devices.on_change = sessions.device_changed
        tasks.start(sessions.look_after(), "sender reports")
        tasks.start(sessions.forget_failed(settings.session_cleanup_interval), "failed sessions")
        tasks.start(watch_loop_lag(histograms.loop_lag.observe), "loop lag")
        registry.register(ServiceCollector(sessions, port, egress, pool, encoders))

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


def _capture_wishes(settings: Settings, encoders: EncoderChoice, pool: EncoderPool) -> CaptureWishes:
    server = None
    if settings.scrcpy_server_path is not None and settings.scrcpy_server_version is not None:
        server = ScrcpyServer(settings.scrcpy_server_path, parse_version(settings.scrcpy_server_version))
    sound = SoundFormat(settings.audio_sample_rate, settings.audio_channels, settings.audio_bitrate)
    return CaptureWishes(
        box=VideoSize(settings.video_width, settings.video_height),
        bit_rate=settings.video_bitrate,
        frame_rate=settings.video_framerate,
        preset=settings.h264_preset,
        open_encoder=encoders.open,
        pool=pool,
        takes_b_frames=settings.video_encoder_type != "passthrough",
        mode=None if settings.capture_mode == "auto" else CaptureMode(settings.capture_mode),
        scrcpy=server,
        sound=sound if settings.audio_encoder_type == "opus" else None,
    )


async def _encoders(settings: Settings) -> EncoderChoice:
    """What codes here; tried, which takes a moment. Raises `CannotStart`."""
    try:
        choice = await asyncio.to_thread(
            choose_encoder, settings.h264_hw_accel, ffmpeg_shutdown_timeout=settings.ffmpeg_shutdown_timeout
        )
    except EncoderUnavailable as error:
        raise CannotStart(str(error)) from error
    refused = {trial.name: trial.reason for trial in choice.trials if not trial.ok}
    _log.info("encoder chosen", encoder=choice.name, not_usable=refused)
    return choice


def _transcoding(settings: Settings, pool: EncoderPool, encoders: EncoderChoice) -> Transcoding | None:
    if settings.video_encoder_type == "passthrough":
        return None
    return Transcoding(
        pool, encoders.open, settings.video_framerate, settings.h264_preset, settings.worker_output_buffer
    )


def _docker_host(settings: Settings) -> str | None:
    """The engine to ask for containers; None where there is none."""
    if settings.docker_host is not None or settings.redroid_label is not None:
        return settings.docker_host or f"unix://{_DOCKER_SOCKET}"
    return f"unix://{_DOCKER_SOCKET}" if os.access(_DOCKER_SOCKET, os.R_OK | os.W_OK) else None


async def _follow_containers(docker_host: str, label: str | None, devices: Devices, kept: KeptPhones) -> None:
    """Expect the phones in containers while they run. Never ends."""

    def appeared(container: RedroidContainer) -> None:
        devices.expect(container.address, f"container {container.name}", container.name)
        kept.add(container.address)

    def vanished(container: RedroidContainer) -> None:
        devices.forget(container.address, f"container {container.name}")
        kept.remove(container.address)

    await RedroidContainers(docker_host, label).run(appeared, vanished)


@dataclass(frozen=True, slots=True)
class _DemoPhone:
    serial: str
    server: ScrcpyServer
    """What stands for scrcpy's server on it."""


@asynccontextmanager
async def _demo_phone() -> AsyncIterator[_DemoPhone]:
    """A demo phone in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "capture.demo_phone", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode().split()
        if not line:
            raise CannotStart("the demo phone did not start")
        with TemporaryDirectory(prefix="media-service-") as folder:
            jar = Path(folder) / "scrcpy-server"
            jar.write_bytes(make_jar(_DEMO_SCRCPY))
            yield _DemoPhone(line[-1], ScrcpyServer(jar, parse_version(_DEMO_SCRCPY)))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()

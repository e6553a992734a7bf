"""The composition: everything is built and wired here, and nowhere else."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from capture.controller import Controller
from capture.file_source import open_file
from capture.input_events import VideoSize
from capture.ladder import CaptureMode
from capture.phone import CaptureWishes
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
from media_service.errors import CannotStart
from media_service.loop_lag import watch_loop_lag
from media_service.metrics import Histograms, ServiceCollector
from media_service.phones import Phones
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
from media_service.web_server import add_page, listen
from signaling import http

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Serving:
    """The service while it runs."""

    address: str
    """Of the viewer page, with a slash at the end."""
    sessions: Sessions


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
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(settings, sources=sources, demo=demo, estimation=estimation) as serving:
        memory.settle()
        if ready is not None:
            ready(serving.address)
        await stop.wait()
        _log.info("stopping", sessions=len(serving.sessions), patience=str(settings.drain_timeout))
        await _drained(serving, settings.drain_timeout)


async def _drained(serving: Serving, patience: float) -> None:
    """Wait until every viewer has left, `patience` seconds at most; a second SIGTERM ends the wait."""
    hurry = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, hurry.set)
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(serving.sessions.drain(patience))
        hurrying = group.create_task(hurry.wait())
        await asyncio.wait((draining, hurrying), return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        hurrying.cancel()


@asynccontextmanager
async def serve(
    settings: Settings,
    *,
    sources: Mapping[str, str],
    demo: bool,
    grace: float = GRACE,
    connect_timeout: float = CONNECT_TIMEOUT,
    estimation: Estimation = SEND_SIDE,
) -> AsyncIterator[Serving]:
    """The running service, for the duration of the block.

    `estimation` says how viewers' paths are estimated. Capture goes on for `grace` seconds without a viewer, and a
    viewer has `connect_timeout` seconds to connect.
    """
    async with AsyncExitStack() as stack:
        tasks = Tasks()
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        histograms = Histograms(registry)

        phones = await stack.enter_async_context(Phones.prepared(settings, sources, demo=demo))
        stack.push_async_callback(tasks.aclose)
        phones.follow(tasks)

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
            if not await stun.gathered(settings.ice_gathering_timeout):
                _log.warning("public media address not known yet", waited=str(settings.ice_gathering_timeout))
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
            return await phones.open(serial, wishes)

        capture.register("adb", open_adb)

        def candidates() -> tuple[str, ...]:
            return announced(port.hosts, port.number, mapped=settings.nat_1to1_ips, reflexive=stun.addresses)

        def open_shell(serial: str) -> Controller:
            return ShellController(phones.adb, serial)

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
            phones.devices,
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
        phones.devices.on_change = sessions.device_changed
        tasks.start(sessions.look_after(), "sender reports")
        tasks.start(sessions.forget_failed(settings.session_cleanup_interval), "failed sessions")
        tasks.start(watch_loop_lag(histograms.loop_lag.observe), "loop lag")
        registry.register(ServiceCollector(sessions, port, egress, pool, encoders))

        app = _application(settings, sessions, registry)
        address, _ = await listen(app, settings.host, settings.port, stack)
        _log.info("serving", page=address, media_port=port.number, media_hosts=port.hosts)
        yield Serving(address, sessions)


def _application(settings: Settings, sessions: Sessions, registry: CollectorRegistry) -> web.Application:
    app = http.application(sessions, allowed_origins=settings.allowed_origins, loopback_only=True)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    if settings.enable_metrics:
        app.router.add_get("/metrics", metrics)
    add_page(app)
    return app


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

"""The composition: everything is built and wired here, and nowhere else."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

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
from media_service.announced_phones import AnnouncedPhones
from media_service.authentication import Authentication
from media_service.errors import CannotStart
from media_service.integrations import Instance, reachable_host
from media_service.monitoring.metrics import Histograms
from media_service.monitoring.monitor import Measured, monitor
from media_service.neighbours import Neighbours
from media_service.phones import Phones
from media_service.rtc.candidates import announced, host_addresses
from media_service.rtc.dtls import Certificate
from media_service.rtc.egress import Egress
from media_service.rtc.estimation import SEND_SIDE, Estimation
from media_service.rtc.media_port import SEND_BUFFER, MediaPort
from media_service.rung_encoder import Transcoding
from media_service.service_manager import ServiceManager, service_manager
from media_service.session import CONNECT_TIMEOUT, Surroundings
from media_service.sessions import Sessions, draining
from media_service.settings import Settings
from media_service.streams import GRACE
from media_service.stun_discovery import StunDiscovery
from media_service.tasks import Tasks
from media_service.tracing import Tracing, TracingUnavailable, open_tracing
from media_service.web_server import Listeners, add_page
from signaling import http, websocket

_log = structlog.get_logger(__name__)

_GOODBYE = 15.0
"""Seconds that the end itself may take, after viewers have left."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The service while it runs."""

    address: str
    """Of the viewer page, with a slash at the end."""
    link: str
    """What opens the page; with a token in it where one is needed that nobody else gives out."""
    sessions: Sessions
    _app: web.Application
    _neighbours: Neighbours

    async def drain(self, patience: float) -> None:
        """Take no more viewers, tell those who are there, and wait until they have left, `patience` seconds at most."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._neighbours.leave())
            group.create_task(self.sessions.drain(patience))
            websocket.tell_all(self._app, draining(patience))


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
    is told what opens the viewer page; `estimation` says how viewers' paths are estimated. Raises `CannotStart`,
    `NoMediaPort` or an `AdbError`.
    """
    memory.share_arenas()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with service_manager() as manager:
        async with serve(settings, sources=sources, demo=demo, estimation=estimation) as serving:
            memory.settle()
            if ready is not None:
                ready(serving.link)
            async with asyncio.TaskGroup() as group:
                alive = group.create_task(manager.keep_alive())
                manager.ready(f"Serving {serving.address}")
                await stop.wait()
                await _drained(serving, manager, settings.drain_timeout)
                alive.cancel()


async def _drained(serving: Serving, manager: ServiceManager, patience: float) -> None:
    """Wait until every viewer has left, `patience` seconds at most; a second SIGTERM ends the wait."""
    sessions = len(serving.sessions)
    _log.info("stopping", sessions=sessions, patience=patience)
    manager.stopping(f"{sessions} sessions go on for {patience:g} s at most", patience + _GOODBYE)
    hurry = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, hurry.set)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(serving.drain(patience)), group.create_task(hurry.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()


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
    viewer has `connect_timeout` seconds to connect. Raises as `run` does.
    """
    async with AsyncExitStack() as stack:
        listeners = Listeners.bind(settings.host, settings.port)
        stack.callback(listeners.close)
        authentication = Authentication.of(settings)
        tasks = Tasks()
        phones = await stack.enter_async_context(Phones.prepared(settings, sources, demo=demo))
        stack.push_async_callback(tasks.aclose)
        phones.follow(tasks)
        if authentication.key_set is not None:
            tasks.keep(authentication.key_set.follow, "token keys")
        instance = _instance(settings, listeners.port)
        announced_phones = AnnouncedPhones(phones)
        neighbours = Neighbours.of(settings, instance, announced_phones.take)
        stack.push_async_callback(neighbours.aclose)
        tracing = await _tracing(settings, instance, stack)

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        histograms = Histograms(registry)
        port = await _media_port(settings, stack)
        stun = await _stun(settings, port, tasks)
        encoders = await _encoders(settings)
        pool = EncoderPool(
            workers=settings.worker_count if settings.use_worker_pool else None,
            input_limit=settings.worker_input_buffer,
            timeout=settings.pipeline_encoding_timeout,
        )
        stack.push_async_callback(pool.aclose)
        egress = Egress(histograms.egress_latency.observe)
        stack.callback(egress.close)

        def candidates() -> tuple[str, ...]:
            return announced(port.hosts, port.number, mapped=settings.nat_1to1_ips, reflexive=stun.addresses)

        def open_shell(serial: str) -> Controller:
            return ShellController(phones.adb, serial)

        ice = settings.stun_and_turn()
        sessions = Sessions(
            Surroundings(
                port,
                Certificate.generateCertificate(),
                egress,
                tasks,
                candidates,
                histograms.join.observe,
                connect_timeout,
                estimation.open,
                estimation.feedback,
                histograms.first_picture.observe,
                tracing,
            ),
            phones.devices,
            _capture(settings, phones, encoders, pool),
            open_shell,
            grace=grace,
            ice_servers=lambda caller: ice.for_user(caller.user_id, time.time()),
            limits=_limits(settings),
            remembered=settings.session_inactive_timeout,
            observers=neighbours.observers,
            ownership=neighbours.ownership,
            transcoding=_transcoding(settings, pool, encoders),
            always_encoded="VIDEO_ENCODER_TYPE is h264" if settings.video_encoder_type == "h264" else "",
        )
        stack.push_async_callback(sessions.aclose)
        phones.devices.on_change = sessions.device_changed
        neighbours.meet(tasks, lambda: (session.record() for session in sessions))
        tasks.keep(sessions.look_after, "sender reports")
        tasks.keep(memory.give_back_regularly, "free memory")
        tasks.keep(partial(sessions.forget_failed, settings.session_cleanup_interval), "failed sessions")

        app = http.application(
            sessions,
            allowed_origins=settings.allowed_origins,
            # A foreign page has no token: where one is needed, a name that was made to point here gains nothing.
            loopback_only=authentication.verifier is None,
            authenticator=authentication.verifier,
            tickets=authentication.tickets,
            trusted_proxies=settings.trusted_proxies,
        )
        if (traced := tracing.middleware()) is not None:
            app.middlewares.insert(0, traced)
        dependencies = (*neighbours.dependencies, *phones.dependencies)
        measured = Measured(
            sessions, phones.devices, announced_phones, port, egress, pool, encoders, dependencies, listeners.idle
        )
        monitor(settings, measured, app, registry, histograms, tasks)
        add_page(app, framed_by=settings.allowed_origins)
        await listeners.serve(app, stack)
        neighbours.announce(tasks)
        _log.info("serving", page=listeners.address, media_port=port.number, media_hosts=port.hosts)
        link = authentication.link(_page_address(settings, listeners, instance))
        yield Serving(listeners.address, link, sessions, app, neighbours)


def _instance(settings: Settings, port: int) -> Instance:
    host = settings.service_host or reachable_host(settings.host, host_addresses())
    return Instance(settings.service_name, host, port)


def _page_address(settings: Settings, listeners: Listeners, instance: Instance) -> str:
    """What somebody elsewhere opens, where that is possible."""
    return f"http://{instance.address}/" if settings.is_reachable_from_elsewhere else listeners.address


async def _tracing(settings: Settings, instance: Instance, stack: AsyncExitStack) -> Tracing:
    endpoint = settings.jaeger_endpoint if settings.tracing_enabled else None
    try:
        return await stack.enter_async_context(
            open_tracing(endpoint, service_name=settings.service_name, instance=instance.instance_id)
        )
    except TracingUnavailable as error:
        raise CannotStart(str(error)) from error


async def _media_port(settings: Settings, stack: AsyncExitStack) -> MediaPort:
    port = await MediaPort.open(host_addresses(), range(settings.ice_port_min, settings.ice_port_max + 1))
    stack.push_async_callback(port.aclose)
    if port.send_buffer < SEND_BUFFER:
        _log.warning(
            "the kernel keeps little for the media port to send; many viewers at once may lose pictures",
            bytes=port.send_buffer,
            remedy=f"sysctl -w net.core.wmem_max={SEND_BUFFER}",
        )
    return port


async def _stun(settings: Settings, port: MediaPort, tasks: Tasks) -> StunDiscovery:
    stun = StunDiscovery(port, settings.stun_servers)
    if settings.stun_servers:
        tasks.keep(stun.run, "stun discovery")
        if not await stun.gathered(settings.ice_gathering_timeout):
            _log.warning("public media address not known yet", waited=str(settings.ice_gathering_timeout))
    return stun


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.max_sessions,
        settings.max_sessions_per_user,
        settings.max_sessions_per_device,
        settings.max_joins_per_minute,
    )


def _capture(settings: Settings, phones: Phones, encoders: EncoderChoice, pool: EncoderPool) -> Sources:
    """Every kind of source that there is."""
    capture = Sources()
    capture.register("test", open_synthetic)
    capture.register("file", open_file)
    wishes = _capture_wishes(settings, encoders, pool)

    async def open_adb(serial: str) -> Source:
        return await phones.open(serial, wishes)

    capture.register("adb", open_adb)
    return capture


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
        pool,
        encoders.open,
        settings.video_framerate,
        settings.h264_preset,
        settings.worker_output_buffer,
        settings.pipeline_writing_timeout,
    )

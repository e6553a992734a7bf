"""What Prometheus is told of a service that is watched, over real sockets."""

import asyncio
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from capture.controller import Controller
from capture.file_source import open_file
from capture.source import Sources
from encoders.hardware import EncoderChoice
from encoders.hardware import choose as choose_encoder
from encoders.pool import EncoderPool
from media_service.announced_phones import AnnouncedPhones
from media_service.dependency import DependencyState, DependencyStatus
from media_service.devices import Devices
from media_service.idle_connections import IdleConnections
from media_service.monitoring.capture_metrics import CaptureCollector
from media_service.monitoring.connection_metrics import ConnectionCollector
from media_service.monitoring.encoding_metrics import EncodingCollector
from media_service.monitoring.health import Health
from media_service.monitoring.http_requests import HttpRequests
from media_service.monitoring.metrics import Histograms, exposition
from media_service.monitoring.operations import add_routes
from media_service.monitoring.pipeline_rates import PipelineRates
from media_service.monitoring.process_metrics import ProcessMetrics
from media_service.monitoring.resource_monitor import ResourceMonitor, ResourceUse
from media_service.monitoring.sampling import Sampling
from media_service.monitoring.sending_metrics import SendingCollector
from media_service.monitoring.session_metrics import SessionCollector
from media_service.monitoring.task_monitor import Load, TaskMonitor
from media_service.rtc.dtls import Certificate
from media_service.rtc.egress import Egress
from media_service.rtc.estimation import NONE
from media_service.rtc.media_port import MediaPort
from media_service.rtc.viewer import Reception
from media_service.rung_encoder import Transcoding
from media_service.session import Surroundings
from media_service.sessions import Sessions
from media_service.tasks import Tasks
from signaling import http
from signaling.caller import Caller
from tests.media_service.aiortc_viewer import AiortcViewer
from tests.rtc.receivers import free_ports
from tests.signaling.samples import description
from tests.waiting import until

OFFER = description("chromium_video_data")
GUIDE = (
    "media_service_sessions_total",
    "media_service_active_sessions",
    "media_service_pipeline_fps",
    "media_service_pipeline_bitrate_bytes",
    "media_service_encoding_errors_total",
    "media_service_goroutines",
    "media_service_memory_bytes",
    "media_service_cpu_percent",
)
"""The names of the deployment guide."""
LABELS = frozenset(
    "capture code dependency encoder gpu implementation le level major method minor patchlevel reason route state"
    " status version".split()
)


class Queue:
    """A dependency that things wait for and get lost on the way to."""

    name = "rabbitmq"

    def __init__(self) -> None:
        self.state = DependencyState(DependencyStatus.UNHEALTHY, "connection refused")
        self.waiting = 7
        self.drops = Counter({"full": 3})


class Disabled:
    name = "consul"
    state = DependencyState(DependencyStatus.DISABLED, "CONSUL_ENABLED is false")


@dataclass(eq=False)
class Watched:
    """A service with one device, `secret-phone`."""

    address: str
    sessions: Sessions
    registry: CollectorRegistry
    sampling: Sampling
    queue: Queue
    announced: AnnouncedPhones
    idle: IdleConnections

    async def scraped(self) -> dict[str, Metric]:
        """The families at `/metrics`, each there once."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.address}metrics") as response:
            assert response.status == 200
            families = list(text_string_to_metric_families(await response.text()))
        assert len({family.name for family in families}) == len(families)
        return {family.name: family for family in families}

    async def values(self) -> dict[str, float]:
        """The sum of each sample over its labels."""
        values: defaultdict[str, float] = defaultdict(float)
        for family in (await self.scraped()).values():
            for sample in family.samples:
                values[sample.name] += sample.value
        return values


@pytest.fixture(scope="module")
def encoders() -> EncoderChoice:
    return choose_encoder("libx264", ffmpeg_shutdown_timeout=5.0)


@asynccontextmanager
async def watched(clip: Path, encoders: EncoderChoice) -> AsyncIterator[Watched]:
    async with AsyncExitStack() as stack:
        registry, tasks = CollectorRegistry(), Tasks()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        histograms = Histograms(registry)
        stack.push_async_callback(tasks.aclose)
        port = await MediaPort.open(["127.0.0.1"], free_ports())
        stack.push_async_callback(port.aclose)
        pool = EncoderPool(workers=1, input_limit=10, timeout=5.0)
        stack.push_async_callback(pool.aclose)
        egress = Egress(histograms.egress_latency.observe)
        stack.callback(egress.close)
        surroundings = Surroundings(
            port,
            Certificate.generateCertificate(),
            egress,
            tasks,
            lambda: (f"1 1 udp 2130706431 127.0.0.1 {port.number} typ host",),
            histograms.join.observe,
            10.0,
            NONE.open,
        )
        sources, devices = Sources(), Devices({"secret-phone": f"file:{clip}"})
        sources.register("file", open_file)
        devices.expect("192.0.2.77:5555", "ADB_DEVICES")
        sessions = Sessions(
            surroundings,
            devices,
            sources,
            _no_shell,
            grace=0.0,
            transcoding=Transcoding(pool, encoders.open, 30, "ultrafast", 20, writing_timeout=1.0),
        )
        stack.push_async_callback(sessions.aclose)
        queue, rates, requests, resources = Queue(), PipelineRates(), HttpRequests(), ResourceMonitor()
        announced, idle = AnnouncedPhones(devices), IdleConnections()
        resources.note(ResourceUse(50_000_000, 1.0, 1.0))
        dependencies = (queue, Disabled())
        for collector in (
            SessionCollector(sessions),
            SendingCollector(sessions, port, egress),
            CaptureCollector(sessions, devices, rates, announced),
            EncodingCollector(sessions, pool, encoders),
            ProcessMetrics("1.2.3", dependencies, resources, TaskMonitor(lambda: Load(0, 0, 0, 0), 20), lambda: 0),
            requests,
        ):
            registry.register(collector)
        app = http.application(sessions)
        registry.register(ConnectionCollector(app, idle))
        app.on_response_prepare.append(requests.answered)
        health = Health(dependencies, lambda: False, started_at=0.0, service="media-service", version="1.2.3")
        add_routes(app, health, monitoring_networks=("127.0.0.0/8",), registry=registry, profiles=None)
        server = await stack.enter_async_context(TestServer(app))
        sampling = Sampling(sessions, rates, histograms, dependencies)
        yield Watched(str(server.make_url("/")), sessions, registry, sampling, queue, announced, idle)


def _no_shell(serial: str) -> Controller:
    raise AssertionError("no phone is there")


@pytest.fixture
async def service(clip_h264: Path, encoders: EncoderChoice) -> AsyncIterator[Watched]:
    async with watched(clip_h264, encoders) as service:
        yield service


async def test_the_guides_names_are_there_from_the_start(service: Watched) -> None:
    values = await service.values()
    assert [name for name in GUIDE if name not in values] == []
    assert values["media_service_memory_bytes"] == 50_000_000
    assert values["media_service_goroutines"] >= 2


async def test_what_was_sent_away_is_told(service: Watched) -> None:
    assert (await service.values())["media_service_announced_phones_refused_total"] == 0
    service.announced.refused = 3
    service.idle.ended.update(("idle", "slow", "idle"))
    told = await service.scraped()
    assert [sample.value for sample in told["media_service_announced_phones_refused"].samples] == [3]
    ended = {sample.labels["reason"]: sample.value for sample in told["media_service_connections_ended"].samples}
    assert ended == {"idle": 2, "slow": 1}


async def test_what_is_watched_is_told(service: Watched) -> None:
    async with AiortcViewer(service.address, "secret-phone") as viewer:
        service.sampling.look(0.0)
        await viewer.watched(10)
        service.sampling.look(1.0)
        values = await service.values()
        assert values["media_service_active_sessions"] == values["media_service_session_states"] == 1
        assert values["media_service_viewers"] == values["media_service_streams"] == 1
        assert values["media_service_pipeline_fps"] >= 10
        assert values["media_service_pipeline_bitrate_bytes"] > 1000
        assert values["media_service_pictures_sent_total"] >= 10
        assert values["media_service_join_seconds_count"] == 1
    await until(lambda: not len(service.sessions))
    values = await service.values()
    assert (values["media_service_sessions_total"], values["media_service_active_sessions"]) == (1, 0)
    assert values["media_service_pictures_sent_total"] >= 10


async def test_what_viewers_report_is_observed_of_each_in_turn(service: Watched) -> None:
    async with AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(AiortcViewer(service.address, "secret-phone")) for _ in range(3)]
        await asyncio.gather(*(viewer.watched(1) for viewer in viewers))
        for number, session in enumerate(service.sessions):
            assert session.viewer is not None
            session.viewer.reception = Reception(0.03, 1, 0.0, None if number else 0.12)
            session.viewer.counters.receiver_reports = 1
        for second in range(5):
            service.sampling.look(float(second))
        text = generate_latest(service.registry).decode()
    assert 'media_service_viewer_loss_ratio_bucket{le="0.02"} 0.0' in text
    assert 'media_service_viewer_loss_ratio_bucket{le="0.05"} 3.0' in text
    assert 'media_service_viewer_round_trip_seconds_bucket{le="0.1"} 0.0' in text
    assert 'media_service_viewer_round_trip_seconds_bucket{le="0.15"} 1.0' in text
    assert "media_service_viewer_queue_seconds_count 3.0" in text


async def test_no_label_tells_of_anybody(service: Watched) -> None:
    async with AiortcViewer(service.address, "secret-phone") as viewer, aiohttp.ClientSession() as client:
        session, _ = await service.sessions.answer("secret-phone", OFFER, Caller("secret-user"))
        await viewer.watched(1)
        for path in ("api/media/devices/secret-phone", "api/media/whep/secret-phone/secret-session", "secret-path"):
            async with client.delete(f"{service.address}{path}"):
                pass
        async with client.delete(viewer.location) as response:
            assert response.status == 200
        families = await service.scraped()
        text = generate_latest(service.registry).decode()
    labels = {name for family in families.values() for sample in family.samples for name in sample.labels}
    assert labels <= LABELS
    for word in ("secret", session.session_id, viewer.location.rpartition("/")[2], "192.0.2.77"):
        assert word not in text
    assert 'route="/api/media/whep/{device_id}/{session_id}"' in text


async def test_phones_and_dependencies_by_state(service: Watched) -> None:
    text = generate_latest(service.registry).decode()
    assert 'media_service_devices{state="connecting"} 1.0' in text
    assert 'media_service_dependency_up{dependency="rabbitmq"} 0.0' in text
    assert 'media_service_dependency_waiting{dependency="rabbitmq"} 7.0' in text
    assert 'media_service_dependency_dropped_total{dependency="rabbitmq",reason="full"} 3.0' in text
    assert "consul" not in text
    service.queue.state = DependencyState(DependencyStatus.HEALTHY)
    assert 'media_service_dependency_up{dependency="rabbitmq"} 1.0' in generate_latest(service.registry).decode()


async def test_the_exposition_is_the_same_in_slices(service: Watched) -> None:
    def names(text: bytes) -> list[str]:
        return [line.rpartition(" ")[0] for line in text.decode().splitlines()]

    assert names(await exposition(service.registry)) == names(generate_latest(service.registry))


async def test_prometheus_finds_nothing_wrong(service: Watched) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here (Debian: prometheus)")
    async with AiortcViewer(service.address, "secret-phone") as viewer:
        await viewer.watched(1)
        text = await exposition(service.registry)
    checked = await asyncio.to_thread(
        subprocess.run, [promtool, "check", "metrics"], input=text, capture_output=True, timeout=20
    )
    # 3 is what it returns when all it has is advice, which the guide's names need not follow.
    assert checked.returncode in (0, 3), checked.stderr
    assert [line for line in checked.stderr.decode().splitlines() if line.split()[0] not in GUIDE] == []

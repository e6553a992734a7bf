"""What is measured of the running service, and who may ask for it: wired here, measured in the modules it names."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from aiohttp import web
from prometheus_client import CollectorRegistry

from encoders.hardware import EncoderChoice
from encoders.pool import EncoderPool
from media_service import __version__
from media_service.announced_phones import AnnouncedPhones
from media_service.dependency import Dependency
from media_service.devices import Devices
from media_service.idle_connections import IdleConnections
from media_service.monitoring import operations
from media_service.monitoring.capture_metrics import CaptureCollector
from media_service.monitoring.connection_metrics import ConnectionCollector
from media_service.monitoring.encoding_metrics import EncodingCollector
from media_service.monitoring.health import Health
from media_service.monitoring.http_requests import HttpRequests
from media_service.monitoring.log_metrics import LogCollector
from media_service.monitoring.loop_lag import watch_loop_lag
from media_service.monitoring.metrics import Histograms
from media_service.monitoring.pipeline_rates import PipelineRates
from media_service.monitoring.process_metrics import ProcessMetrics
from media_service.monitoring.profiling import Profiling
from media_service.monitoring.resource_monitor import ResourceMonitor
from media_service.monitoring.sampling import Sampling
from media_service.monitoring.sending_metrics import SendingCollector
from media_service.monitoring.session_metrics import SessionCollector
from media_service.monitoring.task_monitor import Load, TaskMonitor
from media_service.rtc.candidates import host_addresses
from media_service.rtc.egress import Egress
from media_service.rtc.media_port import MediaPort
from media_service.sessions import Sessions
from media_service.settings import Settings
from media_service.tasks import Tasks
from signaling import websocket


@dataclass(frozen=True, slots=True)
class Measured:
    """The parts that are asked how they do."""

    sessions: Sessions
    devices: Devices
    announced: AnnouncedPhones
    port: MediaPort
    egress: Egress
    pool: EncoderPool
    encoders: EncoderChoice
    dependencies: Sequence[Dependency]
    idle: IdleConnections


def monitor(
    settings: Settings,
    measured: Measured,
    app: web.Application,
    registry: CollectorRegistry,
    histograms: Histograms,
    tasks: Tasks,
) -> None:
    """Begin to measure, tell it in `registry`, and add to `app` the routes that operators and Prometheus ask."""
    sessions, dependencies = measured.sessions, measured.dependencies
    requests = HttpRequests()
    app.on_response_prepare.append(requests.answered)

    def load() -> Load:
        return Load(len(sessions), len(sessions.streams), len(tuple(measured.devices)), websocket.connection_count(app))

    rates, resources = PipelineRates(), ResourceMonitor()
    task_monitor = TaskMonitor(load, settings.goroutine_leak_threshold)
    for collector in (
        SessionCollector(sessions),
        SendingCollector(sessions, measured.port, measured.egress),
        CaptureCollector(sessions, measured.devices, rates, measured.announced),
        EncodingCollector(sessions, measured.pool, measured.encoders),
        ProcessMetrics(__version__, dependencies, resources, task_monitor, lambda: tasks.crashed),
        LogCollector(),
        requests,
        ConnectionCollector(app, measured.idle),
    ):
        registry.register(collector)
    tasks.keep(partial(resources.run, settings.resource_monitor_interval), "resource monitor")
    tasks.keep(partial(task_monitor.run, settings.goroutine_monitor_interval), "task monitor")
    tasks.keep(Sampling(sessions, rates, histograms, dependencies).run, "sampling")
    tasks.keep(partial(watch_loop_lag, histograms.loop_lag.observe), "loop lag")
    health = Health(
        dependencies,
        lambda: sessions.is_draining,
        started_at=time.time(),
        service=settings.service_name,
        version=__version__,
    )
    operations.add_routes(
        app,
        health,
        # An agent on this machine may ask from any of its addresses.
        monitoring_networks=(*settings.monitoring_networks, *host_addresses()),
        registry=registry if settings.enable_metrics else None,
        profiles=Profiling() if settings.enable_pprof else None,
    )

"""What was found by somebody who meant no good."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.core import Metric
from structlog.testing import capture_logs

from capture.errors import DeviceNotFound
from capture.source import Source
from media_service.announced_phones import MAX_PHONES, AnnouncedPhones
from media_service.idle_connections import IdleConnections, Patience
from media_service.integrations import DeviceEvent, DeviceEventKind
from media_service.monitoring.resource_monitor import ResourceMonitor, ResourceUse
from media_service.monitoring.sending_metrics import SendingCollector
from media_service.monitoring.session_metrics import SessionCollector
from media_service.rtc.counters import ViewerCounters
from media_service.rtc.egress import Egress
from media_service.stream import Stream
from media_service.totals import Totals
from media_service.web_server import add_page
from signaling.errors import DeviceUnavailable
from tests.waiting import until

PATIENCE = Patience(first_request=20, next_request=120, idle=3)


@dataclass
class Served:
    """A server whose clock stands still until somebody moves it."""

    idle: IdleConnections
    server: web.Server
    port: int
    clock: list[float]
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def after(self, seconds: float) -> None:
        """Look, and look again so much later."""
        self.idle.look(self.server.connections)
        self.clock[0] += seconds
        self.idle.look(self.server.connections)

    async def connect(self, text: str) -> asyncio.StreamReader:
        """A connection on which so much was said and understood."""
        before = len(self.server.connections)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        writer.write(text.encode())
        await until(lambda: len(self.server.connections) > before)
        return reader

    writers: list[asyncio.StreamWriter] = field(default_factory=list)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as running:
        yield running


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    clock = [1000.0]
    idle = IdleConnections(PATIENCE, clock=lambda: clock[0])
    app = web.Application(middlewares=[idle.notice])
    runner = web.AppRunner(app, shutdown_timeout=1.0)

    async def slow(request: web.Request) -> web.Response:
        await running.gate.wait()
        return web.Response()

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def socket(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            await response.send_str(message.data)
        return response

    app.router.add_get("/slow", slow)
    app.router.add_get("/socket", socket)
    app.router.add_post("/echo", echo)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.server is not None
    running = Served(idle, runner.server, int(runner.addresses[0][1]), clock)
    try:
        yield running
    finally:
        running.gate.set()
        for writer in running.writers:
            writer.close()
        await runner.cleanup()


async def ended(reader: asyncio.StreamReader) -> bool:
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            return await reader.read() == b""
    return True


@pytest.mark.parametrize("said", ["", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", "POST /echo HTTP/1.1\r\nHost: x\r\n"])
async def test_who_never_asks_is_sent_away(served: Served, said: str) -> None:
    reader = await served.connect(said)
    await served.after(19)
    assert not served.idle.ended
    await served.after(2)
    assert await ended(reader)
    assert served.idle.ended == {"idle": 1}


async def test_who_never_ends_a_body_is_sent_away(served: Served) -> None:
    reader = await served.connect("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    await until(lambda: served.idle.busy)
    await served.after(19)
    assert not served.idle.ended
    await served.after(2)
    assert await ended(reader)
    assert served.idle.ended == {"slow": 1}


async def test_who_asked_may_wait_longer_for_the_next_request(served: Served) -> None:
    reader = await served.connect("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 404")
    await served.after(119)
    assert not served.idle.ended
    await served.after(2)
    assert served.idle.ended == {"idle": 1}


async def test_what_takes_long_here_is_not_held_against_anybody(served: Served) -> None:
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{served.port}") as session,
        session.ws_connect("/socket") as socket,
        asyncio.TaskGroup() as group,
    ):
        asking = group.create_task(session.get("/slow").__aenter__())
        await until(lambda: served.idle.busy == 2)
        await served.after(100_000)
        served.gate.set()
        assert (await asking).status == 200
        await socket.send_str("still there")
        assert await socket.receive_str(timeout=10) == "still there"
    assert not served.idle.ended


async def test_of_too_many_those_go_that_waited_longest(served: Served) -> None:
    readers = []
    for _ in range(5):
        readers.append(await served.connect(""))
        served.idle.look(served.server.connections)
        served.clock[0] += 1
        if served.idle.ended:
            break
    assert await ended(readers[0])
    with capture_logs() as lines:
        await until(lambda: len(served.server.connections) == 3)
        await served.connect("")
        await served.connect("")
        served.idle.look(served.server.connections)
    assert [line["ended"] for line in lines] == [2]
    assert await ended(readers[1])
    assert set(served.idle.ended) == {"surplus"}
    assert await ended(readers[2])


async def test_nothing_is_kept_of_connections_that_are_gone(served: Served) -> None:
    reader = await served.connect("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await reader.read()
    served.writers[-1].close()
    await until(lambda: not served.server.connections)
    served.idle.look(served.server.connections)
    assert (served.idle.busy, served.idle.waiting) == (0, 0)


async def test_measuring_goes_on_when_there_was_no_file_descriptor_left() -> None:
    outcomes: Iterator[ResourceUse | OSError] = iter(
        [OSError(24, "Too many open files"), OSError(24, "Too many open files"), ResourceUse(3000, 2.0, 14.0)]
    )

    def take() -> ResourceUse:
        outcome = next(outcomes, ResourceUse(4000, 3.0, 15.0))
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    monitor = ResourceMonitor(take)
    with capture_logs() as lines:
        running = asyncio.get_running_loop().create_task(monitor.run(0.001))
        await until(lambda: monitor.memory_bytes == 4000 or running.done())
        assert not running.done()
        running.cancel()
    assert [line["log_level"] for line in lines] == ["warning"]


class Room:
    """Sessions of which one leaves while Prometheus is told."""

    def __init__(self, *sessions: Any) -> None:
        self.totals = Totals()
        self.admission = SimpleNamespace(refused=Counter[str]())
        self.opened = self.failed = len(sessions)
        self.is_draining = False
        self.present = list(sessions)

    def __iter__(self) -> Iterator[Any]:
        return iter(tuple(self.present))

    def leave(self) -> None:
        session = self.present.pop()
        self.totals.viewer_left(session.viewer)
        self.totals.input_drops.update(session.control.dropped)


def viewer() -> Any:
    sound = SimpleNamespace(counters=SimpleNamespace(packets_sent=50, bytes_sent=5000), drops=Counter(late=2))
    return SimpleNamespace(
        state="connected",
        control=SimpleNamespace(dropped=Counter(malformed=4)),
        viewer=SimpleNamespace(
            counters=ViewerCounters(packets_sent=100),
            drops=Counter(slow=3),
            audio=sound,
            waiting_seconds=0.0,
            estimator=SimpleNamespace(is_congested=False),
        ),
    )


def values(metrics: Iterator[Metric], room: Room, turn: int) -> dict[str, float]:
    """What is told, when a session leaves at that turn."""
    found: dict[str, float] = {}
    for number, metric in enumerate(metrics):
        found |= {sample.name + "".join(sample.labels.values()): sample.value for sample in metric.samples}
        if number == turn:
            room.leave()
    return found


@pytest.mark.parametrize("turn", range(20))
def test_no_counter_rises_and_falls_with_a_viewer_who_leaves_while_it_is_told(turn: int) -> None:
    port = SimpleNamespace(drops=Counter[str](), checks_received=0, address_count=0)
    egress = SimpleNamespace(pictures_dropped=0, waiting=0, lateness=0.0)
    room: Any = Room(viewer(), viewer())
    told = values(SendingCollector(room, port, egress).collect(), room, turn)  # type: ignore[arg-type]
    assert told["media_service_rtp_packets_sent_total"] == 200
    assert told["media_service_audio_packets_sent_total"] == 100
    assert (told["media_service_packets_dropped_totalslow"], told["media_service_packets_dropped_totallate"]) == (6, 4)


@pytest.mark.parametrize("turn", range(6))
def test_nor_does_one_of_sessions(turn: int) -> None:
    room: Any = Room(viewer(), viewer())
    told = values(SessionCollector(room).collect(), room, turn)
    assert told["media_service_input_dropped_totalmalformed"] == 8


async def test_a_device_of_ours_that_adb_does_not_list_is_away_and_not_unknown() -> None:
    """`device_not_found` is a 404, and whoever reads it does not come again."""

    async def open_source() -> Source:
        raise DeviceNotFound("adb does not list it")

    stream = Stream("phone-1", open_source, Egress(lambda _: None), lambda _: None)
    running = asyncio.get_running_loop().create_task(stream.run())
    with pytest.raises(DeviceUnavailable) as refusal:
        await stream.ready(10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (refusal.value.status, refusal.value.code, refusal.value.retry_after) == (503, "device_offline", 5)


class Expected:
    """Fits `media_service.announced_phones.Expectations`."""

    def __init__(self) -> None:
        self.addresses: set[str] = set()

    def expect(self, address: str, origin: str, name: str | None = None) -> None:
        self.addresses.add(address)

    def forget(self, address: str, origin: str) -> None:
        self.addresses.remove(address)


def test_a_broker_that_raves_does_not_have_us_connect_to_the_whole_network() -> None:
    expected = Expected()
    phones = AnnouncedPhones(expected)
    with capture_logs() as lines:
        for number in range(MAX_PHONES + 500):
            phones.take(DeviceEvent(DeviceEventKind.STARTED, f"phone-{number}.example:5555", f"phone-{number}"))
    assert len(expected.addresses) == MAX_PHONES
    assert (phones.refused, len(lines)) == (500, 1)
    phones.take(DeviceEvent(DeviceEventKind.STARTED, "phone-0.example:6666", "phone-0"))
    phones.take(DeviceEvent(DeviceEventKind.STOPPED, None, "phone-1"))
    phones.take(DeviceEvent(DeviceEventKind.STARTED, "192.0.2.1:5555", "late"))
    assert {"phone-0.example:6666", "192.0.2.1:5555"} <= expected.addresses
    assert len(expected.addresses) == MAX_PHONES


@pytest.mark.parametrize("path", ["/", "/index.html"])
async def test_no_other_site_can_lay_the_page_under_a_button_of_its_own(path: str) -> None:
    app = web.Application()
    add_page(app, framed_by=("https://console.example",))
    async with TestClient(TestServer(app)) as client, client.get(path) as response:
        assert response.headers["Content-Security-Policy"] == "frame-ancestors 'self' https://console.example"
        assert (response.status, response.headers["X-Content-Type-Options"]) == (200, "nosniff")

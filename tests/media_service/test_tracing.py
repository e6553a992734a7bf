"""Traces as a collector gets them: a real HTTP server here decodes OTLP."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from structlog.testing import capture_logs

from media_service import __version__
from media_service.open_telemetry import QUEUE_LIMIT
from media_service.tracing import NoTracing, Tracing, TracingUnavailable, open_tracing, traces_url
from tests.fixtures.adb import free_port
from tests.fixtures.trace_collector import Collector
from tests.waiting import until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def attributes(span: Span) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


@asynccontextmanager
async def tracing_to(url: str | None) -> AsyncIterator[Tracing]:
    async with open_tracing(url, service_name="media-1", instance="host-1", send_every=0.02) as tracing:
        yield tracing


@asynccontextmanager
async def served(tracing: Tracing) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """A server whose requests are traced."""
    middleware = tracing.middleware()
    app = web.Application(middlewares=[middleware] if middleware is not None else [])

    async def start(request: web.Request) -> web.Response:
        join = tracing.join(request.match_info["device_id"])
        join.captured("scrcpy")
        join.negotiated()
        join.connected("udp")
        return web.Response(status=201)

    async def crash(_: web.Request) -> web.Response:
        raise ZeroDivisionError("a secret text")

    async def leave(_: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async def health(_: web.Request) -> web.Response:
        return web.Response()

    async def socket(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        tracing.join("by socket").failed("no picture")
        await response.close()
        return response

    app.router.add_post("/api/media/whep/{device_id}", start)
    app.router.add_get("/crash", crash)
    app.router.add_get("/leave", leave)
    app.router.add_get("/health", health)
    app.router.add_get("/ws", socket)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_request_and_its_join(collector: Collector) -> None:
    async with tracing_to(collector.url) as tracing, served(tracing) as client:
        await client.post(
            "/api/media/whep/192.0.2.5:5555?ticket=hush", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}
        )
        request = await collector.named("POST /api/media/whep/{device_id}")
        join, capture, connect = [await collector.named(name) for name in ("join", "capture", "connect")]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert request.kind == Span.SPAN_KIND_SERVER
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/api/media/whep/{device_id}",
        "http.response.status_code": 201,
    }
    assert (join.trace_id, join.parent_span_id) == (request.trace_id, request.span_id)
    assert attributes(join) == {
        "media.device": "192.0.2.5:5555",
        "media.capture": "scrcpy",
        "network.transport": "udp",
    }
    assert {capture.parent_span_id, connect.parent_span_id} == {join.span_id}
    assert join.start_time_unix_nano <= capture.start_time_unix_nano <= capture.end_time_unix_nano
    assert capture.end_time_unix_nano <= connect.start_time_unix_nano <= join.end_time_unix_nano
    assert collector.resources[0] == {
        "service.name": "media-1",
        "service.version": __version__,
        "service.instance.id": "host-1",
    }


async def test_a_join_that_fails_says_where_and_why(collector: Collector) -> None:
    async with tracing_to(collector.url) as tracing:
        failed = tracing.join("demo")
        failed.captured("screenrecord")
        failed.negotiated()
        failed.failed("no connectivity check reached the media port")
        failed.connected("udp")
        failed.negotiated()
        failed.failed("again")
        never_captured = tracing.join("other")
        never_captured.failed("the phone is off")
    by_status = {(span.name, span.status.message) for span in collector.spans if span.status.code == 2}
    why = "no connectivity check reached the media port"
    assert by_status == {
        ("join", why),
        ("connect", why),
        ("join", "the phone is off"),
        ("capture", "the phone is off"),
    }
    assert len(collector.spans) == 5


async def test_what_went_wrong_and_what_is_nowhere(collector: Collector) -> None:
    async with tracing_to(collector.url) as tracing, served(tracing) as client:
        await client.get("/crash")
        await client.get("/secret/path")
        await client.get("/leave", allow_redirects=False)
    spans = {span.name: span for span in collector.spans}
    assert attributes(spans["GET /crash"])["error.type"] == "ZeroDivisionError"
    assert spans["GET /crash"].status.code == 2
    assert attributes(spans["GET"]) == {"http.request.method": "GET", "http.response.status_code": 404}
    assert attributes(spans["GET /leave"])["http.response.status_code"] == 307
    assert "secret" not in str(collector.spans)


async def test_health_is_not_traced_and_joins_of_a_socket_belong_to_who_opened_it(collector: Collector) -> None:
    async with tracing_to(collector.url) as tracing, served(tracing) as client:
        await client.get("/health")
        async with client.ws_connect("/ws", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}) as socket:
            await socket.receive()
    assert {span.name for span in collector.spans} == {"join", "capture"}
    join = next(span for span in collector.spans if span.name == "join")
    assert (join.trace_id.hex(), join.parent_span_id.hex()) == (TRACE, PARENT)


@pytest.mark.parametrize("header", ["", "00-0-0-01", "ff-" + TRACE, f"00-{'0' * 32}-{PARENT}-01", "\t", "00-" * 1000])
async def test_a_malformed_traceparent_begins_a_new_trace(collector: Collector, header: str) -> None:
    async with tracing_to(collector.url) as tracing, served(tracing) as client:
        response = await client.post("/api/media/whep/demo", headers={"traceparent": header})
        assert response.status == 201
    request = await collector.named("POST /api/media/whep/{device_id}")
    assert request.parent_span_id == b""


async def test_a_collector_that_is_away_costs_spans_and_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not even time for a second try.
    monkeypatch.setattr("media_service.open_telemetry._SEND_TIMEOUT", 0.2)
    with capture_logs() as said:
        async with tracing_to(f"http://127.0.0.1:{free_port()}") as tracing, served(tracing) as client:
            for _ in range(3):
                assert (await client.post("/api/media/whep/demo")).status == 201
                await until(lambda: len(said) > 1)
    assert [event["event"] for event in said] == ["traces are sent", "traces cannot be sent"]
    assert said[1]["log_level"] == "warning"


async def test_a_collector_that_refuses_and_takes_them_again(collector: Collector) -> None:
    collector.status = 400
    with capture_logs() as said:
        async with tracing_to(collector.url) as tracing:
            tracing.join("one").connected("udp")
            await until(lambda: collector.asked)
            tracing.join("two").connected("udp")
            await until(lambda: collector.asked >= 2)
            collector.status = 200
            tracing.join("three").connected("udp")
            await collector.named("join")
    assert [event["event"] for event in said] == ["traces are sent", "traces cannot be sent", "traces are sent again"]
    assert "400" in said[1]["reason"]


async def test_a_collector_that_hangs_slows_nothing_and_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("media_service.open_telemetry._CLOSE_TIMEOUT", 0.05)
    connections: list[asyncio.StreamWriter] = []

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with tracing_to(f"http://127.0.0.1:{port}") as tracing:
            tracing.join("first").connected("udp")
            await until(lambda: connections)
            for _ in range(2 * QUEUE_LIMIT):
                tracing.join("demo").connected("udp")
        for writer in connections:
            writer.close()


async def test_the_twin_does_nothing() -> None:
    async with tracing_to(None) as tracing, served(tracing) as client:
        assert isinstance(tracing, NoTracing)
        assert (await client.post("/api/media/whep/demo")).status == 201
        tracing.join("demo").failed("never mind")


def test_without_tracing_nothing_of_it_is_imported() -> None:
    program = (
        "import asyncio, sys; from media_service.tracing import open_tracing\n"
        "async def main():\n"
        "    async with open_tracing(None, service_name='a', instance='b'): pass\n"
        "asyncio.run(main())\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


async def test_without_the_package_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "media_service.open_telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(TracingUnavailable, match=r"pip install 'media-service\[tracing\]'"):
        async with tracing_to("http://127.0.0.1:4318"):
            pass


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
        ("https://collector.example/otlp", "https://collector.example/otlp/v1/traces"),
        ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"),
    ],
)
def test_where_traces_go(endpoint: str, url: str) -> None:
    assert traces_url(endpoint) == url

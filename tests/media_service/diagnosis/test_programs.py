"""What is said of the programs beside us, which are real where Debian has them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from media_service.diagnosis import programs
from media_service.diagnosis.finding import Finding, Status
from media_service.settings import Settings
from tests.fixtures.adb import free_port
from tests.fixtures.docker import RunningDocker
from tests.fixtures.rabbitmq import RabbitMQServer
from tests.fixtures.redis import RedisServer


async def look(word: str, **settings: object) -> Finding:
    """What is said of what is called `word`."""
    found = [one for one in await programs.check(Settings.model_validate(settings)) if re.search(word, one.text)]
    assert len(found) == 1
    return found[0]


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """The port of what takes connections and says nothing."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for writer in writers:
            writer.close()
        await listener.wait_closed()


async def test_what_is_not_used_is_no_problem() -> None:
    found = await programs.check(Settings())
    assert {one.status for one in found} <= {Status.INFO, Status.OK}
    assert len(found) == 5


async def test_redis(redis: RedisServer) -> None:
    settings = {"redis_enabled": True, "redis_host": "127.0.0.1", "redis_port": redis.port}
    right = await look("Redis", **settings, redis_password=redis.password)
    assert (right.status, right.text) == (
        Status.OK,
        f"Redis at 127.0.0.1:{redis.port}, database 0 takes what we write",
    )
    for wrong in ({}, {"redis_password": "another one"}):
        refused = await look("Redis", **settings, **wrong)
        assert refused.status is Status.PROBLEM
        assert "refuses us" in refused.text
        assert "REDIS_PASSWORD" in refused.remedy
    absent = await look("Redis", **settings, redis_password=redis.password, redis_db=99)
    assert absent.status is Status.PROBLEM
    assert "out of range" in absent.text


async def test_rabbitmq(rabbitmq: RabbitMQServer) -> None:
    right = await look("RabbitMQ", rabbitmq_enabled=True, rabbitmq_url=rabbitmq.url())
    assert (right.status, right.text) == (
        Status.OK,
        f"RabbitMQ at 127.0.0.1:{rabbitmq.port}, virtual host / lets user 'guest' in",
    )
    refused = await look("RabbitMQ", rabbitmq_enabled=True, rabbitmq_url=rabbitmq.url(password="hush-hush"))
    assert refused.status is Status.PROBLEM
    assert refused.text.endswith("refuses user 'guest'")
    absent = await look("RabbitMQ", rabbitmq_enabled=True, rabbitmq_url=rabbitmq.url(virtual_host="nowhere"))
    assert absent.status is Status.PROBLEM
    assert "nowhere" in absent.text
    assert "hush" not in refused.text + refused.remedy + absent.text


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [(200, "{}", Status.OK), (403, "Permission denied", Status.PROBLEM), (500, "No cluster leader", Status.PROBLEM)],
)
async def test_consul(status: int, body: str, verdict: Status) -> None:
    async def services(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_get("/v1/agent/services", services)
    async with TestServer(app) as agent:
        found = await look("Consul", consul_enabled=True, consul_host="127.0.0.1", consul_port=agent.port)
    assert found.status is verdict
    assert found.text.endswith("answers" if verdict is Status.OK else f"answers with {status}: {body!r}")


async def test_docker(docker_engine: RunningDocker) -> None:
    found = await look("Docker", docker_host=docker_engine.docker_host)
    assert found.status is Status.OK
    assert found.text.startswith(f"Docker at {docker_engine.docker_host} answers, ")


Answer = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def collector(status: int) -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        assert await request.read() == b""
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


@pytest.mark.parametrize(("status", "verdict"), [(200, Status.OK), (404, Status.PROBLEM), (302, Status.PROBLEM)])
async def test_a_collector_of_traces(status: int, verdict: Status) -> None:
    async with collector(status) as url:
        found = await look("traces", tracing_enabled=True, jaeger_endpoint=url)
    assert found.status is verdict


async def test_tracing_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    found = await look("OpenTelemetry", tracing_enabled=True)
    assert (found.status, found.remedy) == (Status.PROBLEM, "pip install 'media-service[tracing]'")


def everything_at(port: int) -> dict[str, object]:
    return {
        "redis_enabled": True,
        "redis_host": "127.0.0.1",
        "redis_port": port,
        "rabbitmq_enabled": True,
        "rabbitmq_url": f"amqp://guest:hush-hush@127.0.0.1:{port}/",
        "consul_enabled": True,
        "consul_host": "127.0.0.1",
        "consul_port": port,
        "docker_host": f"tcp://127.0.0.1:{port}",
        "tracing_enabled": True,
        "jaeger_endpoint": f"http://127.0.0.1:{port}",
    }


async def test_nothing_is_there() -> None:
    found = await programs.check(Settings.model_validate(everything_at(free_port())))
    assert [one.status for one in found] == [Status.PROBLEM] * 5
    assert all("Connection refused" in one.text or "Connect" in one.text for one in found)
    assert all(one.remedy for one in found)
    assert "hush" not in json.dumps([(one.text, one.remedy) for one in found])


async def test_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_TIMEOUT", 0.2)
    async with silent() as port:
        found = await programs.check(Settings.model_validate(everything_at(port)))
    assert [one.status for one in found] == [Status.PROBLEM] * 5
    assert all(one.remedy for one in found)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b"\xff" * 100])
async def test_something_else_answers(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        found = await programs.check(Settings.model_validate(everything_at(port)))
    is_http = answer.startswith(b"HTTP")
    assert [one.status for one in found[:2]] == [Status.PROBLEM] * 2
    assert all(one.remedy for one in found if one.status is not Status.OK)
    assert (found[2].status is Status.OK) == is_http

"""The programs beside us that the settings ask for: Redis, RabbitMQ, Consul, Docker, and a collector of traces."""

import asyncio
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import aio_pika
import aiohttp
import redis.asyncio
from aio_pika.exceptions import AMQPError, ProbableAuthenticationError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from capture.adb.address import in_url
from capture.docker_engine import DockerEngine
from capture.errors import DockerUnavailable
from media_service.diagnosis.finding import Finding, info, ok, problem, warning
from media_service.diagnosis.reason import reason
from media_service.settings import Settings
from media_service.tracing import traces_url

AREA = "Programs beside us"

_TIMEOUT: Final = 3.0
_DOCKER_SOCKET: Final = Path("/var/run/docker.sock")


async def check(settings: Settings) -> Sequence[Finding]:
    """Ask all of them at once, each by its own protocol and with our credentials."""
    return await asyncio.gather(
        _redis(settings), _rabbitmq(settings), _consul(settings), _docker(settings), _collector(settings)
    )


async def _redis(settings: Settings) -> Finding:
    if not settings.redis_enabled:
        return info(AREA, "Redis is not used (REDIS_ENABLED)")
    where = f"Redis at {settings.redis_host}:{settings.redis_port}, database {settings.redis_db}"
    password = settings.redis_password.get_secret_value() if settings.redis_password is not None else None
    client = redis.asyncio.Redis(
        host=settings.redis_host,
        port=settings.redis_port,
        db=settings.redis_db,
        password=password,
        socket_timeout=_TIMEOUT,
        socket_connect_timeout=_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        async with asyncio.timeout(_TIMEOUT), client:
            await client.set("media:doctor", "1", px=1)
    except TimeoutError:
        return problem(
            AREA, f"{where} does not answer within {_TIMEOUT:g} s", "see whether it hangs, or a firewall is between"
        )
    except AuthenticationError as error:
        return problem(AREA, f"{where} refuses us: {error}", "set REDIS_PASSWORD to what its requirepass says")
    except (RedisError, OSError) as error:
        return problem(AREA, f"{where}: {reason(error)}", "start it, or set REDIS_HOST, REDIS_PORT and REDIS_DB")
    return ok(AREA, f"{where} takes what we write")


async def _rabbitmq(settings: Settings) -> Finding:
    if not settings.rabbitmq_enabled:
        return info(AREA, "RabbitMQ is not used (RABBITMQ_ENABLED)")
    url = aio_pika.connection.make_url(settings.rabbitmq_url.get_secret_value())
    where = f"RabbitMQ at {url.host}:{url.port}, virtual host {url.path.removeprefix('/') or '/'}"
    try:
        async with asyncio.timeout(_TIMEOUT):
            connection = await aio_pika.connect(url)
            async with connection:
                await connection.channel()
    except TimeoutError:
        return problem(
            AREA, f"{where} does not answer within {_TIMEOUT:g} s", "see whether it hangs, or a firewall is between"
        )
    except ProbableAuthenticationError:
        return problem(AREA, f"{where} refuses user {url.user!r}", "set user and password in RABBITMQ_URL")
    except (AMQPError, OSError) as error:
        return problem(
            AREA,
            f"{where}: {reason(error)}",
            "start it, make the virtual host and let the user in, or set RABBITMQ_URL",
        )
    return ok(AREA, f"{where} lets user {url.user!r} in")


async def _consul(settings: Settings) -> Finding:
    if not settings.consul_enabled:
        return info(AREA, "Consul is not used (CONSUL_ENABLED)")
    where = f"Consul's agent at {settings.consul_host}:{settings.consul_port}"
    try:
        status, answer = await _ask(
            "GET", f"http://{in_url(settings.consul_host)}:{settings.consul_port}/v1/agent/services"
        )
    except TimeoutError:
        return problem(
            AREA, f"{where} does not answer within {_TIMEOUT:g} s", "see whether it hangs, or a firewall is between"
        )
    except (aiohttp.ClientError, OSError) as error:
        return problem(AREA, f"{where}: {reason(error)}", "start it, or set CONSUL_HOST and CONSUL_PORT")
    if status != 200:
        words = answer[:100].decode(errors="replace").strip()
        return problem(
            AREA, f"{where} answers with {status}: {words!r}", "let its ACLs allow anonymous clients service:write"
        )
    return ok(AREA, f"{where} answers")


async def _docker(settings: Settings) -> Finding:
    is_wanted = settings.docker_host is not None or settings.redroid_label is not None
    host = settings.docker_host or f"unix://{_DOCKER_SOCKET}"
    if not is_wanted and not os.access(_DOCKER_SOCKET, os.R_OK | os.W_OK):
        why = "this user may not open" if _DOCKER_SOCKET.exists() else "there is no"
        return info(AREA, f"Docker is not used: {why} {_DOCKER_SOCKET}")
    try:
        async with asyncio.timeout(_TIMEOUT), DockerEngine(host, answer_timeout=_TIMEOUT) as engine:
            count = len(await engine.containers())
    except (DockerUnavailable, TimeoutError) as error:
        text = str(error) or f"{host} does not answer within {_TIMEOUT:g} s"
        remedy = "start Docker, let this user open its socket (group docker), or set DOCKER_HOST"
        return problem(AREA, text, remedy) if is_wanted else warning(AREA, text, remedy)
    return ok(AREA, f"Docker at {host} answers, {count} containers run")


async def _collector(settings: Settings) -> Finding:
    if not settings.tracing_enabled:
        return info(AREA, "traces are not made (TRACING_ENABLED)")
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        return problem(
            AREA, "TRACING_ENABLED needs OpenTelemetry, which is not installed", "pip install 'media-service[tracing]'"
        )
    url = traces_url(settings.jaeger_endpoint)
    remedy = "start the collector with its OTLP receiver for HTTP (port 4318 by default), or set JAEGER_ENDPOINT"
    try:
        # No spans at all are a request too.
        status, _ = await _ask("POST", url, {"Content-Type": "application/x-protobuf"})
    except TimeoutError:
        return problem(AREA, f"the collector at {url} does not answer within {_TIMEOUT:g} s", remedy)
    except (aiohttp.ClientError, OSError) as error:
        return problem(AREA, f"the collector at {url}: {reason(error)}", remedy)
    if status != 200:
        return problem(AREA, f"{url} answers with {status} to OTLP", remedy)
    return ok(AREA, f"the collector at {url} takes traces")


async def _ask(method: str, url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    async with (
        asyncio.timeout(_TIMEOUT),
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers, allow_redirects=False) as response,
    ):
        return response.status, await response.content.read(1000)

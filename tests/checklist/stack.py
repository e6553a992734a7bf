"""Everything that a host has, running: the service twice, what stands before it, and what stands beside it."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.errors import BenchmarkError
from benchmarks.rabbitmq_server import RabbitMQServer, rabbitmq_server
from benchmarks.redis_server import redis_server
from capture.demo_phone.scrcpy.jar import make_jar
from media_service.run_token import page_link
from tests.checklist.account import ROOT, Account
from tests.checklist.host import Host, install
from tests.checklist.program import CannotStart, running
from tests.checklist.service import Service, command, made_secret, running_service
from tests.checklist.turn_server import TurnServer, turn_server
from tests.checklist.watching import Watching
from tests.fixtures.adb import free_port
from tests.fixtures.consul import ConsulAgent
from tests.fixtures.nginx import RunningNginx, running_nginx

ALLOWED_ORIGIN = "https://console.example.com"
FIRST_MEDIA_PORT, LAST_MEDIA_PORT = 50_000, 50_100
PHONE, OTHER_PHONE = "lobby", "desk"
"""What the settings call the phones: the first instance's, and the second one's."""

PICTURE_RATE = 60
"""Pictures per second that the first instance's phone draws: the guide's goal."""

_SCRCPY = "4.1"
_PROGRAMS = ("redis-server", "turnserver", "nginx", "chromium|google-chrome", "epmd", "prlimit", "setpriv")

Started = TypeVar("Started")


@dataclass(frozen=True, slots=True)
class Stack:
    """One that runs."""

    folder: Path
    host: Host
    service: Service
    """The first instance, with the settings that the guide's list names."""
    second: Service
    """Another one on the same host, which captures and codes in other ways; nginx has it as backup."""
    nginx: RunningNginx
    turn: TurnServer
    consul: ConsulAgent
    doctor: Any
    """What `media-service doctor --json` found before the service was started."""
    watching: Watching

    def link(self, address: str, device: str, token: str) -> str:
        """What opens the viewer page at `address`."""
        return page_link(f"{address}?device={device}", token)


def missing_programs() -> list[str]:
    """What the stack needs and is not on this machine."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    return [names for names in _PROGRAMS if not any(shutil.which(name, path=path) for name in names.split("|"))]


@asynccontextmanager
async def running_stack(
    folder: Path,
    *,
    account: Account | None = None,
    with_brokers: bool = True,
    changes: Mapping[str, str] | None = None,
) -> AsyncIterator[Stack]:
    """Start all of it, with its files in `folder`, for the duration of the block. Raises `CannotStart`.

    The service runs as `account`, and with `changes` to its settings; empty ones count as not set. Without brokers
    there are neither Redis nor RabbitMQ, though the settings still name them.
    """
    account = account or Account.without_rights()
    async with AsyncExitStack() as stack:
        consul = ConsulAgent()
        await consul.start()
        stack.push_async_callback(consul.stop)
        for name in ("nginx", "coturn"):
            (folder / name).mkdir()
        try:
            async with asyncio.TaskGroup() as group:
                turn = group.create_task(_entered(stack, turn_server(folder / "coturn")))
                phones = [
                    group.create_task(_entered(stack, _phone(folder, name, rate)))
                    for name, rate in ((PHONE, PICTURE_RATE), (OTHER_PHONE, 30))
                ]
                brokers = group.create_task(_brokers(stack, is_wanted=with_brokers))
            serials = [phone.result() for phone in phones]
            secret = made_secret()
            ports = free_port(), free_port()
            settings = _common(turn.result(), consul, brokers.result(), secret)
            host = await asyncio.to_thread(install, folder / "host", account)
            host.write_settings({**settings, **_first(host, ports[0], serials[0]), **(changes or {})})
            doctor = await asyncio.to_thread(_doctor, host)
            own = _of_the_second(host, ports[1], serials[1])
            async with asyncio.TaskGroup() as group:
                services = [
                    group.create_task(_entered(stack, running_service(name, host, secret, environment)))
                    for name, environment in (("first", {}), ("second", own))
                ]
            nginx = await _entered(stack, running_nginx(_program("nginx"), ports, folder / "nginx"))
        except* (CannotStart, BenchmarkError, RuntimeError) as errors:
            raise CannotStart("\n".join(map(str, _leaves(errors)))) from None
        service, second = (each.result() for each in services)
        watching = Watching(lambda: page_link(f"{nginx.address}?device={PHONE}", service.token()))
        stack.push_async_callback(watching.aclose)
        yield Stack(folder, host, service, second, nginx, turn.result(), consul, doctor, watching)


def _leaves(errors: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in errors.exceptions:
        yield from _leaves(error) if isinstance(error, BaseExceptionGroup) else (error,)


def _common(turn: TurnServer, consul: ConsulAgent, brokers: Mapping[str, str], secret: str) -> dict[str, str]:
    """Settings that a host's instances share."""
    return {
        "HOST": "127.0.0.1",
        "SERVICE_HOST": "127.0.0.1",
        "JWT_SECRET": secret,
        "ALLOWED_ORIGINS": ALLOWED_ORIGIN,
        "ENABLE_PPROF": "true",
        "ENABLE_METRICS": "true",
        "ENABLE_FILE_LOGGING": "true",
        "ICE_PORT_MIN": str(FIRST_MEDIA_PORT),
        "ICE_PORT_MAX": str(LAST_MEDIA_PORT),
        "STUN_SERVERS": turn.stun_url,
        "TURN_URLS": turn.turn_urls,
        "TURN_SECRET": turn.secret,
        "ANDROID_ADB_SERVER_PORT": str(free_port()),
        "H264_HW_ACCEL": "auto",
        "USE_WORKER_POOL": "true",
        "WORKER_COUNT": "4",
        "CONSUL_ENABLED": "true",
        "CONSUL_HOST": "127.0.0.1",
        "CONSUL_PORT": str(consul.port),
        "DRAIN_TIMEOUT": "1s",
        **brokers,
    }


def _first(host: Host, port: int, phone: str) -> dict[str, str]:
    return {
        "PORT": str(port),
        "CAPTURE_MODE": "screenrecord",
        "VIDEO_ENCODER_TYPE": "passthrough",
        "ADB_DEVICES": f"{PHONE}={phone}",
        "LOG_FILE": str(host.logs / "app.log"),
    }


def _of_the_second(host: Host, port: int, phone: str) -> dict[str, str]:
    """What the unit gives it beside the common file."""
    jar = host.folder / f"scrcpy-server-v{_SCRCPY}"
    jar.write_bytes(make_jar(_SCRCPY))
    return {
        "PORT": str(port),
        "CAPTURE_MODE": "scrcpy",
        "SCRCPY_SERVER_PATH": str(jar),
        "VIDEO_ENCODER_TYPE": "h264",
        "ADB_DEVICES": f"{OTHER_PHONE}={phone}",
        "LOG_FILE": str(host.logs / "app-2.log"),
    }


async def _brokers(stack: AsyncExitStack, *, is_wanted: bool) -> dict[str, str]:
    """Settings of a Redis and a RabbitMQ, which run if that is wanted."""
    password = "correct horse"
    redis_port, rabbitmq_url = free_port(), f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    if is_wanted:
        async with asyncio.TaskGroup() as group:
            redis = group.create_task(_entered(stack, redis_server(password)))
            rabbitmq: asyncio.Task[RabbitMQServer] = group.create_task(_entered(stack, rabbitmq_server()))
        redis_port, rabbitmq_url = redis.result().port, rabbitmq.result().url()
    return {
        "REDIS_ENABLED": "true",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis_port),
        "REDIS_PASSWORD": password,
        "RABBITMQ_ENABLED": "true",
        "RABBITMQ_URL": rabbitmq_url,
    }


@contextmanager
def _phone(folder: Path, name: str, picture_rate: int) -> Iterator[str]:
    """A demo phone's address."""
    line = [sys.executable, "-m", "capture.demo_phone", "--port", "0", "--name", name]
    line += ["--frame-rate", str(picture_rate)]
    with running(f"demo phone {name}", line, folder / f"{name}.log", folder=ROOT) as phone:
        phone.wait_until(lambda: phone.printed().endswith("\n"))
        yield phone.printed().split()[-1]


def _doctor(host: Host) -> Any:
    code, said, complaints = command(host, {}, "doctor", "--json")
    if code not in (0, 1) or not said:
        raise CannotStart(f"media-service doctor ended with {code}: {complaints}")
    return json.loads(said)


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise CannotStart(f"no {name} here: scripts/bootstrap test installs it")
    return found


async def _entered(stack: AsyncExitStack, context: AbstractContextManager[Started]) -> Started:
    """What is entered, in a thread, so that others go on meanwhile; `stack` leaves it, even if it is given up."""
    entering = asyncio.get_running_loop().run_in_executor(None, context.__enter__)
    try:
        started = await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait([entering])
        if entering.exception() is None:
            stack.push_async_callback(asyncio.to_thread, context.__exit__, None, None, None)
        raise
    stack.push_async_callback(asyncio.to_thread, context.__exit__, None, None, None)
    return started

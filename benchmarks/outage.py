"""Redis and RabbitMQ die and come back while people watch and come and go: does anybody notice, is an event lost?

    python -m benchmarks.outage                  away for 20 s, ten viewers, twenty sessions that open and close
    python -m benchmarks.outage --quick          away for 5 s

Both are real, killed without notice and started again on the same ports; RabbitMQ keeps what it has written to disk,
Redis comes back empty. Events are counted by a consumer with a durable queue. How late pictures are is compared with a
time before, in which as many sessions open and close; a machine that was too busy even then cannot tell.
"""

import argparse
import asyncio
import json
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

import aio_pika
import redis

from benchmarks.audience import Cycle, Join, Window
from benchmarks.clip import ClipShape, make_clip
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, Machine
from benchmarks.measurement import quantile
from benchmarks.rabbitmq_server import RabbitMQServer, rabbitmq_server
from benchmarks.receivers import Receivers, receivers
from benchmarks.redis_server import RedisServer, redis_server
from benchmarks.sender import Sender, media_service
from benchmarks.table import table, write_json
from benchmarks.viewer import PAGE

WATCHERS = 10
VISITS = 20
FREEZE = 0.15
"""Seconds by which a picture that ends a freeze is late (webrtc-stats, `freezeCount`: 150 ms more than usual)."""
NOTICED = 5.0
"""Seconds within which the service has to say that one of them is away, or back."""

_STREAM = "cam"
_WATCHING = "watchers"
_JOIN_TIMEOUT = 15.0
_HEALTH_TIMEOUT = 60.0
_SETTLED = 3.0
_QUIET = 3.0
"""Seconds without another event after which there is none to come."""
_EXCHANGE = "cloudphone.events"
_NAMES = ("redis", "rabbitmq")

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Watched:
    """What the watchers saw in one of the two times."""

    seconds: float
    pictures: int
    fewest_pictures: int
    """That one of the watchers got."""
    lateness_p50: float
    lateness_p99: float
    lateness_maximum: float
    frozen: int
    """Pictures that were so late that the picture before was a freeze."""
    packets_lost: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """When `/health/detailed` said that one of them was away, and back."""

    name: str
    unhealthy_after: float
    """Seconds from the kill."""
    reason: str
    healthy_after: float
    """Seconds from when it answered again."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a consumer of events counted at the end."""

    sessions: int
    """That were opened, as those who opened them count."""
    created: int
    ended: int
    """`media.session.closed` and `.error`."""
    lost: int
    """Sessions of which one of the two is missing."""
    unknown: int
    """Events of sessions that nobody created, or a second one of a kind with another message id."""
    repeated: int
    """Messages that came again, which their ids tell: what at least once means."""


@dataclass(frozen=True, slots=True)
class Result:
    away: float
    """Seconds."""
    before: Watched
    meanwhile: Watched
    noticed: tuple[Noticed, ...]
    told: Told
    registered: int
    """Sessions that Redis knew again afterwards."""
    left_in_redis: tuple[str, ...]
    """Keys that were there after the service had ended."""

    @property
    def is_too_busy(self) -> bool:
        """Whether the picture froze before, too, so that nobody can say why it did later."""
        return self.before.frozen > 0

    @property
    def failures(self) -> list[str]:
        """What is not as it must be."""
        frozen = 0 if self.is_too_busy else self.meanwhile.frozen
        slow = [each.name for each in self.noticed if max(each.unhealthy_after, each.healthy_after) > NOTICED]
        checks = {
            f"{frozen} pictures came so late that the picture froze, which before none did": frozen,
            f"{self.told.lost} sessions whose events were lost": self.told.lost,
            f"{self.told.unknown} events that nobody can account for": self.told.unknown,
            f"told of too late: {', '.join(slow)}": slow,
            f"{self.registered} of {WATCHERS} sessions in Redis again": self.registered != WATCHERS,
            f"left in Redis: {self.left_in_redis}": self.left_in_redis,
        }
        return [what for what, is_so in checks.items() if is_so]


class Health:
    """Asks `/health/detailed` twenty times per second, in a thread of its own."""

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url}/health/detailed"
        self._seen: list[tuple[float, str, str, str]] = []
        self._ends = Event()

    @contextmanager
    def watched(self) -> Iterator["Health"]:
        thread = Thread(target=self._watch, name="health")
        thread.start()
        try:
            yield self
        finally:
            self._ends.set()
            thread.join()

    def wait_for(self, name: str, status: str, since: float) -> tuple[float, str]:
        """When it was said first after `since` (monotonic), and the reason. Raises `BenchmarkError`."""
        deadline = time.monotonic() + _HEALTH_TIMEOUT
        while time.monotonic() < deadline:
            for moment, of, said, reason in tuple(self._seen):
                if moment >= since and of == name and said == status:
                    return moment, reason
            time.sleep(0.02)
        raise BenchmarkError(f"{self._url} did not say within {_HEALTH_TIMEOUT:g} s that {name} is {status}")

    def _watch(self) -> None:
        last: dict[str, str] = {}
        while not self._ends.wait(0.05):
            try:
                with urllib.request.urlopen(self._url, timeout=5) as response:
                    said = json.load(response)
            except (OSError, ValueError):
                continue
            for name in _NAMES:
                status = said.get("dependencies", {}).get(name, "not told")
                if last.get(name) != status:
                    last[name] = status
                    self._seen.append((time.monotonic(), name, status, said.get("reasons", {}).get(name, "")))


def run(clip: Path, cores: Cores, *, away: float) -> Result:
    """Measure. Raises `BenchmarkError`."""
    # They stand for other machines: what they need to start is not to be taken from who watches.
    aside = ("nice", "-n", "19", "taskset", "-c", ",".join(map(str, sorted(cores.others))))
    with redis_server("outage", prefix=aside) as registry, rabbitmq_server(prefix=aside) as broker:
        # Before the service begins: what nobody listens to is not kept.
        asyncio.run(_events(broker, seconds=0))
        with receivers(cores) as viewers:
            with media_service({_STREAM: f"file:{clip}"}, cores, _environment(registry, broker)) as service:
                with Health(service.base_url).watched() as health:
                    before, meanwhile, noticed = _outage(service, viewers, health, registry, broker, away=away)
                registered = len(_keys(registry, "media:session:*"))
                viewers.leave(_WATCHING)
            left = tuple(key for key in _keys(registry, "*") if key != "media:fencing")
        told = _accounted(asyncio.run(_events(broker, seconds=_QUIET)), sessions=WATCHERS + 2 * VISITS)
    return Result(away, before, meanwhile, noticed, told, registered, left)


def _environment(registry: RedisServer, broker: RabbitMQServer) -> Mapping[str, str]:
    return {
        "REDIS_ENABLED": "true",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(registry.port),
        "REDIS_PASSWORD": registry.password or "",
        "RABBITMQ_ENABLED": "true",
        "RABBITMQ_URL": broker.url(),
    }


def _outage(
    service: Sender, viewers: Receivers, health: Health, registry: RedisServer, broker: RabbitMQServer, *, away: float
) -> tuple[Watched, Watched, tuple[Noticed, ...]]:
    url = service.whep_url(_STREAM)
    for name in _NAMES:
        health.wait_for(name, "healthy", 0)
    viewers.join(Join(_WATCHING, (url,) * WATCHERS, WATCHERS * 0.1, _JOIN_TIMEOUT, PAGE))
    time.sleep(_SETTLED)
    with ThreadPoolExecutor(1) as executor:
        viewers.begin(_WATCHING)
        _visits(viewers, url, over=away)
        before = _watched(viewers.end(_WATCHING))
        viewers.begin(_WATCHING, goes_on=True)
        killed = time.monotonic()
        registry.kill()
        broker.kill()
        visits = executor.submit(_visits, viewers, url, over=away)
        said_unhealthy = {name: health.wait_for(name, "unhealthy", killed) for name in _NAMES}
        time.sleep(max(0.0, killed + away - time.monotonic()))
        back = {"redis": _moment(registry.start), "rabbitmq": _moment(broker.start)}
        said_healthy = {name: health.wait_for(name, "healthy", said_unhealthy[name][0]) for name in _NAMES}
        _result_of(visits)
        time.sleep(_SETTLED)
        meanwhile = _watched(viewers.end(_WATCHING))
    noticed = tuple(
        Noticed(
            name=name,
            unhealthy_after=said_unhealthy[name][0] - killed,
            reason=said_unhealthy[name][1],
            healthy_after=max(0.0, said_healthy[name][0] - back[name]),
        )
        for name in _NAMES
    )
    return before, meanwhile, noticed


def _visits(viewers: Receivers, url: str, *, over: float) -> None:
    """Open and close sessions one after another, spread over the time."""
    began = time.monotonic()
    for number in range(VISITS):
        viewers.cycle(Cycle(url, 1, 1, 0, _JOIN_TIMEOUT, PAGE))
        time.sleep(max(0.0, began + (number + 1) * over / VISITS - time.monotonic()))


def _moment(act: Callable[[], None]) -> float:
    """When that was done."""
    act()
    return time.monotonic()


def _result_of(future: "Future[_Answer]") -> _Answer:
    return future.result(_HEALTH_TIMEOUT)


def _watched(window: Window) -> Watched:
    return Watched(
        seconds=window.end.moment - window.begin.moment,
        pictures=window.end.pictures - window.begin.pictures,
        fewest_pictures=window.fewest_pictures,
        lateness_p50=quantile(window.lateness, 0.5),
        lateness_p99=quantile(window.lateness, 0.99),
        lateness_maximum=quantile(window.lateness, 1.0),
        frozen=sum(late > FREEZE for late in window.lateness),
        packets_lost=window.end.lost - window.begin.lost,
    )


# What others saw ---------------------------------------------------------------------------------------------------


def _keys(registry: RedisServer, pattern: str) -> list[str]:
    with redis.Redis(port=registry.port, password=registry.password) as client:
        return sorted(key.decode() for key in client.scan_iter(pattern))


@dataclass(frozen=True, slots=True)
class _Heard:
    message_id: str
    event_type: str
    session_id: str


async def _events(broker: RabbitMQServer, *, seconds: float) -> list[_Heard]:
    """Everything in the consumer's queue, which is made if need be, until nothing more comes for `seconds`."""
    heard: list[_Heard] = []
    async with await aio_pika.connect(broker.url()) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(_EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue("outage", durable=True)
        await queue.bind(exchange, "media.session.*")
        last = time.monotonic()
        while time.monotonic() - last < seconds:
            message = await queue.get(fail=False)
            if message is None:
                await asyncio.sleep(0.05)
                continue
            last = time.monotonic()
            await message.ack()
            body = json.loads(message.body)
            heard.append(_Heard(message.message_id or "", body["event_type"], body["session_id"]))
    return heard


def _accounted(heard: list[_Heard], *, sessions: int) -> Told:
    once = {each.message_id: each for each in heard}
    created = Counter(each.session_id for each in once.values() if each.event_type == "media.session.created")
    ended = Counter(each.session_id for each in once.values() if each.event_type != "media.session.created")
    complete = created.keys() & ended.keys()
    return Told(
        sessions=sessions,
        created=created.total(),
        ended=ended.total(),
        lost=sessions - len(complete),
        unknown=len(ended.keys() - created.keys()) + created.total() - len(created) + ended.total() - len(ended),
        repeated=len(heard) - len(once),
    )


# What is printed -----------------------------------------------------------------------------------------------------


def print_result(result: Result) -> None:
    """Three tables: what the watchers saw, what the service said, what the consumer counted."""
    columns = (
        "watchers",
        "seconds",
        "pictures",
        "fewest",
        "late p50 ms",
        "p99 ms",
        "max ms",
        "frozen",
        "lost packets",
    )
    rows = [
        (
            name,
            each.seconds,
            each.pictures,
            each.fewest_pictures,
            each.lateness_p50 * 1e3,
            each.lateness_p99 * 1e3,
            each.lateness_maximum * 1e3,
            each.frozen,
            each.packets_lost,
        )
        for name, each in (("before", result.before), ("while away and coming back", result.meanwhile))
    ]
    print(table(columns, rows))
    if result.is_too_busy:
        print("the picture froze before, too: the machine is too busy to say anything of freezes")
    print(
        table(
            ("what the service says", "unhealthy after s", "healthy after s", "target s"),
            [(each.name, each.unhealthy_after, each.healthy_after, f"≤ {NOTICED:g}") for each in result.noticed],
        )
    )
    told = result.told
    print(
        table(
            ("at the consumer", "count", "target"),
            [
                ("sessions opened", told.sessions, ""),
                ("of them created", told.created, told.sessions),
                ("of them closed or failed", told.ended, told.sessions),
                ("lost", told.lost, 0),
                ("unaccounted for", told.unknown, 0),
                ("messages that came twice", told.repeated, ""),
                ("sessions in Redis when it was back", result.registered, WATCHERS),
                ("keys in Redis after the end", len(result.left_in_redis), 0),
            ],
        )
    )


def main() -> None:
    """Measure, print, write; exit code 1 where something is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outage", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="away for so long (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="away for 5 s")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    machine = Machine.this()
    print(machine)
    try:
        result = run(make_clip(ClipShape()), Cores.split(), away=5.0 if options.quick else options.seconds)
    except BenchmarkError as error:
        sys.exit(str(error))
    print_result(result)
    if options.json:
        write_json(options.json, {"machine": machine, "result": result})
    if result.failures:
        sys.exit("; ".join(result.failures))


if __name__ == "__main__":
    main()

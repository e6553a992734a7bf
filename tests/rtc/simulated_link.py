"""A bottleneck, a sender that obeys a bandwidth estimator, and receivers that report. All in simulated time.

`python -m tests.rtc.simulated_link` prints what both estimators make of every kind of path.
"""

import argparse
import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from media_service.rtc import rtcp
from media_service.rtc.bandwidth import BandwidthEstimator, Probe, RateLimits
from media_service.rtc.congestion.delay_trend import DelayTrend, Usage
from media_service.rtc.congestion.sent_packets import Reception
from media_service.rtc.gcc import GccEstimator
from media_service.rtc.remb_estimator import RembEstimator
from tests.rtc.transport_feedback import written

MEGABIT = 1_000_000
PACKET = 1200
TICK = 0.005
PICTURE_INTERVAL = 1 / 30
BACKLOG_LIMIT = 0.25


class Loss(Protocol):
    """Which packets are lost."""

    def __call__(self, rng: random.Random) -> bool: ...


@dataclass
class RandomLoss:
    """Each packet with the same probability."""

    share: float

    def __call__(self, rng: random.Random) -> bool:
        return rng.random() < self.share


@dataclass
class BurstLoss:
    """The Gilbert-Elliott model: a good state without loss and a bad one with much."""

    to_bad: float = 0.004
    to_good: float = 0.12
    loss_when_bad: float = 0.5
    is_bad: bool = False

    def __call__(self, rng: random.Random) -> bool:
        self.is_bad = rng.random() >= self.to_good if self.is_bad else rng.random() < self.to_bad
        return self.is_bad and rng.random() < self.loss_when_bad


@dataclass
class Path:
    """A path and what the receiver does on it; times in seconds, rates in bits per second."""

    rate: Callable[[float], float]
    round_trip: float = 0.05
    loss: Loss = field(default_factory=lambda: RandomLoss(0.0))
    queue: float = 0.5
    """Seconds of traffic that the bottleneck holds before it drops."""
    jitter: float = 0.0
    """Largest extra delay of a packet, which may overtake others."""
    feedback_interval: float = 0.075
    feedback_loss: float = 0.0
    feedback_copies: int = 1
    clock_offset: float = 1000.0
    clock_drift: float = 0.0


def constant(rate: float) -> Callable[[float], float]:
    """The same rate at all times."""
    return lambda now: rate


def steps(*changes: tuple[float, float]) -> Callable[[float], float]:
    """From each time on the rate beside it."""
    return lambda now: next(rate for begin, rate in reversed(changes) if now >= begin)


@dataclass
class Trace:
    """What happened."""

    estimates: list[tuple[float, int]] = field(default_factory=list)
    """Twenty times a second."""
    delays: list[tuple[float, float]] = field(default_factory=list)
    """When each packet was sent and how long it queued at the bottleneck."""
    sent: list[tuple[float, int]] = field(default_factory=list)
    """When so many bytes left."""
    congested: list[float] = field(default_factory=list)
    """The looks, twenty a second, at which the path counted as congested."""
    probes: list[tuple[float, Probe]] = field(default_factory=list)
    lost: int = 0

    def between(self, begin: float, end: float) -> list[int]:
        """The estimates of that time."""
        return [estimate for now, estimate in self.estimates if begin <= now < end]

    def queueing(self, begin: float, end: float, percentile: float = 0.95) -> float:
        """The queueing delay of packets sent in that time."""
        delays = sorted(delay for now, delay in self.delays if begin <= now < end)
        return delays[int(percentile * (len(delays) - 1))] if delays else 0.0

    def bit_rate(self, begin: float, end: float) -> float:
        """What was sent in that time."""
        return 8 * sum(size for now, size in self.sent if begin <= now < end) / (end - begin)

    def reached(self, bit_rate: float, begin: float = 0.0) -> float | None:
        """Seconds from `begin` until the estimate first was that high."""
        return next((now - begin for now, estimate in self.estimates if now >= begin and estimate >= bit_rate), None)


class Simulation:
    """One sender, one path, one receiver."""

    def __init__(self, path: Path, estimator: BandwidthEstimator, seed: int = 1) -> None:
        self.path = path
        self.estimator = estimator
        self.trace = Trace()
        self.now = 0.0
        self._rng = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._queue: deque[tuple[float, int]] = deque()
        self._queued = 0
        self._free_at = 0.0
        self.receiver: TransportReceiver | RembReceiver
        if estimator.numbers_packets:
            self.receiver = TransportReceiver(self)
        else:
            self.receiver = RembReceiver(self)

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Do `action` at `time`."""
        heapq.heappush(self._events, (time, next(self._order), action))

    def run(self, seconds: float) -> Trace:
        """Let so much time pass."""
        while self._events and self._events[0][0] <= seconds:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = seconds
        return self.trace

    def transmit(self, number: int, size: int) -> None:
        """Put a packet on the path."""
        path, now = self.path, self.now
        while self._queue and self._queue[0][0] <= now:
            self._queued -= self._queue.popleft()[1]
        begin = max(now, self._free_at)
        rate = path.rate(begin)
        if 8 * self._queued > path.queue * rate and self._queued > 20 * PACKET:
            self.trace.lost += 1
            return
        self._free_at = begin + 8 * size / rate
        self._queue.append((self._free_at, size))
        self._queued += size
        self.trace.delays.append((now, begin - now))
        if path.loss(self._rng):
            self.trace.lost += 1
            return
        arrival = self._free_at + path.round_trip / 2 + self._rng.random() * path.jitter
        sent_at = now
        self.at(arrival, lambda: self.receiver.received(number, size, sent_at))

    def clock(self) -> float:
        """The time on the receiver's clock."""
        return self.path.clock_offset + self.now * (1 + self.path.clock_drift)

    def answer(self, action: Callable[[], None]) -> None:
        """Let the receiver's report arrive, if it is not lost."""
        for copy in range(self.path.feedback_copies):
            if self._rng.random() >= self.path.feedback_loss:
                self.at(self.now + self.path.round_trip / 2 + 0.03 * copy, action)


class Sender:
    """Pictures of `app_rate` at most, paced, with padding while a probe runs."""

    def __init__(
        self,
        simulation: Simulation,
        app_rate: float,
        wanted: float | None = None,
        keyframe_interval: float = 10.0,
        obeys: Callable[[float], bool] = lambda now: True,
    ) -> None:
        """`obeys(now)` tells whether the pictures are made to fit the estimate; they wait in the pacer anyhow."""
        self._simulation = simulation
        self._app_rate = app_rate
        self._wanted = app_rate if wanted is None else wanted
        self._obeys = obeys
        self._waiting = 0
        self._number = 0
        self._budget = 0.0
        self._probe: Probe | None = None
        self._probe_began = self._probe_ends = 0.0
        self._probe_sent = 0
        self._rng = random.Random(7)
        self._keyframe_interval = keyframe_interval
        self._next_keyframe = 0.0
        for action in (self._picture, self._tick, self._look):
            simulation.at(0.0, action)

    def _picture(self) -> None:
        simulation = self._simulation
        simulation.at(simulation.now + PICTURE_INTERVAL, self._picture)
        estimate = simulation.estimator.bit_rate
        rate = min(self._app_rate, 0.95 * estimate) if self._obeys(simulation.now) else self._app_rate
        size = rate * PICTURE_INTERVAL / 8 * self._rng.uniform(0.6, 1.4)
        if simulation.now >= self._next_keyframe:
            size *= 6
            self._next_keyframe = simulation.now + self._keyframe_interval
        if 8 * self._waiting > BACKLOG_LIMIT * estimate:
            self._waiting = 0
        self._waiting += int(size)

    def _tick(self) -> None:
        simulation, now = self._simulation, self._simulation.now
        simulation.at(now + TICK, self._tick)
        estimator = simulation.estimator
        pace = estimator.bit_rate * (1.0 if estimator.is_congested else 1.5)
        self._budget = min(self._budget + pace * TICK / 8, pace * 0.04 / 8)
        padding = 0
        if self._probe is not None:
            due = int(self._probe.bit_rate * (now - self._probe_began + TICK) / 8) - self._probe_sent
            self._budget = max(self._budget, due)
            padding = due
            if now >= self._probe_ends - TICK:
                self._probe = None
        size = min(self._waiting, int(self._budget))
        if size < min(self._waiting, PACKET):
            size = 0
        self._waiting -= size
        padding = max(padding - size, 0)
        sizes = [PACKET] * (size // PACKET) + ([size % PACKET] if size % PACKET else [])
        sizes += [PACKET] * (padding // PACKET)
        if not sizes:
            return
        self._budget -= size
        if self._probe is not None:
            self._probe_sent += sum(sizes)
        first, self._number = self._number, self._number + len(sizes)
        if estimator.numbers_packets:
            estimator.packets_sent(first, tuple(sizes), now)
        simulation.trace.sent.append((now, sum(sizes)))
        for number, length in enumerate(sizes, first):
            simulation.transmit(number, length)

    def _look(self) -> None:
        simulation, now = self._simulation, self._simulation.now
        simulation.at(now + 0.05, self._look)
        trace, estimator = simulation.trace, simulation.estimator
        trace.estimates.append((now, estimator.bit_rate))
        if estimator.is_congested:
            trace.congested.append(now)
        probe = estimator.next_probe(int(self._wanted), now)
        if probe is not None:
            self._probe, self._probe_began, self._probe_ends, self._probe_sent = probe, now, now + probe.seconds, 0
            trace.probes.append((now, probe))


class TransportReceiver:
    """Reports arrival times as libwebrtc does: everything since the last report, on the wire and read from it."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._arrivals: dict[int, float] = {}
        self._next = 0
        self._count = 0
        simulation.at(simulation.path.feedback_interval, self._report)

    def received(self, number: int, size: int, sent_at: float) -> None:
        self._arrivals[number] = self._simulation.clock()

    def _report(self) -> None:
        simulation = self._simulation
        simulation.at(simulation.now + simulation.path.feedback_interval, self._report)
        if not self._arrivals:
            return
        first, last = min(self._next, *self._arrivals), max(self._arrivals)
        arrivals = [self._arrivals.get(number) for number in range(first, last + 1)]
        self._arrivals.clear()
        self._next = max(self._next, last + 1)
        self._count += 1
        (feedback,) = rtcp.parse(written(first, arrivals, self._count & 0xFF))
        assert isinstance(feedback, rtcp.TransportFeedback)
        simulation.answer(lambda: simulation.estimator.feedback_received(feedback, simulation.now))


class RembReceiver:
    """Chromium's estimate, as far as it matters to a sender.

    It begins with what arrived by the fifth second, or with the first overuse; falls to 0.85 of what arrives; grows by
    8 % a second up to one and a half times what arrives; is sent once a second, and at once when it falls. Packets that
    overtake each other are beyond this model.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._trend = DelayTrend()
        self._estimate: float | None = None
        self._window: deque[tuple[float, int]] = deque()
        self._updated_at = 0.0
        self._decreased_at = -1.0
        self._sent_at = 0.0
        self._expected = self._received = 0
        self._highest = -1
        simulation.at(0.05, self._update)
        simulation.at(1.0, self._report)

    def received(self, number: int, size: int, sent_at: float) -> None:
        now = self._simulation.clock()
        self._trend.add(Reception(number, sent_at, size, size, now, now, is_start=True, burst_begin=now))
        self._window.append((self._simulation.now, size))
        self._expected += max(number - self._highest, 0)
        self._highest = max(self._highest, number)
        self._received += 1

    def _incoming(self) -> float:
        now = self._simulation.now
        while self._window and self._window[0][0] < now - 0.5:
            self._window.popleft()
        return 8 * sum(size for _, size in self._window) / 0.5

    def _update(self) -> None:
        simulation, now = self._simulation, self._simulation.now
        simulation.at(now + 0.05, self._update)
        usage, incoming = self._trend.update(now), self._incoming()
        elapsed, self._updated_at = now - self._updated_at, now
        if usage is Usage.OVERUSED:
            if now - self._decreased_at > simulation.path.round_trip + 0.1:
                self._decreased_at = now
                self._estimate = 0.85 * incoming
                self._send()
        elif self._estimate is None:
            if now >= 5.0:
                self._estimate = incoming
        elif usage is Usage.NORMAL and self._estimate < 1.5 * incoming + 10_000:
            self._estimate = min(self._estimate * 1.08**elapsed, 1.5 * incoming + 10_000)
        if self._estimate is not None and now - self._sent_at >= 1.0:
            self._send()

    def _send(self) -> None:
        simulation, estimate = self._simulation, self._estimate
        self._sent_at = simulation.now
        if estimate is not None:
            simulation.answer(lambda: simulation.estimator.remb_received(int(estimate), simulation.now))

    def _report(self) -> None:
        simulation = self._simulation
        simulation.at(simulation.now + 1.0, self._report)
        expected, received = self._expected, self._received
        self._expected = self._received = 0
        if expected:
            lost, round_trip = max(1 - received / expected, 0.0), simulation.path.round_trip
            simulation.answer(lambda: simulation.estimator.loss_reported(lost, round_trip, simulation.now))


def simulated(
    path: Path,
    seconds: float,
    *,
    app_rate: float = 20 * MEGABIT,
    wanted: float | None = None,
    open_estimator: Callable[[RateLimits, float], BandwidthEstimator] = GccEstimator,
    limits: RateLimits = RateLimits(),  # noqa: B008 - frozen
    seed: int = 1,
) -> Trace:
    """What happens on `path` to pictures of up to `app_rate`."""
    simulation = Simulation(path, open_estimator(limits, 0.0), seed)
    Sender(simulation, app_rate, wanted)
    return simulation.run(seconds)


def _print_table(name: str, open_estimator: Callable[[RateLimits, float], BandwidthEstimator]) -> None:
    print(f"\n{name}: estimate p5/p50/p95 and sent rate in Mbit/s, queue p50/p95 in ms, from second 8 to 30; probes")
    for rate, round_trip, loss in itertools.product((10, 3, 1, 0.5), (0.02, 0.1, 0.2), (0.0, 0.02, 0.05)):
        path = Path(constant(rate * MEGABIT), round_trip, RandomLoss(loss))
        trace = simulated(path, 30, app_rate=8 * MEGABIT, wanted=8 * MEGABIT, open_estimator=open_estimator)
        settled = sorted(trace.between(8, 30))
        low, middle, high = (settled[int(share * (len(settled) - 1))] / MEGABIT for share in (0.05, 0.5, 0.95))
        print(
            f"{rate:>4} Mbit/s  rtt {1000 * round_trip:>3.0f} ms  loss {loss:.0%}  "
            f"{low:5.2f} {middle:5.2f} {high:5.2f}  sent {trace.bit_rate(8, 30) / MEGABIT:5.2f}  "
            f"queue {1000 * trace.queueing(8, 30, 0.5):4.0f} {1000 * trace.queueing(8, 30):4.0f}  "
            f"first 5 s {1000 * trace.queueing(0, 5):4.0f}  probes {len(trace.probes)}"
        )
    path = Path(steps((0, 3 * MEGABIT), (10, MEGABIT), (30, 3 * MEGABIT)), 0.1, queue=1.0)
    trace = simulated(path, 50, app_rate=2.5 * MEGABIT, wanted=3 * MEGABIT, open_estimator=open_estimator)
    print("3 > 1 > 3 Mbit/s, estimates each second from 8:")
    print(" ".join(f"{estimate / MEGABIT:.2f}" for estimate in trace.between(8, 50)[::20]))
    print(
        f"2.5 Mbit/s again after {trace.reached(2.5 * MEGABIT, 30.5)} s; queue p95 by second from 10: "
        + " ".join(f"{1000 * trace.queueing(at, at + 1):.0f}" for at in range(10, 20))
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("estimator", choices=("gcc", "remb", "both"), nargs="?", default="both")
    chosen = parser.parse_args().estimator
    if chosen != "remb":
        _print_table("GCC", GccEstimator)
    if chosen != "gcc":
        _print_table("REMB", RembEstimator)

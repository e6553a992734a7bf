"""A service with viewers, of whom somebody asks something meanwhile: one window after another."""

import json
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.audience import Join
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores
from benchmarks.measurement import check_window, quantile
from benchmarks.metrics import EGRESS_LATENCY, LOOP_LAG
from benchmarks.receivers import Receivers, receivers
from benchmarks.sender import Sender, media_service
from benchmarks.wrk import Answered, Load, ask
from media_service.run_token import token_for

_SESSION: Final = "{id}"
READS: Final = {
    "/devices": "/api/media/devices",
    "/sessions": "/api/media/sessions",
    "/sessions/{id}": f"/api/media/sessions/{_SESSION}",
    "/stats": "/api/media/stats",
}
"""What front-ends and consoles ask again and again."""
MONITORING: Final = {"/health": "/health", "/metrics": "/metrics"}

_GROUP: Final = "viewers"
_SETTLED: Final = 1.5
_ENOUGH: Final = 100
"""Requests of a window, whose cost stands out from what the streams cost a bit more or less."""
_JOIN_TIMEOUT: Final = 15.0
_BETWEEN_JOINS: Final = 0.03
_ISSUER, _AUDIENCE = "benchmark", "benchmarks"
_SETTINGS: Final = {
    # The viewers are one user, from one address, who comes all at once.
    "MAX_SESSIONS_PER_USER": "100000",
    "MAX_JOINS_PER_MINUTE": "1000000",
    # Where the machine is too busy for its viewers they would be coded for anew, which is not what is measured.
    "VIDEO_ENCODER_TYPE": "passthrough",
}


@dataclass(frozen=True, slots=True)
class Streams:
    """How the streams did. Seconds."""

    pictures: int
    """That arrived, of all viewers together."""
    latency_p50: float
    """Access unit ready to last viewer's last packet sent, by the service's own histogram."""
    latency_p99: float
    lateness_p50: float
    """What the viewers saw: see `Reception.lateness`."""
    lateness_p99: float
    loop_lag_p99: float
    loop_lag: float
    """The upper bound of the event loop's worst lag."""
    lost: int
    """Packets that were sent and did not arrive."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one window showed."""

    seconds: float
    answered: Answered | None
    """None while nobody asks."""
    streams: Streams
    core: float
    """Share of its core that the service used."""
    waited: float
    """Share of the time in which the service was ready and something else had its core."""
    microseconds_per_request: float
    """CPU time of the service per request, beyond what it uses while nobody asks; NaN of too few."""


class Stage:
    """The service and its viewers, who have joined."""

    def __init__(self, service: Sender, viewers: Receivers, cores: Cores, token: str | None) -> None:
        self._service = service
        self._viewers = viewers
        self._cores = cores
        self._token = token
        self._windows = 0

    @property
    def has_token(self) -> bool:
        return self._token is not None

    def paths(self, of: Mapping[str, str]) -> dict[str, str]:
        """The same with the id of a session that is there. Raises `BenchmarkError`."""
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        url = self._service.base_url + READS["/sessions"]
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as response:
                sessions = json.load(response)["sessions"]
        except OSError as error:
            raise BenchmarkError(f"{url} does not answer: {error}") from error
        if not sessions:
            raise BenchmarkError(f"{url} lists no session")
        return {name: path.replace(_SESSION, sessions[0]["sessionId"]) for name, path in of.items()}

    def window(
        self, seconds: float, load: Load | None = None, paths: Sequence[str] = (), *, quiet: Window | None = None
    ) -> Window:
        """Watch for that long, while `load` asks for `paths`; `quiet` says what the service uses without that.

        Raises `BenchmarkError` when something is refused or not authentic.
        """
        service = self._service
        metrics, cpu, waited = service.metrics(), service.cpu_seconds(), service.waited_seconds()
        # A constant delay that comes with the requests would not show, were each window compared with itself.
        self._viewers.begin(_GROUP, goes_on=self._windows > 0)
        self._windows += 1
        began = time.monotonic()
        answered = None
        if load is None:
            time.sleep(seconds)
        else:
            answered = ask(service.base_url, paths, load, seconds, self._cores, token=self._token)
        cpu, waited = service.cpu_seconds() - cpu, service.waited_seconds() - waited
        seen = self._viewers.end(_GROUP)
        elapsed = time.monotonic() - began
        later = service.metrics()
        check_window(seen)
        latency, lag = later.histogram_since(metrics, EGRESS_LATENCY), later.histogram_since(metrics, LOOP_LAG)
        asked_for = float("nan")
        if answered is not None and answered.requests >= _ENOUGH:
            asked_for = (cpu - (quiet.core * elapsed if quiet is not None else 0.0)) * 1e6 / answered.requests
        return Window(
            seconds=elapsed,
            answered=answered,
            streams=Streams(
                pictures=seen.end.pictures - seen.begin.pictures,
                latency_p50=latency.quantile(0.5),
                latency_p99=latency.quantile(0.99),
                lateness_p50=quantile(seen.lateness, 0.5),
                lateness_p99=quantile(seen.lateness, 0.99),
                loop_lag_p99=lag.quantile(0.99),
                loop_lag=lag.maximum(),
                lost=seen.end.lost - seen.begin.lost,
            ),
            core=cpu / elapsed,
            waited=waited / elapsed,
            microseconds_per_request=asked_for,
        )


@contextmanager
def stage(devices: Sequence[str], viewers_each: int, clip: Path, cores: Cores, *, secret: str = "") -> Iterator[Stage]:
    """The service with these devices, all of which show the clip and are watched; with a `secret` it needs tokens.

    Raises `BenchmarkError`.
    """
    environment, token = dict(_SETTINGS), None
    if secret:
        environment |= {"JWT_SECRET": secret, "JWT_ISSUER": _ISSUER, "JWT_AUDIENCE": _AUDIENCE}
        token = token_for(secret, issuer=_ISSUER, audience=_AUDIENCE, user="benchmark", roles=("admin",), seconds=3600)
    with (
        media_service(dict.fromkeys(devices, f"file:{clip}"), cores, environment) as service,
        receivers(cores, token=token) as viewers,
    ):
        urls = tuple(service.whep_url(name) for name in devices for _ in range(viewers_each))
        viewers.join(Join(_GROUP, urls, _BETWEEN_JOINS * len(urls), _JOIN_TIMEOUT))
        time.sleep(_SETTLED)
        yield Stage(service, viewers, cores, token)
        viewers.leave(_GROUP)

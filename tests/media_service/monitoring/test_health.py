"""What health says, of what states, at what time."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.dependency import Dependency, DependencyState, DependencyStatus
from media_service.monitoring.followed_dependency import FollowedDependency
from media_service.monitoring.health import Health, uptime

NOON = 1_736_937_000.0
"""2025-01-15T10:30:00Z, and some hours after the start."""
STARTED = NOON - (2 * 3600 + 30 * 60 + 15)


class Told:
    """A dependency that is as it is told to be."""

    def __init__(self, name: str, status: DependencyStatus, reason: str = "", since: float = STARTED) -> None:
        self.name = name
        self.state = DependencyState(status, reason, since)


def health(*dependencies: Dependency, is_draining: bool = False) -> Health:
    return Health(dependencies, lambda: is_draining, started_at=STARTED, service="media-service", version="1.2.3")


def test_a_healthy_service_in_the_guides_words() -> None:
    report = health(Told("redis", DependencyStatus.HEALTHY)).report(NOON)
    assert json.loads(report.model_dump_json()) == {
        "status": "healthy",
        "draining": False,
        "timestamp": "2025-01-15T10:30:00Z",
        "uptime": "2h30m15s",
        "service": "media-service",
        "version": "1.2.3",
    }


def test_every_dependency_is_told_with_its_reason() -> None:
    detailed = health(
        Told("redis", DependencyStatus.HEALTHY),
        Told("rabbitmq", DependencyStatus.UNHEALTHY, "connection refused", NOON - 60),
        Told("consul", DependencyStatus.DISABLED, "CONSUL_ENABLED is false"),
    ).detailed(NOON)
    body = json.loads(detailed.model_dump_json())
    assert body["status"] == "degraded"
    assert body["dependencies"] == {
        "redis": "healthy",
        "rabbitmq": "unhealthy",
        "consul": "disabled",
        "docker": "disabled",
        "adb": "disabled",
    }
    assert body["reasons"] == {
        "docker": "there is neither DOCKER_HOST nor a /var/run/docker.sock that may be used",
        "adb": "it is not used",
        "rabbitmq": "connection refused",
        "consul": "CONSUL_ENABLED is false",
    }
    assert body["since"] == {"redis": "2025-01-15T07:59:45Z", "rabbitmq": "2025-01-15T10:29:00Z"}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (DependencyStatus.HEALTHY, "healthy"),
        (DependencyStatus.DISABLED, "healthy"),
        (DependencyStatus.UNHEALTHY, "degraded"),
    ],
)
def test_only_what_is_asked_for_and_missing_degrades(status: DependencyStatus, told: str) -> None:
    assert health(Told("redis", DependencyStatus.HEALTHY), Told("adb", status)).status == told


def test_draining() -> None:
    assert health().readiness().status == "ready"
    assert health(is_draining=True).readiness().status == "draining"
    assert health(is_draining=True).report(NOON).draining


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m0s"),
        (3599, "59m59s"),
        (3600, "1h0m0s"),
        (9015, "2h30m15s"),
        (360_000, "100h0m0s"),
        (-5, "0s"),
    ],
)
def test_uptimes(seconds: float, text: str) -> None:
    assert uptime(seconds) == text


@given(st.integers(0, 10**9))
def test_an_uptime_says_every_second(seconds: int) -> None:
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(\d+)s", uptime(seconds))
    assert found is not None
    hours, minutes, rest = (int(part or 0) for part in found.groups())
    assert (hours * 60 + minutes) * 60 + rest == seconds
    assert minutes < 60
    assert rest < 60


class Adb:
    trouble = "no adb server was asked yet"
    now = 100.0


def test_a_followed_dependency_is_as_it_is_since_it_was_found_so() -> None:
    adb = Adb()
    followed = FollowedDependency("adb", lambda: adb.trouble, clock=lambda: adb.now)
    adb.now = 101.0
    assert followed.state == DependencyState(DependencyStatus.UNHEALTHY, "no adb server was asked yet", 100.0)
    adb.trouble, adb.now = "", 102.0
    assert followed.state == DependencyState(DependencyStatus.HEALTHY, "", 102.0)
    adb.now = 103.0
    assert followed.state.since == 102.0
    adb.trouble = "connection refused"
    assert followed.state == DependencyState(DependencyStatus.UNHEALTHY, "connection refused", 103.0)
    adb.trouble, adb.now = "it hangs", 104.0
    assert followed.state == DependencyState(DependencyStatus.UNHEALTHY, "it hangs", 103.0)


def test_health_tells_of_a_change_at_once() -> None:
    adb = Adb()
    followed = FollowedDependency("adb", lambda: adb.trouble)
    one = health(followed)
    assert one.status == "degraded"
    adb.trouble = ""
    assert (one.status, one.detailed(NOON).dependencies["adb"]) == ("healthy", DependencyStatus.HEALTHY)

"""Which containers are phones, where their adb is, and what is told as they come and go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from capture.docker_engine import Container, PublishedPort
from capture.redroid import PORT_LABEL, RedroidContainer, RedroidContainers, adb_address, is_redroid
from tests.capture.fake_docker import FakeDocker, entry
from tests.fixtures.docker import RunningDocker, phone_container
from tests.waiting import until

HERE = "127.0.0.1"


@pytest.fixture
async def fake_docker(tmp_path: Path) -> AsyncIterator[FakeDocker]:
    async with FakeDocker.run(tmp_path / "docker.sock") as fake:
        yield fake


def container(
    *ports: PublishedPort,
    image: str = "redroid/redroid:12",
    labels: dict[str, str] | None = None,
    host: bool = False,
    addresses: tuple[str, ...] = (),
) -> Container:
    return Container("abc", "redroid-1", image, labels or {}, host, ports, addresses)


@pytest.mark.parametrize(
    ("image", "labels", "label", "expected"),
    [
        ("redroid/redroid:12", {}, None, True),
        ("registry.example:5000/me/ReDroid-arm", {}, None, True),
        ("nginx:latest", {"phone": "yes"}, None, False),
        ("nginx:latest", {"phone": "yes"}, "phone", True),
        ("nginx:latest", {"phone": "yes"}, "phone=yes", True),
        ("nginx:latest", {"phone": "yes"}, "phone=no", False),
        ("nginx:latest", {"phone": ""}, "phone=", True),
        ("nginx:latest", {"phone": "a=b"}, "phone=a=b", True),
        ("redroid/redroid:12", {}, "phone", False),
    ],
)
def test_which_containers_are_phones(image: str, labels: dict[str, str], label: str | None, expected: bool) -> None:
    assert is_redroid(container(image=image, labels=labels), label) is expected


EVERYWHERE = PublishedPort(5555, 15998, "0.0.0.0")
EVERYWHERE_IPV6 = PublishedPort(5555, 15999, "::")
LOOPBACK = PublishedPort(5555, 15997, "127.0.0.1")
LAN = PublishedPort(5555, 15996, "192.168.1.2")
OTHER = PublishedPort(80, 8080, "0.0.0.0")


@pytest.mark.parametrize(
    ("ports", "published_at", "address"),
    [
        ([EVERYWHERE_IPV6, EVERYWHERE], HERE, "127.0.0.1:15998"),
        ([EVERYWHERE_IPV6], HERE, "127.0.0.1:15999"),
        ([PublishedPort(5555, 1, "")], HERE, "127.0.0.1:1"),
        ([OTHER, LAN], HERE, "192.168.1.2:15996"),
        ([LOOPBACK], HERE, "127.0.0.1:15997"),
        ([PublishedPort(5555, 1, "::1")], HERE, "[::1]:1"),
        ([EVERYWHERE], "10.0.0.7", "10.0.0.7:15998"),
        ([LOOPBACK], "10.0.0.7", "172.17.0.2:5555"),
        ([OTHER], HERE, "172.17.0.2:5555"),
        ([], HERE, "172.17.0.2:5555"),
    ],
)
def test_where_its_adb_is(ports: list[PublishedPort], published_at: str, address: str) -> None:
    assert adb_address(container(*ports, addresses=("172.17.0.2", "fd00::2")), published_at) == address


def test_its_own_address_may_be_ipv6() -> None:
    assert adb_address(container(addresses=("fd00::2",)), HERE) == "[fd00::2]:5555"


@pytest.mark.parametrize(("published_at", "address"), [(HERE, "127.0.0.1:6000"), ("[fe80::1]", "[fe80::1]:6000")])
def test_on_the_hosts_network_a_label_says_its_port(published_at: str, address: str) -> None:
    assert adb_address(container(host=True, labels={PORT_LABEL: "6000"}), published_at) == address


def test_the_label_counts_everywhere() -> None:
    published = PublishedPort(6000, 16000, "0.0.0.0")
    assert adb_address(container(EVERYWHERE, published, labels={PORT_LABEL: "6000"}), HERE) == "127.0.0.1:16000"
    assert adb_address(container(labels={PORT_LABEL: "6000"}, addresses=("10.0.0.2",)), HERE) == "10.0.0.2:6000"


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "adb", "5555;reboot", "٥٥٥٥", "9" * 5000])
def test_a_label_that_is_no_port(port: str) -> None:
    with pytest.raises(ValueError, match=r"its label media-service\.adb-port=.* is not a port from 1 to 65535"):
        adb_address(container(host=True, labels={PORT_LABEL: port}), HERE)


def test_a_container_that_nothing_leads_to() -> None:
    with pytest.raises(ValueError, match="its port 5555 is not published, and it has no address in any network"):
        adb_address(container(OTHER), HERE)


class Followed:
    """The phones that a `RedroidContainers` has told of."""

    def __init__(self, docker_host: str, label: str | None = None) -> None:
        self.containers = RedroidContainers(docker_host, label)
        self.told: list[str] = []
        self.there: dict[str, str] = {}

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(self.containers.run(self._appeared, self._vanished))
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _appeared(self, phone: RedroidContainer) -> None:
        self.told.append(f"+{phone.name}")
        assert phone.name not in self.there
        self.there[phone.name] = phone.address

    def _vanished(self, phone: RedroidContainer) -> None:
        self.told.append(f"-{phone.name}")
        assert self.there.pop(phone.name) == phone.address


def host_entry(name: str, port: int, container_id: str = "") -> dict[str, object]:
    labels = {PORT_LABEL: str(port)}
    changed = {"Id": container_id} if container_id else {}
    return entry(name, Ports=[], HostConfig={"NetworkMode": "host"}, NetworkSettings=None, Labels=labels, **changed)


async def test_phones_come_and_go(fake_docker: FakeDocker) -> None:
    followed = Followed(fake_docker.docker_host)
    fake_docker.containers = [host_entry("a", 6000), entry("web", Image="nginx")]
    with capture_logs() as logs:
        async with followed.run():
            await until(lambda: followed.there == {"a": "127.0.0.1:6000"})
            assert followed.containers.trouble == ""
            fake_docker.containers = [host_entry("a", 6000), host_entry("b", 6001)]
            await fake_docker.happens()
            await until(lambda: "b" in followed.there)
            fake_docker.containers = [host_entry("b", 6001)]
            await fake_docker.happens()
            await until(lambda: "a" not in followed.there)
    assert followed.told == ["+a", "+b", "-a"]
    assert [log["event"] for log in logs] == ["the Docker engine is followed"]


async def test_phones_that_swap_their_addresses_or_names_are_let_go_first(fake_docker: FakeDocker) -> None:
    followed = Followed(fake_docker.docker_host)
    fake_docker.containers = [host_entry("a", 6000), host_entry("b", 6001), host_entry("c", 6002, "c0")]
    async with followed.run():
        await until(lambda: len(followed.there) == 3)
        followed.told.clear()
        fake_docker.containers = [host_entry("a", 6001), host_entry("b", 6000), host_entry("d", 6002, "c0")]
        await fake_docker.happens()
        await until(lambda: "d" in followed.there)
    assert followed.there == {"a": "127.0.0.1:6001", "b": "127.0.0.1:6000", "d": "127.0.0.1:6002"}
    assert followed.told == ["-a", "-b", "-c", "+a", "+b", "+d"]


async def test_an_engine_that_is_away_for_a_while(fake_docker: FakeDocker) -> None:
    followed = Followed(fake_docker.docker_host)
    fake_docker.containers = [host_entry("a", 6000), host_entry("b", 6001)]
    with capture_logs() as logs:
        async with followed.run():
            await until(lambda: len(followed.there) == 2)
            await fake_docker.stop()
            await until(lambda: "No such file" in followed.containers.trouble)
            assert len(followed.there) == 2, "they may well run on"
            # What happens meanwhile has no event.
            fake_docker.containers = [host_entry("b", 6001), host_entry("c", 6002)]
            await fake_docker.start()
            await until(lambda: "c" in followed.there)
            assert followed.containers.trouble == ""
    assert followed.told == ["+a", "+b", "-a", "+c"]
    reasons = [log["reason"] for log in logs if log["log_level"] == "warning"]
    assert len(reasons) == len(set(reasons)), "the same trouble is one line in the log"


async def test_a_stream_of_events_that_breaks_off_is_followed_again(fake_docker: FakeDocker) -> None:
    followed = Followed(fake_docker.docker_host)
    fake_docker.containers = [host_entry("a", 6000)]
    async with followed.run():
        await until(lambda: "a" in followed.there)
        fake_docker.containers = []
        fake_docker.end_events()
        await until(lambda: followed.there == {})


async def test_nonsense_changes_nothing(fake_docker: FakeDocker) -> None:
    followed = Followed(fake_docker.docker_host)
    fake_docker.containers = [host_entry("a", 6000)]
    async with followed.run():
        await until(lambda: "a" in followed.there)
        fake_docker.containers = b"<html>busy</html>"
        await fake_docker.happens(b"]]]")
        await until(lambda: "what is not JSON" in followed.containers.trouble)
        assert followed.told == ["+a"]
        fake_docker.containers = [host_entry("a", 6000)]
        await until(lambda: followed.containers.trouble == "")
    assert followed.told == ["+a"]


async def test_a_container_that_cannot_be_reached_is_said_once(fake_docker: FakeDocker) -> None:
    followed = Followed(fake_docker.docker_host)
    fake_docker.containers = [entry("lost", Ports=[], NetworkSettings=None), host_entry("a", 6000)]
    with capture_logs() as logs:
        async with followed.run():
            await until(lambda: "a" in followed.there)
            fake_docker.containers = [*fake_docker.containers, host_entry("b", 6001)]
            await fake_docker.happens()
            await until(lambda: "b" in followed.there)
    warnings = [log for log in logs if log["log_level"] == "warning"]
    assert [log["container"] for log in warnings] == ["lost"]


def test_a_wrong_docker_host_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="'ssh://host' is not the address of a Docker engine"):
        RedroidContainers("ssh://host")


@pytest.mark.adb
async def test_containers_of_a_real_engine(docker_engine: RunningDocker) -> None:
    followed = Followed(docker_engine.docker_host, "follow=yes")
    async with followed.run():
        async with phone_container(docker_engine, "came-1", labels={"follow": "yes"}) as phone:
            await until(lambda: followed.there == {"came-1": phone.address})
            await phone.stop()
            await until(lambda: followed.there == {})
            await phone.start()
            await until(lambda: followed.there == {"came-1": phone.address})
            await phone.pause()
            await until(lambda: followed.there == {})
            await phone.unpause()
            await until(lambda: followed.there == {"came-1": phone.address})
            await phone.rename("came-2")
            await until(lambda: followed.there == {"came-2": phone.address})
            await phone.kill()
            await until(lambda: followed.there == {})
            await phone.start()
            await until(lambda: followed.there == {"came-2": phone.address})
        await until(lambda: followed.there == {})

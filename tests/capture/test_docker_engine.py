"""What a Docker engine says, and what a broken one does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from capture.docker_engine import LARGEST_ANSWER, Container, DockerEngine, PublishedPort, parse_docker_host
from capture.errors import DockerUnavailable
from tests.capture.fake_docker import FakeDocker, entry
from tests.fixtures.docker import REDROID_IMAGE, RunningDocker, phone_container


@pytest.fixture
async def fake_docker(tmp_path: Path) -> AsyncIterator[FakeDocker]:
    async with FakeDocker.run(tmp_path / "docker.sock") as fake:
        yield fake


async def containers(docker_host: str, **options: float) -> tuple[Container, ...]:
    async with DockerEngine(docker_host, **options) as engine:
        return await engine.containers()


@pytest.mark.parametrize(
    ("docker_host", "parts"),
    [
        ("unix:///var/run/docker.sock", ("/var/run/docker.sock", "http://docker", "127.0.0.1")),
        ("tcp://10.0.0.7:2375", (None, "http://10.0.0.7:2375", "10.0.0.7")),
        ("http://docker.lan:2375/", (None, "http://docker.lan:2375", "docker.lan")),
        ("tcp://[fe80::1]:2375", (None, "http://[fe80::1]:2375", "[fe80::1]")),
    ],
)
def test_where_an_engine_is(docker_host: str, parts: tuple[str | None, str, str]) -> None:
    assert parse_docker_host(docker_host) == parts


@pytest.mark.parametrize("text", ["", "unix://", "unix://docker.sock", "tcp://host", "ssh://me@host", "tcp://a b:1"])
def test_what_is_no_address_of_an_engine(text: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a Docker engine: unix:///PATH or tcp://HOST:PORT is"):
        DockerEngine(text)


async def test_a_container(fake_docker: FakeDocker) -> None:
    fake_docker.containers = [entry("redroid-1")]
    assert await containers(fake_docker.docker_host) == (
        Container(
            container_id=str(entry("redroid-1")["Id"]),
            name="redroid-1",
            image="redroid/redroid:12.0.0-latest",
            labels={"phone": "yes"},
            has_host_network=False,
            ports=(PublishedPort(5555, 15998, "0.0.0.0"), PublishedPort(5555, 15998, "::")),
            addresses=("172.17.0.2",),
        ),
    )
    assert fake_docker.filters == [{"status": ["running"]}]


async def test_what_is_missing_or_null_is_nothing(fake_docker: FakeDocker) -> None:
    nulls = dict.fromkeys(["Names", "Labels", "Ports", "HostConfig", "NetworkSettings"])
    networks = {"NetworkSettings": {"Networks": {"none": None, "other": {"IPAddress": None}}}}
    fake_docker.containers = [{"Id": "abc"}, {"Id": "abc", **nulls}, {"Id": "abc", **networks}]
    bare = Container("abc", "abc", "", {}, False, (), ())
    assert await containers(fake_docker.docker_host) == (bare, bare, bare)


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["/other/alias", "/redroid-1"], "redroid-1"),
        (["/../../etc"], "abcdefabcdef"),
        (["/\x1b[2J"], "abcdefabcdef"),
        ([], "abcdefabcdef"),
    ],
)
async def test_its_name_is_one_that_docker_gives(fake_docker: FakeDocker, names: list[str], name: str) -> None:
    fake_docker.containers = [entry(Id="abcdefabcdef1234", Names=names)]
    (container,) = await containers(fake_docker.docker_host)
    assert container.name == name


async def test_ports_that_are_no_way_in_are_left_out(fake_docker: FakeDocker) -> None:
    ports = [
        {"PrivatePort": 5555, "Type": "tcp"},
        {"IP": "127.0.0.1", "PrivatePort": 5555, "PublicPort": 1, "Type": "udp"},
        {"IP": "localhost; rm -rf /", "PrivatePort": 5555, "PublicPort": 1, "Type": "tcp"},
        {"IP": "", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
    ]
    fake_docker.containers = [entry(Ports=ports)]
    (container,) = await containers(fake_docker.docker_host)
    assert container.ports == (PublishedPort(80, 8080, ""),)


async def test_an_image_whose_name_has_gone_to_a_newer_one_is_asked_for_once(fake_docker: FakeDocker) -> None:
    by_id, gone = entry("a", Image="sha256:" + "16" * 32), entry("b", Image="16" * 6)
    fake_docker.containers = [by_id, gone]
    fake_docker.inspected = {str(by_id["Id"]): {"Config": {"Image": "redroid/redroid:12"}}}
    async with DockerEngine(fake_docker.docker_host) as engine:
        for _ in range(2):
            assert [each.image for each in await engine.containers()] == ["redroid/redroid:12", "16" * 6]
    inspections = [path for path in fake_docker.asked if path.endswith("/json") and "containers/json" not in path]
    assert inspections == [f"/v1.41/containers/{by_id['Id']}/json"]


@pytest.mark.parametrize(
    ("version", "chosen"),
    [
        ({"ApiVersion": "1.41", "MinAPIVersion": "1.12"}, "1.41"),
        ({"ApiVersion": "1.51", "MinAPIVersion": "1.24"}, "1.44"),
        ({"ApiVersion": "1.60", "MinAPIVersion": "1.48"}, "1.48"),
        ({"ApiVersion": "1.40"}, "1.40"),
    ],
)
async def test_the_version_is_one_that_both_speak(
    fake_docker: FakeDocker, version: dict[str, str], chosen: str
) -> None:
    fake_docker.version = version
    await containers(fake_docker.docker_host)
    assert fake_docker.asked == ["/version", f"/v{chosen}/containers/json"]


@pytest.mark.parametrize("version", [{}, [], "1.41", {"ApiVersion": "../.."}, {"ApiVersion": 1.41}, b"<html>", b""])
async def test_an_engine_without_a_version_is_none(fake_docker: FakeDocker, version: Any) -> None:
    fake_docker.version = version
    with pytest.raises(DockerUnavailable, match=r"docker\.sock (does not say which API|answered what is not JSON)"):
        await containers(fake_docker.docker_host)


@pytest.mark.parametrize("listing", [{"message": "?"}, None, "running", b"[", b"[" * 100_000])
async def test_a_list_that_is_none(fake_docker: FakeDocker, listing: Any) -> None:
    fake_docker.containers = listing
    with pytest.raises(DockerUnavailable, match=r"instead of a list|what is not JSON"):
        await containers(fake_docker.docker_host)


async def test_an_answer_without_end(fake_docker: FakeDocker) -> None:
    fake_docker.containers = b"[" + b" " * LARGEST_ANSWER + b"]"
    with pytest.raises(DockerUnavailable, match="more than 33554432 bytes"):
        await containers(fake_docker.docker_host)


async def test_a_container_that_cannot_be_understood_hides_no_other(fake_docker: FakeDocker) -> None:
    strange = [17, {}, entry(Id="../x"), entry(Ports=[{"PrivatePort": 70000}]), entry(Labels={"a": 1})]
    fake_docker.containers = [*strange, entry("redroid-1")]
    with capture_logs() as logs:
        found = await containers(fake_docker.docker_host)
    assert [container.name for container in found] == ["redroid-1"]
    assert len(logs) == len(strange)
    assert "70000" in logs[3]["reason"]


async def test_the_same_strange_container_is_one_line_in_the_log(fake_docker: FakeDocker) -> None:
    fake_docker.containers = [{}]
    with capture_logs() as logs:
        async with DockerEngine(fake_docker.docker_host) as engine:
            for _ in range(3):
                await engine.containers()
    assert len(logs) == 1


TIMEOUT = 20.0

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


class Listing(DockerEngine):
    """An engine whose answers are given, without a socket."""

    def __init__(self, answer: object) -> None:
        super().__init__("unix:///nowhere")
        self.answer = answer

    async def _get(self, path: str, filters: object = None) -> object:
        return self.answer


@given(st.dictionaries(st.sampled_from([*entry()]), JSON, max_size=4))
def test_no_answer_is_too_strange(changed: dict[str, Any]) -> None:
    with capture_logs():
        found = asyncio.run(Listing([entry(**changed)]).containers())
    for container in found:
        assert container.container_id.isalnum()
        assert container.name.isprintable()


@given(JSON)
def test_no_list_is_too_strange(answer: Any) -> None:
    with capture_logs():
        try:
            asyncio.run(Listing(answer).containers())
        except DockerUnavailable:
            assert not isinstance(answer, list)


async def test_a_refusal_is_told_in_the_engines_words(fake_docker: FakeDocker) -> None:
    fake_docker.status = 400
    fake_docker.version = {"message": "client version 1.12 is too old"}
    with pytest.raises(DockerUnavailable, match=r"refuses /version with 400: .*client version 1.12 is too old"):
        await containers(fake_docker.docker_host)


async def test_no_engine_there(tmp_path: Path) -> None:
    with pytest.raises(DockerUnavailable, match=r"no Docker engine at unix:///.*/docker\.sock: No such file"):
        await containers(f"unix://{tmp_path}/docker.sock")


async def test_no_engine_at_a_port() -> None:
    with pytest.raises(DockerUnavailable, match=r"no Docker engine at tcp://127\.0\.0\.1:1: "):
        await containers("tcp://127.0.0.1:1")


async def test_an_engine_that_hangs(fake_docker: FakeDocker) -> None:
    fake_docker.hangs = True
    with pytest.raises(DockerUnavailable, match=r"docker\.sock does not answer within 0\.05 s"):
        await containers(fake_docker.docker_host, answer_timeout=0.05)


async def test_what_answers_is_no_http_server(tmp_path: Path) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await reader.read()
        writer.close()

    path = tmp_path / "docker.sock"
    async with await asyncio.start_unix_server(babble, path):
        with pytest.raises(DockerUnavailable, match="broke off"):
            await containers(f"unix://{path}")


async def test_changes_are_told_at_once_and_after_every_event(fake_docker: FakeDocker) -> None:
    async with DockerEngine(fake_docker.docker_host) as engine, aclosing(engine.changes()) as changes:
        await anext(changes)
        (filters,) = fake_docker.filters
        assert set(filters["type"]) == {"container", "network"}
        assert {"start", "die", "stop", "destroy", "rename", "pause", "unpause"} <= set(filters["event"])
        for text in (b'{"Type":"container"}\n', b"\xff\0 no JSON"):
            await fake_docker.happens(text)
            await anext(changes)
        fake_docker.end_events()
        with pytest.raises(DockerUnavailable, match="has ended its stream of events"):
            await anext(changes)


async def test_quiet_is_looked_into(fake_docker: FakeDocker) -> None:
    engine = DockerEngine(fake_docker.docker_host, longest_quiet=0.01)
    async with engine, aclosing(engine.changes()) as changes:
        for _ in range(3):
            await anext(changes)
        await fake_docker.happens()
        await anext(changes)
    assert len(fake_docker.filters) == 1, "it is still the same stream"


@pytest.mark.adb
async def test_a_real_engine(docker_engine: RunningDocker) -> None:
    async with (
        DockerEngine(docker_engine.docker_host) as engine,
        aclosing(engine.changes()) as changes,
        phone_container(docker_engine, "real-1", labels={"phone": "yes"}) as phone,
    ):
        await anext(changes)

        async def until_found(*expected: tuple[str, str]) -> None:
            """Look after every change until the container has this name and image, or is not there."""
            async with asyncio.timeout(TIMEOUT):
                while True:
                    found = [each for each in await engine.containers() if each.container_id == phone.container_id]
                    if [(each.name, each.image) for each in found] == list(expected):
                        return
                    await anext(changes)

        (container,) = [each for each in await engine.containers() if each.container_id == phone.container_id]
        assert container.has_host_network
        assert container.labels == {"phone": "yes", "media-service.adb-port": str(phone.port)}
        await until_found(("real-1", REDROID_IMAGE))
        await phone.pause()
        await until_found()
        await phone.unpause()
        await phone.rename("real-2")
        await until_found(("real-2", REDROID_IMAGE))
        # As `docker pull` does: the container's image goes on without its name.
        await asyncio.to_thread(docker_engine.import_image, REDROID_IMAGE, marker="newer")
        await until_found(("real-2", REDROID_IMAGE))
        await phone.stop()
        await until_found()

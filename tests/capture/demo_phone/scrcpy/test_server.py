"""scrcpy's server on the demo phone from its start to its end, without adb between."""

import re

import pytest

from capture.demo_phone.phone import Phone, PhoneSpec
from capture.demo_phone.scrcpy.jar import make_jar
from tests.capture.demo_phone.scrcpy.client import JAR, SOCKET, Connection, command_line, server
from tests.capture.demo_phone.shell_run import run
from tests.waiting import until

QUIET = "audio=false control=false log_level=warn"


@pytest.fixture
def phone(request: pytest.FixtureRequest) -> Phone:
    return Phone(getattr(request, "param", PhoneSpec(width=240, height=320)))


async def test_without_its_file_android_aborts(phone: Phone) -> None:
    ended = await run(phone, command_line("3.3.4"))
    assert (ended.exit_code, ended.output, ended.errors) == (134, b"", b"Aborted \n")


@pytest.mark.parametrize("line", ["app_process / com.genymobile.scrcpy.CleanUp", "app_process / x", "app_process"])
async def test_other_programs_abort_too(phone: Phone, line: str) -> None:
    phone.files.write(JAR, make_jar("3.3.4"), 0o644, 0)
    assert (await run(phone, f"CLASSPATH={JAR} {line}")).exit_code == 134


async def test_a_client_of_another_version_is_refused(phone: Phone) -> None:
    async with server(phone, "3.3.3", jar="3.3.4") as running:
        assert await running.ended() == 1
    first, second, *places = running.run.errors.decode().splitlines()
    message = "The server version (3.3.4) does not match the client (3.3.3)"
    assert (first, second) == (f"[server] ERROR: {message}", f"java.lang.IllegalArgumentException: {message}")
    assert places
    assert all(place.startswith("\tat ") for place in places)


@pytest.mark.parametrize("version", ["2.7", "5.0"])
async def test_versions_that_are_not_emulated_say_so(phone: Phone, version: str) -> None:
    async with server(phone, version) as running:
        assert await running.ended() == 1
    assert f"the demo phone emulates scrcpy 3 and 4, not {version}" in running.run.errors.decode()


async def test_what_it_prints_when_it_begins(phone: Phone) -> None:
    async with server(phone, "3.3.4", "nonsense=1") as running:
        await until(lambda: phone.sockets)
    assert running.run.output == b"[server] INFO: Device: [Demo] Demo Demo Phone (Android 13)\n"
    assert running.run.errors == b"[server] WARN: Unknown server option: nonsense\n"


async def test_it_listens_for_as_many_connections_as_it_wants(phone: Phone) -> None:
    async with server(phone, "3.3.4") as running:
        await running.connect(2, name=False)
        assert SOCKET in phone.sockets
        service = phone.sockets[SOCKET]
        await running.connect(1, name=False)
        await until(lambda: not phone.sockets)
        late = Connection(service)
        with pytest.raises(EOFError):
            await late.read(1)


async def test_the_dummy_byte_comes_before_the_other_connections(phone: Phone) -> None:
    async with server(phone, "3.3.4") as running:
        (video,) = await running.connect(1, name=False)
        assert await video.read(1) == b"\0"
        await running.connect(2, name=False)
        assert await video.read(64) == b"Demo Phone".ljust(64, b"\0")


async def test_without_metadata_there_is_nothing_but_h264(phone: Phone) -> None:
    async with server(phone, "4.1", QUIET, "raw_stream=true") as running:
        (video,) = await running.connect(1, name=False)
        assert (await video.read(5))[:4] == b"\0\0\0\1"


async def test_a_socket_of_the_same_name_cannot_be_had_twice(phone: Phone) -> None:
    async with server(phone, "3.3.4") as running:
        await until(lambda: phone.sockets)
        ended = await run(phone, command_line("3.3.4"))
        assert ended.exit_code == 1
        assert b"java.io.IOException: Address already in use" in ended.errors
        assert SOCKET in phone.sockets
        assert running.run.exit_code is None


async def test_several_servers_at_once(phone: Phone) -> None:
    async with server(phone, "3.3.4", QUIET) as first:
        await (await first.video()).pictures(2)
        async with server(phone, "3.3.4", QUIET) as second:
            await (await second.video()).pictures(2)
            assert len(phone.processes.named("app_process")) == 2


async def test_without_a_number_the_socket_has_a_plain_name(phone: Phone) -> None:
    async with server(phone, "3.3.4", "scid=-1"):
        await until(lambda: "localabstract:scrcpy" in phone.sockets)


async def test_a_reverse_tunnel_needs_somebody_who_listens(phone: Phone) -> None:
    async with server(phone, "3.3.4", "tunnel_forward=false") as running:
        assert await running.ended() == 1
    assert b"java.io.IOException: Connection refused" in running.run.errors


@pytest.mark.parametrize("which", [0, 2])
async def test_it_ends_when_the_client_closes_video_or_control(phone: Phone, which: int) -> None:
    async with server(phone, "4.1") as running:
        connections = await running.connect(3)
        await connections[which].close()
        assert await running.ended() == 0
        await until(lambda: all(connection.is_closed for connection in connections))


async def test_it_goes_on_without_sound_when_the_client_closes_that(phone: Phone) -> None:
    async with server(phone, "4.1") as running:
        _, audio, _ = await running.connect(3)
        await audio.close()
        await until(lambda: b"Audio encoder stopped" in running.run.output)
        await (await running.video()).pictures(3)


@pytest.mark.parametrize("command", ["pkill app_process", "pkill -9 app_proc", "kill -9 $(pid)"])
async def test_it_can_be_killed(phone: Phone, command: str) -> None:
    async with server(phone, "3.3.4", QUIET) as running:
        await (await running.video()).pictures(2)
        (process,) = phone.processes.named("app_process")
        assert (await run(phone, command.replace("$(pid)", str(process.pid)))).exit_code == 0
        assert await running.ended() in (128 + 9, 128 + 15)
        await until(lambda: running.connections[0].is_closed)


async def test_cleaning_up_removes_its_file_at_once(phone: Phone) -> None:
    async with server(phone, "3.3.4", "cleanup=true"):
        await until(lambda: phone.sockets)
        assert phone.files.find(JAR) is None
    async with server(phone, "3.3.4", "cleanup=true", "list_encoders=true") as running:
        assert await running.ended() == 0
        assert phone.files.find(JAR) is None


async def test_the_screen_can_be_switched_off_in_the_end(phone: Phone) -> None:
    async with server(phone, "3.3.4", "cleanup=true", "power_off_on_close=true") as running:
        await running.connect(3)
        assert phone.is_on
    assert not phone.is_on


async def test_the_list_of_encoders(phone: Phone) -> None:
    phone.faults.no_opus = True
    async with server(phone, "3.3.4", "list_encoders=true") as running:
        assert await running.ended() == 0
    *_, video, encoder, audio = running.run.output.decode().splitlines()
    assert (video, audio) == ("[server] INFO: List of video encoders:", "[server] INFO: List of audio encoders:")
    assert re.fullmatch(r"    --video-codec=h264 --video-encoder=c2.android.avc.encoder +\(sw\)", encoder)


async def test_the_list_of_displays(phone: Phone) -> None:
    async with server(phone, "3.3.4", "list_displays=true") as running:
        assert await running.ended() == 0
    assert running.run.output.decode().splitlines()[-1] == "    --display-id=0    (240x320)"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("video_source=camera", "Could not find any matching camera"),
        ("display_id=7", "Display 7 not found\nList of displays:\n    --display-id=0    (240x320)"),
        ("new_display=100x100", "The demo phone has nothing for new_display"),
    ],
)
async def test_what_cannot_be_shown_ends_it_with_a_word(phone: Phone, option: str, words: str) -> None:
    async with server(phone, "3.3.4", option) as running:
        assert await running.ended() == 0
    assert running.run.errors.decode() == f"[server] ERROR: {words}\n"


async def test_a_phone_that_boots_has_no_services_yet(phone: Phone) -> None:
    phone.is_booting = True
    async with server(phone, "3.3.4") as running:
        assert await running.ended() == 1


async def test_its_name_among_the_processes(phone: Phone) -> None:
    async with server(phone, "3.3.4"):
        await until(lambda: phone.sockets)
        listed = (await run(phone, "ps -A")).output.decode()
        assert [line.split()[-1] for line in listed.splitlines()[1:]] == ["app_process", "ps"]


@pytest.mark.parametrize("connections", range(4))
async def test_nothing_is_left_when_the_shell_is_closed(phone: Phone, connections: int) -> None:
    """`server` sees to it that nothing is; here it is ended with so many connections made."""
    async with server(phone, "3.3.4") as running:
        await running.connect(connections, name=connections == 3)
        assert len(phone.processes.named("app_process")) == 1

"""`scripts/install`, the units and `scripts/uninstall` on a throwaway host with a real systemd."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fixtures.throwaway_host import NoThrowawayHost, ThrowawayHost, throwaway_host

ROOT = Path(__file__).parents[2]
CHECKOUT = "/srv/checkout"
CONFIGURATION = "/etc/media-service/media-service.env"

pytestmark = pytest.mark.timeout(180)

HASTE = "[Service]\nWatchdogSec=5s\nTimeoutAbortSec=1s\nTimeoutStopSec=1s\nRestartSec=100ms"

STAND_IN = """#!/bin/sh
systemd-notify --ready
exec sleep infinity
"""


@pytest.fixture(scope="module")
def installed_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `scripts/install` makes of uv.lock, for all tests."""
    if shutil.which("systemctl") is None or os.geteuid() != 0:
        pytest.skip("a throwaway host needs root and systemd")
    folder = tmp_path_factory.mktemp("package")
    subprocess.run(
        [ROOT / "scripts" / "install"],
        env={**os.environ, "DESTDIR": str(folder), "PREFIX": "/opt/media-service"},
        check=True,
        timeout=170,
    )
    return folder / "opt" / "media-service" / "venv"


def boot(stack: ExitStack, folder: Path, *bindings: tuple[Path, str]) -> ThrowawayHost:
    try:
        host = stack.enter_context(throwaway_host(folder, (ROOT, CHECKOUT), (ROOT, str(ROOT)), *bindings))
    except NoThrowawayHost as error:
        pytest.skip(str(error))
    host.ask("systemctl", "start", "systemd-journald")
    return host


def install(host: ThrowawayHost, **environment: str) -> str:
    done = host.run("scripts/install", folder=CHECKOUT, environment={"INSTALL_VENV": "0", **environment})
    assert done.returncode == 0, done.stdout
    return done.stdout


def shown(host: ThrowawayHost, name: str, unit: str = "media-service") -> str:
    return host.ask("systemctl", "show", unit, "--value", "-p", name)


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def set_line(host: ThrowawayHost, text: str, file: str = CONFIGURATION) -> None:
    host.ask("sh", "-c", f'printf "%s\\n" "$0" >>{file}', text)


def journal(host: ThrowawayHost, unit: str = "media-service") -> str:
    return host.ask("journalctl", "--no-pager", "-o", "cat", "-u", unit)


@pytest.fixture(scope="module")
def host(installed_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayHost]:
    """With media-service installed and running, a phone that it keeps connected, and without authentication."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("host")
        host = boot(stack, folder, (installed_packages, "/opt/media-service/venv"))
        install(host)
        host.ask("sed", "-i", "s/^JWT_SECRET=.*/#&/", CONFIGURATION)
        set_line(host, "ADB_DEVICES=phone=127.0.0.1:5555")
        set_line(host, "DRAIN_TIMEOUT=3s")
        # As in the guide, though systemd hands the comment on.
        set_line(host, "VIDEO_BITRATE=2000000  # 2 Mbps")
        drop_in = "/etc/systemd/system/media-service.service.d"
        host.ask("mkdir", "-p", drop_in)
        set_line(host, HASTE, f"{drop_in}/hasty.conf")
        phone = [sys.executable, "-m", "capture.demo_phone", "--port", "5555"]
        host.ask("systemd-run", "--quiet", "--unit=phone", f"--working-directory={CHECKOUT}", *phone)
        host.ask("systemctl", "daemon-reload")
        host.ask("systemctl", "enable", "--now", "media-service")
        yield host


@pytest.mark.network
def test_the_service_is_up_when_systemd_says_so(host: ThrowawayHost) -> None:
    assert shown(host, "ActiveState") == "active"
    assert "127.0.0.1:30006" in shown(host, "StatusText")
    assert host.ask("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:30006/") == "200"


@pytest.mark.network
def test_it_has_no_rights(host: ThrowawayHost) -> None:
    main = shown(host, "MainPID")
    assert host.ask("ps", "-o", "user:20=", "-p", main).strip() == "cloudphone"
    status = dict(re.findall(r"^(\w+):\s+(.*)$", host.ask("cat", f"/proc/{main}/status"), re.MULTILINE))
    assert {name: int(status[name], 16) for name in ("CapEff", "CapBnd", "CapAmb")} == dict.fromkeys(
        ("CapEff", "CapBnd", "CapAmb"), 0
    )
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    folders = "/etc /opt/media-service /usr /var/lib /var/lib/media-service /var/log/media-service /root /tmp"
    probing = f'for folder in {folders}; do touch "$folder/probe" 2>/dev/null && echo "$folder"; done; true'
    # Root in its mounts: what is read-only is so for everybody.
    writable = host.ask("nsenter", "-t", main, "-m", "-r", "-w", "sh", "-c", probing)
    assert writable.split() == ["/var/lib/media-service", "/var/log/media-service", "/tmp"]


@pytest.mark.network
@pytest.mark.adb
def test_a_phone_is_watched_through_adb_and_udp(host: ThrowawayHost) -> None:
    watching = [sys.executable, "-m", "tests.deploy.watcher", "http://127.0.0.1:30006/", "127.0.0.1:5555", "30"]
    done = host.run(*watching, folder=CHECKOUT)
    assert done.stdout == "30 pictures of 720x1280\n", done.stdout + journal(host)
    # The key that phones know the service by outlives it.
    assert host.ask("stat", "-c", "%U %a", "/var/lib/media-service/.android/adbkey") == "cloudphone 600"


@pytest.mark.network
def test_the_command_reads_the_same_file(host: ThrowawayHost) -> None:
    asking = ["setpriv", "--reuid=cloudphone", "--regid=cloudphone", "--init-groups", "media-service", "config"]
    table = host.ask(*asking, folder="/etc/media-service")
    assert re.search(r"^VIDEO_BITRATE +2000000 +\.env$", table, re.MULTILINE)


@pytest.mark.network
def test_another_instance_beside_it(host: ThrowawayHost) -> None:
    set_line(host, "PORT=30007", "/etc/media-service/2.env")
    host.ask("systemctl", "start", "media-service@2")
    listening = host.ask("ss", "-Hlntup")
    for unit, port, media_port in (("media-service", 30006, 50000), ("media-service@2", 30007, 50001)):
        main = shown(host, "MainPID", unit)
        assert re.search(rf"127\.0\.0\.1:{port} .*pid={main}\b", listening)
        assert re.search(rf"udp .*127\.0\.0\.1:{media_port} .*pid={main}\b", listening)
    assert len(re.findall(r"127\.0\.0\.1:5037 ", listening)) == 1, "one adb server for both"
    assert "LOG_FILE=/var/log/media-service/app-2.log" in shown(host, "Environment", "media-service@2").split()
    host.ask("systemctl", "stop", "media-service@2")


@pytest.mark.network
def test_an_instance_without_a_file_of_its_own_does_not_start(host: ThrowawayHost) -> None:
    assert host.run("systemctl", "start", "media-service@3").returncode == 1, "it would take the first one's port"
    host.ask("systemctl", "stop", "media-service@3")


@pytest.mark.network
def test_bad_settings_are_said_in_the_journal(host: ThrowawayHost) -> None:
    set_line(host, "VIDEO_FRAMERATE=many", "/etc/media-service/4.env")
    assert host.run("systemctl", "start", "media-service@4").returncode == 1
    until(lambda: "VIDEO_FRAMERATE = 'many' (environment): it must be" in journal(host, "media-service@4"), "no word")
    host.ask("systemctl", "stop", "media-service@4")


@pytest.mark.network
def test_a_stuck_event_loop_is_ended_and_started_anew(host: ThrowawayHost) -> None:
    assert shown(host, "NRestarts") == "0", "one that turns is left alone"
    before = shown(host, "MainPID")
    # A process that is stopped is as stuck as one can be.
    host.ask("kill", "-STOP", before)
    until(lambda: shown(host, "NRestarts") == "1" and shown(host, "ActiveState") == "active", journal(host))
    assert shown(host, "MainPID") != before
    assert host.run("ps", "-p", before).returncode == 1


@pytest.mark.network
@pytest.mark.adb
def test_it_ends_in_order(host: ThrowawayHost) -> None:
    joined = journal(host).count("viewer joined")
    watching = [sys.executable, "-m", "tests.deploy.watcher", "http://127.0.0.1:30006/", "127.0.0.1:5555", "100000"]
    host.ask("systemd-run", "--quiet", "--unit=viewer", f"--working-directory={CHECKOUT}", *watching)
    until(lambda: journal(host).count("viewer joined") > joined, "nobody watches")
    begun = time.monotonic()
    host.ask("systemctl", "stop", "media-service")
    # The viewer may stay as long as the settings say, though the unit gives it 1 s.
    assert time.monotonic() - begun > 2.5
    assert (shown(host, "Result"), shown(host, "ExecMainCode"), shown(host, "ExecMainStatus")) == ("success", "1", "0")
    assert host.run("pgrep", "-u", "cloudphone").stdout == "", "nor is its adb server left"


@pytest.fixture
def bare_host(tmp_path: Path) -> Iterator[ThrowawayHost]:
    """With a stand-in for the program, which only tells systemd that it is ready."""
    folder = tmp_path / "host"
    folder.mkdir()
    with ExitStack() as stack:
        host = boot(stack, folder)
        host.ask("mkdir", "-p", "/opt/media-service/venv/bin")
        program = "/opt/media-service/venv/bin/media-service"
        host.ask("sh", "-c", f'printf "%s" "$0" >{program} && chmod 755 {program}', STAND_IN)
        for unit in ("media-service", "media-service@"):
            drop_in = f"/run/systemd/system/{unit}.service.d"
            host.ask("mkdir", "-p", drop_in)
            # Its word comes from a child of the main process, and it says nothing more.
            set_line(host, "[Service]\nNotifyAccess=all\nWatchdogSec=0", f"{drop_in}/stand-in.conf")
        yield host


def files_of(host: ThrowawayHost) -> set[str]:
    """Everything in the host's own layer that may be ours."""
    found = host.ask(
        *("find", "/etc", "/opt", "/usr/local", "/usr/lib/systemd", "/var/lib", "/var/log", "-xdev"),
        *("(", "-path", "*media-service*", "-o", "-name", "*cloudphone*", ")", "-not", "-path", "*/journal/*"),
    )
    return set(found.split())


def test_installing_starts_nothing_and_makes_what_the_unit_needs(bare_host: ThrowawayHost) -> None:
    said = install(bare_host)
    assert "sudo systemctl enable --now media-service" in said
    bare_host.ask("systemctl", "daemon-reload")
    assert bare_host.run("systemctl", "is-enabled", "media-service").stdout.strip() == "disabled"
    assert shown(bare_host, "ActiveState") == "inactive"
    assert bare_host.ask("stat", "-c", "%U %G %a", CONFIGURATION) == "root cloudphone 640"
    user, groups = bare_host.ask("getent", "passwd", "cloudphone").split(":"), bare_host.ask("id", "-Gn", "cloudphone")
    assert user[5:] == ["/var/lib/media-service", "/usr/sbin/nologin"]
    assert set(groups.split()) == {"cloudphone", "render", "video", "plugdev"}


def test_the_secret_is_long_and_everybody_has_another(bare_host: ThrowawayHost) -> None:
    secrets = set()
    for _ in range(2):
        install(bare_host)
        (secret,) = re.findall(r"^JWT_SECRET=(.*)$", bare_host.ask("cat", CONFIGURATION), re.MULTILINE)
        assert re.fullmatch(r"[A-Za-z0-9+/]{64}", secret)
        secrets.add(secret)
        bare_host.ask("rm", CONFIGURATION)
    assert len(secrets) == 2


def test_installing_again_keeps_the_configuration_and_says_what_to_restart(bare_host: ThrowawayHost) -> None:
    install(bare_host)
    set_line(bare_host, "PORT=30010")
    before = bare_host.ask("cat", CONFIGURATION)
    bare_host.ask("systemctl", "daemon-reload")
    bare_host.ask("systemctl", "enable", "--now", "media-service")
    assert 'systemctl restart "media-service*"' in install(bare_host)
    assert bare_host.ask("cat", CONFIGURATION) == before
    assert shown(bare_host, "ActiveState") == "active"


def test_the_docker_drop_in_gives_the_group(bare_host: ThrowawayHost) -> None:
    install(bare_host)
    folder = "/etc/systemd/system/media-service.service.d"
    bare_host.run("groupadd", "--system", "docker")
    bare_host.ask("install", "-D", "-m644", "/opt/media-service/share/systemd/docker.conf", f"{folder}/docker.conf")
    bare_host.ask("systemctl", "daemon-reload")
    bare_host.ask("systemctl", "start", "media-service")
    number = bare_host.ask("getent", "group", "docker").split(":")[2]
    assert number in bare_host.ask("grep", "Groups", f"/proc/{shown(bare_host, 'MainPID')}/status").split()


@pytest.mark.parametrize("purge", ["0", "1"], ids=["keeps the configuration", "purges"])
def test_uninstalling_leaves_nothing_behind(bare_host: ThrowawayHost, purge: str) -> None:
    before = files_of(bare_host) - {"/opt/media-service/venv/bin/media-service"}
    install(bare_host)
    set_line(bare_host, "PORT=30007", "/etc/media-service/2.env")
    bare_host.ask("systemctl", "daemon-reload")
    bare_host.ask("systemctl", "enable", "--now", "media-service@2")
    done = bare_host.run("scripts/uninstall", folder=CHECKOUT, environment={"PURGE": purge})
    assert done.returncode == 0, done.stdout
    left = files_of(bare_host) - before
    configuration = {f"/etc/media-service/{name}" for name in ("media-service.env", ".env", "2.env")}
    kept = {"/etc/media-service", "/var/lib/media-service", "/var/log/media-service", *configuration}
    assert left == (set() if purge == "1" else kept)
    assert bare_host.run("pgrep", "-u", "cloudphone").stdout.strip() in ("", "pgrep: invalid user name: cloudphone")
    assert bare_host.run("id", "cloudphone").returncode == (1 if purge == "1" else 0)
    assert bare_host.run("systemctl", "cat", "media-service@2").returncode != 0
    # Again, with nothing there.
    again = bare_host.run("scripts/uninstall", folder=CHECKOUT, environment={"PURGE": purge})
    assert again.returncode == 0, again.stdout

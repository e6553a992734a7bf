"""`scripts/bootstrap` on servers that lack this or that: a copy of the sources, a PATH of chosen commands only."""

import os
import shutil
import subprocess
import sys
from glob import glob
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = Path(sys.base_prefix) / "bin" / "python3"
MODERN_UV = 'if [ "$1" = --version ]; then echo "uv 0.13.9"; fi'


def programs(of: str) -> dict[str, str]:
    """The packages that a list of the script names, by the first of the commands that they bring."""
    text = (ROOT / "scripts" / "bootstrap").read_text(encoding="utf-8")
    lines = text.split(f"\n{of}='\n")[1].split("'\n")[0].split()
    return {line.partition("=")[0].split(",")[0]: line.partition("=")[2] for line in lines}


def missing_packages(of: str) -> list[str]:
    """Those that the script installs on a server without commands of its own."""
    return [package for name, package in programs(of).items() if not is_on_this_machine(name)]


def is_on_this_machine(name: str) -> bool:
    """Whether the script finds it whatever the PATH: files it looks for where they are, and commands in two folders."""
    patterns = [name] if name.startswith("/") else [f"/usr/sbin/{name}", f"/sbin/{name}"]
    return any(glob(pattern) for pattern in patterns)


class Server:
    """A fresh server, with the sources and no more than what every system has."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / "media-service"
        self.home = folder / "home"
        self.commands = folder / "bin"
        self.calls = folder / "calls"
        """What the commands made by `script` were called with, a line each."""
        for path in (self.sources, self.home, self.commands):
            path.mkdir()
        for tool in ("cat", "dirname", "env", "grep", "mkdir", "mktemp", "mv", "rm", "sh", "tr"):
            found = shutil.which(tool)
            assert found, f"every POSIX system has {tool}"
            (self.commands / tool).symlink_to(found)
        for name in ("pyproject.toml", "uv.lock", "README.md", "CHANGELOG.md", "LICENSE"):
            shutil.copy2(ROOT / name, self.sources)
        for name in ("scripts", "encoders", "capture", "signaling", "media_service"):
            shutil.copytree(ROOT / name, self.sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.script("id", "echo 1000")

    def script(self, name: str, body: str, *, folder: Path | None = None) -> None:
        """A command that notes its call and then does `body`."""
        path = (folder or self.commands) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.calls}"\n{body}\n')
        path.chmod(0o755)

    def script_programs(self, but: str) -> list[str]:
        """Have every command that tests drive, `but` one; the packages of the files that this machine lacks."""
        names = [name for name in programs("test_programs") if name != but]
        for name in names:
            if not name.startswith("/"):
                self.script(name, "")
        return [programs("test_programs")[name] for name in names if name[0] == "/" and not is_on_this_machine(name)]

    def bootstrap(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        caches = {"UV_CACHE_DIR": Path.home() / ".cache/uv", "PIP_CACHE_DIR": Path.home() / ".cache/pip"}
        return subprocess.run(
            [self.sources / "scripts" / "bootstrap", *arguments],
            cwd=self.home,
            env={name: str(path) for name, path in caches.items()}
            | dict(os.environ)
            | {"PATH": str(self.commands), "HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )

    def called(self, command: str) -> list[str]:
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if line.startswith(command)]


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "options"), [([], "--locked --inexact --no-dev"), (["dev"], "--locked --inexact")]
)
def test_takes_the_uv_of_the_path_and_only_what_is_needed(server: Server, arguments: list[str], options: str) -> None:
    server.script("uv", MODERN_UV)
    done = server.bootstrap(*arguments)
    assert (done.returncode, done.stderr) == (0, "bootstrap: installing packages into .venv\n")
    assert server.called("uv sync") == [f"uv sync {options}"]


def test_takes_the_uv_of_the_home_folder_over_one_that_is_too_old(server: Server) -> None:
    server.script("uv", 'echo "uv 0.4.20"')
    server.script("uv", MODERN_UV, folder=server.home / ".local" / "bin")
    assert server.bootstrap().returncode == 0
    assert len(server.called("uv sync")) == 1


def test_has_uv_download_python_where_it_is_too_old(server: Server) -> None:
    server.script("uv", f'{MODERN_UV}\n[ "$1" != python ]')
    done = server.bootstrap()
    assert done.returncode == 0
    assert "no Python 3.11 or newer here" in done.stderr
    assert server.called("uv sync") == ["uv sync --locked --inexact --no-dev --python 3.13"]


def test_says_what_to_do_where_python_is_too_old_and_cannot_be_downloaded(server: Server) -> None:
    server.script("uv", f'{MODERN_UV}\n[ "$1" = --version ]')
    done = server.bootstrap()
    assert done.returncode == 1
    assert "install Python 3.11 or newer" in done.stderr.splitlines()[-1]


def test_without_pip_and_rights_names_the_command_that_helps(server: Server) -> None:
    server.script("python3", "exit 1")
    server.script("apt-get", "")
    done = server.bootstrap()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "bootstrap: an administrator has to run this first: sudo apt-get update && sudo apt-get install -y python3-venv"
    )
    assert server.called("apt-get") == []
    assert list((server.sources / ".tools").iterdir()) == []


def test_without_apt_get_names_what_is_missing(server: Server) -> None:
    server.script("id", "echo 0")
    done = server.bootstrap()
    assert done.returncode == 1
    assert "no apt-get here: install what Debian calls python3-venv" in done.stderr


def test_uses_sudo_where_it_asks_no_password(server: Server) -> None:
    server.script("uv", MODERN_UV)
    server.script("sudo", 'shift; exec "$@"')
    server.script("apt-get", "")
    server.script("true", "")
    done = server.bootstrap("test")
    if "snap" not in done.stderr:  # Ubuntu's Chromium is no Debian package.
        assert done.returncode == 0, done.stderr
        packages = " ".join(missing_packages("test_programs"))
        assert server.called("apt-get") == [
            f"apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends {packages}"
        ]


def test_root_gets_what_only_root_can_test_with(server: Server) -> None:
    server.script("uv", MODERN_UV)
    server.script("id", "echo 0")
    server.script("apt-get", "")
    files = server.script_programs(but="")
    done = server.bootstrap("test")
    assert done.returncode == 0, done.stderr
    expected = [*files, *missing_packages("root_test_programs")]
    asked_for = [line.partition("--no-install-recommends ")[2].split() for line in server.called("apt-get")]
    assert asked_for == ([expected] if expected else [])


def test_says_why_apt_get_could_not_install(server: Server) -> None:
    server.script("id", "echo 0")
    server.script("apt-get", "echo E: the disk is full; exit 100")
    done = server.bootstrap()
    assert done.returncode == 1
    assert "E: the disk is full" in done.stderr
    assert len(server.called("apt-get")) == 2, "installed, then updated"


def test_is_content_with_a_browser_that_is_there(server: Server) -> None:
    server.script("uv", MODERN_UV)
    server.script("apt-get", "")
    server.script("id", "echo 0")
    server.script("google-chrome", "")
    files = server.script_programs(but="chromium")
    assert server.bootstrap("test").returncode == 0
    assert "chromium" not in " ".join(server.called("apt-get"))
    assert bool(server.called("apt-get")) == bool(files or missing_packages("root_test_programs"))


@pytest.mark.network
@pytest.mark.skipif(not (find_spec("pip") or find_spec("ensurepip")), reason="this Python can install no packages")
def test_makes_a_working_service_on_a_server_without_pip_and_uv(server: Server) -> None:
    server.script("id", "echo 0")
    server.script("python3", "exit 1")
    server.script(
        "apt-get",
        # As on a fresh server: nothing can be installed before the first update.
        f"""case "$*" in
        *update) : >"{server.home}/updated" ;;
        *) [ -e "{server.home}/updated" ] && ln -sf "{PYTHON}" "{server.commands}/python3" ;;
        esac""",
    )
    (server.commands / "ln").symlink_to(str(shutil.which("ln")))
    done = server.bootstrap()
    assert done.returncode == 0, done.stderr
    assert [line.split()[5] for line in server.called("apt-get")] == ["install", "update", "install"]
    assert sorted(path.name for path in (server.sources / ".tools").iterdir()) == ["apt.log", "uv"]
    program = server.sources / ".venv" / "bin" / "media-service"
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout == f"media-service {version('media-service')}\n"

    again = server.bootstrap()
    assert (again.returncode, again.stderr) == (0, "")

"""`scripts/install` and `scripts/uninstall` into a folder, as who makes packages uses them."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(script: str, destination: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / script],
        env={**os.environ, "DESTDIR": str(destination), "INSTALL_VENV": "0", **environment},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )


def installed(destination: Path, **environment: str) -> None:
    done = run("install", destination, **environment)
    assert done.returncode == 0, done.stdout


def tree(folder: Path) -> dict[str, str]:
    """What is under it, and what is in that."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_text()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_what_is_put_where(tmp_path: Path) -> None:
    installed(tmp_path)
    assert tree(tmp_path).keys() >= {
        "etc/media-service/media-service.env",
        "etc/media-service/.env",
        "etc/systemd/system/media-service.service",
        "etc/systemd/system/media-service@.service",
        "etc/sysusers.d/media-service.conf",
        "etc/sysctl.d/60-media-service.conf",
        "etc/logrotate.d/media-service",
        "opt/media-service/share/README.md",
        "opt/media-service/share/nginx/media-service.conf",
        "opt/media-service/share/systemd/docker.conf",
        "usr/local/bin/media-service",
    }
    configuration = tmp_path / "etc/media-service/media-service.env"
    assert stat.S_IMODE(configuration.stat().st_mode) == 0o640
    assert configuration.read_text() == (ROOT / "systemd/media-service.env").read_text(), "no secret in a package"


def test_another_prefix(tmp_path: Path) -> None:
    installed(tmp_path, PREFIX="/srv/media")
    found = tree(tmp_path)
    assert "ExecStart=/srv/media/venv/bin/media-service run" in found["etc/systemd/system/media-service.service"]
    assert found["usr/local/bin/media-service"] == "/srv/media/venv/bin/media-service"
    assert [name for name, text in found.items() if "/opt/media-service" in text] == []


def test_again_it_is_the_same_and_the_configuration_is_kept(tmp_path: Path) -> None:
    installed(tmp_path)
    configuration = tmp_path / "etc/media-service/media-service.env"
    configuration.write_text("PORT=30010\n")
    (tmp_path / "etc/systemd/system/media-service.service").write_text("an older one\n")
    installed(tmp_path)
    assert configuration.read_text() == "PORT=30010\n"
    once = tree(tmp_path)
    assert once["etc/systemd/system/media-service.service"] == (ROOT / "systemd/media-service.service").read_text()
    installed(tmp_path)
    assert tree(tmp_path) == once


def test_uninstalling_takes_what_was_put(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_text("127.0.0.1 localhost\n")
    installed(tmp_path)
    (tmp_path / "opt/media-service/venv/bin").mkdir(parents=True)
    (tmp_path / "opt/media-service/mine").write_text("not yours\n")
    assert run("uninstall", tmp_path).returncode == 0
    assert tree(tmp_path).keys() == {
        "etc/hosts",
        "etc/media-service/media-service.env",
        "etc/media-service/.env",
        "opt/media-service/mine",
    }
    assert not (tmp_path / "opt/media-service/venv").exists()
    assert run("uninstall", tmp_path, PURGE="1").returncode == 0
    assert tree(tmp_path).keys() == {"etc/hosts", "opt/media-service/mine"}


def test_a_folder_that_was_never_installed_to_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "usr/local/python/precious"
    precious.parent.mkdir(parents=True)
    precious.touch()
    done = run("uninstall", tmp_path, PREFIX="/usr/local")
    assert done.returncode == 0
    assert "there is no media-service in /usr/local" in done.stdout
    assert precious.exists()


@pytest.mark.parametrize(
    "prefix",
    [
        *("opt/media", "/opt", "/", "/opt/media/", "/opt//media", "/opt/../etc", "/opt/a b", "/opt/a,b", "/opt/$(id)"),
        *("/usr/local", "/home/me/media", "/root/media", "/tmp/media", "/etc/media"),
    ],
)
def test_a_prefix_that_cannot_be_is_refused(tmp_path: Path, prefix: str) -> None:
    done = run("install", tmp_path, PREFIX=prefix)
    assert done.returncode == 1
    assert done.stdout.startswith(f"install: PREFIX={prefix}: ")
    assert list(tmp_path.iterdir()) == []


def test_a_relative_destination_is_refused() -> None:
    done = run("install", Path("somewhere"))
    assert (done.returncode, done.stdout) == (1, "install: DESTDIR=somewhere: it must be an absolute path\n")


@pytest.mark.parametrize("script", ["install", "uninstall"])
def test_a_host_is_changed_by_root_only(script: str, tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    done = subprocess.run(
        [ROOT / "scripts" / script],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (1, f"{script}: this needs root: sudo make {script}\n")


@pytest.mark.parametrize("script", ["install", "uninstall"])
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_scripts_are_posix_shell(script: str, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    options = ["--posix"] if shell == "bash" else []
    subprocess.run([shell, *options, "-n", ROOT / "scripts" / script], check=True, timeout=60)

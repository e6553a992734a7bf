"""The units, the example of the settings and what else lies in `systemd/`, without a systemd that runs."""

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from media_service import configuration
from media_service.settings import Settings

ROOT = Path(__file__).parents[2]
UNIT, TEMPLATE = (ROOT / "systemd" / name for name in ("media-service.service", "media-service@.service"))
EXAMPLE = ROOT / "systemd" / "media-service.env"

needs_systemd_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")


def entries(unit: Path) -> Mapping[str, list[str]]:
    """Every key's values, in order."""
    found = defaultdict(list)
    for line in unit.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with the units, the program they run and the user they run it as."""
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    for unit in (UNIT, TEMPLATE):
        shutil.copy(unit, units)
    (units / "media-service.service.d").mkdir()
    shutil.copy(ROOT / "systemd" / "docker.conf", units / "media-service.service.d")
    program = tmp_path / "opt" / "media-service" / "venv" / "bin" / "media-service"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for target in ("sysinit", "basic", "shutdown", "network-online", "multi-user"):
        (units / f"{target}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    for slice_ in ("system", "system-media\\x2dservice", "-"):
        (units / f"{slice_}.slice").write_text("[Unit]\nDefaultDependencies=no\n")
    return tmp_path


@needs_systemd_analyze
@pytest.mark.parametrize("unit", ["media-service.service", "media-service@2.service"])
def test_systemd_understands_the_unit(tree: Path, unit: str) -> None:
    done = analyze("verify", f"--root={tree}", "--man=no", unit)
    # Older ones than 254 do not know these, and say so; the unit says that they do.
    complaints = [line for line in done.stdout.splitlines() if not re.search("RestartSteps|RestartMaxDelaySec", line)]
    assert complaints == []
    assert done.returncode == 0


@needs_systemd_analyze
@pytest.mark.parametrize("unit", ["media-service.service", "media-service@2.service"])
def test_little_is_exposed(tree: Path, unit: str) -> None:
    done = analyze("security", "--offline=true", "--threshold=20", "--no-pager", f"--root={tree}", unit)
    assert done.returncode == 0, done.stdout
    # It is the drop-ins and the exceptions that were judged.
    assert "char-drm:rw" in done.stdout


def test_what_the_units_do_is_the_same() -> None:
    one, many = entries(UNIT), entries(TEMPLATE)
    own = {"Description", "EnvironmentFile", "Environment", "SyslogIdentifier"}
    assert {key: value for key, value in one.items() if key not in own} == {
        key: value for key, value in many.items() if key not in own
    }
    assert many["EnvironmentFile"] == [*one["EnvironmentFile"], "/etc/media-service/%i.env"]


def test_the_stop_is_given_the_time_that_it_takes() -> None:
    stop = entries(UNIT)["TimeoutStopSec"][0]
    assert float(stop.removesuffix("s")) > Settings.model_fields["drain_timeout"].default + 10


def example(*, with_examples: bool) -> dict[str, str]:
    """What systemd.exec(5) says that it reads; with those lines too that only need their # taken away."""
    text = EXAMPLE.read_text()
    if with_examples:
        text = re.sub(r"^#(?=[A-Z0-9_]+=)", "", text, flags=re.MULTILINE)
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", ";"))]
    return dict(line.split("=", 1) for line in lines)


def test_the_example_changes_nothing_by_itself() -> None:
    assert example(with_examples=False) == {}


def test_every_line_of_the_example_is_a_setting_that_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = tmp_path / "scrcpy-server-v3.3.4"
    server.write_bytes(b"PK\5\6" + bytes(18))
    lines = example(with_examples=True)
    for name, value in lines.items():
        monkeypatch.setenv(name, str(server) if name == "SCRCPY_SERVER_PATH" else value)
    monkeypatch.setenv("TURN_SECRET", "north")
    monkeypatch.setenv("LOG_FILE", str(tmp_path / "app.log"))
    effective = configuration.load(tmp_path / "none")
    assert {name.upper() for name in Settings.model_fields} >= lines.keys()
    assert [origin for name, origin in effective.origins.items() if lines.get(name.upper())].count("default") == 0


def test_no_value_of_the_example_has_a_comment_behind_it() -> None:
    assert [value for value in example(with_examples=True).values() if "#" in value] == []


def test_the_buffers_are_as_large_as_the_service_asks_for() -> None:
    from media_service.rtc.media_port import SEND_BUFFER

    lines = (ROOT / "systemd" / "sysctl.conf").read_text().splitlines()
    values = dict(re.split(r"\s*=\s*", line) for line in lines if line and not line.startswith("#"))
    assert values.keys() == {"net.core.wmem_max", "net.core.rmem_max"}
    assert int(values["net.core.wmem_max"]) >= SEND_BUFFER


@pytest.mark.skipif(shutil.which("logrotate", path="/usr/sbin:/usr/bin") is None, reason="no logrotate here")
def test_logs_are_put_aside_by_date(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir(mode=0o750)
    (folder / "app.log").write_text("a line\n")
    (folder / "app.log.1").write_text("put aside by the service itself\n")
    text = (ROOT / "systemd" / "logrotate.conf").read_text()
    text = text.replace("/var/log/media-service", str(folder))
    # The user is made by scripts/install.
    text = re.sub(r"^ *su .*\n", "", text, flags=re.MULTILINE).replace(
        "create 0640 cloudphone cloudphone", "create 0640"
    )
    (tmp_path / "conf").write_text(text)
    program = str(shutil.which("logrotate", path="/usr/sbin:/usr/bin"))
    command = [program, "--force", "--state", str(tmp_path / "state"), str(tmp_path / "conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    names = sorted(path.name for path in folder.iterdir())
    assert names[:2] == ["app.log", "app.log-" + names[1][-8:]]
    assert names[2:] == ["app.log.1"]
    assert (folder / "app.log").read_text() == ""

"""What `media-service doctor` says altogether, and how it ends."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import pytest

from media_service import doctor
from media_service.diagnosis import versions
from media_service.diagnosis.finding import Finding, Status, ok
from media_service.doctor import CHECKS, diagnose
from media_service.settings import Settings
from tests.fixtures.adb import free_port


def run_doctor(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("media-service")), "doctor", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PORT": "0", "ANDROID_ADB_SERVER_PORT": str(free_port()), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_versions_and_licences() -> None:
    text = "\n".join(finding.text for finding in await versions.check(Settings()))
    assert f"PyAV {av.__version__} (BSD-3-Clause) with FFmpeg {av.ffmpeg_version_info}" in text
    assert "libx264 (GPL-2.0-or-later)" in text


def test_the_command(tmp_path: Path) -> None:
    done = run_doctor(tmp_path, H264_HW_ACCEL="libx264")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")][:-1] == [*CHECKS]
    assert "  ok       H264_HW_ACCEL=libx264: libx264 is used" in lines
    assert lines[-1].startswith("no problems, ")


def test_a_problem_is_an_exit_code_and_secrets_are_not_shown(tmp_path: Path) -> None:
    nobody = str(free_port())
    done = run_doctor(
        tmp_path,
        "--json",
        REDIS_ENABLED="true",
        REDIS_HOST="127.0.0.1",
        REDIS_PORT=nobody,
        REDIS_PASSWORD="hush-redis",
        RABBITMQ_ENABLED="true",
        RABBITMQ_URL=f"amqp://guest:hush-rabbit@127.0.0.1:{nobody}/",
        JWT_SECRET="hush-jwt-kR3vQ9zL1xW7mT5bN8cY2pD6",
        TURN_SECRET="hush-turn",
        TURN_URLS=f"turn:127.0.0.1:{nobody}",
        STUN_SERVER="stun:127.0.0.1",
    )
    said = json.loads(done.stdout)
    assert (done.returncode, done.stderr, said["isWell"]) == (1, "", False)
    assert "hush" not in done.stdout
    problems = [finding for finding in said["findings"] if finding["status"] == "problem"]
    assert [finding["area"] for finding in problems] == ["STUN and TURN", *["Programs beside us"] * 2]
    assert all(finding["remedy"] for finding in said["findings"] if finding["status"] in ("warning", "problem"))
    assert said["findings"][0] == {
        "area": "Settings",
        "status": "warning",
        "text": "STUN_SERVER (environment) is not a setting: is STUN_SERVERS meant?",
        "remedy": "correct or remove it",
    }


def test_a_machine_that_lacks_everything(tmp_path: Path) -> None:
    done = run_doctor(tmp_path, PATH="/nowhere", HOME="/nowhere", TMPDIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "ffmpeg program: none (only VAAPI needs it)" in done.stdout


def test_bad_settings_are_one_message(tmp_path: Path) -> None:
    done = run_doctor(tmp_path, PORT="http")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("media-service: 1 setting is wrong:\n  PORT = 'http' (environment)")


async def broken(_: Settings) -> Sequence[Finding]:
    raise ZeroDivisionError("a bug")


async def hanging(_: Settings) -> Sequence[Finding]:
    await asyncio.Event().wait()
    return []


async def working(_: Settings) -> Sequence[Finding]:
    return [ok("Working", "well")]


async def test_a_check_that_breaks_or_hangs_costs_its_own_area_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LONGEST_CHECK", 0.05)
    checks = {"Broken": broken, "Hanging": hanging, "Working": working}
    diagnosis = await diagnose(Settings(), checks=checks)
    assert [(finding.area, finding.status) for finding in diagnosis.findings] == [
        ("Broken", Status.WARNING),
        ("Hanging", Status.WARNING),
        ("Working", Status.OK),
    ]
    assert diagnosis.findings[0].text == "this could not be looked at: ZeroDivisionError: a bug"
    assert diagnosis.is_well


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_without_rights(tmp_path: Path) -> None:
    """The user that the service is meant to run as has no more than this."""
    program = (
        # What Python may not read once it is nobody.
        "import asyncio, os, encodings.idna; from media_service.doctor import CHECKS, diagnose\n"
        "from media_service.settings import Settings\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "checks = {area: check for area, check in CHECKS.items() if area in ('Ports', 'UDP', 'Machine', 'Access')}\n"
        "print(asyncio.run(diagnose(Settings(port=1, host='127.0.0.1'), checks=checks)).text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, env=dict(os.environ)
    )
    assert "could not be looked at" not in done.stdout
    assert "buffer: " in done.stdout

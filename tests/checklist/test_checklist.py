"""The production checklist: on a stack as it should be all of its points pass, and on a broken one they do not."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from tests.checklist import before_deployment, functions, monitoring, security
from tests.checklist.account import ROOT, Account
from tests.checklist.answer import OUTSIDE
from tests.checklist.point import Failed, NotApplicable, Point, Result, Section, Status, looked_at, outcome
from tests.checklist.program import CannotStart, running
from tests.checklist.report import Report, as_json, summary
from tests.checklist.sockets import listening_sockets
from tests.checklist.stack import Stack, missing_programs, running_stack

needs_programs = pytest.mark.skipif(bool(missing_programs()), reason=f"not here: {', '.join(missing_programs())}")

NO_STACK = cast(Stack, None)

ELSEWHERE_OR_NOT_HERE = {
    "Encoder in hardware",
    "Docker, for Redroid",
    "Limits of the process",
    "Socket buffers",
    "Validation script",
    "Benchmarks",
}
"""Points that depend on the machine, or on what the predecessor had."""


@needs_programs
@pytest.mark.skipif("CHECKLIST" not in os.environ, reason="make checklist does the same, in a minute; CHECKLIST=1 here")
@pytest.mark.browser
@pytest.mark.adb
@pytest.mark.timeout(400)
def test_every_point_passes(tmp_path: Path) -> None:
    document = tmp_path / "checklist.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.checklist", "--json", str(document)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=390,
    )
    assert done.returncode == 0, done.stdout
    told = json.loads(document.read_text())
    results = {each["point"]: each for each in told["points"]}
    assert len(results) == told["passed"] + told["failed"] + told["notApplicable"] >= 49
    elsewhere = {name for name, each in results.items() if each["status"] != Status.PASS}
    assert elsewhere <= ELSEWHERE_OR_NOT_HERE, done.stdout
    assert {each["section"] for each in results.values()} == {"8.1", "8.2", "8.3", "8.4", "8.5", "8.6"}
    assert all(each["text"] for each in results.values())
    assert done.stdout.splitlines()[-1].startswith(f"{told['passed']} pass, 0 failed")


def point(section: Section, title: str) -> Point:
    return next(each for each in section.points if each.title == title)


@needs_programs
@pytest.mark.adb
async def test_points_fail_on_a_broken_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before_deployment, "PATIENCE", 0.5)
    folder = tmp_path / "stack"
    folder.mkdir()
    broken = {
        "JWT_SECRET": "",
        "ALLOWED_ORIGINS": "",
        "ENABLE_FILE_LOGGING": "false",
        "ENABLE_METRICS": "false",
        "MONITORING_NETWORKS": "0.0.0.0/0",
    }
    expected = [
        (before_deployment, "Doctor finds no problem", "Programs beside us: Redis at 127.0.0.1:"),
        (before_deployment, "Redis, RabbitMQ and Consul", "redis is unhealthy: "),
        (before_deployment, "Log folder", "ENABLE_FILE_LOGGING is false"),
        (functions, "Health", "GET /health: 200, degraded"),
        (functions, "Metrics", "GET /metrics: 404"),
        (monitoring, "Grafana's dashboard", "it names what is not exported: media_service_"),
        (security, "File permissions", "media-service.env has mode 644"),
        (security, "Metrics and profiles are shut", "/metrics: "),
        (security, "Authentication", "GET /api/media/devices with a token none: 200"),
        (security, "CORS", "pages of https://console.example.com"),
    ]
    if os.geteuid() == 0:
        expected.append((security, "Not root", "first runs as root"))
    account = Account(os.geteuid(), os.getegid())
    async with running_stack(folder, account=account, with_brokers=False, changes=broken) as stack:
        stack.host.settings_file.chmod(0o644)
        seen = [(title, *await outcome(point(module.SECTION, title), stack)) for module, title, _ in expected]
        wanted = [(title, Status.FAIL, reason) for _, title, reason in expected]
        assert [(*each[:2], each[2][: len(reason)]) for each, (*_, reason) in zip(seen, wanted, strict=True)] == wanted
        # What is not broken is not blamed.
        for module, title in ((security, "TLS"), (before_deployment, "TLS certificate"), (functions, "Service starts")):
            assert (await outcome(point(module.SECTION, title), stack))[0] is Status.PASS, title
        assert (await stack.service.ask("GET", "health", headers={"X-Forwarded-For": OUTSIDE})).status == 200


async def test_a_stack_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(CannotStart, match=r"(?s)thing ended with 3: .*no such luck"),
        running("thing", ["sh", "-c", "echo no such luck; exit 3"], tmp_path / "log") as program,
    ):
        program.wait_until(lambda: False)


async def passes(_: Stack) -> str:
    return "42 of 42"


async def fails(_: Stack) -> str:
    raise Failed("41 of 42")


async def is_elsewhere(_: Stack) -> str:
    raise NotApplicable("there is none")


async def breaks(_: Stack) -> str:
    raise ConnectionRefusedError(111, "Connection refused")


async def hangs(_: Stack) -> str:
    await asyncio.Event().wait()
    return ""


@pytest.mark.parametrize(
    ("look", "status", "text"),
    [
        (passes, Status.PASS, "42 of 42"),
        (fails, Status.FAIL, "41 of 42"),
        (is_elsewhere, Status.NOT_APPLICABLE, "not applicable here: there is none"),
        (breaks, Status.FAIL, "ConnectionRefusedError: [Errno 111] Connection refused"),
        (hangs, Status.FAIL, "nothing came of it within 0.05 s"),
    ],
)
async def test_what_comes_of_a_point(look: Any, status: Status, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.checklist.point.TIMEOUT", 0.05)
    section = Section("8.9", "Others", (Point("It", look),))
    (result,) = [each async for each in looked_at(section, NO_STACK)]
    assert (result.section, result.point, result.status, result.text) == ("8.9", "It", status, text)


SECTION = Section("8.9", "Others", (Point("One", passes), Point("The other one", fails)))
RESULTS = (
    Result("8.9", "One", Status.PASS, "seen", 0.25),
    Result("8.9", "The other one", Status.FAIL, "first line\n" + "word " * 12, 1.0),
)


def test_the_table() -> None:
    report = Report([SECTION], width=60, is_coloured=False)
    assert report.heading(SECTION) == "\n8.9  Others"
    lines = [line for result in RESULTS for line in report.lines(result)]
    assert lines == [
        "  pass  One            seen",
        "  FAIL  The other one  first line",
        "                       word word word word word word word word",
        "                       word word word word",
    ]
    assert summary(RESULTS, 61.4) == "\n1 pass, 1 failed, 0 not applicable here; 61 s"


def test_colours_stand_around_the_status_only() -> None:
    (line,) = Report([SECTION], width=60, is_coloured=True).lines(RESULTS[0])
    assert line == "  \x1b[32mpass\x1b[0m  One            seen"


def test_the_document() -> None:
    told = json.loads(as_json(RESULTS, 61.4))
    assert {name: told[name] for name in ("seconds", "passed", "failed", "notApplicable")} == {
        "seconds": 61.4,
        "passed": 1,
        "failed": 1,
        "notApplicable": 0,
    }
    assert told["points"][0] == {"section": "8.9", "point": "One", "status": "pass", "text": "seen", "seconds": 0.25}


async def test_listening_sockets_are_those_of_the_process() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        (found,) = [each for each in listening_sockets(os.getpid()) if each.port == port]
        assert str(found) == f"tcp 127.0.0.1:{port} ({psutil.Process().name()})"
    assert [each for each in listening_sockets(os.getpid()) if each.port == port] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run what it starts as somebody else")
def test_the_service_s_user_has_no_rights() -> None:
    program = "import os; print(os.getuid(), *[line.split()[1] for line in open('/proc/self/status') if 'Cap' in line])"
    command = Account.without_rights().command([sys.executable, "-c", program])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout.split(), done.stderr) == (["65534", *["0" * 16] * 5], "")

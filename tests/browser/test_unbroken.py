"""One viewer, one session, and a phone that suffers: in a real Docker engine, by the real adb, in real Chromium.

`benchmarks/unbroken.py` is the same for ten minutes, and measures how long the picture stands still.
"""

from pathlib import Path

import pytest
from playwright.async_api import Page

from benchmarks.ordeal import Ordeal, Pace, Suffered, Victim
from benchmarks.witness import Witness
from capture.adb.client import AdbClient
from capture.demo_phone.scrcpy.jar import make_jar
from tests.fixtures.adb import RunningAdb
from tests.fixtures.docker import RunningDocker, phone_container
from tests.fixtures.service import running_service

pytestmark = [
    pytest.mark.browser,
    pytest.mark.adb,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

PACE = Pace(time_limit=3.0, offline=1.0, hangs=2.0, quiet=0.0, is_short=True)

HAPPENED = [
    ("time limit", "screenrecord"),
    ("rotation", "screenrecord"),
    ("climb to scrcpy", "screenrecord → scrcpy"),
    ("rotation back by scrcpy", "scrcpy"),
    ("offline for 1 s", "scrcpy"),
    ("container restart", "scrcpy"),
    ("fall to screenrecord", "scrcpy → screenrecord"),
    ("pkill screenrecord", "screenrecord"),
    ("encoder crash", "screenrecord"),
    ("climb back to scrcpy", "screenrecord → scrcpy"),
    ("adbd hangs for 2 s", "scrcpy"),
]


async def test_the_call_never_drops(
    page: Page, docker_engine: RunningDocker, adb_server: RunningAdb, tmp_path: Path
) -> None:
    jar = tmp_path / "scrcpy-server-v3.3.4"
    jar.write_bytes(make_jar("3.3.4"))
    environment = {
        "ANDROID_ADB_SERVER_PORT": str(adb_server.port),
        "DOCKER_HOST": docker_engine.docker_host,
        "REDROID_LABEL": "suffers",
        "SCRCPY_SERVER_PATH": str(jar),
    }
    async with phone_container(docker_engine, "job", labels={"suffers": "yes"}, arguments=()) as phone:
        victim = Victim(AdbClient(port=adb_server.port), phone)
        with running_service([], environment, tmp_path) as service:
            await victim.prepare(PACE)
            witness = await Witness.watching(page.context, f"{service.address}?device=job")
            begin = await witness.receipt()
            suffered: list[Suffered] = []
            await Ordeal(victim, service.address, witness, PACE).run(suffered.append)
            end = await witness.receipt()

    assert [(each.fault, each.capture) for each in suffered] == HAPPENED
    assert (begin.attempts, begin.connections, begin.signaling_states) == (1, 1, ("have-local-offer", "stable"))
    for name in ("session", "ssrc", "attempts", "connections", "signaling_states"):
        assert getattr(end, name) == getattr(begin, name), name
    assert end.packets_lost == 0
    assert witness.seen.unreadable == []
    assert witness.seen.backwards() == 0
    told = {each.fault: each.told for each in suffered if each.told}
    assert told == dict.fromkeys(("offline for 1 s", "container restart"), ("reconnecting", "online"))

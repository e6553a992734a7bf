"""The whole line: demo phone, real adb, the service, real Chromium, and back."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Page

from benchmarks.instruments import instruments
from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from tests.fixtures.adb import RunningAdb
from tests.fixtures.service import RunningService, no_sessions, running_service

pytestmark = [pytest.mark.browser, pytest.mark.adb, pytest.mark.asyncio(loop_scope="session")]

INSTRUMENTS = instruments()


async def watch(page: Page, address: str, device: str | None = None) -> None:
    """Open the viewer page and wait until its pictures are live."""
    await page.goto(address + (f"?device={device}" if device else ""))
    await page.add_script_tag(content=INSTRUMENTS, type="module")
    await page.wait_for_function("window.until !== undefined")
    await page.evaluate("until(() => viewer()?.state === 'live' && viewer().caughtUpAt !== null)")


async def demo_serial(service: RunningService) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{service.address}api/media/devices") as response:
        devices = (await response.json())["devices"]
    return str(next(each["deviceId"] for each in devices if each["state"] == "online"))


async def recorders(client: AdbClient, serial: str) -> list[str]:
    """What captures the phone's screen on it: scrcpy's server."""
    listing = await client.shell(serial, command_line(["ps", "-A", "-o", "NAME"]))
    return [line for line in listing.stdout.splitlines() if "app_process" in line]


@pytest_asyncio.fixture(loop_scope="session")
async def client(adb_server: RunningAdb) -> AdbClient:
    return AdbClient(port=adb_server.port)


@pytest_asyncio.fixture(loop_scope="session")
async def live(page: Page, demo_service: RunningService) -> AsyncIterator[Page]:
    """The page with the demo phone's picture moving."""
    await watch(page, demo_service.address)
    yield page


async def test_the_demo_phone_moves(live: Page) -> None:
    first = await live.evaluate("until(() => strip())")
    later = await live.evaluate(
        "(number) => until(() => { const now = strip(); return now?.frameNumber > number && now })",
        first["frameNumber"] + 60,
    )
    assert later["drawnAt"] != first["drawnAt"]
    statistics = await live.evaluate("inbound()")
    assert (statistics["frameWidth"], statistics["frameHeight"]) == (720, 1280)
    assert statistics["framesDecoded"] > 60
    assert statistics["pliCount"] == 0
    assert statistics["packetsLost"] == 0


async def test_a_tap_comes_back_as_a_dot(live: Page) -> None:
    before = (await live.evaluate("until(() => strip())"))["touches"]
    await live.locator("phone-viewer video").click(position={"x": 60, "y": 90})
    await live.evaluate("(count) => until(() => strip()?.touches === count)", (before + 1) % 256)


async def test_keys_and_text_reach_the_phone(live: Page, demo_service: RunningService, client: AdbClient) -> None:
    serial = await demo_serial(demo_service)
    await live.evaluate("viewer().press(24)")
    await live.evaluate('viewer().type("it\'s $HOME & 100%")')
    await live.evaluate("until(() => viewer().inputLatencyMs !== null)")
    log = ""
    # The dump does not show typed text, only its length; tests/capture/test_shell_controller.py compares every letter.
    while "Text(length=17)" not in log:
        log = (await client.shell(serial, command_line(["dumpsys", "input"]))).stdout
    assert "KeyEvent(keyCode=24, longPress=false)" in log


async def test_a_second_viewer_joins_in_the_middle_of_a_group(live: Page, demo_service: RunningService) -> None:
    await live.evaluate("(number) => until(async () => (await inbound()).framesDecoded > number)", 45)
    other = await live.context.new_page()
    await watch(other, demo_service.address)
    # It does not stay behind in the group that it began with.
    await other.evaluate("until(() => { const now = strip(); return now && ((Date.now() - now.drawnAt) | 0) < 1000; })")
    statistics = await other.evaluate("inbound()")
    assert statistics["keyFramesDecoded"] >= 1
    assert statistics["pliCount"] == 0


async def test_closing_the_tab_frees_session_and_recorder(
    page: Page, demo_service: RunningService, client: AdbClient
) -> None:
    serial = await demo_serial(demo_service)
    await watch(page, demo_service.address)
    assert await recorders(client, serial)
    await page.close()
    await no_sessions(demo_service.address)
    while await recorders(client, serial):
        pass


async def test_the_page_recovers_when_the_service_ends_its_session(live: Page, demo_service: RunningService) -> None:
    attempts = await live.evaluate("viewer().attempts")
    location = await live.evaluate("viewer().sessionAddress")
    async with aiohttp.ClientSession() as session, session.delete(location) as response:
        assert response.status == 200
    await live.evaluate("(count) => until(() => viewer().attempts > count && viewer().state === 'live')", attempts)
    await live.evaluate("until(() => strip())")


async def test_the_android_recording_plays_for_one_who_joins_late(
    page: Page, android_recording: Path, adb_server: RunningAdb, tmp_path: Path
) -> None:
    environment = {"ANDROID_ADB_SERVER_PORT": str(adb_server.port)}
    with running_service(["--source", f"recording=file:{android_recording}"], environment, tmp_path) as service:
        await watch(page, service.address, "recording")
        await page.evaluate("until(async () => (await inbound()).framesDecoded > 20)")
        late = await page.context.new_page()
        await watch(late, service.address, "recording")
        statistics = await late.evaluate(
            "until(async () => { const now = await inbound(); return now.framesDecoded > 20 && now })"
        )
        assert (statistics["frameWidth"], statistics["frameHeight"]) == (1080, 2400)
        assert statistics["pliCount"] == 0

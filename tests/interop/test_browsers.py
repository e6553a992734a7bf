"""Chromium and Firefox with a player that is nobody's product: `browser_player.js`."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.async_api import Page

from tests.interop.firefox import running_firefox
from tests.interop.picture import Picture, assert_demo_pictures

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PLAYER = (Path(__file__).parent / "browser_player.js").read_text()
PICTURES = 20
TIMEOUT = 30.0

Evaluate = Callable[[str], Awaitable[Any]]
"""Gives what a JavaScript expression becomes in the page."""


@pytest.fixture
def firefox_path() -> str:
    """Debian's Firefox, or another one."""
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None:
        pytest.skip("no Firefox")
    return found


async def seen(evaluate: Evaluate, decoded: int) -> dict[str, Any]:
    """What is seen once that many pictures have been decoded."""
    async with asyncio.timeout(TIMEOUT):
        while (state := await evaluate("player.seen()"))["decoded"] < decoded:
            await asyncio.sleep(0.05)
    assert_demo_pictures([Picture(state["width"], state["height"], *await evaluate("player.brightness()"))])
    return dict(state)


async def watch(evaluate: Evaluate, endpoint: str, *, trickles: bool) -> None:
    """Watch, restart ICE, go on watching, leave."""
    started = await evaluate(f"player.start({endpoint!r}, {str(trickles).lower()})")
    assert started["status"] == 201, started["answer"]
    assert started["patched"] == (204 if trickles else None)
    assert ("a=candidate:" in started["offer"]) is not trickles
    before = await seen(evaluate, PICTURES)

    restarted = await evaluate("player.restart()")
    assert restarted["status"] == 200
    # Whose network takes no UDP goes on by TCP.
    assert "tcptype passive" in restarted["fragment"]
    old, new = (etag.strip('"') for etag in restarted["etags"])
    assert before["path"].endswith(f" {old}")
    async with asyncio.timeout(TIMEOUT):
        while not (await evaluate("player.seen()"))["path"].endswith(f" {new}"):
            await asyncio.sleep(0.05)
    decoded = (await evaluate("player.seen()"))["decoded"]
    after = await seen(evaluate, decoded + PICTURES)
    assert after["state"] == "connected"
    assert after["keyframes"] >= 1
    assert await evaluate("player.leave()") == 200


@pytest.mark.parametrize("trickles", [False, True], ids=["whole", "trickled"])
async def test_chromium_shows_the_phone_before_and_after_an_ice_restart(
    page: Page, endpoint: str, trickles: bool
) -> None:
    await page.goto(urljoin(endpoint, "/page.css"))
    await page.evaluate(PLAYER)
    await watch(page.evaluate, endpoint, trickles=trickles)


async def test_firefox_shows_the_phone_before_and_after_an_ice_restart(
    firefox_path: str, tmp_path: Path, endpoint: str
) -> None:
    async with running_firefox(firefox_path, tmp_path, has_openh264=True) as firefox:
        await firefox.open(urljoin(endpoint, "/page.css"))
        await firefox.evaluate(f"void eval({json.dumps(PLAYER)})")
        await watch(firefox.evaluate, endpoint, trickles=True)


async def test_firefox_without_its_plugin_is_told_what_is_missing(
    firefox_path: str, tmp_path: Path, endpoint: str
) -> None:
    async with running_firefox(firefox_path, tmp_path, has_openh264=False) as firefox:
        await firefox.open(urljoin(endpoint, "/page.css"))
        await firefox.evaluate(f"void eval({json.dumps(PLAYER)})")
        started = await firefox.evaluate(f"player.start({endpoint!r}, true)")
    assert started["status"] == 406
    assert json.loads(started["answer"])["code"] == "no_common_codec"

"""Fixtures of the viewer page's tests."""

from collections.abc import AsyncIterator

import aioice.ice
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.stand_in import StandIn


@pytest_asyncio.fixture(loop_scope="session")
async def stand_in(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    """A service that answers on loopback and does what the test tells it."""
    # aiortc's ICE leaves loopback out, and a test machine may have no other address.
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    stand_in = StandIn()
    async with stand_in.serve():
        yield stand_in


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def module_page(browser: Browser) -> AsyncIterator[Page]:
    """A page on which the viewer's modules can be imported, and nothing runs; pure modules leave nothing behind."""
    stand_in = StandIn()
    async with stand_in.serve():
        page = await browser.new_page()
        await page.goto(f"{stand_in.address}page.css")
        yield page
        await page.close()


@pytest_asyncio.fixture(loop_scope="session")
async def live_page(page: Page, stand_in: StandIn) -> Page:
    """The viewer page with moving pictures and an open control channel."""
    await page.goto(stand_in.address)
    await until_live(page)
    await stand_in.until(lambda: any(peer.channel for peer in stand_in.open_sessions.values()))
    return page


async def until_live(page: Page) -> None:
    """Wait until the page shows live pictures."""
    viewer = "document.querySelector('phone-viewer').viewer"
    await page.wait_for_function(f"{viewer}.state === 'live' && {viewer}.caughtUpAt !== null", timeout=10_000)

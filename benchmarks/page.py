"""The service's viewer page in real Chromium."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from benchmarks import chromium
from benchmarks.errors import BenchmarkError
from benchmarks.instruments import instruments
from benchmarks.sender import Sender


@asynccontextmanager
async def launched(wrapper: Path | None = None) -> AsyncIterator[Browser]:
    """Headless Chromium; `wrapper` is a program to run in its place. Raises `BenchmarkError` when there is none."""
    path = wrapper or chromium.find()
    if path is None:
        raise BenchmarkError(f"no browser: install one of {', '.join(chromium.NAMES)}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(chromium.ARGUMENTS))
        print(f"Chromium {browser.version}")
        yield browser
        await browser.close()


async def live_page(browser: Browser, service: Sender, device: str) -> Page:
    """The viewer page with the instruments, live."""
    page = await browser.new_page(viewport={"width": 1280, "height": 900})
    await page.goto(f"{service.base_url}/?device={device}")
    await page.add_script_tag(content=instruments(), type="module")
    await page.wait_for_function("window.until !== undefined")
    await page.evaluate("until(() => viewer()?.caughtUpAt)")
    return page


async def join_again_and_again(browser: Browser, service: Sender, device: str, count: int) -> list[dict[str, float]]:
    """Join `count` times from one warm page, while another keeps the stream running; what `join` gives, each time."""
    page = await live_page(browser, service, device)
    found = []
    for number in range(count):
        # Spread over the 10 s between the phone's keyframes, in no order that could fit them.
        await asyncio.sleep(0.2 + (number * 0.618) % 1)
        found.append(await page.evaluate("join", device))
    await page.close()
    return found

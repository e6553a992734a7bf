"""Chromium with the viewer page: by nginx to the first instance, and wherever else a point wants to look."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from benchmarks import chromium
from benchmarks.instruments import instruments
from tests.checklist.program import CannotStart

LIVE = "until(() => viewer()?.state === 'live' && viewer().caughtUpAt !== null)"


class Watching:
    """A browser that is started, and a page that is opened, when they are first asked for."""

    def __init__(self, link: Callable[[], str]) -> None:
        """`link` opens the page that `page` gives."""
        self._link = link
        self._stack = AsyncExitStack()
        self._browser: Browser | None = None
        self._page: Page | None = None
        self._trouble: Exception | None = None

    async def browser(self) -> Browser:
        """Chromium, the same one each time. Raises `CannotStart`."""
        if self._browser is None:
            path = chromium.find()
            if path is None:
                raise CannotStart(f"no browser here: install one of {', '.join(chromium.NAMES)}")
            playwright = await self._stack.enter_async_context(async_playwright())
            self._browser = await playwright.chromium.launch(executable_path=path, args=list(chromium.ARGUMENTS))
            self._stack.push_async_callback(self._browser.close)
        return self._browser

    async def page(self) -> Page:
        """The page on which the first instance's phone is watched, live; the same one each time.

        What went wrong when it was opened is told to everybody who asks for it.
        """
        if self._trouble is not None:
            raise self._trouble
        if self._page is None:
            try:
                self._page = await self.opened(self._link())
            except Exception as error:
                self._trouble = error
                raise
        return self._page

    async def opened(self, link: str) -> Page:
        """Another page, of what `link` opens, as soon as its pictures are live; with the benchmarks' instruments."""
        browser = await self.browser()
        # Whether the certificate is right is looked at for itself.
        context = await browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800})
        page = await context.new_page()
        await page.goto(link)
        await page.add_script_tag(content=instruments(), type="module")
        await page.wait_for_function("window.until !== undefined")
        await page.evaluate(LIVE)
        return page

    async def leave(self) -> None:
        """Close the page that `page` gave; it is opened anew when it is asked for again."""
        page, self._page = self._page, None
        if page is not None:
            await page.context.close()

    async def aclose(self) -> None:
        """End the browser."""
        await self._stack.aclose()


async def session_id(page: Page) -> str:
    """Of the session that the page has."""
    return str(await page.evaluate("String(viewer().sessionAddress)")).rpartition("/")[2]


async def statistics(page: Page, kind: str) -> Any:
    """What webrtc-stats have of the `video` or the `audio` that the page receives."""
    script = """async (kind) => {
      const entries = [...(await viewer().getStats()).values()];
      return entries.find((each) => each.type === "inbound-rtp" && each.kind === kind) ?? null;
    }"""
    return await page.evaluate(script, kind)

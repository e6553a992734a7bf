"""Real Chromium behind a bad network: an emulated link between network namespaces, so root is needed.

`benchmarks/networks.py` is the same for many networks, and measures what is left of the picture.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Page

from benchmarks.far_end import Ends
from benchmarks.instruments import instruments
from benchmarks.link import Impairment, queue_bytes
from benchmarks.machine import Cores
from benchmarks.sender import Sender

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SOURCES = {"screen": "test:bitrate=2500000"}
MEGABIT = 1_000_000
RTX = "media_service_rtx_packets_sent_total"
GOES_ON = "(count) => until(async () => (await inbound()).framesDecoded >= count, 60000)"
LEVEL = "viewer().shownQuality.level"
IS_PROMPT = "until(() => { const now = strip(); return now && ((Date.now() - now.drawnAt) | 0) < 600; }, 60000)"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(both_ends: Ends) -> AsyncIterator[Sender]:
    cores = Cores.split().sender | Cores.split().others
    async with both_ends.service(SOURCES, Cores(cores, cores), {}) as service:
        yield service


@pytest.fixture(autouse=True)
def good_link(both_ends: Ends) -> Iterator[None]:
    """Each test begins and ends with a link without faults."""
    both_ends.link.change(Impairment())
    yield
    both_ends.link.change(Impairment())


async def watch(page: Page, service: Sender) -> None:
    """Open the viewer page and wait until its pictures are live."""
    await page.goto(f"{service.base_url}/?device=screen")
    await page.add_script_tag(content=instruments(), type="module")
    await page.wait_for_function("window.until !== undefined")
    await page.evaluate("until(() => viewer()?.caughtUpAt, 60000)")


async def see_more(page: Page, pictures: int) -> None:
    """Wait until so many more pictures were decoded, and what is shown was drawn only just now."""
    now = await page.evaluate("inbound()")
    await page.evaluate(GOES_ON, now["framesDecoded"] + pictures)
    await page.evaluate(IS_PROMPT)


async def test_what_is_lost_is_sent_again(both_ends: Ends, service: Sender, far_page: Page) -> None:
    both_ends.link.change(Impairment(delay=0.05, loss=0.02))
    before = both_ends.link.look()
    await watch(far_page, service)
    await see_more(far_page, 90)

    lost = both_ends.link.look().down.since(before.down).lost
    assert lost > 0
    seen = await far_page.evaluate("inbound()")
    assert seen["nackCount"] > 0
    assert seen["retransmittedPacketsReceived"] > 0
    assert both_ends.metrics(service).total(RTX) >= seen["retransmittedPacketsReceived"]


async def test_media_takes_the_link(both_ends: Ends, service: Sender, far_page: Page) -> None:
    before = both_ends.link.look()
    await watch(far_page, service)
    await see_more(far_page, 30)

    seen = await far_page.evaluate("inbound()")
    carried = both_ends.link.look().down.since(before.down)
    assert carried.delivered_octets > seen["bytesReceived"]
    assert seen["packetsLost"] == 0


async def test_a_narrow_link_gets_a_smaller_picture_and_the_whole_one_again(
    both_ends: Ends, service: Sender, far_page: Page
) -> None:
    wide = Impairment(delay=0.03, bit_rate=4 * MEGABIT, queue=queue_bytes(4 * MEGABIT, 0.3))
    narrow = Impairment(delay=0.03, bit_rate=MEGABIT, queue=queue_bytes(MEGABIT, 0.3))
    both_ends.link.change(wide, Impairment(delay=0.03))
    await watch(far_page, service)
    await far_page.evaluate(f"until(() => ({LEVEL}) === 'source', 60000)")
    await see_more(far_page, 30)

    both_ends.link.change(narrow, Impairment(delay=0.03))
    level = await far_page.evaluate(f"until(() => ({LEVEL}) !== 'source' && ({LEVEL}), 60000)")
    assert level in ("720p", "480p", "360p")
    await see_more(far_page, 90)

    both_ends.link.change(wide, Impairment(delay=0.03))
    await far_page.evaluate(f"until(() => ({LEVEL}) === 'source', 60000)")
    await see_more(far_page, 30)
    assert (await far_page.evaluate("inbound()"))["frameWidth"] == 720
    assert await far_page.evaluate("viewer().attempts") == 1

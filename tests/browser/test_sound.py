"""The page's sound: muted until the user wants it, remembered, and played with its pictures."""

import asyncio
import re
from collections.abc import Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from benchmarks.instruments import instruments
from tests.browser.stand_in import StandIn
from tests.fixtures.adb import RunningAdb
from tests.fixtures.service import RunningService, running_service

pytestmark = [pytest.mark.browser, pytest.mark.adb, pytest.mark.asyncio(loop_scope="session")]

# To Chromium each of Playwright's evaluations is a user's gesture; here only what a user could do is one.
NO_GESTURE_YET = """
  let hasBeenActive = false;
  for (const kind of ["pointerdown", "keydown"]) {
    addEventListener(kind, ({ isTrusted }) => (hasBeenActive ||= isTrusted), { capture: true });
  }
  Object.defineProperty(navigator, "userActivation", { value: { get hasBeenActive() { return hasBeenActive; } } });
"""

LIVE = "until(() => viewer()?.state === 'live' && viewer().caughtUpAt !== null)"
SOUND = """async () => {
  const entries = [...(await viewer().getStats()).values()];
  const { packetsReceived = 0, totalAudioEnergy = 0 } =
    entries.find(({ type, kind }) => type === "inbound-rtp" && kind === "audio") ?? {};
  return { packetsReceived, totalAudioEnergy };
}"""


@pytest.fixture(scope="module")
def service(adb_server: RunningAdb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One source that beeps and one that is silent."""
    sources = ["--source", "beeping=test:size=180x320,audio=on", "--source", "silent=test:size=180x320"]
    environment = {"ANDROID_ADB_SERVER_PORT": str(adb_server.port)}
    with running_service(sources, environment, tmp_path_factory.mktemp("service")) as running:
        yield running


async def watch(page: Page, service: RunningService, device: str) -> None:
    await page.add_init_script(NO_GESTURE_YET)
    await page.goto(f"{service.address}?device={device}")
    await page.add_script_tag(content=instruments(), type="module")
    await page.wait_for_function("window.until !== undefined")
    await page.evaluate(LIVE)


@pytest_asyncio.fixture(loop_scope="session")
async def beeping(page: Page, service: RunningService) -> Page:
    """The page with a phone that beeps, before the user did anything."""
    await watch(page, service, "beeping")
    return page


async def test_sound_is_off_until_the_user_turns_it_on(beeping: Page) -> None:
    element = beeping.locator("phone-viewer")
    await expect(element).to_have_attribute("muted", "")
    assert await beeping.evaluate("video().muted")
    await beeping.get_by_role("button", name="Unmute").click()
    await beeping.get_by_role("button", name="Mute", exact=True).wait_for()
    assert await element.get_attribute("muted") is None
    assert not await beeping.evaluate("video().muted")
    await beeping.evaluate(f"until(async () => (await ({SOUND})()).totalAudioEnergy > 0)")
    await beeping.get_by_role("button", name="Mute", exact=True).click()
    await beeping.get_by_role("button", name="Unmute").wait_for()
    assert await beeping.evaluate("video().muted")
    assert await beeping.evaluate("viewer().muted")


async def test_the_numbers_tell_of_the_sound(beeping: Page) -> None:
    await beeping.get_by_role("button", name="Numbers").click()
    numbers = beeping.get_by_role("region", name="Numbers")
    await numbers.get_by_text("Opus stereo, off").wait_for()
    await expect(numbers.get_by_text("Sound buffer")).to_be_hidden()
    await beeping.get_by_role("button", name="Unmute").click()
    await expect(numbers).to_contain_text(re.compile("Opus stereo, [1-9][0-9]* kbit/s"))
    await expect(numbers.get_by_text("Sound buffer")).to_be_visible()
    await beeping.evaluate("until(() => viewer().stats?.soundBufferMs > 0 && viewer().stats.soundBitsPerSecond > 0)")


async def test_a_silent_phone_has_no_button(page: Page, service: RunningService) -> None:
    await watch(page, service, "silent")
    assert not await page.evaluate("viewer().hasSound")
    await expect(page.get_by_role("button", name="Unmute")).to_have_count(0)
    assert not await page.evaluate("document.querySelector('phone-viewer').viewer.isSoundBlocked")


async def test_the_choice_is_remembered_and_waits_for_a_gesture(beeping: Page, service: RunningService) -> None:
    await beeping.get_by_role("button", name="Unmute").click()
    await beeping.get_by_role("button", name="Mute", exact=True).wait_for()
    again = await beeping.context.new_page()
    await watch(again, service, "beeping")
    assert not await again.evaluate("viewer().muted")
    assert await again.evaluate("viewer().isSoundBlocked")
    assert await again.evaluate("video().muted")
    await expect(again.get_by_role("alert")).to_contain_text("plays sound only after you touch")
    assert (await again.evaluate(SOUND))["totalAudioEnergy"] == 0
    await again.locator("phone-viewer video").click(position={"x": 20, "y": 20})
    await again.get_by_role("button", name="Mute", exact=True).wait_for()
    assert not await again.evaluate("video().muted")
    await again.evaluate(f"until(async () => (await ({SOUND})()).totalAudioEnergy > 0)")
    await again.get_by_role("button", name="Mute", exact=True).click()
    third = await beeping.context.new_page()
    await watch(third, service, "beeping")
    assert await third.evaluate("viewer().muted")
    assert not await third.evaluate("viewer().isSoundBlocked")


@pytest.mark.parametrize("press", ["click", "Enter", "Space"])
async def test_the_button_is_a_gesture_too(page: Page, service: RunningService, press: str) -> None:
    await page.add_init_script("localStorage.setItem('phone-viewer-sound', 'on')")
    await watch(page, service, "beeping")
    assert await page.evaluate("viewer().isSoundBlocked")
    button = page.get_by_role("button", name="Unmute")
    if press == "click":
        await button.click()
    else:
        await button.press(press)
    await page.get_by_role("button", name="Mute", exact=True).wait_for()
    assert await page.evaluate("[viewer().muted, viewer().isSoundBlocked, video().muted]") == [False, False, False]


async def test_the_attribute_is_the_property(beeping: Page) -> None:
    await beeping.locator("phone-viewer header").click()
    for script, muted in (
        ("document.querySelector('phone-viewer').removeAttribute('muted')", False),
        ("document.querySelector('phone-viewer').setAttribute('muted', '')", True),
        ("document.querySelector('phone-viewer').muted = false", False),
        ("viewer().muted = true", True),
    ):
        await beeping.evaluate(script)
        assert (
            await beeping.evaluate("[viewer().muted, document.querySelector('phone-viewer').muted, video().muted]")
            == [muted] * 3
        )


async def test_sound_that_nobody_hears_is_not_sent(beeping: Page) -> None:
    before = (await beeping.evaluate(SOUND))["packetsReceived"]
    while before != (before := (await beeping.evaluate(SOUND))["packetsReceived"]):
        await beeping.evaluate("nextPicture().then(nextPicture).then(nextPicture)")
    await beeping.get_by_role("button", name="Unmute").click()
    await beeping.evaluate(f"until(async () => (await ({SOUND})()).packetsReceived > {before} + 20)")


async def test_a_beep_and_its_pictures_are_compared(beeping: Page) -> None:
    """What benchmarks/lip_sync.py measures with; how much it is depends on the machine."""
    await beeping.get_by_role("button", name="Unmute").click()
    # A beep that a busy machine is late with is not compared; there is one every second.
    async with asyncio.timeout(30):
        while not (compared := await beeping.evaluate("skews", 2500)):
            pass
    assert all(each["sound"] > 0 for each in compared)
    assert all(each["skew"] == pytest.approx(each["sound"] - each["picture"]) for each in compared)


async def test_an_offer_asks_for_stereo_once(module_page: Page) -> None:
    offer = "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:9 G722/8000\r\n"
    once, twice, without = await module_page.evaluate(
        """async (offer) => {
          const { withStereo } = await import("/whep.js");
          const once = withStereo(offer);
          return [once, withStereo(once), withStereo("a=rtpmap:9 G722/8000")];
        }""",
        offer,
    )
    assert once == twice == offer.replace("useinbandfec=1", "useinbandfec=1;stereo=1")
    assert without == "a=rtpmap:9 G722/8000"


async def test_a_phone_without_sound_shows_no_sound_in_the_numbers(live_page: Page, stand_in: StandIn) -> None:
    await live_page.get_by_role("button", name="Numbers").click()
    numbers = live_page.get_by_role("region", name="Numbers")
    await expect(numbers).to_contain_text("H.264")
    assert not await numbers.get_by_text("Sound", exact=True).is_visible()

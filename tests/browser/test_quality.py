"""The quality menu: what it offers, says and sends; how it is used without a mouse."""

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import until_live
from tests.browser.stand_in import StandIn, description
from tests.fixtures.service import RunningService

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

VIEWER = "document.querySelector('phone-viewer').viewer"
STATE: dict[str, Any] = {
    "type": "stream-state",
    "state": "scrcpy",
    "reason": "",
    "quality": "source",
    "coding": "passthrough",
    "qualityReason": "",
    "levels": ["source", "480p", "360p"],
}
ENCODED = STATE | {"quality": "480p", "coding": "encoded", "qualityReason": "its path carries 0.9 Mbit/s"}


def levels(stand_in: StandIn) -> list[str]:
    """Every level that was asked for."""
    return [message["level"] for message in stand_in.requests if message["type"] == "quality"]


def button(page: Page) -> Locator:
    return page.get_by_role("button", name="Quality")


def item(page: Page, level: str) -> Locator:
    return page.locator(f"phone-viewer [role=menuitemradio][data-level='{level}']")


@pytest_asyncio.fixture(loop_scope="session")
async def told(live_page: Page, stand_in: StandIn) -> Page:
    """The live page of a phone that can be shown in three qualities."""
    stand_in.say(STATE)
    await button(live_page).wait_for()
    return live_page


async def test_there_is_no_menu_until_the_service_says_what_there_is(live_page: Page, stand_in: StandIn) -> None:
    await expect(button(live_page)).to_have_count(0)
    stand_in.say({"type": "stream-state", "state": "scrcpy", "reason": "as an older service says it"})
    stand_in.say(STATE)
    await button(live_page).wait_for()


async def test_a_level_is_chosen_and_what_is_shown_is_said(told: Page, stand_in: StandIn) -> None:
    await expect(button(told)).to_have_text("Auto Source")
    await expect(told.get_by_role("menu")).to_have_count(0)
    await button(told).click()
    assert await told.get_by_role("menuitemradio").all_text_contents() == ["Auto Source", "Source ", "480p ", "360p "]
    await expect(item(told, "auto")).to_be_checked()
    await item(told, "480p").click()
    await stand_in.until(lambda: levels(stand_in) == ["480p"])
    await expect(told.get_by_role("menu")).to_have_count(0)
    await expect(button(told)).to_have_accessible_name("Quality: 480p · Source")
    stand_in.say(ENCODED | {"qualityReason": "it was asked for"})
    await expect(button(told)).to_have_accessible_name("Quality: 480p")
    await expect(button(told)).to_have_attribute("title", "Quality: 480p (it was asked for)")
    await button(told).click()
    await expect(item(told, "480p")).to_be_checked()
    await expect(item(told, "auto")).not_to_be_checked()
    await expect(told.get_by_role("menu")).to_have_accessible_description("Re-encoded by the service: it was asked for")
    await item(told, "auto").click()
    await stand_in.until(lambda: levels(stand_in) == ["480p", "auto"])


async def test_auto_says_what_it_chose_and_why(told: Page, stand_in: StandIn) -> None:
    stand_in.say(ENCODED)
    await expect(button(told)).to_have_accessible_name("Quality: Auto · 480p")
    await expect(button(told)).to_have_attribute("title", "Quality: Auto · 480p (its path carries 0.9 Mbit/s)")
    await told.get_by_role("button", name="Numbers").click()
    numbers = told.get_by_role("region", name="Numbers")
    await expect(numbers).to_contain_text("480p, re-encoded")
    await expect(numbers).to_contain_text("its path carries 0.9 Mbit/s")


async def test_the_numbers_ask_the_service_for_its_own_while_they_are_open(told: Page, stand_in: StandIn) -> None:
    numbers = told.get_by_role("region", name="Numbers")
    assert not any(message["type"] == "stats" for message in stand_in.requests)
    await told.get_by_role("button", name="Numbers").click()
    await stand_in.until(lambda: {"type": "stats"} in stand_in.requests)
    await expect(numbers.get_by_text("Path carries")).to_be_hidden()
    stand_in.say({"type": "stats", "stats": {"availableOutgoingBitrate": 912_000, "targetBitrate": 640_000}})
    await expect(numbers).to_contain_text("Path carries912 kbit/s")
    await expect(numbers).to_contain_text("Target640 kbit/s")


async def test_it_is_used_with_the_keyboard(told: Page, stand_in: StandIn) -> None:
    await button(told).press("Enter")
    await expect(item(told, "auto")).to_be_focused()
    for key, focused in (
        ("ArrowUp", "360p"),
        ("ArrowDown", "auto"),
        ("ArrowDown", "source"),
        ("End", "360p"),
        ("Home", "auto"),
    ):
        await told.keyboard.press(key)
        await expect(item(told, focused)).to_be_focused()
    await told.keyboard.press("Escape")
    await expect(button(told)).to_be_focused()
    await expect(button(told)).to_have_attribute("aria-expanded", "false")
    await told.keyboard.press("ArrowDown")
    await told.keyboard.press("End")
    await told.keyboard.press("Enter")
    await stand_in.until(lambda: levels(stand_in) == ["360p"])
    await expect(button(told)).to_be_focused()
    assert stand_in.inputs == [], "no key of it went to the phone"


async def test_typing_goes_on_where_it_was(told: Page, stand_in: StandIn) -> None:
    await told.locator("phone-viewer video").click()
    await button(told).click()
    await item(told, "360p").click()
    await stand_in.until(lambda: levels(stand_in) == ["360p"])
    await told.keyboard.insert_text("on")
    await stand_in.until(lambda: stand_in.inputs[-1]["type"] == "text")


async def test_a_press_elsewhere_closes_it(told: Page) -> None:
    await button(told).click()
    await expect(told.get_by_role("menu")).to_be_visible()
    await told.locator("phone-viewer video").click(position={"x": 30, "y": 30})
    await expect(told.get_by_role("menu")).to_have_count(0)
    await button(told).click()
    await button(told).click()
    await expect(told.get_by_role("menu")).to_have_count(0)


async def test_the_choice_lasts_as_long_as_the_page(told: Page, stand_in: StandIn) -> None:
    await told.evaluate(f"{VIEWER}.quality = '480p'")
    await stand_in.until(lambda: levels(stand_in) == ["480p"])
    await stand_in.end_sessions()
    await told.wait_for_function(f"{VIEWER}.attempts === 2")
    await stand_in.until(lambda: levels(stand_in) == ["480p", "480p"])
    stand_in.devices.append(description("phone-2", "Pixel 8"))
    await told.evaluate("document.querySelector('phone-viewer').setAttribute('device', 'phone-2')")
    await stand_in.until(lambda: levels(stand_in) == ["480p"] * 3)
    assert await told.evaluate(f"{VIEWER}.shownQuality.levels") == []
    await told.reload()
    await until_live(told)
    assert await told.evaluate(f"{VIEWER}.quality") == "auto"


async def test_what_cannot_be_had_is_auto_again(told: Page, stand_in: StandIn) -> None:
    await told.evaluate(f"{VIEWER}.quality = '480p'")
    stand_in.say({"type": "error", "code": "quality_unavailable", "detail": "there is no 480p now"})
    await expect(told.get_by_role("alert")).to_have_text("there is no 480p now")
    await stand_in.until(lambda: levels(stand_in) == ["480p", "auto"])
    await expect(button(told)).to_have_accessible_name("Quality: Auto · Source")


async def test_levels_that_change_under_an_open_menu(told: Page, stand_in: StandIn) -> None:
    await button(told).click()
    stand_in.say(STATE | {"levels": ["480p"]})
    await expect(item(told, "360p")).to_have_count(0)
    await expect(item(told, "auto")).to_be_focused()
    stand_in.say(STATE | {"levels": []})
    await expect(told.get_by_role("menu")).to_have_count(0)
    await expect(button(told)).to_have_count(0)


@pytest.mark.parametrize("size", [(1280, 800), (390, 844), (320, 480), (844, 390), (900, 520)])
async def test_it_fits(told: Page, stand_in: StandIn, size: tuple[int, int]) -> None:
    await told.set_viewport_size({"width": size[0], "height": size[1]})
    stand_in.say(ENCODED)
    await expect(button(told)).to_have_accessible_name("Quality: Auto · 480p")
    await button(told).click()
    for part in (button(told), told.get_by_role("menu")):
        box = await part.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["y"] + box["height"] <= size[1]


@pytest.mark.adb
async def test_the_service_tells_and_is_told(page: Page, demo_service: RunningService) -> None:
    await page.goto(demo_service.address)
    await until_live(page)
    await button(page).wait_for()
    assert "source" in await page.evaluate(f"{VIEWER}.shownQuality.levels")
    await page.evaluate(
        f"window.errors = []; {VIEWER}.addEventListener('message', ({{ detail }}) => "
        "detail.type === 'error' && errors.push(detail.code))"
    )
    await button(page).click()
    await item(page, "source").click()
    await expect(button(page)).to_have_accessible_name("Quality: Source")
    # The answer to this question comes after what the choice before it brought.
    await page.get_by_role("button", name="Numbers").click()
    await page.wait_for_function(f"{VIEWER}.serviceStats.packetsSent > 0")
    assert await page.evaluate("errors") == []


@pytest.mark.adb
async def test_the_pictures_become_what_was_chosen(page: Page, demo_service: RunningService) -> None:
    await page.goto(demo_service.address)
    await until_live(page)
    await button(page).click()
    await item(page, "360p").click()
    await expect(button(page)).to_have_accessible_name("Quality: 360p")
    video = "document.querySelector('phone-viewer').shadowRoot.querySelector('video')"
    await page.wait_for_function(f"Math.min({video}.videoWidth, {video}.videoHeight) === 360")
    await button(page).click()
    await item(page, "source").click()
    await expect(button(page)).to_have_accessible_name("Quality: Source")
    await page.wait_for_function(f"Math.min({video}.videoWidth, {video}.videoHeight) > 360")

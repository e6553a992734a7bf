"""The viewer page's life: joining, losing the service or the phone, coming back, leaving."""

import math
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import until_live
from tests.browser.stand_in import Refusal, StandIn, description

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

VIEWER = "document.querySelector('phone-viewer').viewer"

WATCH_STATES = """
() => {
  const view = document.querySelector("phone-viewer");
  const canvas = view.shadowRoot.querySelector("canvas");
  window.states = [];
  view.viewer.addEventListener("state", () => states.push([view.viewer.state, view.viewer.reason, !canvas.hidden]));
}
"""


async def test_a_single_phone_plays_at_once(live_page: Page, stand_in: StandIn) -> None:
    assert [device for device, _ in stand_in.offers] == ["phone-1"]
    await expect(live_page).to_have_title("Pixel 7 – Cloud phones")
    await expect(live_page.get_by_role("status")).to_have_text("Live")
    offered, first, caught_up = await live_page.evaluate(
        f"[{VIEWER}.offerSentAt, {VIEWER}.firstPictureAt, {VIEWER}.caughtUpAt]"
    )
    assert offered < first <= caught_up


async def test_the_offer_is_small_and_asks_for_what_we_send(live_page: Page, stand_in: StandIn) -> None:
    ((_, sdp),) = stand_in.offers
    codecs = {line.split(" ")[1].split("/")[0] for line in sdp.splitlines() if line.startswith("a=rtpmap:")}
    assert codecs == {"H264", "rtx", "opus"}
    assert ";stereo=1" in sdp
    assert "a=candidate" not in sdp
    assert "a=recvonly" in sdp
    assert "m=application" in sdp


async def test_candidates_are_trickled_when_nothing_connects(page: Page, stand_in: StandIn) -> None:
    stand_in.is_reachable = False
    await page.goto(stand_in.address)
    await stand_in.until(lambda: "a=end-of-candidates" in "".join(body for _, body in stand_in.trickles))
    condition, body = stand_in.trickles[0]
    lines = body.splitlines()
    assert condition == '"first"'
    assert [line.partition(":")[0].partition(" ")[0] for line in lines[:4]] == [
        "a=ice-ufrag",
        "a=ice-pwd",
        "m=video",
        "a=mid",
    ]
    assert lines[4].startswith("a=candidate:")
    assert lines[0] in stand_in.offers[0][1].splitlines()


async def test_the_numbers_are_shown(live_page: Page) -> None:
    await live_page.get_by_role("button", name="Numbers").click()
    numbers = live_page.get_by_role("region", name="Numbers")
    await expect(numbers).to_contain_text("180 × 320")
    await expect(numbers).to_contain_text("H.264")
    await live_page.wait_for_function(f"{VIEWER}.stats?.framesPerSecond > 5 && {VIEWER}.stats.delayMs > 0")
    await expect(live_page.locator("phone-viewer [data-number=fps]")).to_have_text("20 fps")
    await expect(live_page.locator("phone-viewer [data-number=rate]")).to_contain_text("bit/s")


async def test_input_latency_is_measured(live_page: Page) -> None:
    assert await live_page.evaluate(f"{VIEWER}.press(3)")
    await live_page.wait_for_function(f"{VIEWER}.inputLatencyMs > 0")


async def test_it_comes_back_when_the_service_ends_the_session(live_page: Page, stand_in: StandIn) -> None:
    await live_page.evaluate(WATCH_STATES)
    await stand_in.end_sessions()
    await live_page.wait_for_function(f"{VIEWER}.attempts === 2")
    await until_live(live_page)
    states = await live_page.evaluate("states")
    assert states[0] == ["reconnecting", "The service ended the session.", True]
    assert states[-1] == ["live", "", True]
    assert not await live_page.locator("phone-viewer canvas").is_visible()
    assert stand_in.deleted == []


async def test_it_says_why_the_service_ended_the_session(live_page: Page, stand_in: StandIn) -> None:
    await live_page.evaluate(WATCH_STATES)
    stand_in.say({"type": "session-state", "state": "closed", "reason": "the stream ended"})
    await stand_in.end_sessions()
    await live_page.wait_for_function("states.length > 0")
    assert (await live_page.evaluate("states[0]"))[:2] == ["reconnecting", "the stream ended"]
    await until_live(live_page)


async def test_it_comes_back_when_the_service_does(page: Page, stand_in: StandIn) -> None:
    restarted = StandIn()
    async with restarted.serve():
        await page.goto(restarted.address)
        await until_live(page)
        port = urlsplit(restarted.address).port
    assert port is not None
    await page.get_by_text("The service cannot be reached.").wait_for()
    async with restarted.serve(port):
        await until_live(page)
        assert await page.evaluate(f"{VIEWER}.reason") == ""


async def test_an_unknown_device_is_named_and_tried_again_on_request(page: Page, stand_in: StandIn) -> None:
    stand_in.refusals["nope"] = Refusal(404, "device_not_found", "'nope' is not a device: known are phone-1")
    await page.goto(f"{stand_in.address}?device=nope")
    await page.get_by_text("'nope' is not a device: known are phone-1").wait_for()
    await page.get_by_text("Next try in").wait_for()
    await expect(page.locator("phone-viewer canvas")).to_be_hidden()
    del stand_in.refusals["nope"]
    await page.get_by_role("button", name="Try now").click()
    await until_live(page)


async def test_no_common_codec_is_final(page: Page, stand_in: StandIn) -> None:
    stand_in.refusals["phone-1"] = Refusal(406, "no_common_codec", "The browser offers no H.264")
    await page.goto(stand_in.address)
    await page.get_by_text("The browser offers no H.264").wait_for()
    assert await page.evaluate(f"[{VIEWER}.state, {VIEWER}.retryAt, {VIEWER}.attempts]") == ["unavailable", math.inf, 1]
    await page.get_by_role("button", name="Try now").wait_for()
    await page.evaluate("dispatchEvent(new Event('online'))")
    assert len(stand_in.offers) == 1


async def test_a_full_service_is_asked_when_it_said_and_at_once_when_the_network_returns(
    page: Page, stand_in: StandIn
) -> None:
    stand_in.refusals["phone-1"] = Refusal(503, "too_many_viewers", "No place is free", {"Retry-After": "3600"})
    await page.goto(stand_in.address)
    await page.get_by_text("No place is free").wait_for()
    await page.get_by_text("Next try in 3600 s").wait_for()
    stand_in.refusals.clear()
    await page.evaluate("dispatchEvent(new Event('online'))")
    await until_live(page)
    assert len(stand_in.offers) == 2


async def test_a_lost_phone_is_told_and_its_last_picture_stays(live_page: Page, stand_in: StandIn) -> None:
    stand_in.moving.clear()
    stand_in.say({"type": "device-state", "state": "reconnecting", "reason": "adb lost the phone"})
    await expect(live_page.get_by_role("status")).to_have_text("Phone lost")
    await live_page.get_by_text("adb lost the phone").wait_for()
    await live_page.get_by_text("Phone lost, reconnecting…").wait_for()
    assert await live_page.locator("phone-viewer canvas").is_visible()
    stand_in.say({"type": "device-state", "state": "online", "reason": ""})
    await expect(live_page.get_by_role("status")).to_have_text("Live")
    await expect(live_page.locator("phone-viewer canvas")).to_be_hidden()
    assert len(stand_in.offers) == 1


async def test_a_dark_screen_is_explained(live_page: Page, stand_in: StandIn) -> None:
    stand_in.say({"type": "stream-state", "state": "scrcpy", "reason": "best", "screen": "off"})
    await live_page.get_by_text("The phone’s screen is off").wait_for()
    stand_in.say({"type": "stream-state", "state": "scrcpy", "reason": "best", "screen": "secure"})
    await live_page.get_by_text("does not let its picture be taken").wait_for()
    stand_in.say({"type": "stream-state", "state": "scrcpy", "reason": "best", "screen": "shown"})
    await expect(live_page.locator("phone-viewer .condition")).to_be_hidden()
    await expect(live_page.get_by_role("status").first).to_have_text("Live")


async def test_a_phone_that_starts_shows_its_animation(live_page: Page, stand_in: StandIn) -> None:
    stand_in.say({"type": "stream-state", "state": "scrcpy", "reason": "best", "screen": "booting"})
    words = live_page.get_by_text("The phone is starting")
    await words.wait_for()
    above = await live_page.locator("phone-viewer .screen").bounding_box()
    box = await words.bounding_box()
    assert above is not None
    assert box is not None
    assert above["y"] + above["height"] * 0.6 < box["y"] < box["y"] + box["height"] < above["y"] + above["height"]


async def test_the_way_of_capture_and_its_reason_are_in_the_numbers(live_page: Page, stand_in: StandIn) -> None:
    await live_page.get_by_role("button", name="Numbers").click()
    stand_in.say({"type": "stream-state", "state": "screenrecord", "reason": "not scrcpy: no file", "screen": "shown"})
    numbers = live_page.get_by_role("region", name="Numbers")
    await numbers.get_by_text("screenrecord", exact=True).wait_for()
    await numbers.get_by_text("not scrcpy: no file", exact=True).wait_for()


@pytest.mark.parametrize(
    "size", [(390, 844), (844, 390), (320, 568), (1280, 800)], ids=lambda size: f"{size[0]}x{size[1]}"
)
async def test_the_numbers_can_be_closed_wherever_they_lie(live_page: Page, size: tuple[int, int]) -> None:
    await live_page.set_viewport_size({"width": size[0], "height": size[1]})
    await live_page.get_by_role("button", name="Numbers").click()
    numbers = live_page.get_by_role("region", name="Numbers")
    await expect(numbers).to_contain_text("H.264")
    await numbers.get_by_role("button", name="Close").click()
    await expect(numbers).to_be_hidden()
    assert await live_page.locator("phone-viewer").get_attribute("statistics") is None


async def test_pictures_prove_that_a_lost_phone_is_back(live_page: Page, stand_in: StandIn) -> None:
    stand_in.say({"type": "device-state", "state": "lost", "reason": "adb lost the phone"})
    await live_page.wait_for_function(f"{VIEWER}.state === 'device-lost'")
    await live_page.wait_for_function(f"{VIEWER}.state === 'live'")
    assert await live_page.evaluate(f"{VIEWER}.reason") == ""


async def test_leaving_the_page_ends_the_session(live_page: Page, stand_in: StandIn) -> None:
    await live_page.goto("about:blank")
    await stand_in.until(lambda: stand_in.deleted == ["1"])


async def test_closing_the_tab_ends_the_session(live_page: Page, stand_in: StandIn) -> None:
    await live_page.close()
    await stand_in.until(lambda: stand_in.deleted == ["1"])


async def test_another_phone_is_chosen_from_the_list(page: Page, stand_in: StandIn) -> None:
    stand_in.devices = [description("phone-1", "Pixel 7"), description("10.0.0.2:5555", "Galaxy S23")]
    await page.goto(stand_in.address)
    await until_live(page)
    await page.get_by_role("link", name="Galaxy S23").click()
    await stand_in.until(lambda: [device for device, _ in stand_in.offers] == ["phone-1", "10.0.0.2:5555"])
    await stand_in.until(lambda: stand_in.deleted == ["1"])
    await until_live(page)
    assert urlsplit(page.url).query == "device=10.0.0.2%3A5555"
    await expect(page.get_by_role("link", name="Galaxy S23")).to_have_attribute("aria-current", "page")
    await page.go_back()
    await stand_in.until(lambda: [device for device, _ in stand_in.offers][2:] == ["phone-1"])
    await until_live(page)


async def test_phones_go_by_the_name_that_the_operator_gave_them(page: Page, stand_in: StandIn) -> None:
    stand_in.devices = [
        description("lobby", "Pixel 7") | {"name": "lobby"},
        description("10.0.0.2:5555", "Pixel 7"),
        description("10.0.0.3:5555", "Pixel 7"),
        description("10.0.0.4:5555", "Galaxy S23"),
    ]
    await page.goto(stand_in.address)
    links = page.get_by_role("navigation").get_by_role("link")
    assert await links.locator("b").all_text_contents() == ["lobby", "Pixel 7", "Pixel 7", "Galaxy S23"]
    assert await links.locator(".id").all_text_contents() == ["Pixel 7", *(f"10.0.0.{n}:5555" for n in (2, 3, 4))]
    options = await page.get_by_label("Phone", exact=True).locator("option").all_text_contents()
    assert options == ["lobby", "Pixel 7 · 10.0.0.2:5555", "Pixel 7 · 10.0.0.3:5555", "Galaxy S23"]
    await expect(page).to_have_title("lobby – Cloud phones")


async def test_a_narrow_page_has_a_menu_of_phones(page: Page, stand_in: StandIn) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    stand_in.devices = [description("phone-1", "Pixel 7"), description("phone-2", "Galaxy S23")]
    await page.goto(stand_in.address)
    await page.get_by_label("Phone", exact=True).select_option("Galaxy S23")
    await stand_in.until(lambda: "phone-2" in [device for device, _ in stand_in.offers])
    await until_live(page)


async def test_a_phone_that_nobody_named_gives_way_when_it_is_gone(live_page: Page, stand_in: StandIn) -> None:
    stand_in.devices = [description("phone-2", "Galaxy S23")]
    await live_page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await stand_in.until(lambda: [device for device, _ in stand_in.offers] == ["phone-1", "phone-2"])
    await until_live(live_page)


async def test_a_phone_that_comes_later_is_played(page: Page, stand_in: StandIn) -> None:
    stand_in.devices = []
    await page.goto(stand_in.address)
    await page.get_by_text("No phone is connected").wait_for()
    stand_in.devices = [description("phone-1", "Pixel 7")]
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await until_live(page)

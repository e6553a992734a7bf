"""What a person does on the page, as the service gets it."""

import pytest
from playwright.async_api import Page

from tests.browser.stand_in import HEIGHT, WIDTH, StandIn

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

Box = dict[str, float]


async def video_box(page: Page) -> Box:
    box = await page.locator("phone-viewer video").bounding_box()
    assert box is not None
    return {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}


def at(box: Box, across: float, down: float) -> tuple[float, float]:
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def keys(stand_in: StandIn) -> list[int]:
    return [message["keyCode"] for message in stand_in.inputs if message["type"] == "key"]


def texts(stand_in: StandIn) -> list[str]:
    return [message["text"] for message in stand_in.inputs if message["type"] == "text"]


async def focus(page: Page, stand_in: StandIn) -> None:
    """Click on the phone, and forget the click."""
    await page.locator("phone-viewer video").click()
    await stand_in.until(lambda: len(stand_in.inputs) == 2)
    stand_in.inputs.clear()


async def test_a_tap_lands_where_it_was_made(live_page: Page, stand_in: StandIn) -> None:
    for width, height in ((1280, 800), (800, 1100), (390, 844), (900, 380), (2000, 600)):
        await live_page.set_viewport_size({"width": width, "height": height})
        box = await video_box(live_page)
        for across, down in ((0.5, 0.5), (0.02, 0.02), (0.97, 0.98)):
            stand_in.inputs.clear()
            await live_page.mouse.click(*at(box, across, down))
            await stand_in.until(lambda: len(stand_in.inputs) == 2)
            pressed, lifted = stand_in.inputs
            assert pressed == {
                "type": "touch",
                "action": "down",
                "x": pytest.approx(across * WIDTH, abs=1.01),
                "y": pytest.approx(down * HEIGHT, abs=1.01),
                "width": WIDTH,
                "height": HEIGHT,
                "pointerId": 0,
                "seq": pressed["seq"],
            }
            assert lifted == pressed | {"action": "up", "seq": pressed["seq"] + 1}


async def test_the_picture_is_not_distorted_and_fits_the_window(live_page: Page) -> None:
    for width, height in ((1280, 800), (390, 844), (320, 480), (844, 390)):
        await live_page.set_viewport_size({"width": width, "height": height})
        box = await video_box(live_page)
        assert box["width"] / box["height"] == pytest.approx(WIDTH / HEIGHT, rel=0.01)
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height


async def test_a_drag_is_down_moves_up_and_ends_at_the_edge_it_left_by(live_page: Page, stand_in: StandIn) -> None:
    box = await video_box(live_page)
    await live_page.mouse.move(*at(box, 0.5, 0.8))
    await live_page.mouse.down()
    await live_page.mouse.move(*at(box, 0.5, -0.5), steps=8)
    await stand_in.until(lambda: ("move", WIDTH // 2, 0) in stand_in.touches())
    await live_page.mouse.up()
    await stand_in.until(lambda: ("up", WIDTH // 2, 0) in stand_in.touches())
    actions = [action for action, _, _ in stand_in.touches()]
    assert actions == ["down", *["move"] * (len(actions) - 2), "up"]
    heights = [y for _, _, y in stand_in.touches()]
    assert heights == sorted(heights, reverse=True)


async def test_two_fingers_are_two_pointers(live_page: Page, stand_in: StandIn) -> None:
    box = await video_box(live_page)
    chromium = await live_page.context.new_cdp_session(live_page)

    async def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": x, "y": y, "id": 40 + index} for index, (x, y) in enumerate(at(box, *place) for place in places)
        ]
        await chromium.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    await touch("touchStart", (0.25, 0.5))
    await touch("touchStart", (0.25, 0.5), (0.75, 0.5))
    await stand_in.until(lambda: len(stand_in.inputs) == 2)
    await touch("touchEnd")
    await stand_in.until(lambda: len(stand_in.inputs) == 4)
    assert [(each["action"], each["pointerId"]) for each in stand_in.inputs[:2]] == [("down", 0), ("down", 1)]
    assert {(each["action"], each["pointerId"]) for each in stand_in.inputs[2:]} == {("up", 0), ("up", 1)}


async def test_the_wheel_drags_a_finger_and_lifts_it(live_page: Page, stand_in: StandIn) -> None:
    box = await video_box(live_page)
    await live_page.mouse.move(*at(box, 0.5, 0.5))
    await live_page.mouse.wheel(0, 100)
    await stand_in.until(lambda: any(action == "up" for action, _, _ in stand_in.touches()))
    assert stand_in.touches()[0] == ("down", WIDTH // 2, HEIGHT // 2)
    action, x, y = stand_in.touches()[-1]
    assert (action, x) == ("up", WIDTH // 2)
    assert y == pytest.approx(HEIGHT // 2 - 100 * WIDTH / box["width"], abs=1.01)


async def test_other_mouse_buttons_are_back_and_home(live_page: Page, stand_in: StandIn) -> None:
    video = live_page.locator("phone-viewer video")
    await video.click(button="right")
    await video.click(button="middle")
    await stand_in.until(lambda: keys(stand_in) == [4, 3])
    assert stand_in.touches() == []


async def test_buttons_press_the_phones_keys(live_page: Page, stand_in: StandIn) -> None:
    buttons = {"Back": 4, "Home": 3, "App switch": 187, "Volume up": 24, "Volume down": 25, "Power": 26}
    for name in buttons:
        await live_page.get_by_role("button", name=name, exact=True).click()
    await stand_in.until(lambda: len(stand_in.inputs) == len(buttons))
    assert keys(stand_in) == list(buttons.values())
    assert {(message["type"], message["action"]) for message in stand_in.inputs} == {("key", "press")}


async def test_the_keyboard_types_text_and_presses_keys(live_page: Page, stand_in: StandIn) -> None:
    await focus(live_page, stand_in)
    await live_page.keyboard.type("Grüße i €")
    names = ("Enter", "Backspace", "Delete", "Tab", "Escape", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "End")
    for name in names:
        await live_page.keyboard.press(name)
    await stand_in.until(lambda: len(keys(stand_in)) == len(names))
    assert "".join(texts(stand_in)) == "Grüße i €"
    assert keys(stand_in) == [66, 67, 112, 61, 4, 19, 20, 21, 22, 123]


async def test_a_composition_is_sent_when_it_is_done(live_page: Page, stand_in: StandIn) -> None:
    await focus(live_page, stand_in)
    chromium = await live_page.context.new_cdp_session(live_page)
    for draft in ("n", "に", "にほ"):
        await chromium.send("Input.imeSetComposition", {"text": draft, "selectionStart": 1, "selectionEnd": 1})
    await chromium.send("Input.insertText", {"text": "日本"})
    await stand_in.until(lambda: len(texts(stand_in)) == 1)
    assert texts(stand_in) == ["日本"]


async def test_pasted_text_is_sent_in_pieces_that_the_service_takes(live_page: Page, stand_in: StandIn) -> None:
    await focus(live_page, stand_in)
    pasted = "Line one\n" + "𝄞" * 5000
    await live_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await live_page.evaluate("(text) => navigator.clipboard.writeText(text)", pasted)
    await live_page.keyboard.press("Control+V")
    await stand_in.until(lambda: len("".join(texts(stand_in))) == len(pasted))
    assert "".join(texts(stand_in)) == pasted
    assert max(map(len, texts(stand_in))) <= 4096


async def test_shift_tab_leaves_the_phone_and_then_i_opens_the_numbers(live_page: Page, stand_in: StandIn) -> None:
    await focus(live_page, stand_in)
    numbers = live_page.get_by_role("region", name="Numbers")
    await live_page.keyboard.press("i")
    await stand_in.until(lambda: texts(stand_in) == ["i"])
    assert not await numbers.is_visible()
    await live_page.keyboard.press("Shift+Tab")
    await live_page.keyboard.press("i")
    await numbers.wait_for()
    assert keys(stand_in) == []
    assert texts(stand_in) == ["i"]


async def test_an_input_that_fails_is_explained(live_page: Page, stand_in: StandIn) -> None:
    stand_in.say({"type": "error", "code": "input_rejected", "detail": "'test' takes no input"})
    await live_page.get_by_role("alert").get_by_text("'test' takes no input").wait_for()


async def test_letterboxes_of_a_page_of_ones_own(page: Page, stand_in: StandIn) -> None:
    """`PhoneViewer` on a bare video element, as other front-ends use it."""
    await page.goto(f"{stand_in.address}page.css")
    await page.evaluate(
        """async () => {
          const { PhoneViewer } = await import("/viewer.js");
          const video = document.createElement("video");
          video.style.cssText = "position: fixed; left: 50px; top: 20px; width: 500px; height: 320px";
          video.style.objectFit = "contain";
          document.body.replaceChildren(video);
          window.viewer = new PhoneViewer(video);
          window.viewer.watch("phone-1");
        }"""
    )
    await page.wait_for_function("viewer.state === 'live' && viewer.caughtUpAt !== null")
    await stand_in.until(lambda: any(peer.channel for peer in stand_in.open_sessions.values()))
    # 320 px high, the picture is 180 px wide, in the middle of 500.
    left = 50 + (500 - 180) / 2
    await page.mouse.click(left - 10, 100)
    await page.mouse.click(left + 190, 100)
    await page.mouse.click(left + 90, 20 + 160)
    await stand_in.until(lambda: len(stand_in.inputs) == 2)
    assert stand_in.touches() == [("down", 90, 160), ("up", 90, 160)]


async def test_moves_wait_for_a_phone_that_is_slow(live_page: Page, stand_in: StandIn) -> None:
    page = live_page
    await focus(page, stand_in)
    box = await video_box(page)
    stand_in.acknowledges = False
    await page.mouse.down()
    for step in range(12):
        await page.mouse.move(*at(box, 0.5, 0.5 - step / 40))
        await page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    await page.mouse.up()
    await stand_in.until(lambda: stand_in.touches()[-1][0] == "up")
    moves = [each for each in stand_in.touches() if each[0] == "move"]
    # Four that are on their way, and the place where the finger lifted.
    assert len(moves) == 5
    assert moves[-1][1:] == stand_in.touches()[-1][1:]

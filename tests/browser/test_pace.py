"""The viewer's pure parts that decide about time: when to try again, and when pictures are live."""

import pytest
from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_backoff_doubles_up_to_five_seconds_and_half_of_it_is_random(module_page: Page) -> None:
    waits = await module_page.evaluate(
        """async () => {
          const { backoff } = await import("/backoff.js");
          const failures = [0, 1, 2, 4, 5, 9, 1000];
          return [0, 0.999999].map((random) => failures.map((count) => Math.round(backoff(count, random))));
        }"""
    )
    assert waits == [[125, 250, 500, 2000, 2500, 2500, 2500], [250, 500, 1000, 4000, 5000, 5000, 5000]]


async def caught_up(page: Page, pictures: list[tuple[float, int]]) -> list[bool]:
    """What `CatchUp` says to each (milliseconds, RTP timestamp)."""
    verdicts: list[bool] = await page.evaluate(
        """async (pictures) => {
          const { CatchUp } = await import("/catch-up.js");
          const catchUp = new CatchUp();
          return pictures.map(([now, timestamp]) => catchUp.picture(now, timestamp));
        }""",
        pictures,
    )
    return verdicts


async def test_a_live_stream_is_live_at_once(module_page: Page) -> None:
    verdicts = await caught_up(module_page, [(33.3 * number, 3000 * number) for number in range(5)])
    assert verdicts == [False, False, False, True, True]


async def test_a_replay_is_not_live_until_it_is_over(module_page: Page) -> None:
    # Eight pictures a millisecond apart in media time are decoded for each one that is shown.
    replay = [(16.7 * number, 8 * 90 * number) for number in range(30)]
    end_time, end_timestamp = replay[-1]
    live = [(end_time + 33.3 * number, end_timestamp + 3000 * number) for number in range(1, 8)]
    verdicts = await caught_up(module_page, replay + live)
    assert not any(verdicts[: len(replay)])
    assert verdicts[-1]


async def test_timestamps_may_wrap(module_page: Page) -> None:
    start = 2**32 - 6000
    verdicts = await caught_up(module_page, [(33.3 * number, (start + 3000 * number) % 2**32) for number in range(5)])
    assert verdicts[-1]

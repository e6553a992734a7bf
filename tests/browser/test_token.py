"""A token from the link to every request of the page, and what the page does without one."""

import json
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.typedefs import Handler
from playwright.async_api import Page, expect

from media_service.run_token import page_link, token_for
from signaling.guard import caller_of, guard
from signaling.problems import problems
from signaling.tokens import SharedSecret, TokenVerifier
from tests.browser.conftest import until_live
from tests.browser.stand_in import StandIn, description

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SECRET = "a secret of the tests, which is long enough"
VIEWER = "document.querySelector('phone-viewer').viewer"
NEEDED = "The service takes nobody without a token."


def made_token(user: str = "ann", seconds: float = 600) -> str:
    return token_for(SECRET, issuer="tests", audience="tests", user=user, roles=("operator",), seconds=seconds)


class GuardedStandIn(StandIn):
    """One behind the guard of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        """Seconds that its clock is ahead."""
        self.users: list[tuple[str, str | None]] = []
        """(method and kind of path, user) of every request of the API that was let through."""
        self.addresses: list[str] = []
        """Of all requests."""
        self.refused = 0

    def _application(self) -> web.Application:
        application = super()._application()
        verifier = TokenVerifier(
            [SharedSecret.of(SECRET)], issuer="tests", audience="tests", clock=lambda: time.time() + self.now
        )
        application.middlewares.extend([self._recorded, problems, guard(verifier), self._counted])
        return application

    @web.middleware
    async def _recorded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.addresses.append(str(request.url))
        response = await handler(request)
        self.refused += response.status == 401
        return response

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/api/"):
            self.users.append((f"{request.method} {request.path.split('/')[3]}", caller_of(request).user_id))
        return await handler(request)


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(stand_in: StandIn) -> AsyncIterator[GuardedStandIn]:
    """A service that wants tokens; the other one only brings what both need."""
    service = GuardedStandIn()
    async with service.serve():
        yield service


async def test_the_link_s_token_goes_with_every_request(page: Page, guarded: GuardedStandIn) -> None:
    guarded.is_reachable = False
    token = made_token()
    await page.goto(page_link(guarded.address, token))
    await guarded.until(lambda: len(guarded.trickles) > 0)
    guarded.is_reachable = True
    await page.reload()
    await until_live(page)
    await page.goto("about:blank")
    await guarded.until(lambda: len(guarded.deleted) > 0)
    assert {what for what, _ in guarded.users} == {
        "GET devices",
        "GET ice-servers",
        "POST whep",
        "PATCH sessions",
        "DELETE sessions",
    }
    assert {user for _, user in guarded.users} == {"ann"}
    assert all(token not in address for address in guarded.addresses)


async def test_the_address_bar_forgets_the_token_and_the_tab_does_not(page: Page, guarded: GuardedStandIn) -> None:
    await page.goto(page_link(f"{guarded.address}?device=phone-1", made_token()))
    await until_live(page)
    assert page.url == f"{guarded.address}?device=phone-1"
    await page.reload()
    await until_live(page)
    other_tab = await page.context.new_page()
    await other_tab.goto(guarded.address)
    await expect(other_tab.get_by_label("Token")).to_be_visible()


@pytest.mark.parametrize("path", ["", "?device=phone-1"])
async def test_without_a_token_the_page_asks_for_one(page: Page, guarded: GuardedStandIn, path: str) -> None:
    await page.goto(guarded.address + path)
    field = page.get_by_label("Token")
    await expect(field).to_be_focused()
    await expect(page.get_by_role("alert").filter(has_text=NEEDED)).to_be_visible()
    await expect(page.locator("phone-viewer")).to_be_hidden()
    assert guarded.offers == []
    await field.fill("nonsense")
    await field.press("Enter")
    await expect(page.get_by_role("alert").filter(has_text="not a signed JSON Web Token")).to_be_visible()
    await field.fill(made_token("bob"))
    await page.get_by_role("button", name="Continue").click()
    await until_live(page)
    await expect(field).to_be_hidden()
    assert {user for _, user in guarded.users} == {"bob"}


async def test_a_whole_link_may_be_pasted_too(page: Page, guarded: GuardedStandIn) -> None:
    await page.goto(guarded.address)
    await page.get_by_label("Token").fill(f" {page_link(guarded.address, made_token())} ")
    await page.get_by_role("button", name="Continue").click()
    await until_live(page)


async def test_a_link_that_is_opened_where_the_page_is_already(page: Page, guarded: GuardedStandIn) -> None:
    await page.goto(guarded.address)
    await expect(page.get_by_label("Token")).to_be_visible()
    await page.goto(page_link(guarded.address, made_token()))
    await until_live(page)
    assert urlsplit(page.url).fragment == ""


async def test_a_token_that_ends_is_asked_for_when_it_is_needed(page: Page, guarded: GuardedStandIn) -> None:
    await page.goto(page_link(guarded.address, made_token()))
    await until_live(page)
    guarded.now = 700
    refused = page.wait_for_event("response", lambda response: response.status == 401)
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await refused
    # What is watched goes on.
    await expect(page.locator("phone-viewer")).to_be_visible()
    await expect(page.get_by_label("Token")).to_be_hidden()
    assert await page.evaluate(f"{VIEWER}.state") == "live"
    await guarded.end_sessions()
    await expect(page.get_by_role("alert").filter(has_text="Your token has expired.")).to_be_visible()
    await page.get_by_label("Token").fill(made_token(seconds=2000))
    await page.get_by_role("button", name="Continue").click()
    await until_live(page)


EMBEDDING = """
<!doctype html>
<phone-viewer id="by-attribute" device="phone-1" api="/api/media"></phone-viewer>
<phone-viewer id="early" device="phone-2" api="/api/media"></phone-viewer>
<script>
  document.querySelector("#by-attribute").setAttribute("token", %(ann)s);
  document.querySelector("#early").token = %(bob)s;
</script>
<script type="module" src="/phone-viewer.js"></script>
"""


async def test_other_pages_give_the_element_its_token(page: Page, guarded: GuardedStandIn) -> None:
    guarded.devices.append(description("phone-2", "Pixel 8"))
    body = EMBEDDING % {"ann": json.dumps(made_token("ann")), "bob": json.dumps(made_token("bob"))}

    await page.route("**/embedding", lambda route: route.fulfill(body=body, content_type="text/html"))
    await page.goto(f"{guarded.address}embedding")
    for element in ("#by-attribute", "#early"):
        await page.wait_for_function(f"document.querySelector('{element}').viewer?.state === 'live'")
    assert sorted((what, user) for what, user in guarded.users if what == "POST whep") == [
        ("POST whep", "ann"),
        ("POST whep", "bob"),
    ]
    assert guarded.refused == 0

"""Chromium and two instances of the service, with a real nginx between them."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from benchmarks.instruments import instruments
from tests.browser.conftest import until_live
from tests.fixtures.adb import RunningAdb, free_port
from tests.fixtures.nginx import running_nginx
from tests.fixtures.service import RunningService, running_service

pytestmark = [pytest.mark.browser, pytest.mark.adb, pytest.mark.asyncio(loop_scope="session")]

# What the page's own control channel is not: the WebSocket API, as another front-end uses it.
CONTROL = """
async () => {
  const socket = new WebSocket(new URL("/api/media/ws", location.href.replace("http", "ws")));
  const heard = [];
  await new Promise((resolve) => {
    socket.onopen = () => socket.send(JSON.stringify({ type: "join", deviceId: "film", id: 1 }));
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      heard.push(message);
      if (message.id === 1) socket.send(JSON.stringify({ type: "keyframe-request", id: 2 }));
      if (message.id === 2) resolve();
    };
  });
  socket.close();
  return [socket.url, heard.find(({ id }) => id === 1), heard.find(({ id }) => id === 2)];
}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def secure_page(browser: Browser) -> AsyncIterator[Page]:
    """A page that takes the tests' certificate."""
    context = await browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800})
    yield await context.new_page()
    await context.close()


def instance(adb_server: RunningAdb, port: int) -> dict[str, str]:
    return {"ANDROID_ADB_SERVER_PORT": str(adb_server.port), "PORT": str(port), "DRAIN_TIMEOUT": "0s"}


async def test_the_demo_phone_is_watched_and_driven_over_https(
    secure_page: Page, demo_service: RunningService, nginx_path: str, tmp_path: Path
) -> None:
    port = urlsplit(demo_service.address).port
    assert port is not None
    with running_nginx(nginx_path, (port, free_port()), tmp_path) as nginx:
        await secure_page.goto(nginx.address)
        await secure_page.add_script_tag(content=instruments(), type="module")
        await secure_page.wait_for_function("window.until !== undefined")
        await secure_page.evaluate("until(() => viewer()?.state === 'live' && viewer().caughtUpAt !== null)")
        protocols = await secure_page.evaluate(
            "performance.getEntriesByType('resource').map(({ nextHopProtocol }) => nextHopProtocol)"
        )
        assert set(protocols) == {"h2"}
        location = await secure_page.evaluate("String(viewer().sessionAddress)")
        assert location.startswith(f"{nginx.address}api/media/whep/")

        before = (await secure_page.evaluate("until(() => strip())"))["touches"]
        await secure_page.locator("phone-viewer video").click(position={"x": 60, "y": 90})
        await secure_page.evaluate("(count) => until(() => strip()?.touches === count)", (before + 1) % 256)

        # DELETE, by the address that nginx handed on.
        delete = "(address) => fetch(address, { method: 'DELETE' }).then(({ status }) => status)"
        assert await secure_page.evaluate(delete, location) == 200


async def test_the_second_instance_takes_over(
    secure_page: Page, adb_server: RunningAdb, nginx_path: str, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("first", "second", "nginx")]
    for folder in folders:
        folder.mkdir()
    ports = free_port(), free_port()
    film = ["--source", "film=test:"]
    with (
        running_service(film, instance(adb_server, ports[1]), folders[1]) as second,
        running_nginx(nginx_path, ports, folders[2]) as nginx,
    ):
        with running_service(film, instance(adb_server, ports[0]), folders[0]) as first:
            await secure_page.goto(nginx.address)
            await until_live(secure_page)
            address, offer, done = await secure_page.evaluate(CONTROL)
            assert address == f"{nginx.address.replace('https', 'wss')}api/media/ws"
            assert (offer["type"], done["type"]) == ("offer", "ok")
            assert joins(first) > 0
            assert joins(second) == 0
        # What was watched is gone, the page has found the other one by itself, and another front-end does too.
        await secure_page.wait_for_function("document.querySelector('phone-viewer').viewer.attempts > 1")
        await until_live(secure_page)
        _, offer, _ = await secure_page.evaluate(CONTROL)
        assert offer["type"] == "offer"
        assert joins(second) > 0


def joins(service: RunningService) -> int:
    """Viewers that the instance has let in."""
    return sum("viewer joined" in line for line in service.log)

"""Viewers who reach the service through the real coturn only, with the credentials that the service hands out."""

import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page

from benchmarks.instruments import instruments
from signaling.turn_credentials import turn_credentials
from tests.fixtures.adb import RunningAdb
from tests.fixtures.coturn import RunningCoturn
from tests.fixtures.service import RunningService, running_service

pytestmark = [pytest.mark.browser, pytest.mark.adb, pytest.mark.asyncio(loop_scope="session")]

# The viewer page knows nothing of it: whatever it connects is relayed, over that transport.
RELAY_ONLY = """
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration) {
    const iceServers = configuration.iceServers.flatMap(({ urls, ...server }) => {
      const chosen = [urls].flat().filter((url) => url.endsWith("transport=%TRANSPORT%"));
      return chosen.length ? [{ ...server, urls: chosen }] : [];
    });
    super({ ...configuration, iceServers, iceTransportPolicy: "relay" });
    connections.push(this);
  }
};
"""

LOCAL_CANDIDATE = """
async () => {
  const stats = await connections.at(-1).getStats();
  const { selectedCandidatePairId } = [...stats.values()].find(({ type }) => type === "transport");
  return stats.get(stats.get(selectedCandidatePairId).localCandidateId);
}
"""

ALLOCATE = """
(servers) => new Promise((resolve) => {
  const connection = new RTCPeerConnection({ iceServers: [servers], iceTransportPolicy: "relay" });
  const outcome = { relays: 0, errors: [] };
  connection.onicecandidateerror = ({ errorCode }) => outcome.errors.push(errorCode);
  connection.onicecandidate = ({ candidate }) => (outcome.relays += candidate?.candidate.includes(" typ relay ") ?? 0);
  connection.onicegatheringstatechange = () => {
    if (connection.iceGatheringState === "complete") {
      connection.close();
      resolve(outcome);
    }
  };
  connection.createDataChannel("any");
  connection.setLocalDescription();
})
"""


@pytest.fixture(scope="module")
def service(
    adb_server: RunningAdb, coturn: RunningCoturn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """A service with a demo phone, that shares the TURN server's secret."""
    environment = {
        "ANDROID_ADB_SERVER_PORT": str(adb_server.port),
        "TURN_URLS": f"{coturn.udp_url},{coturn.tcp_url}",
        "TURN_SECRET": coturn.secret,
    }
    with running_service(["--demo"], environment, tmp_path_factory.mktemp("turn")) as running:
        yield running


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_viewer_who_is_relayed_sees_the_phone(page: Page, service: RunningService, transport: str) -> None:
    await page.add_init_script(RELAY_ONLY.replace("%TRANSPORT%", transport))
    await page.goto(service.address)
    await page.add_script_tag(content=instruments(), type="module")
    await page.wait_for_function("window.until !== undefined")
    await page.evaluate("until(() => viewer()?.state === 'live' && viewer().caughtUpAt !== null)")
    first = await page.evaluate("until(() => strip())")
    await page.evaluate("(number) => until(() => strip()?.frameNumber > number)", first["frameNumber"] + 30)
    local = await page.evaluate(LOCAL_CANDIDATE)
    assert (local["candidateType"], local["relayProtocol"]) == ("relay", transport)


async def handed_out(service: RunningService) -> dict[str, Any]:
    """The service's TURN servers with the credentials for whoever asks."""
    async with aiohttp.ClientSession() as session, session.get(f"{service.address}api/media/ice-servers") as response:
        (servers,) = (await response.json())["iceServers"]
    assert isinstance(servers, dict)
    return servers


async def test_the_credentials_expire(service: RunningService) -> None:
    expires_at = int((await handed_out(service))["username"].partition(":")[0])
    assert 3500 < expires_at - time.time() <= 3600


async def test_chromium_gets_a_relay_with_ours_only(page: Page, service: RunningService, coturn: RunningCoturn) -> None:
    await page.goto(service.address)
    ours = await handed_out(service)
    outcome = await page.evaluate(ALLOCATE, ours)
    assert outcome["relays"] >= 2, "one over UDP, one over TCP"
    assert 401 not in outcome["errors"]

    forged = await page.evaluate(ALLOCATE, ours | {"credential": "guessed"})
    assert (forged["relays"], set(forged["errors"])) == (0, {401})

    made = turn_credentials(coturn.secret, None, 60, time.time() - 61)
    late = await page.evaluate(ALLOCATE, ours | {"username": made.username, "credential": made.credential})
    assert (late["relays"], set(late["errors"])) == (0, {401})

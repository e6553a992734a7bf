"""Real Chromium takes our answers, and its answers to our offers are taken."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright

from signaling.answerer import create_answer, parse_offer
from signaling.jsep import BandwidthFeedback
from signaling.offerer import accept_answer, create_offer
from tests.signaling.samples import LOCAL

pytestmark = pytest.mark.browser

OFFER = """async ([kinds, bundlePolicy]) => {
    window.peer = new RTCPeerConnection({bundlePolicy});
    for (const kind of kinds) peer.addTransceiver(kind, {direction: "recvonly"});
    peer.createDataChannel("control");
    await peer.setLocalDescription();
    return peer.localDescription.sdp;
}"""

TAKE_ANSWER = """async (sdp) => {
    await peer.setRemoteDescription({type: "answer", sdp});
    const [taken] = peer.getTransceivers().filter((one) => one.currentDirection === "recvonly");
    const result = {
        state: peer.signalingState,
        directions: peer.getTransceivers().map((one) => one.currentDirection),
        bundled: peer.sctp.transport === taken.receiver.transport,
    };
    peer.close();
    return result;
}"""

ANSWER = """async (sdp) => {
    const peer = new RTCPeerConnection();
    await peer.setRemoteDescription({type: "offer", sdp});
    await peer.setLocalDescription();
    const answer = peer.localDescription.sdp;
    peer.close();
    return answer;
}"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    arguments = ["--disable-background-networking", "--disable-component-update", "--no-first-run"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


async def test_chromium_takes_our_answers(page: Page) -> None:
    for kinds, bundle_policy, directions in (
        (["video"], "balanced", ["recvonly"]),
        (["audio", "video"], "balanced", ["inactive", "recvonly"]),
        (["audio", "video"], "max-bundle", ["inactive", "recvonly"]),
        (["video", "video", "audio"], "max-compat", ["recvonly"]),  # rejected ones are gone from the list
    ):
        offer = parse_offer(await page.evaluate(OFFER, [kinds, bundle_policy]))
        text, negotiated = create_answer(offer, "42c01f", LOCAL, session_id=7, ssrc=1000, rtx_ssrc=1001)
        taken = await page.evaluate(TAKE_ANSWER, text)
        assert (taken["state"], taken["directions"]) == ("stable", directions)
        assert taken["bundled"]
        assert negotiated.video.profile_level_id == "42e01f"
        assert negotiated.video.rtx_payload_type is not None
        assert negotiated.data_channels is not None


async def test_chromium_takes_our_sound(page: Page) -> None:
    for kinds, bundle_policy in ((["video", "audio"], "max-bundle"), (["audio", "video"], "balanced")):
        offer = parse_offer(await page.evaluate(OFFER, [kinds, bundle_policy]))
        text, negotiated = create_answer(
            offer, "42c01f", LOCAL, session_id=7, ssrc=1000, rtx_ssrc=1001, audio_ssrc=1002
        )
        taken = await page.evaluate(TAKE_ANSWER, text)
        assert (taken["state"], taken["directions"]) == ("stable", ["recvonly", "recvonly"])
        assert taken["bundled"]
        assert negotiated.audio is not None
        assert negotiated.audio.payload_type == 111
        assert negotiated.audio.mid_extension is not None


async def test_chromium_answers_our_offers_with_sound(page: Page) -> None:
    text, offered = create_offer("42c01f", LOCAL, session_id=7, ssrc=1000, rtx_ssrc=1001, audio_ssrc=1002)
    negotiated = accept_answer(offered, await page.evaluate(ANSWER, text))
    assert negotiated.audio is not None
    assert negotiated.audio.mid_extension is not None
    assert negotiated.data_channels is not None


async def test_chromium_answers_our_offers(page: Page) -> None:
    for profile_level_id, chosen in (("42c01f", "42c01f"), ("4d4028", "4d4028"), ("640033", "42e01f")):
        text, offered = create_offer(profile_level_id, LOCAL, session_id=7, ssrc=1000, rtx_ssrc=1001)
        negotiated = accept_answer(offered, await page.evaluate(ANSWER, text))
        assert negotiated.video.profile_level_id == chosen
        assert negotiated.video.rtx_payload_type == negotiated.video.payload_type + 1
        assert negotiated.video.playout_delay_extension is not None
        assert negotiated.video.absolute_send_time_extension is not None
        assert negotiated.remote.is_dtls_client
        assert negotiated.data_channels is not None


async def test_chromium_gives_the_feedback_that_is_wanted(page: Page) -> None:
    for feedback in BandwidthFeedback:
        offer = parse_offer(await page.evaluate(OFFER, [["video"], "max-bundle"]))
        text, negotiated = create_answer(
            offer, "42c01f", LOCAL, session_id=7, ssrc=1000, rtx_ssrc=1001, feedback=feedback
        )
        assert (await page.evaluate(TAKE_ANSWER, text))["state"] == "stable"
        text, offered = create_offer("42c01f", LOCAL, session_id=7, ssrc=1000, rtx_ssrc=1001, feedback=feedback)
        answered = accept_answer(offered, await page.evaluate(ANSWER, text))
        for video in (negotiated.video, answered.video):
            is_transport = feedback is BandwidthFeedback.TRANSPORT
            assert (video.transport_cc, video.goog_remb) == (is_transport, not is_transport)
            assert (video.transport_sequence_extension is not None) == is_transport
            assert video.absolute_send_time_extension is not None

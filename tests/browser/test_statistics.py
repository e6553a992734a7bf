import pytest
from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

INBOUND = {
    "id": "in",
    "type": "inbound-rtp",
    "kind": "video",
    "codecId": "codec",
    "timestamp": 1000,
    "framesDecoded": 0,
    "framesDropped": 0,
    "bytesReceived": 0,
    "headerBytesReceived": 0,
    "packetsReceived": 0,
    "packetsLost": 0,
    "jitterBufferDelay": 0,
    "jitterBufferEmittedCount": 0,
    "totalDecodeTime": 0,
}
OTHERS = [
    {
        "id": "codec",
        "type": "codec",
        "mimeType": "video/H264",
        "sdpFmtpLine": "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    },
    {"id": "transport", "type": "transport", "selectedCandidatePairId": "pair"},
    {
        "id": "pair",
        "type": "candidate-pair",
        "localCandidateId": "local",
        "remoteCandidateId": "remote",
        "currentRoundTripTime": 0.04,
    },
    {"id": "local", "type": "local-candidate", "candidateType": "relay", "relayProtocol": "tls"},
    {"id": "remote", "type": "remote-candidate", "candidateType": "host", "protocol": "udp"},
]


async def measured(page: Page, *inbound: dict[str, object]) -> list[dict[str, object]]:
    """The statistics after each report."""
    statistics: list[dict[str, object]] = await page.evaluate(
        """async (reports) => {
          const { Sample, measure } = await import("/statistics.js");
          const samples = reports.map((entries) => new Sample(entries.map((entry) => [entry.id, entry])));
          return samples.map((sample, index) => measure(samples[index - 1] ?? null, sample));
        }""",
        [[report, *OTHERS] for report in inbound],
    )
    return statistics


async def test_two_reports_make_rates_and_averages(module_page: Page) -> None:
    later = INBOUND | {
        "timestamp": 3000,
        "framesDecoded": 60,
        "framesDropped": 1,
        "bytesReceived": 480_000,
        "headerBytesReceived": 20_000,
        "packetsReceived": 396,
        "packetsLost": 4,
        "jitterBufferDelay": 0.6,
        "jitterBufferEmittedCount": 60,
        "totalDecodeTime": 0.12,
        "frameWidth": 720,
        "frameHeight": 1280,
        "freezeCount": 1,
        "totalFreezesDuration": 0.25,
        "retransmittedPacketsReceived": 3,
        "keyFramesDecoded": 2,
        "pliCount": 1,
    }
    first, second = await measured(module_page, INBOUND, later)
    assert first["framesPerSecond"] is None
    assert second == pytest.approx(
        {
            "framesPerSecond": 30,
            "bitsPerSecond": 2_000_000,
            "roundTripMs": 40,
            "lossPercent": 1,
            "jitterBufferMs": 10,
            "decodeMs": 2,
            "delayMs": 32,
            "framesDecoded": 60,
            "framesDropped": 1,
            "freezes": 1,
            "freezeMs": 250,
            "packetsLost": 4,
            "retransmitted": 3,
            "keyframesDecoded": 2,
            "keyframeRequests": 1,
            "width": 720,
            "height": 1280,
            "codec": "H.264 Constrained Baseline 3.1",
            "path": "relay → host, udp over tls",
            "soundCodec": "",
            "soundBitsPerSecond": 0,
            "soundBufferMs": None,
            "soundMadeUpPercent": None,
        }
    )


async def test_sound_has_numbers_of_its_own(module_page: Page) -> None:
    sound = {
        "id": "sound",
        "type": "inbound-rtp",
        "kind": "audio",
        "codecId": "opus",
        "packetsReceived": 10,
        "bytesReceived": 800,
        "headerBytesReceived": 280,
        "jitterBufferDelay": 0,
        "jitterBufferEmittedCount": 0,
        "concealedSamples": 0,
        "silentConcealedSamples": 0,
        "totalSamplesReceived": 0,
    }
    later = sound | {
        "bytesReceived": 8800,
        "headerBytesReceived": 2280,
        "jitterBufferDelay": 48_000 * 0.03,
        "jitterBufferEmittedCount": 48_000,
        "concealedSamples": 2400,
        "silentConcealedSamples": 1440,
        "totalSamplesReceived": 48_000,
    }
    codec = {"id": "opus", "type": "codec", "mimeType": "audio/opus", "sdpFmtpLine": "minptime=10;stereo=1"}
    statistics = await module_page.evaluate(
        """async (reports) => {
          const { Sample, measure } = await import("/statistics.js");
          const [before, after] = reports.map((entries) => new Sample(entries.map((entry) => [entry.id, entry])));
          return measure(before, after);
        }""",
        [[INBOUND, sound, codec], [INBOUND | {"timestamp": 2000}, later, codec]],
    )
    assert {name: value for name, value in statistics.items() if name.startswith("sound")} == pytest.approx(
        {"soundCodec": "Opus stereo", "soundBitsPerSecond": 80_000, "soundBufferMs": 30, "soundMadeUpPercent": 2}
    )


async def test_a_still_screen_has_no_delay_and_no_loss_to_speak_of(module_page: Page) -> None:
    _, second = await measured(module_page, INBOUND, INBOUND | {"timestamp": 2000})
    assert (second["framesPerSecond"], second["bitsPerSecond"]) == (0, 0)
    assert [second[name] for name in ("lossPercent", "jitterBufferMs", "decodeMs", "delayMs")] == [None] * 4


@pytest.mark.parametrize(
    ("profile_level_id", "words"),
    [
        ("42001f", "H.264 Baseline 3.1"),
        ("4d0028", "H.264 Main 4.0"),
        ("640033", "H.264 High 5.1"),
        ("580a1e", "H.264 profile 580a 3.0"),
    ],
)
async def test_a_codec_is_named_in_words(module_page: Page, profile_level_id: str, words: str) -> None:
    name = await module_page.evaluate(
        """async (sdpFmtpLine) => {
          const { codecName } = await import("/statistics.js");
          return codecName({ mimeType: "video/H264", sdpFmtpLine });
        }""",
        f"profile-level-id={profile_level_id}",
    )
    assert name == words

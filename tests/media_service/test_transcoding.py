"""A rung's pictures, by the real codecs in a real pool."""

import time

from encoders.access_unit import AccessUnit
from encoders.annexb import picture_nal_units
from encoders.h264_decoder import H264Decoder
from encoders.h264_encoder import H264Encoder
from encoders.pool import EncoderPool
from encoders.video_encoder import VideoCoding, VideoEncoder
from media_service.rung_encoder import Transcoding
from media_service.rungs import LADDER
from media_service.transcoding import Transcoder
from tests.fixtures.media import encode_x264
from tests.waiting import until

RUNG = LADDER[1]
WIDTH, HEIGHT = 720, 1280


async def test_a_coder_that_does_not_keep_up_goes_on_with_a_faster_preset_and_a_keyframe() -> None:
    """At 240 pictures per second, that is, of which no processor of today codes a medium one in time."""
    pictures = [tuple(picture_nal_units(coded)) for coded in encode_x264(WIDTH, HEIGHT, 8, profile="baseline")]
    pool = EncoderPool(workers=1, input_limit=10, timeout=5.0)
    opened: list[VideoCoding] = []
    delivered: list[AccessUnit] = []
    begun_at = time.monotonic()
    pushed = 0

    def open_encoder(coding: VideoCoding) -> VideoEncoder:
        opened.append(coding)
        return H264Encoder.of(coding)

    def push() -> None:
        nonlocal pushed
        number = pushed % len(pictures)
        transcoder.push(AccessUnit(pictures[number], begun_at + pushed / 30, number == 0))
        pushed += 1

    def deliver(access_unit: AccessUnit) -> None:
        delivered.append(access_unit)
        push()

    transcoder = Transcoder("phone-1", Transcoding(pool, open_encoder, 240, "medium", 20), lambda: None)
    transcoder.start(RUNG, 1_000_000, lambda: (), deliver, lambda _: None)
    push()
    await until(lambda: len(opened) > 1 and sum(access_unit.is_keyframe for access_unit in delivered) > 1)
    transcoder.close()
    await pool.aclose()

    assert [coding.preset for coding in opened] == ["medium", "fast"]
    decoder = H264Decoder()
    shown = [frame for access_unit in delivered for frame in decoder.decode(access_unit)]
    assert [(each.frame.width, each.frame.height) for each in shown] == [(WIDTH, HEIGHT)] * len(delivered)
    assert [access_unit.is_keyframe for access_unit in delivered].count(True) == 2

"""A rung whose event loop comes late for its pictures."""

import time

from encoders.access_unit import AccessUnit
from encoders.h264_decoder import DecodedFrame
from encoders.h264_encoder import H264Encoder
from encoders.pool import EncoderPool
from media_service.rung_encoder import RungEncoder, Transcoding
from media_service.rungs import LADDER
from tests.fixtures.media import moving_frames
from tests.waiting import until

WRITING_TIMEOUT = 0.05


async def test_pictures_that_waited_too_long_are_left_out_and_a_keyframe_comes_instead() -> None:
    pool = EncoderPool(workers=1, input_limit=10, timeout=5.0)
    delivered: list[AccessUnit] = []
    transcoding = Transcoding(pool, H264Encoder.of, 30, "ultrafast", 20, writing_timeout=WRITING_TIMEOUT)
    rung = RungEncoder("phone-1 360p", LADDER[-1], 300_000, transcoding, delivered.append, lambda _: None)
    frames = list(moving_frames(320, 480, 4))
    begun_at = time.monotonic()

    rung.lane.put(DecodedFrame(frames[0], begun_at))
    await until(lambda: delivered)
    for number in (1, 2):
        rung.lane.put(DecodedFrame(frames[number], begun_at + number))
    deadline = time.monotonic() + 10
    while rung.output.waiting < 2 and time.monotonic() < deadline:
        time.sleep(0.001)  # noqa: ASYNC251  # the event loop is held up on purpose
    time.sleep(2 * WRITING_TIMEOUT)  # noqa: ASYNC251
    assert len(delivered) == 1
    await until(lambda: rung.drops["late"] == 2)
    # The screen may stand still now: the last picture is coded once more.
    await until(lambda: len(delivered) == 2)
    assert [access_unit.is_keyframe for access_unit in delivered] == [True, True]

    rung.lane.put(DecodedFrame(frames[3], begun_at + 3))
    await until(lambda: len(delivered) == 3)
    assert not delivered[-1].is_keyframe
    rung.close()
    await pool.aclose()

"""`screenrecord --output-format=raw-frames`."""

import asyncio
import signal

import numpy as np
import pytest

from capture.demo_phone.commands import COMMANDS
from capture.demo_phone.display import Picture
from capture.demo_phone.phone import Phone, PhoneSpec
from capture.demo_phone.raw_recorder import RawFrameCoder
from capture.demo_phone.screen import Screen
from capture.demo_phone.shell import Shell
from capture.demo_phone.strip import Strip, read_strip
from tests.capture.demo_phone.shell_run import Run, run
from tests.waiting import until

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def picture(width: int, height: int) -> Picture:
    return Picture(Screen(width, height).draw(1.0), 1.0)


def pixels(data: bytes, width: int, height: int) -> Pixels:
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def grey(rgb: Pixels) -> Pixels:
    luminance: Pixels = rgb.mean(axis=2).astype(np.uint8)
    return luminance


def test_a_frame_is_rows_of_rgb_and_nothing_else() -> None:
    drawn = picture(120, 160)
    coder = RawFrameCoder(120, 160, (120, 160))
    frame = pixels(coder.encode(drawn), 120, 160)
    assert np.array_equal(frame, drawn.frame.to_ndarray(format="rgb24"))
    assert read_strip(grey(frame)).frame_number == 1
    coder.close()


@pytest.mark.parametrize(
    ("screen", "video", "bars"),
    [
        ((120, 240), (180, 360), (slice(0), slice(0))),
        ((120, 240), (160, 160), (slice(None), slice(0, 38))),
        ((240, 120), (160, 160), (slice(0, 38), slice(None))),
    ],
)
def test_the_screen_keeps_its_aspect(
    screen: tuple[int, int], video: tuple[int, int], bars: tuple[slice, slice]
) -> None:
    frame = pixels(RawFrameCoder(*video, screen).encode(picture(*screen)), *video)
    assert not frame[bars].any()
    assert frame.any()


def test_what_was_not_there_before_the_screen_was_turned_is_cut_off() -> None:
    turned = picture(240, 160)
    frame = pixels(RawFrameCoder(160, 240, (160, 240)).encode(turned), 160, 240)
    seen = turned.frame.to_ndarray(format="rgb24")[:, :160]
    assert np.abs(frame[:160, :150].astype(int) - seen[:, :150]).max() <= 3  # The edge's colours mix with what is cut.
    assert not frame[160:].any()


def test_the_picture_stays_as_it_was() -> None:
    drawn = picture(120, 160)
    before = drawn.frame.to_ndarray(format="yuv420p")
    for video in ((60, 80), (120, 160), (160, 160)):
        RawFrameCoder(*video, (120, 160)).encode(drawn)
    assert np.array_equal(drawn.frame.to_ndarray(format="yuv420p"), before)


def frame_strips(data: bytes) -> list[Strip]:
    """What the whole frames in the output of a phone of 120x160 say."""
    count = len(data) // (120 * 160 * 3)
    frames = pixels(data[: count * 120 * 160 * 3], 120, 160 * count).reshape(count, 160, 120, 3)
    return [read_strip(grey(frame)) for frame in frames]


async def test_a_phone_without_an_encoder() -> None:
    phone = Phone(PhoneSpec(width=120, height=160))
    phone.faults.no_encoder = True
    phone.faults.time_limit = 0.2
    result = await run(phone, "screenrecord --output-format=raw-frames -")
    assert (result.exit_code, result.errors) == (0, b"")
    assert len(result.output) % (120 * 160 * 3) == 0
    numbers = [strip.frame_number for strip in frame_strips(result.output)]
    assert numbers
    assert numbers == list(range(1, len(numbers) + 1))


async def test_the_time_limit_is_not_looked_at() -> None:
    phone = Phone(PhoneSpec(width=120, height=160, frame_rate=10))
    output = Run()
    shell = Shell(phone, COMMANDS, output)
    recording = asyncio.get_running_loop().create_task(
        shell.run("screenrecord --output-format=raw-frames --time-limit 1 -")
    )
    await until(lambda: len(strips := frame_strips(output.output)) > 1 and elapsed(strips) > 1100, pause=0.05)
    assert not recording.done()
    for process in phone.processes:
        process.send_signal(signal.SIGINT)
    assert await recording == 0


def elapsed(strips: list[Strip]) -> int:
    """Milliseconds from the first picture to the last."""
    return strips[-1].drawn_at - strips[0].drawn_at

"""The demo phone's screen: a home screen with a running clock, numbered pictures, and what was touched and typed."""

import time
from collections.abc import Callable
from functools import lru_cache

import av
from PIL import Image

from capture.demo_phone.canvas import Canvas, Counter, Mask, TextLine, load_font
from capture.demo_phone.home_screen import paint_home_screen
from capture.demo_phone.icons import rounded_box
from capture.demo_phone.layout import Box, Layout, lay_out
from capture.demo_phone.strip import Strip, draw_strip
from capture.demo_phone.touches import Motion, Touches
from capture.demo_phone.wave import Wave

_PLACEHOLDER = "Tap, swipe or type"
_LONGEST_TEXT = 200
_LABEL_COLOUR = (226, 222, 245)


class Screen:
    """Draws pictures of 4:2:0 video. All times are seconds of one clock, usually `time.monotonic()`.

    Not for several threads at once. Raises ValueError for a size that is odd, or not 120 to 4096 pixels a side.
    """

    def __init__(
        self, width: int, height: int, *, name: str = "Demo phone", wall_clock: Callable[[], float] = time.time
    ) -> None:
        """`name` is shown on the screen; `wall_clock` gives seconds since the epoch for its clock and its strip."""
        self.on_change: Callable[[], None] = _ignore
        """Called when something was done to the screen that the next picture shows."""
        self.width, self.height = width, height
        self._name = name
        self._wall_clock = wall_clock
        self._frame_number = 0
        self._drawn_at = float("-inf")
        self._animate = True
        self._changed = True
        layout = lay_out(width, height)
        self._canvas = Canvas.from_image(_home_screen(layout))
        self._strip_top = layout.strip_top
        self._canvas.make_grey(layout.strip_top)
        self._touches = Touches(layout.unit)
        self._add_clock(layout)
        self._add_card(layout, name)
        self._add_search(layout)

    def turned(self, width: int, height: int) -> "Screen":
        """A screen of another size that goes on where this one is: its numbers, its text; the dots stay behind.

        Raises ValueError for the size.
        """
        screen = Screen(width, height, name=self._name, wall_clock=self._wall_clock)
        screen._frame_number = self._frame_number
        screen._animate = self._animate
        screen._touches.count = self._touches.count
        screen._show_text(self._text)
        return screen

    def touch(self, motion: Motion, x: float, y: float, now: float, pointer_id: int = 0) -> None:
        """Show a finger's motion at (x, y), in pixels of the screen."""
        self._touches.move(motion, x, y, now, pointer_id)
        self._change()

    def type_text(self, text: str) -> None:
        """Type into the search field, which shows the end of what was typed."""
        self._show_text(self._text + text)

    def press_key(self, name: str) -> None:
        """Show the name of a pressed key; `KEYCODE_DEL` takes a letter of the typed text, `KEYCODE_ENTER` all of it."""
        if name == "KEYCODE_DEL":
            self._show_text(self._text[:-1])
        elif name == "KEYCODE_ENTER":
            self._show_text("")
        self._key.show(name.removeprefix("KEYCODE_"))
        self._change()

    def _show_text(self, text: str) -> None:
        self._text = text[-_LONGEST_TEXT:]
        self._typed.show(self._text or _PLACEHOLDER)
        self._change()

    @property
    def animate(self) -> bool:
        """Whether clock and waves run. Without, the picture stays as it is until somebody touches the screen."""
        return self._animate

    @animate.setter
    def animate(self, animate: bool) -> None:
        self._animate = animate
        self._change()

    @property
    def touch_count(self) -> int:
        """Fingers that went down so far."""
        return self._touches.count

    def is_still(self) -> bool:
        """Whether drawing again would only repeat the last picture."""
        return not self._animate and not self._changed and self._touches.is_still(self._drawn_at)

    def draw(self, now: float) -> av.VideoFrame:
        """The screen at `now` as a yuv420p frame that the caller may keep. Each call counts as a picture."""
        strip = self.number_picture()
        self._drawn_at = now
        self._changed = False
        self._show_time(self._wall_clock())
        self._frame_counter.show(f"{strip.frame_number % 1_000_000:06}")
        self._wave.draw(now)
        draw_strip(self._canvas.luma, strip)
        frame = self._canvas.to_frame()
        self._touches.draw(Canvas.over(frame, self._strip_top), now)
        return frame

    def number_picture(self) -> Strip:
        """Count a picture that is drawn now, here or in this screen's place; what its strip has to say."""
        self._frame_number += 1
        return Strip(self._frame_number, int(self._wall_clock() * 1000), self._touches.count)

    def _change(self) -> None:
        self._changed = True
        self.on_change()

    def _add_clock(self, layout: Layout) -> None:
        box, unit = layout.clock, layout.unit
        centre = box.x + box.width / 2
        self._clock = Counter(self._canvas, centre, box.y, "00:00:00.000", load_font(52 * unit))
        self._date = TextLine(self._canvas, layout.date, load_font(15 * unit), anchor="m")
        bar = layout.status_bar
        self._status_time = Counter(self._canvas, bar.x + 34 * unit, bar.y + 6 * unit, "00:00", load_font(13 * unit))

    def _add_card(self, layout: Layout, name: str) -> None:
        box, unit = layout.card, layout.unit
        inset = layout.pixels(16)
        font = load_font(14 * unit)
        line = Box(box.x + inset, box.y + layout.pixels(8), box.width - 2 * inset, layout.pixels(20))
        TextLine(self._canvas, line, font).show(name)
        counter_width = layout.pixels(60)
        label = Box(line.x, line.y, line.width - counter_width - layout.pixels(2), line.height)
        TextLine(self._canvas, label, font, _LABEL_COLOUR, anchor="r").show("frame")
        self._frame_counter = Counter(
            self._canvas, line.x + line.width - counter_width / 2, line.y, "000000", font, height=line.height
        )
        shape = rounded_box(box.width, box.height, 20 * unit)
        top = layout.pixels(32)
        self._wave = Wave(
            self._canvas,
            Box(box.x, box.y + top, box.width, box.height - top),
            Mask.from_image(shape.crop((0, top, box.width, box.height))),
        )

    def _add_search(self, layout: Layout) -> None:
        box = layout.search
        font = load_font(15 * layout.unit)
        left, right = layout.pixels(44), layout.pixels(18)
        key_width = layout.pixels(118)
        text_width = box.width - left - right - key_width
        self._typed = TextLine(self._canvas, Box(box.x + left, box.y, text_width, box.height), font)
        self._typed.show(_PLACEHOLDER)
        self._text = ""
        key_box = Box(box.x + left + text_width, box.y, key_width, box.height)
        self._key = TextLine(self._canvas, key_box, font, _LABEL_COLOUR, anchor="r")

    def _show_time(self, wall: float) -> None:
        milliseconds = int(wall * 1000) % 1000
        local = time.localtime(wall)
        clock = time.strftime("%H:%M:%S", local)
        self._clock.show(f"{clock}.{milliseconds:03}")
        self._status_time.show(clock[:5])
        self._date.show(time.strftime(f"%A, {local.tm_mday} %B", local))


def _ignore() -> None:
    pass


@lru_cache(maxsize=8)
def _home_screen(layout: Layout) -> Image.Image:
    """Painted once for all phones of one size, and once more for those of them that are turned."""
    return paint_home_screen(layout)

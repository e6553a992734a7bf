"""One stream out of several ways of capture."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from capture.errors import AdbTimeout, CaptureError, DeviceOffline, SourceEnded
from capture.input_events import VideoSize
from capture.ladder import CaptureMode, Ladder
from capture.live_source import OpenMode
from capture.phone_source import PhoneSource, PhoneTimes
from capture.screen_watch import ScreenState
from capture.source import ScreenCondition, Source
from encoders.access_unit import AccessUnit
from encoders.audio_packet import AudioPacket
from tests.media_service.pushed_source import PushedSource
from tests.waiting import until

UPRIGHT, TURNED = VideoSize(720, 1280), VideoSize(1280, 720)


class ToldWatch:
    """A watch that says what the test says."""

    def __init__(self) -> None:
        self.states: asyncio.Queue[ScreenState | CaptureError] = asyncio.Queue()

    async def run(self, changed: Callable[[ScreenState], None]) -> None:
        while True:
            state = await self.states.get()
            if isinstance(state, CaptureError):
                raise state
            changed(state)


class Scene:
    """A phone whose ways of capture the test plays."""

    def __init__(
        self,
        *modes: CaptureMode,
        first_pause: float,
        condition: ScreenCondition = ScreenCondition.SHOWN,
        silence: float = 10.0,
    ) -> None:
        self.opened: list[tuple[CaptureMode, VideoSize]] = []
        self.sources: dict[CaptureMode, PushedSource] = {}
        """The newest of each mode."""
        self.refusals: dict[CaptureMode, CaptureError] = {}
        """What opening raises."""
        self.may_open = asyncio.Event()
        """Cleared, opening takes until it is set."""
        self.may_open.set()
        self.turns: list[VideoSize] = []
        self.watch = ToldWatch()
        self.ladder = Ladder(modes, {}, first_pause=first_pause)
        self.source = PhoneSource(
            "phone",
            self.ladder,
            {mode: self._way(mode) for mode in modes},
            self.watch,
            ScreenState(UPRIGHT, condition=condition),
            times=PhoneTimes(
                first_dark_picture=0.01,
                next_question=0.01,
                silence=silence,
                silence_patience=silence,
                silence_look=0.01,
            ),
        )

    def _way(self, mode: CaptureMode) -> OpenMode:
        async def opened(size: VideoSize) -> Source:
            self.opened.append((mode, size))
            await self.may_open.wait()
            if mode in self.refusals:
                raise self.refusals[mode]
            self.sources[mode] = source = PushedSource(kind=mode.value, keyframe_on_demand=mode is CaptureMode.SCRCPY)
            return source

        return OpenMode(opened, lambda _, size: self.turns.append(size))

    async def start(self) -> PushedSource:
        await self.source.start()
        return self.sources[self.opened[-1][0]]

    @property
    def modes_opened(self) -> list[str]:
        return [mode.value for mode, _ in self.opened]


async def turns_of_the_loop(count: int = 50) -> None:
    """Let everything happen that waits for nothing."""
    for _ in range(count):
        await asyncio.sleep(0)


async def take(source: PhoneSource, count: int = 1) -> list[AccessUnit]:
    async with asyncio.timeout(10):
        return [await anext(source) for _ in range(count)]


@pytest.fixture(params=[10.0])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    made = Scene(CaptureMode.SCRCPY, CaptureMode.SCREENRECORD, first_pause=request.param)
    yield made
    await made.source.aclose()


@pytest.fixture
async def impatient_scene() -> AsyncIterator[Scene]:
    """Its phone is asked after a tenth of a second of silence, and has as long to answer."""
    made = Scene(CaptureMode.SCRCPY, CaptureMode.SCREENRECORD, first_pause=10.0, silence=0.1)
    yield made
    await made.source.aclose()


quick_climbs = pytest.mark.parametrize("scene", [0.01], indirect=True, ids=[""])


async def test_the_best_way_is_taken_and_passed_through(scene: Scene) -> None:
    scrcpy = await scene.start()
    pushed = [scrcpy.keyframe(), *scrcpy.predicted(2)]
    assert await take(scene.source, 3) == pushed
    assert scene.source.facts.kind == "scrcpy"
    assert scene.source.facts.keyframe_on_demand


async def test_a_way_that_cannot_be_opened_is_stepped_over_and_said(scene: Scene) -> None:
    scene.refusals[CaptureMode.SCRCPY] = SourceEnded("the jar is of another version")
    recorder = await scene.start()
    recorder.keyframe()
    await take(scene.source)
    assert scene.source.facts.kind == "screenrecord"
    assert "not scrcpy: the jar is of another version" in scene.source.facts.reason


async def test_no_way_at_all_is_an_error_that_names_each(scene: Scene) -> None:
    scene.refusals[CaptureMode.SCRCPY] = SourceEnded("no jar")
    scene.refusals[CaptureMode.SCREENRECORD] = SourceEnded("no encoder")
    with pytest.raises(SourceEnded, match="scrcpy: no jar; screenrecord: no encoder"):
        await scene.source.start()


async def test_a_phone_that_is_gone_is_no_reason_to_step_down(scene: Scene) -> None:
    scene.refusals[CaptureMode.SCRCPY] = DeviceOffline("gone")
    with pytest.raises(DeviceOffline):
        await scene.source.start()
    assert scene.modes_opened == ["scrcpy"]


@pytest.mark.parametrize("ending", ["fails", "ends"])
async def test_a_way_that_fails_is_followed_by_the_next(scene: Scene, ending: str) -> None:
    scrcpy = await scene.start()
    first = [scrcpy.keyframe(), *scrcpy.predicted()]
    scrcpy.fail(SourceEnded("the server died")) if ending == "fails" else scrcpy.end()
    assert await take(scene.source, 2) == first
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(take(scene.source))
        await until(lambda: CaptureMode.SCREENRECORD in scene.sources)
        scene.sources[CaptureMode.SCREENRECORD].predicted()  # of no use before its keyframe
        keyframe = scene.sources[CaptureMode.SCREENRECORD].keyframe()
    assert following.result() == [keyframe]
    assert scrcpy.is_closed
    assert scene.source.facts.kind == "screenrecord"


async def test_a_way_whose_pictures_no_browser_shows_has_failed(scene: Scene) -> None:
    scrcpy = await scene.start()
    shown = [scrcpy.keyframe(), *scrcpy.predicted()]
    scrcpy.keyframe(b_frames=True)
    assert await take(scene.source, 2) == shown
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(take(scene.source))
        await until(lambda: CaptureMode.SCREENRECORD in scene.sources)
        keyframe = scene.sources[CaptureMode.SCREENRECORD].keyframe()
    assert following.result() == [keyframe]
    assert scrcpy.is_closed
    reason = "not scrcpy: its encoder makes B-frames (up to 2 out of order), which browsers do not show"
    assert reason in scene.source.facts.reason


@quick_climbs
async def test_it_does_not_climb_to_pictures_that_no_browser_shows(scene: Scene) -> None:
    scene.refusals[CaptureMode.SCRCPY] = SourceEnded("not yet")
    recorder = await scene.start()
    recorder.keyframe()
    await take(scene.source)
    del scene.refusals[CaptureMode.SCRCPY]
    await until(lambda: CaptureMode.SCRCPY in scene.sources)
    scrcpy = scene.sources[CaptureMode.SCRCPY]
    scrcpy.keyframe(b_frames=True)
    await until(lambda: scrcpy.is_closed)
    pushed = recorder.predicted(2)
    assert await take(scene.source, 2) == pushed
    assert scene.source.facts.kind == "screenrecord"


@quick_climbs
async def test_it_climbs_back_without_a_gap(scene: Scene) -> None:
    scene.refusals[CaptureMode.SCRCPY] = SourceEnded("not yet")
    recorder = await scene.start()
    before = [recorder.keyframe(), *recorder.predicted(3)]
    assert await take(scene.source, 4) == before
    del scene.refusals[CaptureMode.SCRCPY]
    await until(lambda: CaptureMode.SCRCPY in scene.sources)
    scrcpy = scene.sources[CaptureMode.SCRCPY]
    meanwhile = recorder.predicted(2)
    assert await take(scene.source, 2) == meanwhile  # while the better one begins
    after = [scrcpy.keyframe(), *scrcpy.predicted(2)]
    assert await take(scene.source, 3) == after
    assert recorder.is_closed
    assert (scene.source.facts.kind, "not scrcpy" in scene.source.facts.reason) == ("scrcpy", False)


@quick_climbs
async def test_a_climb_that_fails_changes_nothing_but_the_reason(scene: Scene) -> None:
    scene.refusals[CaptureMode.SCRCPY] = SourceEnded("first complaint")
    recorder = await scene.start()
    recorder.keyframe()
    await take(scene.source)
    scene.refusals[CaptureMode.SCRCPY] = SourceEnded("second complaint")
    await until(lambda: "second complaint" in scene.source.facts.reason)
    pushed = recorder.predicted()
    assert await take(scene.source) == pushed


@quick_climbs
async def test_the_lower_way_may_fail_during_a_climb(scene: Scene) -> None:
    scene.refusals[CaptureMode.SCRCPY] = SourceEnded("not yet")
    recorder = await scene.start()
    recorder.keyframe()
    await take(scene.source)
    del scene.refusals[CaptureMode.SCRCPY]
    await until(lambda: CaptureMode.SCRCPY in scene.sources)
    climbing = scene.sources[CaptureMode.SCRCPY]
    recorder.end()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(take(scene.source))
        await until(lambda: scene.sources[CaptureMode.SCRCPY] is not climbing)
        climbing.keyframe()
        replacement = scene.sources[CaptureMode.SCRCPY].keyframe()
    assert following.result() == [replacement]
    await until(lambda: climbing.is_closed)


@quick_climbs
async def test_one_climb_at_a_time(scene: Scene) -> None:
    scene.refusals[CaptureMode.SCRCPY] = SourceEnded("not yet")
    recorder = await scene.start()
    recorder.keyframe()
    await take(scene.source)
    recorder.may_close.clear()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(take(scene.source))
        del scene.refusals[CaptureMode.SCRCPY]
        await until(lambda: CaptureMode.SCRCPY in scene.sources)
        scrcpy = scene.sources[CaptureMode.SCRCPY]
        keyframe = scrcpy.keyframe()
        await turns_of_the_loop()
        recorder.may_close.set()
    assert following.result() == [keyframe]
    assert scene.sources[CaptureMode.SCRCPY] is scrcpy


@quick_climbs
async def test_a_phone_that_goes_at_the_end_of_a_climb_leaves_nothing(scene: Scene) -> None:
    scene.refusals[CaptureMode.SCRCPY] = SourceEnded("not yet")
    recorder = await scene.start()
    recorder.may_close.clear()

    async def happen() -> None:
        del scene.refusals[CaptureMode.SCRCPY]
        await until(lambda: CaptureMode.SCRCPY in scene.sources)
        scene.sources[CaptureMode.SCRCPY].keyframe()
        await turns_of_the_loop()
        scene.watch.states.put_nowait(DeviceOffline("it went away"))
        await turns_of_the_loop()
        recorder.may_close.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(happen())
        with pytest.raises(DeviceOffline, match="went away"):
            await take(scene.source)
    await scene.source.aclose()
    assert scene.sources[CaptureMode.SCRCPY].is_closed


@pytest.mark.parametrize("when", ["falling", "climbing"])
async def test_a_screen_that_is_turned_while_a_way_is_opened(when: str) -> None:
    scene = Scene(CaptureMode.SCRCPY, CaptureMode.SCREENRECORD, first_pause=0.01 if when == "climbing" else 10.0)
    if when == "climbing":
        scene.refusals[CaptureMode.SCRCPY] = SourceEnded("not yet")
    first = await scene.start()
    try:
        scene.may_open.clear()
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            following = tasks.create_task(anext(scene.source))
            if when == "falling":
                first.end()
                scene.refusals[CaptureMode.SCRCPY] = SourceEnded("not again")
            else:
                del scene.refusals[CaptureMode.SCRCPY]
            opened = len(scene.opened)
            await until(lambda: len(scene.opened) > opened)
            scene.watch.states.put_nowait(ScreenState(TURNED, rotation=1))
            await until(scene.watch.states.empty)
            scene.turns.clear()
            scene.may_open.set()
            mode = CaptureMode.SCREENRECORD if when == "falling" else CaptureMode.SCRCPY
            await until(lambda: scene.sources.get(mode, first) is not first)
            scene.sources[mode].keyframe()
        assert following.result().is_keyframe
        assert scene.turns == [TURNED]
    finally:
        await scene.source.aclose()


async def test_in_the_dark_the_last_way_is_soon_taken_and_in_the_light_a_better_one() -> None:
    scene = Scene(CaptureMode.SCRCPY, CaptureMode.SCREENCAP, first_pause=1000.0, condition=ScreenCondition.OFF)
    await scene.start()
    try:
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            following = tasks.create_task(anext(scene.source))
            await until(lambda: CaptureMode.SCREENCAP in scene.sources)
            black = scene.sources[CaptureMode.SCREENCAP].keyframe()
        assert following.result() == black
        assert "not scrcpy: no picture came within 0.01 s: the screen is off" in scene.source.facts.reason
        dark = scene.sources.pop(CaptureMode.SCRCPY)
        assert dark.is_closed
        scene.watch.states.put_nowait(ScreenState(UPRIGHT))
        await until(lambda: CaptureMode.SCRCPY in scene.sources)
        keyframe = scene.sources[CaptureMode.SCRCPY].keyframe()
        assert await take(scene.source) == [keyframe]
        assert scene.source.facts.kind == "scrcpy"
    finally:
        await scene.source.aclose()


async def test_when_the_phone_has_started_a_better_way_is_tried_at_once() -> None:
    scene = Scene(CaptureMode.SCRCPY, CaptureMode.SCREENRECORD, first_pause=1000.0, condition=ScreenCondition.BOOTING)
    scene.refusals[CaptureMode.SCRCPY] = SourceEnded("no services")
    recorder = await scene.start()
    try:
        recorder.keyframe()
        await take(scene.source)
        del scene.refusals[CaptureMode.SCRCPY]
        scene.watch.states.put_nowait(ScreenState(UPRIGHT))
        await until(lambda: CaptureMode.SCRCPY in scene.sources)
    finally:
        await scene.source.aclose()


async def test_time_never_runs_backwards_from_one_way_to_the_next(scene: Scene) -> None:
    scrcpy = await scene.start()
    first = scrcpy.keyframe()
    await take(scene.source)
    scrcpy.end()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(take(scene.source))
        await until(lambda: CaptureMode.SCREENRECORD in scene.sources)
        recorder = scene.sources[CaptureMode.SCREENRECORD]
        keyframe = recorder.keyframe()
    assert following.result()[0].captured_at == max(first.captured_at, keyframe.captured_at)


async def test_the_sound_goes_to_who_listens_whichever_way_it_comes(scene: Scene) -> None:
    heard: list[AudioPacket] = []
    scene.source.on_audio = heard.append
    scrcpy = await scene.start()
    packet = AudioPacket(b"\xfc", 1.0, 0.02)
    scrcpy.on_audio(packet)
    scrcpy.keyframe()
    await take(scene.source)
    scrcpy.end()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(take(scene.source))
        await until(lambda: CaptureMode.SCREENRECORD in scene.sources)
        scene.sources[CaptureMode.SCREENRECORD].keyframe()
    scene.sources[CaptureMode.SCREENRECORD].on_audio(packet)
    scrcpy.on_audio(packet)  # of one that is over
    assert heard == [packet, packet]


async def test_who_joins_after_a_fall_may_hear_the_sound_that_comes_back(scene: Scene) -> None:
    scrcpy = await scene.start()
    scrcpy.facts = replace(scrcpy.facts, has_audio=True)
    scrcpy.keyframe()
    await take(scene.source)
    assert scene.source.facts.has_audio
    scrcpy.end()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(take(scene.source))
        await until(lambda: CaptureMode.SCREENRECORD in scene.sources)
        scene.sources[CaptureMode.SCREENRECORD].keyframe()
    assert (scene.source.facts.kind, scene.source.facts.has_audio) == ("screenrecord", True)


async def test_a_turned_screen_is_told_to_the_source_and_to_the_facts(scene: Scene) -> None:
    await scene.start()
    scene.watch.states.put_nowait(ScreenState(TURNED, rotation=1))
    await until(lambda: scene.turns == [TURNED])
    assert scene.source.facts.rotation == 90
    scene.watch.states.put_nowait(ScreenState(TURNED, rotation=1, condition=ScreenCondition.OFF))
    await until(lambda: scene.source.facts.screen is ScreenCondition.OFF)
    assert scene.turns == [TURNED]


async def test_the_next_way_begins_with_the_screen_as_it_is_turned(scene: Scene) -> None:
    scrcpy = await scene.start()
    scene.watch.states.put_nowait(ScreenState(TURNED, rotation=3))
    await until(lambda: scene.source.facts.rotation == 270)
    scrcpy.end()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(take(scene.source))
        await until(lambda: CaptureMode.SCREENRECORD in scene.sources)
        scene.sources[CaptureMode.SCREENRECORD].keyframe()
    assert scene.opened == [(CaptureMode.SCRCPY, UPRIGHT), (CaptureMode.SCREENRECORD, TURNED)]


async def test_a_phone_that_answers_nothing_more_ends_the_iteration(scene: Scene) -> None:
    await scene.start()
    scene.watch.states.put_nowait(AdbTimeout("no answer to 'dumpsys power'"))
    with pytest.raises(AdbTimeout, match="dumpsys power"):
        await take(scene.source)


async def test_scrcpy_that_answers_no_keyframe_request_is_followed_by_the_next(impatient_scene: Scene) -> None:
    scene = impatient_scene
    scrcpy = await scene.start()
    scrcpy.keyframe()
    await take(scene.source)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(take(scene.source))
        await until(lambda: CaptureMode.SCREENRECORD in scene.sources)
        keyframe = scene.sources[CaptureMode.SCREENRECORD].keyframe()
    assert following.result() == [keyframe]
    assert scrcpy.keyframe_requests == 1
    assert "not scrcpy: it gives nothing more, not even the keyframe" in scene.source.facts.reason


async def test_scrcpy_that_shows_a_still_screen_is_only_asked(impatient_scene: Scene) -> None:
    scene = impatient_scene
    scrcpy = await scene.start()
    scrcpy.keyframe()
    await take(scene.source)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(take(scene.source))
        await until(lambda: scrcpy.keyframe_requests == 1)
        keyframe = scrcpy.keyframe()
    assert following.result() == [keyframe]
    assert scene.modes_opened == ["scrcpy"]


async def test_a_dark_screen_is_not_asked_for_keyframes(impatient_scene: Scene) -> None:
    scene = impatient_scene
    scrcpy = await scene.start()
    scrcpy.keyframe()
    await take(scene.source)
    scene.watch.states.put_nowait(ScreenState(UPRIGHT, condition=ScreenCondition.OFF))
    await until(lambda: scene.source.facts.screen is ScreenCondition.OFF)
    asked = scrcpy.keyframe_requests
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await anext(scene.source)
    assert scrcpy.keyframe_requests == asked
    assert scene.modes_opened == ["scrcpy"]


async def test_a_phone_whose_pictures_flow_is_not_given_up(scene: Scene) -> None:
    scrcpy = await scene.start()
    scrcpy.keyframe()
    await take(scene.source)
    scene.watch.states.put_nowait(AdbTimeout("no answer to 'dumpsys power'"))
    scene.watch.states.put_nowait(ScreenState(UPRIGHT, rotation=2))
    await until(lambda: scene.source.facts.rotation == 180)
    pushed = scrcpy.predicted(2)
    assert await take(scene.source, 2) == pushed


async def test_a_phone_that_goes_while_the_next_way_is_opened(scene: Scene) -> None:
    scrcpy = await scene.start()
    scrcpy.end()
    scene.may_open.clear()

    async def happen() -> None:
        await until(lambda: scene.modes_opened == ["scrcpy", "screenrecord"])
        scene.watch.states.put_nowait(DeviceOffline("it went away"))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(happen())
        with pytest.raises(DeviceOffline, match="went away"):
            await take(scene.source)


async def test_closing_ends_a_waiting_reader_and_every_source(scene: Scene) -> None:
    scrcpy = await scene.start()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(anext(scene.source, None))
        await asyncio.sleep(0)
        await scene.source.aclose()
    assert waiting.result() is None
    assert scrcpy.is_closed
    assert await anext(scene.source, None) is None


@quick_climbs
async def test_closing_in_the_middle_of_a_climb_closes_both(scene: Scene) -> None:
    scene.refusals[CaptureMode.SCRCPY] = SourceEnded("not yet")
    recorder = await scene.start()
    del scene.refusals[CaptureMode.SCRCPY]
    await until(lambda: CaptureMode.SCRCPY in scene.sources)
    await scene.source.aclose()
    assert recorder.is_closed
    assert scene.sources[CaptureMode.SCRCPY].is_closed

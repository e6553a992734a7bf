"""What comes on a data channel: choices and questions of the viewer, and their answers."""

import time
from collections.abc import AsyncIterator

import pytest

from capture.errors import InputRejected
from capture.input_events import InputEvent, Key, ReadClipboard, Swipe, WriteClipboard
from media_service.control import Control
from media_service.tasks import Tasks
from signaling.choices import QualityChoice, QualityLevel
from signaling.input_messages import MAX_CLIPBOARD
from signaling.server_messages import ClipboardText, Error, InputAck, ServerMessage, Stats
from tests.signaling.memory_service import MemorySession
from tests.waiting import until

BURST = 20


class Scene:
    """A control of a device that takes no input."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.session = MemorySession("s1", "phone-1")
        self.answers: list[ServerMessage] = []
        self.control = Control("phone-1", None, self.tasks, self.answers.append, self.session)

    def say(self, text: str) -> None:
        self.control.message_received("control", text)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    await made.tasks.aclose()


@pytest.mark.parametrize(("action", "is_wanted"), [("on", True), ("off", False)])
async def test_whether_sound_is_wanted_reaches_the_session(scene: Scene, action: str, is_wanted: bool) -> None:
    scene.session.wants_sound = not is_wanted
    scene.say(f'{{"type": "sound", "action": "{action}"}}')
    assert scene.session.wants_sound is is_wanted
    assert scene.answers == []


async def test_the_quality_reaches_the_session(scene: Scene) -> None:
    scene.say('{"type": "quality", "level": "480p", "maxBitrate": 600000}')
    assert scene.session.quality == QualityChoice(QualityLevel.P480, 600_000)
    scene.say('{"type": "quality", "level": "auto"}')
    assert scene.session.quality == QualityChoice(QualityLevel.AUTO)
    assert scene.answers == []
    assert not scene.control.dropped


async def test_a_choice_that_cannot_be_had_is_answered(scene: Scene) -> None:
    scene.say('{"type": "quality", "level": "1080p"}')
    assert scene.answers == [Error("quality_unavailable", "the phone is smaller than 1080p")]
    assert scene.control.dropped == {"quality_unavailable": 1}
    assert scene.session.quality == QualityChoice(QualityLevel.AUTO)


async def test_a_malformed_choice_is_answered(scene: Scene) -> None:
    scene.say('{"type": "quality", "level": "good"}')
    (answer,) = scene.answers
    assert isinstance(answer, Error)
    assert answer.code == "malformed_message"
    assert scene.control.dropped == {"malformed": 1}


async def test_the_numbers_are_told_when_asked_for(scene: Scene) -> None:
    scene.say('{"type": "stats"}')
    assert scene.answers == [Stats("s1", scene.session.statistics())]


async def test_a_flood_of_requests_is_bounded(scene: Scene) -> None:
    for _ in range(10 * BURST):
        scene.say('{"type": "stats"}')
    told = [answer for answer in scene.answers if isinstance(answer, Stats)]
    refused = [answer for answer in scene.answers if isinstance(answer, Error)]
    assert BURST <= len(told) < 2 * BURST
    assert len(told) + len(refused) == 10 * BURST
    assert {answer.code for answer in refused} == {"too_many_requests"}
    assert scene.control.dropped == {"too_many_requests": len(refused)}


class Phone:
    """A device that takes all input but the key 26. Fits `capture.controller.Controller`."""

    def __init__(self) -> None:
        self.events: list[InputEvent] = []
        self.clipboard = "copied"

    async def inject(self, event: InputEvent) -> float:
        if event == Key(26):
            raise InputRejected("it has no such key")
        self.events.append(event)
        if isinstance(event, ReadClipboard):
            event.tell(self.clipboard)
        return time.monotonic()

    async def aclose(self) -> None:
        pass


class PhoneScene(Scene):
    """A control of a device that takes input."""

    def __init__(self, *, is_allowed: bool = True) -> None:
        super().__init__()
        self.phone = Phone()
        self.control = Control(
            "phone-1", self.phone, self.tasks, self.answers.append, self.session, is_allowed=is_allowed
        )


@pytest.fixture
async def phone_scene() -> AsyncIterator[PhoneScene]:
    made = PhoneScene()
    yield made
    await made.tasks.aclose()


async def test_input_reaches_the_device_and_is_acknowledged(phone_scene: PhoneScene) -> None:
    phone_scene.say('{"type": "swipe", "x1": 1, "y1": 2, "x2": 3, "y2": 4, "seq": 5}')
    phone_scene.say('{"type": "clipboard", "action": "set", "text": "mine"}')
    await until(lambda: len(phone_scene.phone.events) == 2)
    assert phone_scene.phone.events == [Swipe(1, 2, 3, 4, 0.3), WriteClipboard("mine")]
    (acknowledgement,) = phone_scene.answers
    assert isinstance(acknowledgement, InputAck)
    assert acknowledgement.seq == 5


async def test_the_clipboard_is_told(phone_scene: PhoneScene) -> None:
    phone_scene.say('{"type": "clipboard", "action": "get"}')
    await until(lambda: phone_scene.answers)
    assert phone_scene.answers == [ClipboardText("copied")]
    phone_scene.say('{"type": "clipboard", "action": "get", "seq": 7}')
    await until(lambda: len(phone_scene.answers) == 3)
    assert phone_scene.answers[1] == ClipboardText("copied", 7)
    assert isinstance(phone_scene.answers[2], InputAck)


async def test_a_clipboard_too_large_is_not_told(phone_scene: PhoneScene) -> None:
    phone_scene.phone.clipboard = "x" * (MAX_CLIPBOARD + 1)
    phone_scene.say('{"type": "clipboard", "action": "get"}')
    await until(lambda: phone_scene.answers)
    (answer,) = phone_scene.answers
    assert isinstance(answer, Error)
    assert answer.code == "clipboard_too_large"


async def test_input_that_the_device_refuses_is_answered(phone_scene: PhoneScene) -> None:
    phone_scene.say('{"type": "key", "keyCode": 26, "seq": 3}')
    await until(lambda: phone_scene.answers)
    assert phone_scene.answers == [Error("input_rejected", "it has no such key", seq=3)]
    assert phone_scene.control.dropped == {"input_rejected": 1}


async def test_who_may_only_watch_reads_no_clipboard() -> None:
    scene = PhoneScene(is_allowed=False)
    scene.say('{"type": "clipboard", "action": "get"}')
    scene.say('{"type": "rotate"}')
    await until(lambda: len(scene.answers) == 2)
    assert [answer.code for answer in scene.answers if isinstance(answer, Error)] == ["forbidden"] * 2
    assert scene.phone.events == []
    await scene.tasks.aclose()


async def test_a_flood_of_input_is_bounded(phone_scene: PhoneScene) -> None:
    count = 1500
    for _ in range(count):
        phone_scene.say('{"type": "key", "keyCode": 3}')
    await until(lambda: len(phone_scene.phone.events) + len(phone_scene.answers) == count)
    assert len(phone_scene.phone.events) >= 500
    assert phone_scene.control.dropped == {"too_many_requests": len(phone_scene.answers)}
    assert phone_scene.answers[-1] == Error("too_many_requests", "at most 500 input events per second", retry_after=1)

"""What comes on a data channel: choices and questions of the viewer, and their answers."""

from collections.abc import AsyncIterator

import pytest

from media_service.control import Control
from media_service.tasks import Tasks
from signaling.choices import QualityChoice, QualityLevel
from signaling.messages import Error, ServerMessage, Stats
from tests.signaling.memory_service import MemorySession

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

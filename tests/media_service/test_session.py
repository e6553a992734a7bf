"""One viewer's session: what comes on its data channel, before any of it is trusted."""

import time
from collections.abc import AsyncIterator

import pytest

from capture.input_events import InputEvent, Text
from capture.source import Source
from media_service.admission import Admission, Limits
from media_service.rtc.egress import Egress
from media_service.rtc.estimation import NONE
from media_service.rtc.media_port import MediaPort
from media_service.session import Session, Surroundings
from media_service.stream import Stream
from media_service.tasks import Tasks
from tests.media_service.pushed_source import PushedSource
from tests.rtc.joined import CERTIFICATE
from tests.rtc.receivers import free_ports
from tests.waiting import until

LARGEST = 64 * 1024
TEXT = '{"type": "text", "text": "é"}'


class KeepingController:
    """Keeps what is injected. Fits `capture.controller.Controller`."""

    def __init__(self) -> None:
        self.events: list[InputEvent] = []

    async def inject(self, event: InputEvent) -> float:
        self.events.append(event)
        return time.monotonic()

    async def aclose(self) -> None:
        pass


class Scene:
    """A session whose device takes input."""

    def __init__(self, port: MediaPort) -> None:
        self.port = port
        self.tasks = Tasks()
        self.egress = Egress(lambda _: None)
        self.controller = KeepingController()
        self.ended: list[Session] = []
        surroundings = Surroundings(
            port, CERTIFICATE, self.egress, self.tasks, lambda: (), lambda _: None, 10.0, NONE.open
        )
        stream = Stream("phone-1", self._open, self.egress, lambda _: None)
        place = Admission(Limits()).take(None, "phone-1", 0.0)
        self.session = Session(surroundings, stream, self.controller, self.ended.append, place)

    async def close(self) -> None:
        await self.session.aclose("the test is over")
        assert self.ended == [self.session]
        await self.tasks.aclose()
        self.egress.close()
        await self.port.aclose()

    async def _open(self) -> Source:
        return PushedSource()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene(await MediaPort.open(["127.0.0.1"], free_ports()))
    yield made
    await made.close()


async def test_input_is_injected(scene: Scene) -> None:
    scene.session.message_received("control", TEXT)
    await until(lambda: scene.controller.events)
    assert scene.controller.events == [Text("é")]
    assert not scene.session.control.dropped


async def test_a_message_of_the_largest_size_is_read(scene: Scene) -> None:
    # Characters and not bytes count: in UTF-8 it is larger.
    scene.session.message_received("control", TEXT.ljust(LARGEST))
    await until(lambda: scene.controller.events)
    assert scene.controller.events == [Text("é")]
    assert not scene.session.control.dropped


async def test_a_larger_message_is_not_even_parsed(scene: Scene) -> None:
    scene.session.message_received("control", TEXT.ljust(LARGEST + 1))
    scene.session.message_received("control", "{" * (LARGEST + 1))
    assert scene.session.control.dropped == {"too_large": 2}
    scene.session.message_received("control", "{" * LARGEST)
    assert scene.session.control.dropped == {"too_large": 2, "malformed": 1}
    scene.session.message_received("control", TEXT)
    await until(lambda: scene.controller.events)
    assert len(scene.controller.events) == 1, "the session goes on, without what was refused"


@pytest.mark.parametrize(("label", "message"), [("other", TEXT), ("control", TEXT.encode()), ("other", " " * 70_000)])
async def test_what_is_no_text_on_the_control_channel_is_counted(
    scene: Scene, label: str, message: str | bytes
) -> None:
    scene.session.message_received(label, message)
    assert scene.session.control.dropped == {"not_control": 1}
    assert scene.controller.events == []

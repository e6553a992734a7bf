"""Where input goes while ways of capture and addresses come and go."""

from dataclasses import dataclass, field

import pytest

from capture.errors import DeviceNotFound
from capture.input_events import InputEvent, Key, KeyAction
from capture.phone_controller import PhoneController

HOME = Key(3, KeyAction.PRESS)


@dataclass
class Keyboard:
    """A controller that notes what it gets."""

    name: str
    events: list[InputEvent] = field(default_factory=list)
    is_closed: bool = False

    async def inject(self, event: InputEvent) -> float:
        self.events.append(event)
        return 1.5

    async def aclose(self) -> None:
        self.is_closed = True


class Scene:
    def __init__(self) -> None:
        self.serial = "10.0.0.1:5555"
        self.current: Keyboard | None = None
        self.shells: list[Keyboard] = []
        self.wakes = 0
        self.controller = PhoneController(self._find_serial, self._open_shell, lambda: self.current, self._wake)

    def _find_serial(self) -> str:
        if not self.serial:
            raise DeviceNotFound("it is gone")
        return self.serial

    def _open_shell(self, serial: str) -> Keyboard:
        self.shells.append(Keyboard(serial))
        return self.shells[-1]

    def _wake(self) -> None:
        self.wakes += 1


async def test_the_shell_is_opened_once_and_closed() -> None:
    scene = Scene()
    assert await scene.controller.inject(HOME) == 1.5
    await scene.controller.inject(HOME)
    assert [(shell.name, len(shell.events)) for shell in scene.shells] == [("10.0.0.1:5555", 2)]
    assert scene.wakes == 2
    await scene.controller.aclose()
    await scene.controller.aclose()
    assert scene.shells[0].is_closed


async def test_the_way_of_capture_comes_first_while_it_is_there() -> None:
    scene = Scene()
    scene.current = scrcpy = Keyboard("scrcpy")
    await scene.controller.inject(HOME)
    scene.current = None
    await scene.controller.inject(HOME)
    assert (len(scrcpy.events), len(scene.shells[0].events)) == (1, 1)
    await scene.controller.aclose()
    assert not scrcpy.is_closed  # its source does that


async def test_a_phone_at_another_address_gets_a_shell_there() -> None:
    scene = Scene()
    await scene.controller.inject(HOME)
    scene.serial = "10.0.0.2:5555"
    await scene.controller.inject(HOME)
    assert [(shell.name, shell.is_closed) for shell in scene.shells] == [
        ("10.0.0.1:5555", True),
        ("10.0.0.2:5555", False),
    ]


async def test_a_phone_that_is_gone_is_said() -> None:
    scene = Scene()
    scene.serial = ""
    with pytest.raises(DeviceNotFound, match="it is gone"):
        await scene.controller.inject(HOME)
    assert scene.wakes == 0

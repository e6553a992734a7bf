"""What one viewer does to the device: from messages to the controller, bounded, and answered."""

import time
from collections import Counter
from collections.abc import Callable

from capture.controller import Controller
from capture.errors import CaptureError, InputRejected
from capture.input_events import InputEvent
from media_service.tasks import Tasks
from signaling.errors import SignalingError
from signaling.input_messages import Input, SoundChoice, parse_control
from signaling.messages import Error, InputAck, ServerMessage

CONTROL_CHANNEL = "control"
"""The label of the data channel that input comes on (contract.md section 4)."""

_EVENTS_PER_SECOND = 500
_LARGEST_MESSAGE = 64 * 1024
"""Characters; typed text is bounded further."""


class Control:
    """Injects one viewer's input, no more than 500 events per second, and says what became of it."""

    def __init__(
        self,
        device_id: str,
        controller: Controller | None,
        tasks: Tasks,
        answer: Callable[[ServerMessage], None],
        choose_sound: Callable[[bool], None],
    ) -> None:
        """Without a `controller` the device takes no input. `answer` sends on the channel the messages came on.

        `choose_sound` is told whether the viewer listens.
        """
        self.dropped: Counter[str] = Counter()
        """Messages and events that did not reach the device, by reason."""
        self._device_id = device_id
        self._controller = controller
        self._tasks = tasks
        self._answer = answer
        self._choose_sound = choose_sound
        self._allowance = float(_EVENTS_PER_SECOND)
        self._allowance_at = time.monotonic()

    def message_received(self, label: str, message: str | bytes) -> None:
        """Take a message from a data channel; whatever it is, nothing is raised."""
        if label != CONTROL_CHANNEL or not isinstance(message, str):
            self.dropped["not_control"] += 1
        elif len(message) > _LARGEST_MESSAGE:
            self.dropped["too_large"] += 1
            self._answer(Error("malformed_message", f"a message has at most {_LARGEST_MESSAGE} characters"))
        else:
            try:
                received = parse_control(message)
            except SignalingError as error:
                self.dropped["malformed"] += 1
                self._answer(Error(error.code, error.detail))
            else:
                if isinstance(received, SoundChoice):
                    self._choose_sound(received.is_wanted)
                else:
                    self._tasks.start(self._take(received), "input")

    async def inject(self, event: InputEvent) -> float:
        """Inject `event`; raises a `CaptureError` when it cannot be. Returns the monotonic inject time."""
        if self._controller is None:
            raise InputRejected(f"{self._device_id!r} takes no input")
        if not self._may_inject():
            raise InputRejected(f"more than {_EVENTS_PER_SECOND} input events per second")
        return await self._controller.inject(event)

    async def _take(self, received: Input) -> None:
        received_at = time.monotonic()
        try:
            injected_at = await self.inject(received.event)
        except CaptureError as error:
            self.dropped[error.code] += 1
            self._answer(Error(error.code, str(error), seq=received.seq))
            return
        if received.seq is not None:
            wall_clock = time.time() - (time.monotonic() - injected_at)
            self._answer(InputAck(received.seq, wall_clock * 1000, (injected_at - received_at) * 1000))

    def _may_inject(self) -> bool:
        now = time.monotonic()
        earned = (now - self._allowance_at) * _EVENTS_PER_SECOND
        self._allowance = min(float(_EVENTS_PER_SECOND), self._allowance + earned)
        self._allowance_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

"""What one viewer says on its data channel: input for the device, choices for the session; bounded, and answered."""

import time
from collections import Counter
from collections.abc import Callable
from typing import assert_never

from capture.controller import Controller
from capture.errors import CaptureError, InputRejected
from capture.input_events import InputEvent, ReadClipboard
from media_service.tasks import Tasks
from signaling.allowance import Allowance
from signaling.choices import QualityChoice, SoundChoice
from signaling.errors import Forbidden, SignalingError, TooMany
from signaling.input_messages import ClipboardRequest, Input, StatsRequest, parse_control
from signaling.server_messages import Error, InputAck, ServerMessage, Stats, clipboard_answer
from signaling.service import SessionHandle

CONTROL_CHANNEL = "control"
"""The label of the data channel that input comes on (contract.md section 4)."""

_EVENTS_PER_SECOND = 500
_REQUESTS_PER_SECOND = 20
"""Choices and questions; in one burst as many."""
_LARGEST_MESSAGE = 64 * 1024
"""Characters; typed text is bounded further."""


class Control:
    """Injects one viewer's input, no more than 500 events per second, and says what became of it.

    What the viewer chooses or asks for goes to its session, no more than 20 times per second.
    """

    def __init__(
        self,
        device_id: str,
        controller: Controller | None,
        tasks: Tasks,
        answer: Callable[[ServerMessage], None],
        session: SessionHandle,
        *,
        is_allowed: bool = True,
    ) -> None:
        """Without a `controller` the device takes no input, and unless it `is_allowed` this viewer may send none.

        `answer` sends on the channel the messages came on.
        """
        self.dropped: Counter[str] = Counter()
        """Messages and events that did not reach the device, by reason."""
        self._device_id = device_id
        self._controller = controller
        self._is_allowed = is_allowed
        self._tasks = tasks
        self._answer = answer
        self._session = session
        self._events = Allowance(_EVENTS_PER_SECOND)
        self._requests = Allowance(_REQUESTS_PER_SECOND)

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
                if isinstance(received, Input):
                    self._tasks.start(self._take(received.event, received.seq), "input")
                elif isinstance(received, ClipboardRequest):
                    self._tasks.start(self._take(self._clipboard_read(received.seq), received.seq), "input")
                else:
                    self._request(received)

    async def inject(self, event: InputEvent) -> float:
        """Inject `event`. Returns the monotonic inject time.

        Raises a `CaptureError` when it cannot be, `Forbidden` when this viewer may only watch, and `TooMany`.
        """
        if not self._is_allowed:
            raise Forbidden(f"this token allows to watch {self._device_id!r}, not to control it")
        if self._controller is None:
            raise InputRejected(f"{self._device_id!r} takes no input")
        if not self._events.take(time.monotonic()):
            raise TooMany(f"at most {_EVENTS_PER_SECOND} input events per second", retry_after=1)
        return await self._controller.inject(event)

    def _request(self, received: SoundChoice | QualityChoice | StatsRequest) -> None:
        if not self._requests.take(time.monotonic()):
            self.dropped["too_many_requests"] += 1
            limit = f"at most {_REQUESTS_PER_SECOND} of these messages per second"
            self._answer(Error("too_many_requests", limit, retry_after=1))
            return
        match received:
            case SoundChoice():
                self._session.choose_sound(received.is_wanted)
            case QualityChoice():
                try:
                    self._session.choose_quality(received)
                except SignalingError as error:
                    self.dropped[error.code] += 1
                    self._answer(Error(error.code, error.detail))
            case StatsRequest():
                self._answer(Stats(self._session.session_id, self._session.statistics()))
            case _:
                assert_never(received)

    def _clipboard_read(self, seq: int | None) -> ReadClipboard:
        return ReadClipboard(lambda text: self._answer(clipboard_answer(text, seq)))

    async def _take(self, event: InputEvent, seq: int | None) -> None:
        received_at = time.monotonic()
        try:
            injected_at = await self.inject(event)
        except CaptureError as error:
            self.dropped[error.code] += 1
            self._answer(Error(error.code, str(error), seq=seq))
            return
        except SignalingError as error:
            self.dropped[error.code] += 1
            self._answer(Error(error.code, error.detail, error.retry_after, seq))
            return
        if seq is not None:
            wall_clock = time.time() - (time.monotonic() - injected_at)
            self._answer(InputAck(seq, wall_clock * 1000, (injected_at - received_at) * 1000))

"""Input for a phone whose way of capture, or whose address, may change while fingers are on it."""

from collections.abc import Callable

from capture.controller import Controller
from capture.input_events import InputEvent


class PhoneController:
    """Injects by the way that the pictures come where that takes input, and by the phone's shell otherwise.

    Fits `capture.controller.Controller`.
    """

    def __init__(
        self,
        serial: Callable[[], str],
        open_shell: Callable[[str], Controller],
        current: Callable[[], Controller | None],
        wake: Callable[[], None],
    ) -> None:
        """`serial` is the phone's at this moment, raising a `CaptureError` while it has none.

        `current` gives the controller of the source that is captured now, None for none; `wake` has it look at the
        screen.
        """
        self._serial = serial
        self._open_shell = open_shell
        self._current = current
        self._wake = wake
        self._shell: Controller | None = None
        self._shell_serial = ""

    async def inject(self, event: InputEvent) -> float:
        injected_at = await (self._current() or await self._shell_now()).inject(event)
        self._wake()
        return injected_at

    async def aclose(self) -> None:
        # The source's own one is closed with it.
        shell, self._shell = self._shell, None
        if shell is not None:
            await shell.aclose()

    async def _shell_now(self) -> Controller:
        """The shell of the phone where it is now: a container that was started anew may have another address."""
        serial = self._serial()
        if self._shell is None or serial != self._shell_serial:
            former, self._shell, self._shell_serial = self._shell, self._open_shell(serial), serial
            if former is not None:
                await former.aclose()
        return self._shell

"""What injects input events into a device."""

from typing import Protocol

from capture.input_events import InputEvent


class Controller(Protocol):
    """Injects input events into one device, in the order they were given."""

    async def inject(self, event: InputEvent) -> float:
        """Inject `event`; the moment the device had taken it, in seconds of `time.monotonic()`.

        Waiting events are bounded: while the device is slow, a `MOVE` is replaced by the next one of its pointer (and
        then returns with it), and anything beyond the bound raises `InputRejected`. Raises `InputRejected` for an
        event this device cannot take and an `AdbError` when the device does not answer.
        """
        ...

    async def aclose(self) -> None:
        """Release the device. Idempotent; waiting events raise `InputRejected`."""
        ...

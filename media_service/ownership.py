"""Which devices are this instance's to capture, where several instances share them."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol


class Ownership(Protocol):
    """Knows which instance has which device."""

    async def hold(self, device_id: str) -> None:
        """Make the device ours; what is ours already stays so. Soon returns, whatever is the matter.

        Raises `DeviceUnavailable` with the code `device_elsewhere` when another instance has it.
        """
        ...

    def release(self, device_id: str) -> None:
        """Let others have it. Neither waits nor raises."""
        ...


class Holdings:
    """Asks for a device before it is captured, and lets it go when neither a stream nor a session to come needs it."""

    def __init__(self, ownership: Ownership | None) -> None:
        self._ownership = ownership
        self._opening: Counter[str] = Counter()

    @asynccontextmanager
    async def opening(self, device_id: str) -> AsyncIterator[None]:
        """The device is ours in the block, in which its stream is to be held. Raises as `Ownership.hold` does."""
        if self._ownership is None:
            yield
            return
        self._opening[device_id] += 1
        try:
            await self._ownership.hold(device_id)
            yield
        finally:
            self._opening[device_id] -= 1

    def release(self, device_id: str) -> None:
        """Nothing captures the device any more."""
        if self._ownership is not None and not self._opening[device_id]:
            self._opening.pop(device_id, None)
            self._ownership.release(device_id)

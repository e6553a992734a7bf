"""Keeps phones on the network connected to the adb server."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress

import structlog

from capture.adb.address import with_port
from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.errors import AdbError, DeviceNotFound

log = structlog.get_logger(__name__)

_SHARE_OF_THE_OUTAGE = 0.1
_SHORTEST_ATTEMPT = 0.5
_BLINK = 0.05
_UNKNOWN = "unknown"


class _KeptPhone:
    """One phone, and what its keeper waits for."""

    def __init__(self, serial: str) -> None:
        self.serial = serial
        self.adders = 0
        """How many want it connected."""
        self.is_doubted = False
        self.trouble = ""
        """Why it is not connected; empty while it is, and before that is known."""
        self.state: str | None = _UNKNOWN
        """As the server lists it; None while it does not."""
        self.was_ready = False
        """Whether it took commands before it came into this state."""
        self._changed = asyncio.Event()

    @property
    def is_missed(self) -> bool:
        """Whether it is to be connected."""
        return self.adders > 0 and self.state in (None, "offline")

    def listed(self, state: str | None) -> None:
        """Note the state that the server lists."""
        if state != self.state:
            self.was_ready = self.state == "device"
        self.state = state
        self._changed.set()

    def wake(self) -> None:
        """Have the keeper look again."""
        self._changed.set()

    async def until(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        """Return when `condition` holds, or after `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()


def wait_after(away: float, shortest: float, longest: float) -> float:
    """Seconds until the next attempt to connect to a phone that has been `away` for so many seconds."""
    return min(max(away * _SHARE_OF_THE_OUTAGE, shortest), longest)


class KeptPhones:
    """Phones that the adb server is to be connected to, now and again whenever it has lost one.

    A phone that is away is tried again after a tenth of the time that it has been away: one that was away for five
    seconds is back half a second after its return, and none is left alone for longer than a second and a half. A phone
    that stays listed as offline is dropped and connected anew: left alone, the server takes ten seconds and more to
    notice that it is back. One that is unauthorized is left as it is. Phones that were not added are never touched.
    """

    def __init__(
        self,
        client: AdbClient,
        *,
        shortest_wait: float = 0.25,
        longest_wait: float = 1.5,
        answer_timeout: float = 2.0,
    ) -> None:
        """`shortest_wait` and `longest_wait` bound the seconds between two attempts.

        A phone that is there may be silent for `answer_timeout` seconds.
        """
        self._client = client
        self._shortest_wait = shortest_wait
        self._longest_wait = longest_wait
        self._answer_timeout = answer_timeout
        self._states: dict[str, str] | None = None
        """Of all phones, as the server lists them; None while that is not known."""
        self._phones: dict[str, _KeptPhone] = {}
        self._keepers: asyncio.TaskGroup | None = None

    def add(self, address: str) -> str:
        """Keep the phone at `address` connected; what the server will call it.

        One that is added twice is kept until it has been removed twice.
        """
        serial = with_port(address)
        phone = self._phones.get(serial)
        if phone is None:
            phone = self._phones[serial] = _KeptPhone(serial)
            phone.listed(self._state(serial))
            if self._keepers is not None:
                self._keepers.create_task(self._keep(phone))
        phone.adders += 1
        phone.wake()
        return serial

    def remove(self, address: str) -> None:
        """Let go of the phone at `address`: it is disconnected. One that was not added is left alone."""
        phone = self._phones.get(with_port(address))
        if phone is not None and phone.adders:
            phone.adders -= 1
            phone.wake()

    def doubt(self, serial: str) -> None:
        """Look whether the phone still answers, and connect it anew if not. For who waited for an answer in vain.

        A phone that hangs stays listed as if nothing were wrong.
        """
        phone = self._phones.get(serial)
        if phone is not None:
            phone.is_doubted = True
            phone.wake()

    def trouble(self, serial: str) -> str:
        """Why the phone is not connected; empty while it is, and where that is not known."""
        phone = self._phones.get(serial)
        return phone.trouble if phone is not None else ""

    async def run(self) -> None:
        """Keep them connected. Never ends."""
        try:
            async with asyncio.TaskGroup() as self._keepers:
                for phone in self._phones.values():
                    self._keepers.create_task(self._keep(phone))
                await self._follow()
        finally:
            self._keepers = None

    async def _follow(self) -> None:
        """Tell every keeper what the server lists."""
        while True:
            try:
                async with aclosing(self._client.track_devices()) as changes:
                    async for devices in changes:
                        self._tell({device.serial: device.state for device in devices})
            except AdbError as error:
                if self._states is not None:
                    log.warning("adb devices unknown", reason=str(error))
            self._tell(None)
            await asyncio.sleep(self._shortest_wait)

    def _tell(self, states: dict[str, str] | None) -> None:
        self._states = states
        for phone in self._phones.values():
            phone.listed(self._state(phone.serial))

    def _state(self, serial: str) -> str | None:
        return _UNKNOWN if self._states is None else self._states.get(serial)

    async def _keep(self, phone: _KeptPhone) -> None:
        while phone.adders or await self._let_go(phone):
            if phone.is_missed:
                await self._bring_back(phone)
            elif phone.is_doubted:
                await self._examine(phone)
            else:
                await phone.until(lambda: not phone.adders or phone.is_missed or phone.is_doubted)
        del self._phones[phone.serial]

    async def _bring_back(self, phone: _KeptPhone) -> None:
        now = asyncio.get_running_loop().time
        lost_at = now()
        # The server lists a device as offline while it connects, too; one that was ready has been lost.
        patience = _BLINK if phone.was_ready else self._shortest_wait
        while phone.is_missed:
            if phone.state == "offline":
                await phone.until(lambda: phone.state != "offline" or not phone.adders, patience)
                if phone.state != "offline" or not phone.adders:
                    continue
                await self._disconnect(phone)
            wait = wait_after(now() - lost_at, self._shortest_wait, self._longest_wait)
            patience = self._answer_timeout
            try:
                # What swallows our packets holds up one attempt of the server, not the next one.
                async with asyncio.timeout(max(wait, _SHORTEST_ATTEMPT)):
                    await self._client.connect(phone.serial)
            except (AdbError, TimeoutError) as error:
                reason = str(error) or "it does not answer"
                if reason != phone.trouble:  # The same trouble again and again is one line in the log.
                    phone.trouble = reason
                    log.warning("device not connected", address=phone.serial, reason=reason)
            await phone.until(lambda: not phone.is_missed, wait)
        phone.trouble = ""
        if phone.adders and phone.state != _UNKNOWN:
            log.info("device connected", address=phone.serial, state=phone.state, away=round(now() - lost_at, 2))

    async def _examine(self, phone: _KeptPhone) -> None:
        phone.is_doubted = False
        try:
            async with asyncio.timeout(self._answer_timeout):
                await self._client.shell(phone.serial, command_line(["true"]))
        except (AdbError, TimeoutError) as error:
            if phone.state == "device":
                reason = str(error) or f"no answer within {self._answer_timeout:g} s"
                log.warning("device does not answer: connecting it anew", address=phone.serial, reason=reason)
                await self._disconnect(phone)

    async def _let_go(self, phone: _KeptPhone) -> bool:
        """Disconnect it; whether somebody wants it again by then."""
        await self._disconnect(phone)
        if not phone.adders:
            log.info("device let go", address=phone.serial)
        return phone.adders > 0

    async def _disconnect(self, phone: _KeptPhone) -> None:
        try:
            await self._client.disconnect(phone.serial)
        except DeviceNotFound:
            pass
        except AdbError as error:
            log.warning("device not disconnected", address=phone.serial, reason=str(error))

"""A device is asked for before it is captured, and let go when nobody needs it."""

import asyncio

import pytest

from media_service.ownership import Holdings
from signaling.errors import DeviceUnavailable


class Owner:
    """Fits `media_service.ownership.Ownership`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.elsewhere: set[str] = set()

    async def hold(self, device_id: str) -> None:
        await self.gate.wait()
        if device_id in self.elsewhere:
            raise DeviceUnavailable("another instance has it", code="device_elsewhere", retry_after=5)
        self.calls.append(f"hold {device_id}")

    def release(self, device_id: str) -> None:
        self.calls.append(f"release {device_id}")


async def test_without_an_owner_everything_is_ours() -> None:
    holdings = Holdings(None)
    async with holdings.opening("phone-1"):
        pass
    holdings.release("phone-1")


async def test_a_device_is_held_and_released() -> None:
    owner = Owner()
    holdings = Holdings(owner)
    async with holdings.opening("phone-1"):
        assert owner.calls == ["hold phone-1"]
    holdings.release("phone-1")
    assert owner.calls == ["hold phone-1", "release phone-1"]


async def test_a_stream_that_stops_does_not_take_the_device_from_who_just_comes() -> None:
    owner = Owner()
    holdings = Holdings(owner)
    async with holdings.opening("phone-1"):
        holdings.release("phone-1")
    assert owner.calls == ["hold phone-1"]


async def test_a_device_of_another_instance_is_refused() -> None:
    owner = Owner()
    owner.elsewhere.add("phone-1")
    holdings = Holdings(owner)
    with pytest.raises(DeviceUnavailable) as refused:
        async with holdings.opening("phone-1"):
            raise AssertionError("it is not ours")
    assert refused.value.code == "device_elsewhere"
    holdings.release("phone-1")
    assert owner.calls == ["release phone-1"]

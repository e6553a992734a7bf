"""A demo phone that the tests' adb server is connected to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from capture.adb.client import AdbClient
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.phone import PhoneSpec
from capture.errors import DeviceNotFound

SMALL = PhoneSpec(width=360, height=640)
"""Enough for its strip to be read, and cheap."""


@asynccontextmanager
async def connected_phone(client: AdbClient, spec: PhoneSpec = SMALL) -> AsyncIterator[DemoPhone]:
    """A phone for the duration of the block."""
    async with DemoPhone(spec) as phone:
        await client.connect(phone.address)
        try:
            yield phone
        finally:
            try:
                await client.disconnect(phone.address)
            except DeviceNotFound:
                pass  # The test did.

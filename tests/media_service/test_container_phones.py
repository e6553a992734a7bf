"""A phone in a container of a real Docker engine, through a real adb, from its start to its end."""

import asyncio

import pytest

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.adb.presence import KeptPhones
from capture.redroid import RedroidContainer, RedroidContainers
from media_service.devices import Devices
from tests.fixtures.docker import RunningDocker, phone_container
from tests.waiting import until

pytestmark = pytest.mark.adb


async def test_a_phone_in_a_container_is_one_device_for_as_long_as_it_exists(
    docker_engine: RunningDocker, adb_client: AdbClient
) -> None:
    devices, kept = Devices({}), KeptPhones(adb_client)
    told: list[str] = []
    devices.on_change = lambda device_id, state: told.append(state) if device_id == "redroid-7" else None
    devices.why_away = kept.trouble

    def appeared(container: RedroidContainer) -> None:
        devices.expect(kept.add(container.address), f"container {container.name}", container.name)

    def vanished(container: RedroidContainer) -> None:
        kept.remove(container.address)
        devices.forget(container.address, f"container {container.name}")

    containers = RedroidContainers(docker_engine.docker_host, "test=container-phones")
    loop = asyncio.get_running_loop()
    following = [
        loop.create_task(work) for work in (devices.follow(adb_client), kept.run(), containers.run(appeared, vanished))
    ]
    try:
        async with phone_container(
            docker_engine, "redroid-7", labels={"test": "container-phones"}, arguments=["--size", "240x320"]
        ) as container:
            await until(lambda: "online" in told)
            phone = devices.find("redroid-7")
            assert (phone.serial, phone.origin) == (container.address, "container redroid-7")
            assert devices.find(container.address) == phone
            told.clear()
            await container.restart()
            await until(lambda: "online" in told)
            named = await adb_client.shell(container.address, command_line(["getprop", "ro.serialno"]))
            assert named.stdout.strip() == "redroid-7"
            await container.stop()
            await until(lambda: devices.find("redroid-7").state == "lost")
            await container.start()
            await until(lambda: devices.find("redroid-7").state == "online")
        await until(lambda: devices.find("redroid-7").reason == "container redroid-7 is not there any more")
        await until_not_listed(adb_client, container.address)
        assert not any(task.done() for task in following)
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


async def until_not_listed(client: AdbClient, serial: str) -> None:
    async with asyncio.timeout(10):
        async for listed in client.track_devices():
            if serial not in [device.serial for device in listed]:
                return

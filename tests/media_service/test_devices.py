"""Which devices there are, what they are called, and what is told when they come and go."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from structlog.testing import capture_logs

from capture.adb.client import AdbClient
from capture.adb.wire import AdbDevice
from capture.errors import DeviceNotFound
from media_service.devices import Device, Devices
from signaling.errors import NotFound
from tests.capture.adb.connected_phone import connected_phone
from tests.capture.adb.fake_server import FakeAdbServer
from tests.waiting import until

SERIAL, OTHER = "10.0.0.5:5555", "10.0.0.6:5555"


class Scene:
    """Devices, what they have told, and a clock that stands still."""

    def __init__(self, named: Mapping[str, str] | None = None) -> None:
        self.now = 1000.0
        self.told: list[tuple[str, str]] = []
        self.devices = Devices(named or {}, clock=lambda: self.now)
        self.devices.adb_trouble = ""
        self.adb_lists()
        self.devices.on_change = lambda device_id, state: self.told.append((device_id, state))

    def adb_lists(self, **states: str) -> None:
        """The states by serial; `_` stands for the dots and `__` for the colon that a name cannot have."""
        self.devices.take(
            tuple(
                AdbDevice(name.replace("__", ":").replace("_", "."), state, "Pixel") for name, state in states.items()
            )
        )

    def ids(self) -> list[str]:
        return [device.device_id for device in self.devices]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_phone_that_adb_knows_is_called_by_its_serial(scene: Scene) -> None:
    scene.adb_lists(emulator="device")
    expected = Device("emulator", "adb:emulator", "Pixel", "online", "", "emulator", None, "adb")
    assert list(scene.devices) == [expected]
    assert scene.devices.find("emulator") == expected
    assert scene.devices.source("emulator") == "adb:emulator"
    assert scene.told == [("emulator", "online")]


@pytest.mark.parametrize(
    ("adb_state", "state", "reason"),
    [
        ("device", "online", ""),
        ("unauthorized", "unauthorized", "allow USB debugging on the phone's screen"),
        ("authorizing", "connecting", ""),
        ("offline", "offline", "adb says 'offline'"),
        ("recovery", "offline", "adb says 'recovery'"),
    ],
)
def test_what_adb_says_in_our_words(scene: Scene, adb_state: str, state: str, reason: str) -> None:
    scene.adb_lists(emulator=adb_state)
    device = scene.devices.find("emulator")
    assert (device.state, device.reason) == (state, reason)


def test_an_expected_phone_is_there_before_adb_knows_it(scene: Scene) -> None:
    scene.devices.why_away = {SERIAL: "Connection refused"}.__getitem__
    scene.devices.expect(SERIAL, "ADB_DEVICES", "lab")
    device = scene.devices.find("lab")
    assert (device.device_id, device.serial, device.name, device.origin) == ("lab", SERIAL, "lab", "ADB_DEVICES")
    assert (device.state, device.reason) == ("connecting", "adb is not connected to it yet: Connection refused")
    scene.adb_lists(**{"10_0_0_5__5555": "device"})
    assert scene.devices.find("lab").state == "online"
    assert scene.told == [("lab", "connecting"), ("lab", "online")]


def test_a_phone_is_one_device_by_all_its_names(scene: Scene) -> None:
    scene.adb_lists(**{"10_0_0_5__5555": "device"})
    scene.devices.expect(SERIAL, "ADB_DEVICES", "lab")
    scene.devices.expect(SERIAL, "container redroid-1", "redroid-1")
    assert scene.ids() == ["lab"]
    assert {scene.devices.find(text).device_id for text in ("lab", "redroid-1", SERIAL)} == {"lab"}
    assert scene.devices.find(SERIAL).origin == "ADB_DEVICES and container redroid-1"
    scene.devices.forget(SERIAL, "ADB_DEVICES")
    assert scene.ids()[0] == "redroid-1"


def test_a_name_is_given_once(scene: Scene) -> None:
    named = Scene({"picture": "test:"})
    named.devices.expect(SERIAL, "ADB_DEVICES", "picture")
    assert [(device.device_id, device.serial) for device in named.devices] == [("picture", None), (SERIAL, SERIAL)]
    scene.devices.expect(SERIAL, "ADB_DEVICES", "lab")
    scene.devices.expect(OTHER, "container lab", "lab")
    assert scene.ids() == ["lab", OTHER]
    assert scene.devices.find("lab").serial == SERIAL


def test_a_named_source_is_always_there() -> None:
    scene = Scene({"picture": "test:", "desk": "adb:emulator"})
    assert list(scene.devices) == [
        Device("picture", "test:", "test", "online", "", None, "picture", "--source"),
        Device("desk", "adb:emulator", "", "offline", "adb does not list it", "emulator", "desk", "--source"),
    ]
    scene.adb_lists(emulator="device")
    assert scene.ids() == ["picture", "desk"]
    assert scene.devices.find("emulator").device_id == "desk"
    assert scene.told == [("desk", "online")]


def test_an_expected_phone_that_was_online_is_lost_until_it_is_back(scene: Scene) -> None:
    scene.devices.expect(SERIAL, "ADB_DEVICES")
    scene.adb_lists(**{"10_0_0_5__5555": "device"})
    scene.adb_lists(**{"10_0_0_5__5555": "offline"})
    scene.adb_lists()
    device = scene.devices.find(SERIAL)
    assert (device.state, device.reason, device.model) == ("lost", "adb has lost it", "Pixel")
    scene.now += 1_000_000
    assert scene.ids() == [SERIAL]
    scene.adb_lists(**{"10_0_0_5__5555": "device"})
    assert [state for _, state in scene.told] == ["connecting", "online", "lost", "online"]


def test_what_has_not_changed_is_not_told(scene: Scene) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            scene.adb_lists(emulator="device")
    assert scene.told == [("emulator", "online")]
    assert [(log["event"], log["state"]) for log in logs] == [("phone", "online")]


def test_a_phone_that_went_away_is_lost_for_a_minute(scene: Scene) -> None:
    scene.adb_lists(emulator="device")
    scene.adb_lists()
    assert scene.told == [("emulator", "online"), ("emulator", "lost")]
    device = scene.devices.find("emulator")
    assert (device.state, device.reason) == ("lost", "adb does not list it any more")
    assert list(scene.devices) == [device]
    scene.now += 61
    assert scene.ids() == []
    with pytest.raises(NotFound, match="there is no device 'emulator'; known: none"):
        scene.devices.find("emulator")
    scene.adb_lists(emulator="offline")
    scene.adb_lists()
    assert scene.ids() == [], "what was never online is not missed"


def test_a_container_that_comes_back_elsewhere_is_the_same_device(scene: Scene) -> None:
    scene.devices.expect(SERIAL, "container a", "a")
    scene.devices.expect(OTHER, "container b", "b")
    scene.adb_lists(**{"10_0_0_5__5555": "device", "10_0_0_6__5555": "device"})
    for serial, name in ((SERIAL, "a"), (OTHER, "b")):
        scene.devices.forget(serial, f"container {name}")
    assert scene.ids() == ["a", "b"], "adb lists them until it has let go of them"
    scene.adb_lists()
    assert scene.devices.find("a").state == "lost"
    with pytest.raises(DeviceNotFound, match="device 'a' is not there: container a is not there any more"):
        scene.devices.source("a")
    # They have swapped their addresses.
    scene.devices.expect(OTHER, "container a", "a")
    scene.devices.expect(SERIAL, "container b", "b")
    assert scene.devices.find("a").state == "lost", "adb is not connected yet"
    scene.adb_lists(**{"10_0_0_5__5555": "device", "10_0_0_6__5555": "device"})
    assert (scene.devices.source("a"), scene.devices.source("b")) == (f"adb:{OTHER}", f"adb:{SERIAL}")
    assert sorted(scene.ids()) == ["a", "b"]
    assert [state for device_id, state in scene.told if device_id == "a"] == ["connecting", "online", "lost", "online"]


def test_an_unknown_device_has_no_source(scene: Scene) -> None:
    with pytest.raises(DeviceNotFound, match="device ';reboot' is not there: nobody knows it"):
        scene.devices.source(";reboot")


def test_an_unknown_device_is_told_what_there_is(scene: Scene) -> None:
    scene.adb_lists(emulator="device")
    scene.devices.adb_trouble = "no adb server at 127.0.0.1:5037"
    with pytest.raises(NotFound) as caught:
        scene.devices.find("x" * 1000)
    assert caught.value.code == "device_not_found"
    shown = "x" * 100
    assert caught.value.detail == (
        f"there is no device '{shown}'; known: emulator (adb: no adb server at 127.0.0.1:5037)"
    )


def test_without_an_adb_server_expected_phones_say_why(scene: Scene) -> None:
    scene.devices.expect(SERIAL, "ADB_DEVICES")
    scene.devices.adb_trouble = "no adb server at 127.0.0.1:5037"
    scene.adb_lists()
    assert scene.devices.find(SERIAL).reason == "no adb server at 127.0.0.1:5037"


@pytest.fixture
async def following(scene: Scene, fake_adb: FakeAdbServer) -> AsyncIterator[Scene]:
    task = asyncio.get_running_loop().create_task(scene.devices.follow(AdbClient(port=fake_adb.port)))
    yield scene
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_adb_server_that_comes_late(following: Scene, fake_adb: FakeAdbServer) -> None:
    await until(lambda: "unknown host service" in following.devices.adb_trouble)
    fake_adb.on("host:track-devices-l", b"OKAY0010emulator device\n")
    await until(lambda: ("emulator", "online") in following.told)
    # It has ended the connection since.
    await until(lambda: following.devices.adb_trouble)
    assert following.devices.find("emulator").state == "lost"


@pytest.mark.adb
async def test_a_real_phone(scene: Scene, adb_client: AdbClient) -> None:
    task = asyncio.get_running_loop().create_task(scene.devices.follow(adb_client))
    try:
        async with connected_phone(adb_client) as phone:
            await until(lambda: (phone.address, "online") in scene.told)
            assert scene.devices.find(phone.address).model == "Demo_Phone"
            await phone.go_offline()
            await until(lambda: (phone.address, "offline") in scene.told)
            scene.told.clear()
            await phone.come_online()
            await until(lambda: (phone.address, "online") in scene.told)
        await until(lambda: (phone.address, "lost") in scene.told)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

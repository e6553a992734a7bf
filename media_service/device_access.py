"""What a stream needs of its device while it runs: a source, to be opened again and again, and a way to control it."""

from collections.abc import Awaitable, Callable

from capture.controller import Controller
from capture.errors import DeviceNotFound, DeviceOffline
from capture.phone_controller import PhoneController
from capture.source import Source, Sources
from media_service.devices import Device, Devices
from media_service.stream import Stream
from media_service.tasks import Tasks
from signaling.errors import NotFound


class DeviceAccess:
    """Opens sources and controllers; a phone has one controller for as long as its stream runs."""

    def __init__(
        self, devices: Devices, sources: Sources, open_shell: Callable[[str], Controller], tasks: Tasks
    ) -> None:
        """`open_shell` gives what injects input by the shell of the phone of that serial."""
        self._devices = devices
        self._sources = sources
        self._open_shell = open_shell
        self._tasks = tasks
        self._controllers: dict[str, PhoneController] = {}

    def opener(self, device: Device) -> Callable[[], Awaitable[Source]]:
        """What opens a source of the device as it is then. It raises a `CaptureError`."""

        async def open_source() -> Source:
            try:
                # Asked every time: a container's phone may have come back at another address.
                return await self._sources.open(self._devices.source(device.device_id))
            except (DeviceNotFound, DeviceOffline) as error:
                # To adb it is only away; who connects it knows more.
                if reason := self._why_away(device.device_id):
                    raise type(error)(reason) from error
                raise

        return open_source

    def controller(self, device: Device, stream: Stream) -> Controller | None:
        """What injects input into the phone that `stream` shows; None for what is none."""
        controller = self._controllers.get(device.device_id)
        if controller is None and device.serial is not None:
            controller = self._controllers[device.device_id] = PhoneController(
                lambda: self._devices.source(device.device_id).removeprefix("adb:"),
                self._open_shell,
                lambda: stream.controller,
                stream.wake,
            )
        return controller

    def stream_stopped(self, device_id: str) -> None:
        """Close the controller of the device."""
        controller = self._controllers.pop(device_id, None)
        if controller is not None:
            self._tasks.start(controller.aclose(), f"controller {device_id} closing")

    def _why_away(self, device_id: str) -> str:
        try:
            return self._devices.find(device_id).reason
        except NotFound:
            return ""

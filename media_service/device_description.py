"""What signaling is told of a device: what is known of it, and of the stream that captures it now."""

from media_service.devices import Device
from media_service.stream import Stream
from signaling.service import DeviceDescription


def describe(device: Device, stream: Stream | None) -> DeviceDescription:
    """The device as lists show it; `stream` is None while nobody watches it."""
    facts = stream.facts if stream is not None else None
    sps = stream.sps if stream is not None else None
    return DeviceDescription(
        device_id=device.device_id,
        model=device.model,
        state=device.state,
        capture_mode=facts.kind if facts is not None else None,
        reason=device.reason or (stream.reason if stream is not None else ""),
        width=sps.width if sps is not None else None,
        height=sps.height if sps is not None else None,
        viewers=len(stream.renditions.viewers) if stream is not None else 0,
        name=device.name,
        serial=device.serial,
        origin=device.origin,
        audio=facts is not None and facts.has_audio,
        screen=facts.screen if facts is not None else None,
        rotation=facts.rotation if facts is not None else None,
    )


def names_of(device: Device) -> tuple[str, ...]:
    """Everything that a token may call the device."""
    return tuple(filter(None, (device.device_id, device.serial, device.name)))

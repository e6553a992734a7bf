"""Bodies that are written in a faster way than the documented one are the same."""

import json

from hypothesis import given
from hypothesis import strategies as st

from signaling.bodies import DescribedDevices, DeviceBody, DeviceList, SessionBody
from signaling.service import DeviceDescription, SessionDescription

TEXTS = st.text(max_size=20)
SIZES = st.none() | st.integers(0, 8192)
DEVICES = st.builds(
    DeviceDescription,
    device_id=TEXTS,
    model=TEXTS,
    state=st.sampled_from(["online", "lost"]),
    capture_mode=st.none() | TEXTS,
    reason=TEXTS,
    width=SIZES,
    height=SIZES,
    viewers=st.integers(0, 500),
    name=st.none() | TEXTS,
    serial=st.none() | TEXTS,
    origin=TEXTS,
    audio=st.booleans(),
    screen=st.none() | TEXTS,
    rotation=st.none() | st.sampled_from([0, 90, 180, 270]),
)


@given(st.lists(DEVICES, max_size=5))
def test_described_devices_read_as_the_documented_list(devices: list[DeviceDescription]) -> None:
    documented = DeviceList(devices=[DeviceBody.of(device) for device in devices], total=len(devices))
    described = DescribedDevices(devices=devices, total=len(devices)).model_dump_json()

    assert json.loads(described) == json.loads(documented.model_dump_json())
    assert DeviceList.model_validate_json(described) == documented


def test_times_are_moments_in_utc() -> None:
    body = SessionBody.of(SessionDescription("s", "d", None, "new", "", 1_800_000_000.25, 1_800_000_060.5))
    assert (body.created_at, body.last_active) == ("2027-01-15T08:00:00.250Z", "2027-01-15T08:01:00.500Z")

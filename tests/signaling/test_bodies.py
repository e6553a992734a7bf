"""Bodies that are written in a faster way than the documented one are the same."""

import json
from datetime import UTC, datetime, timedelta

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


@given(st.floats(0, 4e9))
def test_times_are_as_datetime_writes_them(seconds: float) -> None:
    body = SessionBody.of(SessionDescription("s", "d", None, "new", "", seconds, seconds))

    # In whole microseconds, which a float of today's seconds can tell apart and no more.
    exact = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(seconds * 1_000_000))
    assert body.created_at == exact.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert abs(datetime.fromisoformat(body.last_active).timestamp() - seconds) <= 0.001

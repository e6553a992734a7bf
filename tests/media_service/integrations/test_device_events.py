"""What platforms say of devices, well and badly."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.integrations.device_events import (
    LARGEST_BODY,
    DeviceEvent,
    DeviceEventKind,
    MalformedDeviceEvent,
    parse_device_event,
)

STARTED, STOPPED, DELETED = DeviceEventKind.STARTED, DeviceEventKind.STOPPED, DeviceEventKind.DELETED


def parse(body: object, routing_key: str = "device.started") -> DeviceEvent:
    return parse_device_event(routing_key, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "address", "name"),
    [
        ({"device_id": "192.168.1.2:5555"}, "192.168.1.2:5555", None),
        ({"device_id": "[fd00::2]:5555"}, "[fd00::2]:5555", None),
        ({"device_id": "phone-1", "adb_address": "10.0.0.2:6000"}, "10.0.0.2:6000", "phone-1"),
        ({"device_id": "phone-1", "adb_address": "10.0.0.2"}, "10.0.0.2:5555", "phone-1"),
        ({"device_id": "phone-1", "adb_host": "10.0.0.2", "adb_port": 6000}, "10.0.0.2:6000", "phone-1"),
        ({"device_id": "phone-1", "adb_host": "redroid-1"}, "redroid-1:5555", "phone-1"),
        ({"device_id": "phone-1", "adb_host": "fd00::2", "adb_port": 6000}, "[fd00::2]:6000", "phone-1"),
        ({"device_id": "10.0.0.2:5555", "name": "lobby"}, "10.0.0.2:5555", "lobby"),
        ({"device_id": "uuid-1", "name": "云手机 1", "adb_address": "10.0.0.2:5555"}, "10.0.0.2:5555", "uuid-1"),
        ({"device_id": "10.0.0.2:5555", "event_type": "device.started", "more": {"a": [1]}}, "10.0.0.2:5555", None),
        ({"device_id": "10.0.0.2:5555", "name": None, "adb_host": None}, "10.0.0.2:5555", None),
    ],
)
def test_a_device_that_started(body: dict[str, object], address: str, name: str | None) -> None:
    assert parse(body) == DeviceEvent(STARTED, address, name)


def test_a_device_that_stops_may_be_known_by_its_name() -> None:
    assert parse({"device_id": "phone-1"}, "device.stopped") == DeviceEvent(STOPPED, None, "phone-1")
    assert parse({"device_id": "10.0.0.2:5555"}, "device.deleted") == DeviceEvent(DELETED, "10.0.0.2:5555", None)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "device_id: missing"),
        ({"device_id": 7}, "device_id: string_type"),
        ({"device_id": ""}, "device_id: string_too_short"),
        ({"device_id": "x" * 300}, "device_id: string_too_long"),
        ({"device_id": "phone-1"}, "says where its adb is"),
        ({"device_id": "a b"}, "device_id is neither HOST:PORT nor a name"),
        ({"device_id": "10.0.0.2:70000"}, "device_id is not HOST:PORT"),
        ({"device_id": "phone-1", "adb_address": "secret word"}, "adb_address is not HOST:PORT"),
        ({"device_id": "phone-1", "adb_address": "a=10.0.0.2:5555"}, "adb_address is not HOST:PORT"),
        ({"device_id": "phone-1", "adb_address": "10.0.0.2:5555;rm"}, "adb_address is not HOST:PORT"),
        ({"device_id": "phone-1", "adb_host": "10.0.0.2", "adb_port": 0}, "adb_port: greater_than_equal"),
        ({"device_id": "phone-1", "adb_host": "10.0.0.2", "adb_port": "5555"}, "adb_port: int_type"),
        ({"device_id": "phone-1", "adb_host": "10.0.0.2", "adb_port": True}, "adb_port: int_type"),
        ({"device_id": "phone-1", "adb_host": "10.0.0.2:1", "adb_port": 5}, "adb_host is not HOST:PORT"),
        ({"device_id": "10.0.0.2:5555", "event_type": "device.stopped"}, "event_type is not the routing key"),
    ],
)
def test_what_is_wrong_is_said_without_what_was_sent(body: dict[str, object], why: str) -> None:
    with pytest.raises(MalformedDeviceEvent, match=why) as refused:
        parse(body)
    assert "secret" not in str(refused.value)


def test_other_kinds_and_huge_bodies_are_refused() -> None:
    with pytest.raises(MalformedDeviceEvent, match="routing key"):
        parse({"device_id": "10.0.0.2:5555"}, "device.rebooted")
    with pytest.raises(MalformedDeviceEvent, match="bytes"):
        parse({"device_id": "10.0.0.2:5555", "padding": "x" * LARGEST_BODY})


def test_a_body_nested_without_end_is_refused() -> None:
    with pytest.raises(MalformedDeviceEvent, match="the body"):
        parse_device_event("device.started", b"[" * 60_000)


KEYS = st.sampled_from([*DeviceEventKind]) | st.text()
FIELDS = st.sampled_from("device_id event_type name adb_address adb_host adb_port other".split())
TEXTS = st.text(max_size=300) | st.from_regex(r"[a-z0-9.:\[\]=-]{1,40}", fullmatch=True)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | TEXTS, st.lists, max_leaves=5)


def accepted(routing_key: str, body: bytes) -> DeviceEvent | None:
    try:
        return parse_device_event(routing_key, body)
    except MalformedDeviceEvent:
        return None


@given(KEYS, st.binary())
def test_any_bytes_are_read_or_refused(routing_key: str, body: bytes) -> None:
    assert accepted(routing_key, body) is None


@given(KEYS, st.dictionaries(FIELDS, JSON))
def test_any_json_is_read_or_refused(routing_key: str, body: dict[str, object]) -> None:
    event = accepted(routing_key, json.dumps(body).encode(errors="surrogatepass"))
    if event is not None:
        assert event.address or (event.name and event.kind is not STARTED)
        assert event.address is None or not set(event.address) & set(" ;|&$`'\"\n=/")

"""RTP payloads against aiortc's depayloader, which is not ours."""

from aiortc.codecs.h264 import H264PayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from media_service.rtc.packetizer import MAX_PAYLOAD, depacketize, packetize
from tests.rtc.samples import nal_unit

STAP_A, FU_A = 24, 28

near_the_limit = st.integers(MAX_PAYLOAD - 5, MAX_PAYLOAD + 5)
sizes = st.integers(1, 60) | near_the_limit | st.integers(1, 6 * MAX_PAYLOAD)
headers = st.tuples(st.integers(1, 12), st.sampled_from((0x00, 0x20, 0x40, 0x60, 0x80, 0xE0)))


@st.composite
def nal_unit_lists(draw: st.DrawFn) -> list[bytes]:
    found = []
    for size in draw(st.lists(sizes, min_size=1, max_size=8)):
        kind, flags = draw(headers)
        found.append(bytes((flags | kind,)) + nal_unit(kind, max(2, size), size)[1:])
    return found


def depayloaded(payloads: tuple[bytes, ...]) -> bytes:
    """The byte stream that aiortc makes of the payloads."""
    return b"".join(H264PayloadDescriptor.parse(payload)[1] for payload in payloads)


@given(nal_unit_lists())
def test_a_receiver_gets_the_same_nal_units(nal_units: list[bytes]) -> None:
    assert depayloaded(packetize(nal_units)) == b"".join(b"\0\0\0\1" + each for each in nal_units)


@given(nal_unit_lists())
def test_payloads_are_put_together_again(nal_units: list[bytes]) -> None:
    assert depacketize(packetize(nal_units)) == tuple(nal_units)


@given(nal_unit_lists())
def test_no_payload_is_too_large(nal_units: list[bytes]) -> None:
    assert max(map(len, packetize(nal_units))) <= MAX_PAYLOAD


whole_fragments = st.integers(2, 40).map(lambda count: 1 + count * (MAX_PAYLOAD - 2))


@given(st.integers(MAX_PAYLOAD + 1, 40 * MAX_PAYLOAD) | whole_fragments)
def test_all_fragments_but_the_last_are_of_one_size(size: int) -> None:
    *full, last = packetize([nal_unit(5, size)])
    assert {len(payload) for payload in full} == {MAX_PAYLOAD}
    assert 2 < len(last) <= MAX_PAYLOAD


@given(st.integers(MAX_PAYLOAD + 1, 6 * MAX_PAYLOAD))
def test_only_the_ends_of_a_fragmented_nal_unit_are_marked(size: int) -> None:
    payloads = packetize([nal_unit(5, size)])
    assert {payload[0] for payload in payloads} == {0x60 | FU_A}
    # RFC 6184 section 5.8: S, E, R and the type.
    assert [payload[1] for payload in payloads] == [0x85, *[0x05] * (len(payloads) - 2), 0x45]


def test_a_nal_unit_that_just_fits_is_sent_alone() -> None:
    for size in range(MAX_PAYLOAD - 3, MAX_PAYLOAD + 1):
        assert packetize([nal_unit(1, size)]) == (nal_unit(1, size),)


def test_small_nal_units_travel_together() -> None:
    parameter_sets = [nal_unit(7, 12), nal_unit(8, 5)]
    aggregate, *fragments = packetize([*parameter_sets, nal_unit(5, 3000)])
    assert aggregate[0] == 0x60 | STAP_A
    assert depayloaded((aggregate,)) == b"".join(b"\0\0\0\1" + each for each in parameter_sets)
    assert len(fragments) == 3


def test_an_aggregate_has_the_greatest_importance_of_its_parts() -> None:
    # RFC 6184 section 5.7: F is the OR and NRI the maximum.
    assert packetize([b"\x06\1", b"\x41\1"])[0][0] == 0x40 | STAP_A
    assert packetize([b"\x86\1", b"\x61\1"])[0][0] == 0xE0 | STAP_A


def test_a_run_of_small_nal_units_fills_packets() -> None:
    slices = [nal_unit(1, 100, seed) for seed in range(40)]
    payloads = packetize(slices)
    assert len(payloads) == 4  # 11 slices of 102 bytes fit each
    assert depayloaded(payloads) == b"".join(b"\0\0\0\1" + each for each in slices)

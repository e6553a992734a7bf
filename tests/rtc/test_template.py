"""A picture laid out once: what leaves is, packet by packet, what a plain RTP sender would have sent."""

import struct

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.rtc.header_extensions import packet_shape
from media_service.rtc.packetizer import MAX_PAYLOAD, packetize
from media_service.rtc.srtp import PACKETS_PER_BATCH, PacketBuffer, context_of, protect
from media_service.rtc.template import Template, templates
from tests.rtc.samples import nal_unit, video_track
from tests.rtc.test_srtp import PROFILES, session

SEND_TIME = b"\xaa\xbb\xcc"
SOL_UDP, UDP_SEGMENT = 17, 103  # linux/udp.h

payload_sizes = st.lists(
    st.integers(1, 60) | st.just(MAX_PAYLOAD) | st.integers(1, MAX_PAYLOAD), min_size=1, max_size=12
)


def laid_out(buffer: PacketBuffer, template: Template, first_sequence: int, timestamp: int, ssrc: int) -> None:
    buffer.data[: len(template.data)] = template.data
    for index, (_, offset, _) in enumerate(template.packets):
        struct.pack_into("!HII", buffer.data, offset, first_sequence + index, timestamp, ssrc)


@pytest.mark.parametrize("profile", ["GCM-128", "SHA1-80"])
@given(payload_sizes, st.integers(0, 30000))
@settings(max_examples=50)
def test_packets_on_the_wire(profile: str, sizes: list[int], sequence: int) -> None:
    buffer, sender, plain = PacketBuffer(), session(profile), session(profile)
    shape = packet_shape(video_track(), PROFILES[profile][2])
    payloads = tuple(nal_unit(1, max(2, size), size) for size in sizes)
    sent = []
    for template in templates(payloads, shape, buffer, SEND_TIME):
        laid_out(buffer, template, sequence, 90_000, 0x11111111)
        for pointer, _, length in template.packets:
            buffer.length[0] = length
            assert protect(context_of(sender), pointer, buffer.length) == 0
        for run in template.runs:
            sent += [bytes(run.view[at : at + run.segment_size]) for at in range(0, len(run.view), run.segment_size)]
    expected = []
    for index, payload in enumerate(payloads):
        header = bytearray(shape.header(shape.payload_type, SEND_TIME, marker=payload is payloads[-1]))
        struct.pack_into("!HII", header, 2, sequence + index, 90_000, 0x11111111)
        expected.append(plain.protect(bytes(header) + payload))
    assert sent == expected


@given(payload_sizes)
def test_a_run_has_segments_of_one_size_but_for_the_last(sizes: list[int]) -> None:
    buffer = PacketBuffer()
    shape = packet_shape(video_track(), 16)
    payloads = tuple(bytes(size) for size in sizes)
    (template,) = templates(payloads, shape, buffer, SEND_TIME)
    stride = shape.header_size + MAX_PAYLOAD + 16
    lengths = []
    for run in template.runs:
        *full, last = [min(stride, len(run.view) - at) for at in range(0, len(run.view), stride)]
        assert set(full) <= {stride}
        lengths += [*full, last]
        assert run.segment_size == stride
        if full:
            assert run.control == [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", stride))]
        else:
            assert run.control is None
    assert lengths == [shape.header_size + size + 16 for size in sizes]


def test_a_large_picture_goes_in_several_calls_the_kernel_takes() -> None:
    payloads = packetize([nal_unit(5, 300 * 1178)])
    batches = templates(payloads, packet_shape(video_track(), 16), PacketBuffer(), SEND_TIME)
    assert [len(template.packets) for template in batches] == [128, 128, 44]
    for template in batches:
        assert len(template.packets) <= PACKETS_PER_BATCH
        assert all(len(run.view) <= 65_000 for run in template.runs)


@pytest.mark.parametrize("count", [1, 127, 128, 129, 256])
def test_only_the_last_packet_of_the_picture_has_the_marker(count: int) -> None:
    payloads = packetize([nal_unit(5, count * 1178)])
    assert len(payloads) == count
    buffer = PacketBuffer()
    markers = []
    for template in templates(payloads, packet_shape(video_track(), 16), buffer, SEND_TIME):
        laid_out(buffer, template, 0, 0, 1)
        markers += [
            RtpPacket.parse(bytes(buffer.data[at - 2 : at - 2 + size])).marker for _, at, size in template.packets
        ]
    assert markers == [0] * (len(payloads) - 1) + [1]


@pytest.mark.parametrize("send_time_extension", [2, None])
def test_the_send_time_can_be_found_in_every_packet(send_time_extension: int | None) -> None:
    payloads = packetize([nal_unit(7, 12), nal_unit(8, 5), nal_unit(5, 4000)])
    shape = packet_shape(video_track(absolute_send_time_extension=send_time_extension), 16)
    (template,) = templates(payloads, shape, PacketBuffer(), SEND_TIME)
    found = [template.data[offset : offset + 3] for offset in template.send_time_offsets]
    assert found == ([SEND_TIME] * len(payloads) if send_time_extension else [])


@given(payload_sizes, st.booleans())
def test_it_says_how_large_its_packets_are(sizes: list[int], ends_picture: bool) -> None:
    buffer, shape = PacketBuffer(), packet_shape(video_track(), 16)
    payloads = tuple(bytes(size) for size in sizes)
    (template,) = templates(payloads, shape, buffer, SEND_TIME, ends_picture=ends_picture)
    assert template.sizes == tuple(shape.header_size + size + 16 for size in sizes)
    assert template.octets == sum(template.sizes) == sum(len(run.view) for run in template.runs)


def test_a_part_of_a_picture_does_not_end_it() -> None:
    payloads = packetize([nal_unit(5, 130 * 1178)])
    buffer, shape = PacketBuffer(), packet_shape(video_track(), 16)
    for template in templates(payloads, shape, buffer, SEND_TIME, ends_picture=False):
        laid_out(buffer, template, 0, 0, 1)
        for _, at, size in template.packets:
            assert RtpPacket.parse(bytes(buffer.data[at - 2 : at - 2 + size])).marker == 0

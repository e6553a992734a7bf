"""RTCP against aiortc's implementation, which is not ours."""

from collections.abc import Sequence

import pytest
from aiortc import rtp as oracle
from hypothesis import given
from hypothesis import strategies as st

from media_service.rtc import rtcp

OURS, THEIRS = 0x11111111, 0x99999999

uint32 = st.integers(0, 2**32 - 1)
reception = st.builds(
    oracle.RtcpReceiverInfo,
    ssrc=uint32,
    fraction_lost=st.integers(0, 255),
    packets_lost=st.integers(-(1 << 23), (1 << 23) - 1),
    highest_sequence=uint32,
    jitter=uint32,
    lsr=uint32,
    dlsr=uint32,
)
receptions = st.lists(reception, max_size=4)
receiver_reports = st.builds(oracle.RtcpRrPacket, ssrc=uint32, reports=receptions)
sender_info = st.builds(
    oracle.RtcpSenderInfo,
    ntp_timestamp=st.integers(0, 2**64 - 1),
    rtp_timestamp=uint32,
    packet_count=uint32,
    octet_count=uint32,
)
sender_reports = st.builds(oracle.RtcpSrPacket, ssrc=uint32, sender_info=sender_info, reports=receptions)
byes = st.builds(oracle.RtcpByePacket, sources=st.lists(uint32, max_size=3))
descriptions = st.builds(
    oracle.RtcpSdesPacket,
    chunks=st.lists(
        st.builds(
            oracle.RtcpSourceInfo,
            ssrc=uint32,
            items=st.lists(st.tuples(st.just(1), st.binary(max_size=20)), max_size=2),
        ),
        max_size=2,
    ),
)
plis = st.builds(oracle.RtcpPsfbPacket, fmt=st.just(oracle.RTCP_PSFB_PLI), ssrc=uint32, media_ssrc=uint32)
firs = st.builds(
    oracle.RtcpPsfbPacket,
    fmt=st.just(oracle.RTCP_PSFB_FIR),
    ssrc=uint32,
    media_ssrc=st.just(0),
    fci=st.binary(min_size=8, max_size=8),
)
rembs = st.builds(
    oracle.RtcpPsfbPacket,
    fmt=st.just(oracle.RTCP_PSFB_APP),
    ssrc=uint32,
    media_ssrc=st.just(0),
    fci=st.builds(oracle.pack_remb_fci, st.integers(0, 2**40), st.lists(uint32, max_size=3)),
)
packet_lists = st.lists(
    receiver_reports | sender_reports | byes | descriptions | plis | firs | rembs, min_size=1, max_size=5
)


def expected(packets: Sequence[oracle.AnyRtcpPacket]) -> list[rtcp.RtcpPacket]:
    """What aiortc's packets say to a sender, in our words."""
    found: list[rtcp.RtcpPacket] = []
    for packet in packets:
        match packet:
            case oracle.RtcpRrPacket() | oracle.RtcpSrPacket():
                for info in packet.reports:
                    report = rtcp.ReceptionReport(
                        info.ssrc,
                        info.fraction_lost / 256,
                        info.packets_lost,
                        info.highest_sequence,
                        info.jitter,
                        info.lsr,
                        info.dlsr,
                    )
                    found.append(report)
            case oracle.RtcpRtpfbPacket(fmt=oracle.RTCP_RTPFB_NACK):
                found.append(rtcp.Nack(packet.media_ssrc, tuple(number & 0xFFFF for number in packet.lost)))
            case oracle.RtcpPsfbPacket(fmt=oracle.RTCP_PSFB_PLI):
                found.append(rtcp.KeyframeRequest(packet.media_ssrc, "pli"))
            case oracle.RtcpPsfbPacket(fmt=oracle.RTCP_PSFB_FIR):
                found.append(rtcp.KeyframeRequest(int.from_bytes(packet.fci[:4], "big"), "fir"))
            case oracle.RtcpPsfbPacket(fmt=oracle.RTCP_PSFB_APP):
                found.append(rtcp.Remb(oracle.unpack_remb_fci(packet.fci)[0]))
            case oracle.RtcpByePacket(sources=[first, *_]):
                found.append(rtcp.Bye(first))
    return found


@given(packet_lists)
def test_compound_packets_are_read_as_aiortc_reads_them(packets: list[oracle.AnyRtcpPacket]) -> None:
    compound = b"".join(map(bytes, packets))
    assert rtcp.parse(compound) == expected(oracle.RtcpPacket.parse(compound))


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)), min_size=1, max_size=10))
def test_every_bit_of_a_nack_mask_is_a_sequence_number(pairs: list[tuple[int, int]]) -> None:
    fci = b"".join(first.to_bytes(2, "big") + mask.to_bytes(2, "big") for first, mask in pairs)
    header = bytes((0x81, rtcp.TRANSPORT_FEEDBACK)) + (2 + len(pairs)).to_bytes(2, "big")
    compound = header + THEIRS.to_bytes(4, "big") + OURS.to_bytes(4, "big") + fci
    assert rtcp.parse(compound) == expected(oracle.RtcpPacket.parse(compound))


def test_a_nack_counts_on_over_the_wrap() -> None:
    nack = oracle.RtcpRtpfbPacket(fmt=1, ssrc=THEIRS, media_ssrc=OURS, lost=[65534])
    compound = bytes(nack)[:-2] + b"\x00\x07"
    assert rtcp.parse(compound) == [rtcp.Nack(OURS, (65534, 65535, 0, 1))]


def test_feedback_of_other_formats_is_skipped() -> None:
    transport_wide = oracle.RtcpRtpfbPacket(fmt=15, ssrc=THEIRS, media_ssrc=OURS, lost=[1])
    slice_loss = oracle.RtcpPsfbPacket(fmt=oracle.RTCP_PSFB_SLI, ssrc=THEIRS, media_ssrc=OURS, fci=bytes(4))
    other_application = oracle.RtcpPsfbPacket(fmt=15, ssrc=THEIRS, media_ssrc=0, fci=b"ABCD" + bytes(8))
    compound = bytes(transport_wide) + bytes(slice_loss) + bytes(other_application)
    pli = oracle.RtcpPsfbPacket(fmt=1, ssrc=THEIRS, media_ssrc=OURS)
    assert rtcp.parse(compound + bytes(pli)) == [rtcp.KeyframeRequest(OURS, "pli")]


def test_padding_is_no_feedback() -> None:
    nack = bytes(oracle.RtcpRtpfbPacket(fmt=1, ssrc=THEIRS, media_ssrc=OURS, lost=[7]))
    padded = bytes((nack[0] | 0x20, nack[1], 0, nack[3] + 2)) + nack[4:] + b"\0\0\0\0\0\0\0\x08"
    assert rtcp.parse(padded) == [rtcp.Nack(OURS, (7,))] == expected(oracle.RtcpPacket.parse(padded))


@given(packet_lists, st.data())
def test_a_cut_packet_says_no_more_than_the_whole(packets: list[oracle.AnyRtcpPacket], data: st.DataObject) -> None:
    compound = b"".join(map(bytes, packets))
    whole = rtcp.parse(compound)
    cut = rtcp.parse(compound[: data.draw(st.integers(0, len(compound)))])
    assert cut == whole[: len(cut)]


@pytest.mark.parametrize("kind", [rtcp.TRANSPORT_FEEDBACK, rtcp.PAYLOAD_FEEDBACK, rtcp.BYE, rtcp.RECEIVER_REPORT])
def test_a_packet_too_short_for_its_kind_says_nothing(kind: int) -> None:
    pli = bytes(oracle.RtcpPsfbPacket(fmt=1, ssrc=THEIRS, media_ssrc=OURS))
    header = bytes((0x81, kind, 0, 0))
    assert rtcp.parse(header + pli) == [rtcp.KeyframeRequest(OURS, "pli")]


@given(st.binary(max_size=300))
def test_garbage_never_raises(compound: bytes) -> None:
    rtcp.parse(compound)


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(198, 208), st.binary(max_size=60)), max_size=6))
def test_garbage_behind_right_headers_never_raises(parts: list[tuple[int, int, bytes]]) -> None:
    compound = b""
    for count, kind, body in parts:
        body = body[: len(body) & ~3]
        compound += bytes((0x80 | count, kind)) + (len(body) // 4).to_bytes(2, "big") + body
    rtcp.parse(compound)


@given(uint32, st.integers(0, 2**64 - 1), st.integers(0, 2**40), st.integers(0, 2**40), st.binary(max_size=40))
def test_our_sender_report_is_read_by_aiortc(ssrc: int, ntp: int, timestamp: int, octets: int, cname: bytes) -> None:
    report, description = oracle.RtcpPacket.parse(rtcp.sender_report(ssrc, ntp, timestamp, 12, octets, cname))
    assert isinstance(report, oracle.RtcpSrPacket)
    assert (report.ssrc, report.reports) == (ssrc, [])
    assert report.sender_info == oracle.RtcpSenderInfo(ntp, timestamp & 0xFFFFFFFF, 12, octets & 0xFFFFFFFF)
    assert isinstance(description, oracle.RtcpSdesPacket)
    assert description.chunks == [oracle.RtcpSourceInfo(ssrc, [(1, cname)])]


@pytest.mark.parametrize("length", range(8))
def test_the_items_of_a_description_end_with_a_zero_byte(length: int) -> None:
    description = rtcp.sender_report(OURS, 0, 0, 0, 0, b"c" * length)[28:]
    assert len(description) == 4 * int.from_bytes(description[2:4], "big") + 4
    items = description[8:]
    assert items[: 2 + length] == bytes((1, length)) + b"c" * length
    # RFC 3550 section 6.5: one or more zero bytes, up to the next 32-bit boundary.
    assert 1 <= len(items[2 + length :]) <= 4
    assert not any(items[2 + length :])


@given(st.lists(uint32, min_size=1, max_size=2), st.binary(max_size=40))
def test_our_goodbye_is_read_by_aiortc(ssrcs: list[int], cname: bytes) -> None:
    report, description, bye = oracle.RtcpPacket.parse(rtcp.bye(tuple(ssrcs), cname))
    assert report == oracle.RtcpRrPacket(ssrc=ssrcs[0], reports=[])
    assert isinstance(description, oracle.RtcpSdesPacket)
    assert description.chunks == [oracle.RtcpSourceInfo(ssrcs[0], [(1, cname)])]
    assert bye == oracle.RtcpByePacket(sources=ssrcs)

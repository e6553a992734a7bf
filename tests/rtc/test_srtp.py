"""SRTP in place against pylibsrtp's public `Session`.

Fails when an upgrade of pylibsrtp moves the private names that `media_service.rtc.srtp` uses.
"""

from itertools import pairwise

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from media_service.rtc.srtp import PACKETS_PER_BATCH, PacketBuffer, context_of, protect

PROFILES = {
    "GCM-128": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28, 16),
    "GCM-256": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44, 16),
    "SHA1-80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30, 10),
}


def session(profile: str, *, inbound: bool = False) -> Session:
    """A session as aiortc makes it; all of one profile have the same key."""
    number, key_size, _ = PROFILES[profile]
    kind = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
    policy = Policy(key=bytes(range(key_size)), ssrc_type=kind, srtp_profile=number)
    policy.allow_repeat_tx = True
    policy.window_size = 1024
    return Session(policy)


def rtp_packet(sequence: int, payload: bytes) -> bytes:
    return RtpPacket(102, 1, sequence, 1234567, 0x11111111, payload).serialize()


@pytest.mark.parametrize("profile", PROFILES)
@given(st.lists(st.binary(max_size=1300), min_size=1, max_size=5), st.integers(0, 32767), st.integers(1350, 1400))
def test_encrypting_in_place_gives_the_same_bytes(
    profile: str, payloads: list[bytes], sequence: int, stride: int
) -> None:
    buffer, in_place, by_copy = PacketBuffer(), session(profile), session(profile)
    receiver, tag = session(profile, inbound=True), PROFILES[profile][2]
    pointers = buffer.pointers(stride)
    for index, payload in enumerate(payloads):
        packet = rtp_packet(sequence + index, payload)
        offset = index * stride
        buffer.data[offset : offset + len(packet)] = packet
        buffer.length[0] = len(packet)
        assert protect(context_of(in_place), pointers[index], buffer.length) == 0
        assert buffer.length[0] == len(packet) + tag
        protected = bytes(buffer.view[offset : offset + len(packet) + tag])
        assert protected == by_copy.protect(packet)
        assert receiver.unprotect(protected) == packet


def test_what_cannot_be_encrypted_is_told() -> None:
    buffer, sender = PacketBuffer(), session("GCM-128")
    sender.protect(rtp_packet(5000, b""))
    too_old = rtp_packet(3000, b"clear text")
    buffer.data[: len(too_old)] = too_old
    buffer.length[0] = len(too_old)
    assert protect(context_of(sender), buffer.pointers(1400)[0], buffer.length) != 0


def test_the_pointers_lie_a_stride_apart_and_stay_inside() -> None:
    buffer = PacketBuffer()
    for stride in (1300, 1400):
        pointers = buffer.pointers(stride)
        assert len(pointers) == PACKETS_PER_BATCH
        assert {after - before for before, after in pairwise(pointers)} == {stride}
        pointers[-1][0] = b"\x7f"
        assert buffer.data[(PACKETS_PER_BATCH - 1) * stride] == 0x7F
        assert PACKETS_PER_BATCH * stride <= len(buffer.data)
    assert buffer.pointers(1300) is buffer.pointers(1300)


def test_a_stride_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="packets of 1401 bytes: at most 1400 fit"):
        PacketBuffer().pointers(1401)

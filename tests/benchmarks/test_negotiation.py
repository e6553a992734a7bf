import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.negotiation import Credentials, offer, parse_answer

ANSWER = """\
v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=ice-lite
m=video 50000 UDP/TLS/RTP/SAVPF 108 109
c=IN IP4 192.0.2.1
a=rtpmap:108 H264/90000
a=rtpmap:109 rtx/90000
a=ice-ufrag:abcd
a=ice-pwd:0123456789abcdef012345
a=fingerprint:sha-256 aa:bb
a=setup:passive
a=candidate:1 1 udp 2 192.0.2.1 50000 typ host
a=candidate:2 1 udp 1 127.0.0.1 50000 typ host
a=candidate:3 1 tcp 1 127.0.0.1 50000 typ host tcptype passive
"""


def test_reads_an_answer_and_prefers_loopback() -> None:
    answer = parse_answer(ANSWER.replace("\n", "\r\n"))

    assert answer.credentials == Credentials("abcd", "0123456789abcdef012345")
    assert answer.address == ("127.0.0.1", 50000)
    assert answer.fingerprint == "AA:BB"
    assert answer.payload_type == 108
    assert not answer.is_dtls_client


@pytest.mark.parametrize(
    ("was", "becomes", "complaint"),
    [
        ("m=video 50000", "m=video 0", "no video"),
        ("m=video", "m=audio", "no video"),
        ("H264/90000", "VP8/90000", "not H.264"),
        ("a=ice-pwd", "a=nothing", "ice-pwd"),
        (" udp ", " tcp ", "no IPv4 UDP candidate"),
    ],
)
def test_says_what_is_wrong_with_an_answer(was: str, becomes: str, complaint: str) -> None:
    with pytest.raises(BenchmarkError, match=complaint):
        parse_answer(ANSWER.replace(was, becomes))


def test_the_offer_is_chromiums_with_our_transport() -> None:
    text = offer(Credentials("user", "pass"), "AA:BB", address=None, data_channel=True)

    assert text.count("a=ice-ufrag:user\r\n") == text.count("a=ice-pwd:pass\r\n") == 2
    assert text.count("a=fingerprint:sha-256 AA:BB\r\n") == 2
    assert "m=application" in text
    assert "a=candidate" not in text
    assert "$" not in text


def test_a_player_offers_no_data_channel() -> None:
    text = offer(Credentials("user", "pass"), "AA:BB", address=("127.0.0.1", 5000), data_channel=False)

    assert "a=group:BUNDLE 0\r\n" in text
    assert "m=application" not in text
    assert "a=candidate:1 1 udp 2122260223 127.0.0.1 5000 typ host\r\n" in text

"""The offer that a viewer makes and what it reads from the answer. Pure: values and SDP text in and out."""

import ipaddress
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from string import Template

from benchmarks.errors import BenchmarkError

_CHROMIUM_OFFER = Path(__file__).with_name("chromium-offer.sdp").read_text()
"""What Chromium 156 offers for one `recvonly` video and a data channel."""
_TRANSPORT_NUMBER = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An ICE username fragment and password (RFC 8445 section 5.3)."""

    username_fragment: str
    password: str

    @classmethod
    def random(cls) -> "Credentials":
        return cls(secrets.token_hex(4), secrets.token_hex(12))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender said about its side."""

    credentials: Credentials
    address: tuple[str, int]
    """Where to send checks: its nearest UDP candidate."""
    is_dtls_client: bool
    fingerprint: str
    """SHA-256 of its certificate."""
    payload_type: int
    """The H.264 payload type that it will send."""
    transport_number: int | None
    """The id of the header extension with transport-wide numbers; None when it wants no feedback about them."""


def offer(credentials: Credentials, fingerprint: str, *, address: tuple[str, int] | None, data_channel: bool) -> str:
    """Chromium's offer; with a host candidate when `address` is given, else as a page sends it at once."""
    text = Template(_CHROMIUM_OFFER).substitute(
        origin=secrets.randbits(62),
        username_fragment=credentials.username_fragment,
        password=credentials.password,
        fingerprint=fingerprint,
    )
    video, _, application = text.partition("m=application")
    if address is not None:
        host, port = address
        video += f"a=candidate:1 1 udp 2122260223 {host} {port} typ host\na=end-of-candidates\n"
    if data_channel:
        video += "m=application" + application
    else:
        video = video.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0")
    return video.replace("\n", "\r\n")


def parse_answer(sdp: str, *, local: str = "127.0.0.1") -> Answer:
    """Read an answer; `local` is the address that will be connected from.

    Raises `BenchmarkError` when it has no H.264 video or nothing to connect to.
    """
    session, _, rest = sdp.replace("\r\n", "\n").partition("\nm=")
    video = next((section for section in rest.split("\nm=") if section.startswith("video ")), None)
    if video is None or video.startswith("video 0 "):
        raise BenchmarkError(f"the answer has no video:\n{sdp}")
    scope = video + "\n" + session
    formats = video.partition("\n")[0].split()[3:]
    h264 = [payload_type for payload_type in formats if f"\na=rtpmap:{payload_type} H264/90000" in video]
    if not h264:
        raise BenchmarkError(f"the answer's video is not H.264: {formats}")
    return Answer(
        credentials=Credentials(_value(scope, r"ice-ufrag:(\S+)"), _value(scope, r"ice-pwd:(\S+)")),
        address=_nearest_address(sdp, local),
        is_dtls_client=_value(scope, r"setup:(\S+)") == "active",
        fingerprint=_value(scope, r"fingerprint:sha-256 (\S+)").upper(),
        payload_type=int(h264[0]),
        transport_number=_transport_number(video, h264[0]),
    )


def _transport_number(video: str, payload_type: str) -> int | None:
    found = re.search(rf"^a=extmap:(\d+)(?:/\w+)? {re.escape(_TRANSPORT_NUMBER)}$", video, re.MULTILINE)
    is_wanted = re.search(rf"^a=rtcp-fb:(?:{payload_type}|\*) transport-cc$", video, re.MULTILINE)
    return int(found[1]) if found and is_wanted else None


def _value(section: str, pattern: str) -> str:
    found = re.search(r"^a=" + pattern, section, re.MULTILINE | re.IGNORECASE)
    if found is None:
        raise BenchmarkError(f"the answer has no a={pattern}:\n{section}")
    return found.group(1)


def _nearest_address(sdp: str, local: str) -> tuple[str, int]:
    """The UDP candidate with most leading bits of `local`, IPv4 only; else the first one (RFC 8839 section 5.1)."""
    found = re.findall(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ", sdp, re.MULTILINE | re.IGNORECASE)
    usable = [(address, int(port)) for address, port in found if ":" not in address and not address.endswith(".local")]
    if not usable:
        raise BenchmarkError(f"the answer has no IPv4 UDP candidate, only {found}")
    here = int(ipaddress.IPv4Address(local))
    return min(usable, key=lambda candidate: (here ^ int(ipaddress.IPv4Address(candidate[0]))).bit_length())

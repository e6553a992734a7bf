"""STUN messages as ICE uses them (RFC 8489, RFC 8445 section 7): parse, authenticate, build. Pure."""

import hmac
import ipaddress
import struct
import zlib
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_pton

MAGIC_COOKIE = b"\x21\x12\xa4\x42"
BINDING_REQUEST = 0x0001
BINDING_SUCCESS = 0x0101
BINDING_ERROR = 0x0111

USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029

_HEADER_SIZE = 20
_FINGERPRINT_XOR = 0x5354554E
_ROLE_CONFLICT = struct.pack("!HHHBB", ERROR_CODE, 17, 0, 4, 87) + b"Role Conflict\0\0\0"
_attribute_header = struct.Struct("!HH").unpack_from

TransportAddress = tuple[str, int]


@dataclass(frozen=True, slots=True)
class StunMessage:
    """A parsed STUN message; its bytes are kept because authentication covers them."""

    message_type: int
    transaction_id: bytes
    attributes: dict[int, bytes]
    """Attribute values by type, up to and including MESSAGE-INTEGRITY (what follows it is not authenticated)."""
    integrity_offset: int
    """Where the MESSAGE-INTEGRITY attribute begins; 0 without one."""
    raw: bytes

    @property
    def username(self) -> str | None:
        """The USERNAME, `ours:theirs` in a connectivity check (RFC 8445 section 7.2.2)."""
        value = self.attributes.get(USERNAME)
        if value is None:
            return None
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None

    def is_authentic(self, password: bytes) -> bool:
        """Whether MESSAGE-INTEGRITY was made with `password` (RFC 8489 section 14.5), in constant time."""
        end = self.integrity_offset
        if not end:
            return False
        # The length field covers everything up to the end of MESSAGE-INTEGRITY itself.
        covered = self.raw[:2] + (end + 24 - _HEADER_SIZE).to_bytes(2, "big") + self.raw[4:end]
        return hmac.compare_digest(hmac.digest(password, covered, "sha1"), self.attributes[MESSAGE_INTEGRITY])


def parse(datagram: bytes) -> StunMessage | None:
    """The STUN message in `datagram`, or None when it is not one (RFC 8489 section 6.3)."""
    size = len(datagram)
    if size < _HEADER_SIZE or datagram[4:8] != MAGIC_COOKIE or datagram[0] > 3:
        return None
    message_type, length = _attribute_header(datagram)
    if length != size - _HEADER_SIZE or length % 4:
        return None
    attributes: dict[int, bytes] = {}
    integrity_offset = 0
    offset = _HEADER_SIZE
    while offset < size:
        kind, length = _attribute_header(datagram, offset)
        end = offset + 4 + length
        if end > size:
            return None
        if kind not in attributes:
            attributes[kind] = datagram[offset + 4 : end]
        if kind == MESSAGE_INTEGRITY:
            if length != 20:
                return None
            integrity_offset = offset
            break
        offset = end + (-length % 4)
    return StunMessage(message_type, datagram[8:20], attributes, integrity_offset, datagram)


def mapped_address(message: StunMessage) -> TransportAddress | None:
    """The XOR-MAPPED-ADDRESS of a binding response (RFC 8489 section 14.2)."""
    value = message.attributes.get(XOR_MAPPED_ADDRESS)
    if value is None or (value[1:2], len(value)) not in ((b"\x01", 8), (b"\x02", 20)):
        return None
    key = MAGIC_COOKIE + message.transaction_id
    port = int.from_bytes(value[2:4], "big") ^ 0x2112
    return str(ipaddress.ip_address(_xor(value[4:], key))), port


def binding_request(
    transaction_id: bytes, username: str, password: bytes, *, priority: int, tie_breaker: bytes
) -> bytes:
    """A connectivity check of a controlled agent (RFC 8445 section 7.2.2)."""
    name = username.encode()
    body = (
        _attribute(USERNAME, name)
        + _attribute(PRIORITY, priority.to_bytes(4, "big"))
        + _attribute(ICE_CONTROLLED, tie_breaker)
    )
    return _seal(BINDING_REQUEST, transaction_id, body, password)


def discovery_request(transaction_id: bytes) -> bytes:
    """A binding request to a STUN server, without credentials."""
    return struct.pack("!HH", BINDING_REQUEST, 0) + MAGIC_COOKIE + transaction_id


def binding_success(request: StunMessage, address: TransportAddress, password: bytes) -> bytes:
    """The answer to an authentic check that came from `address` (RFC 8445 section 7.3.1.2)."""
    # Three times as fast as `ipaddress`, and every viewer's browser asks every other second.
    host = address[0].partition("%")[0]
    family, packed = (2, inet_pton(AF_INET6, host)) if ":" in host else (1, inet_pton(AF_INET, host))
    body = struct.pack("!HHBBH", XOR_MAPPED_ADDRESS, len(packed) + 4, 0, family, address[1] ^ 0x2112)
    body += _xor(packed, MAGIC_COOKIE + request.transaction_id)
    return _seal(BINDING_SUCCESS, request.transaction_id, body, password)


def role_conflict(request: StunMessage, password: bytes) -> bytes:
    """The 487 answer that makes the other agent take the controlling role (RFC 8445 section 7.3.1.1)."""
    return _seal(BINDING_ERROR, request.transaction_id, _ROLE_CONFLICT, password)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _xor(value: bytes, key: bytes) -> bytes:
    size = len(value)
    return (int.from_bytes(value, "big") ^ int.from_bytes(key[:size], "big")).to_bytes(size, "big")


def _seal(message_type: int, transaction_id: bytes, body: bytes, password: bytes) -> bytes:
    """Add MESSAGE-INTEGRITY and FINGERPRINT (RFC 8489 sections 14.5 and 14.7)."""
    tail = MAGIC_COOKIE + transaction_id + body
    digest = hmac.digest(password, struct.pack("!HH", message_type, len(body) + 24) + tail, "sha1")
    message = struct.pack("!HH", message_type, len(body) + 32) + tail + b"\0\x08\0\x14" + digest
    return message + struct.pack("!HHI", FINGERPRINT, 4, zlib.crc32(message) ^ _FINGERPRINT_XOR)

"""The browser's half of ICE for one candidate pair: controlling, nominating at once (RFC 8445).

Sans-IO. The STUN codec is aioice's, so what the service writes is read by code that is not ours.
"""

import secrets

from aioice import stun

from benchmarks.negotiation import Credentials

_PRIORITY = 110 << 24 | 65535 << 8 | 255  # RFC 8445 section 5.1.2.1, peer-reflexive


class IceAgent:
    """Checks one pair and answers the other side's checks."""

    def __init__(self, local: Credentials, remote: Credentials) -> None:
        self._local_key = local.password.encode()
        self._remote_key = remote.password.encode()
        self._username = f"{remote.username_fragment}:{local.username_fragment}"
        self._tie_breaker = secrets.randbits(64)
        self._waiting: set[bytes] = set()
        self.confirmed = 0
        """Responses to our checks whose MESSAGE-INTEGRITY was right."""
        self.refused = 0
        """STUN messages that were malformed, not authentic or error responses."""

    def check(self) -> bytes:
        """A binding request with nomination; also what keeps consent fresh (RFC 7675)."""
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = self._username
        request.attributes["ICE-CONTROLLING"] = self._tie_breaker
        request.attributes["USE-CANDIDATE"] = None
        request.attributes["PRIORITY"] = _PRIORITY
        request.add_message_integrity(self._remote_key)
        if len(self._waiting) > 8:
            self._waiting.clear()
        self._waiting.add(request.transaction_id)
        return bytes(request)

    def receive(self, datagram: bytes, source: tuple[str, int]) -> bytes | None:
        """Take a STUN message; the response to send, if it asks for one."""
        try:
            message = stun.parse_message(datagram)
        except ValueError:
            self.refused += 1
            return None
        if message.message_class is stun.Class.RESPONSE and message.transaction_id in self._waiting:
            self._waiting.discard(message.transaction_id)
            if message.check_message_integrity(self._remote_key):
                self.confirmed += 1
                return None
        elif message.message_class is stun.Class.REQUEST and message.check_message_integrity(self._local_key):
            response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=message.transaction_id)
            response.attributes["XOR-MAPPED-ADDRESS"] = source
            response.add_message_integrity(self._local_key)
            return bytes(response)
        self.refused += 1
        return None

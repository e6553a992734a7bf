"""The browser's half of DTLS-SRTP (RFC 5764), straight on OpenSSL. Sans-IO: datagrams in and out."""

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pylibsrtp import Policy, Session

from benchmarks.errors import BenchmarkError

_RECORD_HEADER = 13
_MAX_DATAGRAM = 1200


@dataclass(frozen=True, slots=True)
class _Profile:
    policy: int
    key: int
    salt: int


_PROFILES = {
    b"SRTP_AEAD_AES_128_GCM": _Profile(Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AEAD_AES_256_GCM": _Profile(Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    b"SRTP_AES128_CM_SHA1_80": _Profile(Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}


class Identity:
    """One self-signed certificate for all viewers of a process, and the OpenSSL context around it."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "benchmark viewer")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = _colons(certificate.fingerprint(hashes.SHA256()).hex())
        self.context = SSL.Context(SSL.DTLS_METHOD)
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        self.context.use_certificate(certificate)
        self.context.use_privatekey(key)
        self.context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
        # Chromium's order; a DTLS server that puts GCM first gets GCM.
        self.context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM")


@dataclass(frozen=True, slots=True)
class SrtpSessions:
    """The keyed libsrtp sessions of one viewer."""

    profile: str
    inbound: Session
    outbound: Session


class DtlsEndpoint:
    """One end of a DTLS association."""

    def __init__(self, identity: Identity, remote_fingerprint: str, *, is_client: bool) -> None:
        self._connection = SSL.Connection(identity.context)
        self._remote_fingerprint = remote_fingerprint
        self._is_client = is_client
        if is_client:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()
        self.connected = False
        self.closed = False

    def start(self) -> list[bytes]:
        """The datagrams of the first flight; none for a server."""
        self._handshake()
        return self._outgoing()

    def receive(self, datagram: bytes) -> tuple[list[bytes], list[bytes]]:
        """Take a datagram; the application data in it and the datagrams to send.

        Raises `BenchmarkError` when the handshake fails or the certificate is not the answer's.
        """
        self._connection.bio_write(datagram)
        if not self.connected:
            self._handshake()
        data = []
        while self.connected and not self.closed:
            try:
                data.append(self._connection.recv(65536))
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self.closed = True
        return data, self._outgoing()

    def timeout(self) -> float | None:
        """Seconds until `retransmit` is due; None when nothing waits for an answer."""
        return None if self.connected else self._connection.DTLSv1_get_timeout()

    def retransmit(self) -> list[bytes]:
        """The datagrams of the last flight once more, when they are due (RFC 6347 section 4.2.4)."""
        self._connection.DTLSv1_handle_timeout()
        return self._outgoing()

    def send(self, data: bytes) -> list[bytes]:
        """The datagrams that carry `data`."""
        self._connection.send(data)
        return self._outgoing()

    def close(self) -> list[bytes]:
        """The datagrams of the close_notify alert."""
        if not self.connected:
            return []
        self._connection.shutdown()
        return self._outgoing()

    def srtp(self) -> SrtpSessions:
        """The sessions that the handshake keyed (RFC 5764 section 4.2)."""
        name = self._connection.get_selected_srtp_profile()
        if name not in _PROFILES:
            raise BenchmarkError(f"the DTLS handshake negotiated no SRTP profile of ours: {name!r}")
        profile = _PROFILES[name]
        key, salt = profile.key, profile.salt
        material = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        inbound, outbound = (server, client) if self._is_client else (client, server)
        return SrtpSessions(
            profile=name.decode(),
            inbound=Session(Policy(inbound, Policy.SSRC_ANY_INBOUND, srtp_profile=profile.policy)),
            outbound=Session(Policy(outbound, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile.policy)),
        )

    def _handshake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            raise BenchmarkError(f"the DTLS handshake failed: {error}") from error
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        found = "" if certificate is None else _colons(certificate.fingerprint(hashes.SHA256()).hex())
        if found != self._remote_fingerprint:
            raise BenchmarkError(f"the certificate is {found}, the answer said {self._remote_fingerprint}")
        self.connected = True

    def _outgoing(self) -> list[bytes]:
        """What OpenSSL wants to send: its memory BIO joins records, a datagram must hold whole ones."""
        try:
            pending = self._connection.bio_read(65536)
        except SSL.Error:
            return []
        datagrams = [b""]
        while pending:
            end = _RECORD_HEADER + int.from_bytes(pending[11:13], "big")
            if datagrams[-1] and len(datagrams[-1]) + end > _MAX_DATAGRAM:
                datagrams.append(b"")
            datagrams[-1] += pending[:end]
            pending = pending[end:]
        return datagrams if datagrams[0] else []


def _colons(digest: str) -> str:
    return ":".join(digest[index : index + 2] for index in range(0, len(digest), 2)).upper()

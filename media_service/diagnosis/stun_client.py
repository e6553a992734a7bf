"""A client of STUN and TURN servers, for one question at a time (RFC 8489, RFC 8656)."""

import asyncio
import hashlib
import hmac
import secrets
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from media_service.diagnosis.reason import reason
from media_service.ice_url import IceUrl
from media_service.rtc import stun
from media_service.rtc.stun import StunMessage, TransportAddress

ALLOCATE, REFRESH = 0x0003, 0x0004
LIFETIME, REALM, NONCE, XOR_RELAYED_ADDRESS, REQUESTED_TRANSPORT = 0x000D, 0x0014, 0x0015, 0x0016, 0x0019

UNAUTHENTICATED, STALE_NONCE = 401, 438

_SUCCESS, _ERROR = 0x0100, 0x0110
_UDP_PROTOCOL = 17
_ATTEMPTS: Final = (0.25, 0.5, 1.0)
"""Seconds before a datagram is sent again."""
_STREAM_TIMEOUT: Final = 3.0
_HEADER_SIZE: Final = 20

Ask = Callable[[bytes], Awaitable[StunMessage]]
"""Sends a request and gives the answer. Raises `NoAnswer`."""


class NoAnswer(Exception):
    """The server cannot be reached, or does not speak STUN; the text says which."""


class Refused(Exception):
    """The server has said no."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"{code} {words}".strip())
        self.code = code


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user of a TURN server."""

    username: str
    password: str


@asynccontextmanager
async def server(url: IceUrl) -> AsyncGenerator[Ask]:
    """Asks the server of `url`, by UDP, TCP or TLS as it says, for the duration of the block. Raises `NoAnswer`."""
    if url.scheme == "turns" or url.transport == "tcp":
        async with _stream(url) as ask:
            yield ask
    else:
        async with _datagrams(url) as ask:
            yield ask


async def discover(ask: Ask) -> TransportAddress:
    """The address that the server sees us at. Raises `NoAnswer`."""
    address = stun.mapped_address(await ask(stun.discovery_request(secrets.token_bytes(12))))
    if address is None:
        raise NoAnswer("its answer has no address in it")
    return address


async def allocate(ask: Ask, credentials: Credentials) -> TransportAddress:
    """Have a relay allocated, and give it back at once; its address. Raises `NoAnswer` or `Refused`."""
    wanted = _attribute(REQUESTED_TRANSPORT, bytes((_UDP_PROTOCOL, 0, 0, 0)))
    # RFC 8489 section 9.2.3.1: the first request learns the realm and the nonce.
    challenge = await ask(_message(ALLOCATE, wanted))
    for _ in range(2):
        code, words = error_of(challenge)
        if code not in (UNAUTHENTICATED, STALE_NONCE):
            raise Refused(code, words)
        realm, nonce = challenge.attributes.get(REALM, b""), challenge.attributes.get(NONCE, b"")
        key = long_term_key(credentials, realm)
        signed = _signed(credentials, realm, nonce)
        answer = await ask(_message(ALLOCATE, wanted + signed, key))
        if answer.message_type == ALLOCATE | _SUCCESS:
            relayed = stun.mapped_address(_with_relayed(answer))
            await ask(_message(REFRESH, _attribute(LIFETIME, bytes(4)) + signed, key))
            if relayed is None or not answer.is_authentic(key):
                raise NoAnswer("its answer is not one of a TURN server that knows the password")
            return relayed
        challenge = answer
        if error_of(answer)[0] != STALE_NONCE:
            break
    raise Refused(*error_of(challenge))


def long_term_key(credentials: Credentials, realm: bytes) -> bytes:
    """What messages are signed with (RFC 8489 section 9.2.2)."""
    text = b":".join((credentials.username.encode(), realm, credentials.password.encode()))
    return hashlib.md5(text, usedforsecurity=False).digest()


def error_of(message: StunMessage) -> tuple[int, str]:
    """Code and words of an ERROR-CODE attribute (RFC 8489 section 14.8); (0, …) where there is none to be read."""
    value = message.attributes.get(stun.ERROR_CODE, b"")
    if len(value) < 4:
        return 0, "an answer without a reason"
    # The words are the server's: they are shown, and must not be more than words.
    words = "".join(letter for letter in value[4:132].decode(errors="replace") if letter.isprintable())
    return (value[2] & 7) * 100 + value[3], words


def _signed(credentials: Credentials, realm: bytes, nonce: bytes) -> bytes:
    return (
        _attribute(stun.USERNAME, credentials.username.encode()) + _attribute(REALM, realm) + _attribute(NONCE, nonce)
    )


def _message(method: int, attributes: bytes, key: bytes | None = None) -> bytes:
    """A request, with MESSAGE-INTEGRITY where there is a `key` (RFC 8489 section 14.5)."""
    tail = stun.MAGIC_COOKIE + secrets.token_bytes(12) + attributes
    if key is None:
        return struct.pack("!HH", method, len(attributes)) + tail
    message = struct.pack("!HH", method, len(attributes) + 24) + tail
    return message + _attribute(stun.MESSAGE_INTEGRITY, hmac.digest(key, message, "sha1"))


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _with_relayed(message: StunMessage) -> StunMessage:
    """The same, with the relay's address in the place of ours: both are written alike."""
    relayed = message.attributes.get(XOR_RELAYED_ADDRESS, b"")
    return replace(message, attributes={stun.XOR_MAPPED_ADDRESS: relayed})


class _Answers(asyncio.DatagramProtocol):
    """Gives each answer to who waits for it."""

    def __init__(self) -> None:
        self.waiting: dict[bytes, asyncio.Future[StunMessage]] = {}

    def datagram_received(self, data: bytes, addr: object) -> None:
        message = stun.parse(data)
        waiting = self.waiting.get(message.transaction_id) if message is not None else None
        if message is not None and waiting is not None and not waiting.done():
            waiting.set_result(message)

    def error_received(self, exc: Exception) -> None:
        for waiting in self.waiting.values():
            if not waiting.done():
                waiting.set_exception(NoAnswer(reason(exc)))


@asynccontextmanager
async def _datagrams(url: IceUrl) -> AsyncGenerator[Ask]:
    loop = asyncio.get_running_loop()
    try:
        transport, answers = await loop.create_datagram_endpoint(_Answers, remote_addr=(url.host, url.port))
    except (OSError, UnicodeError) as error:
        raise NoAnswer(reason(error)) from error

    async def ask(request: bytes) -> StunMessage:
        answered: asyncio.Future[StunMessage] = loop.create_future()
        answers.waiting = {request[8:20]: answered}
        for patience in _ATTEMPTS:
            transport.sendto(request)
            try:
                async with asyncio.timeout(patience):
                    return await asyncio.shield(answered)
            except TimeoutError:
                continue
        raise NoAnswer("it does not answer on UDP")

    try:
        yield ask
    finally:
        transport.close()


@asynccontextmanager
async def _stream(url: IceUrl) -> AsyncGenerator[Ask]:
    tls = ssl.create_default_context() if url.scheme == "turns" else None
    try:
        async with asyncio.timeout(_STREAM_TIMEOUT):
            reader, writer = await asyncio.open_connection(url.host, url.port, ssl=tls)
    except TimeoutError:
        raise NoAnswer("it does not take a connection") from None
    except (OSError, UnicodeError) as error:
        raise NoAnswer(reason(error)) from error

    async def ask(request: bytes) -> StunMessage:
        try:
            async with asyncio.timeout(_STREAM_TIMEOUT):
                writer.write(request)
                await writer.drain()
                # RFC 8489 section 6.2.2: the header says where the message ends.
                header = await reader.readexactly(_HEADER_SIZE)
                message = stun.parse(header + await reader.readexactly(int.from_bytes(header[2:4], "big")))
        except TimeoutError:
            raise NoAnswer("it does not answer") from None
        except (OSError, EOFError) as error:
            raise NoAnswer(f"it hangs up ({reason(error)})") from error
        if message is None or message.transaction_id != request[8:20]:
            raise NoAnswer("what it answers is not STUN")
        return message

    try:
        yield ask
    finally:
        # Not closed with a farewell, which a server that hangs would not answer.
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()

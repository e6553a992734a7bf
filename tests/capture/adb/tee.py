"""A copy of what an adb server sends: the oracle for what gets through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from capture.adb.wire import STDOUT, ShellParser


@dataclass
class Conversation:
    """One connection: what was asked on it, and all bytes that came back."""

    asked: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)
    is_over: bool = False

    def shell_output(self) -> bytes:
        """The standard output of a `shell,v2` service, behind the two grants of the transport and the service."""
        pieces = ShellParser().feed(bytes(self.answered).removeprefix(b"OKAYOKAY"))
        return b"".join(piece for stream, piece in pieces if stream == STDOUT)


class Tee:
    """Stands between a client and an adb server, and changes nothing."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.conversations: list[Conversation] = []
        self._server_port = server_port

    @classmethod
    @asynccontextmanager
    async def run(cls, server_port: int) -> AsyncIterator["Tee"]:
        """A tee before the server on that port, for the duration of the block."""
        tee = cls(server_port)
        async with asyncio.TaskGroup() as tasks:
            server = await asyncio.start_server(lambda *ends: tasks.create_task(tee._serve(*ends)), "127.0.0.1", 0)
            tee.port = server.sockets[0].getsockname()[1]
            try:
                yield tee
            finally:
                server.close()

    def asking(self, words: bytes) -> list[Conversation]:
        """The conversations in which these words were asked for."""
        return [conversation for conversation in self.conversations if words in conversation.asked]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation()
        self.conversations.append(conversation)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_pump(reader, server_writer, conversation.asked))
            tasks.create_task(_pump(server_reader, writer, conversation.answered))
        conversation.is_over = True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, copy: bytearray) -> None:
    try:
        while data := await reader.read(65536):
            copy += data
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()

"""One WebSocket of JSON messages: bounded both ways, and what cannot be done is answered."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from capture.errors import CaptureError
from signaling.browser_messages import BrowserMessage, parse
from signaling.errors import MalformedMessage, SignalingError
from signaling.input_messages import ClipboardRequest, Input
from signaling.message_limits import MessageLimits
from signaling.outbox import Outbox
from signaling.problems import INTERNAL_ERROR, told
from signaling.server_messages import Error, Ok, ServerMessage, serialize

MAX_MALFORMED = 20
"""Malformed messages in a row after which the socket is closed: that is no client of ours."""

Act = Callable[[BrowserMessage, int | None], Awaitable[None]]
"""Does what a message with that id asks for. What it raises is answered."""

_log = structlog.get_logger(__name__)


class MessageSocket:
    """Takes a browser's messages and sends ours, until either side closes the socket."""

    def __init__(self, socket: web.WebSocketResponse, refused: Counter[str]) -> None:
        """`refused` counts the messages that are answered by an error, by its code."""
        self._socket = socket
        self._refused = refused
        self._limits = MessageLimits()
        self._outbox = Outbox()
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._malformed_in_a_row = 0

    async def serve(self, act: Act) -> tuple[int, str]:
        """Have every message done, and return with what the socket is to be closed; call it once."""
        code, reason = int(WSCloseCode.OK), ""
        try:
            async with self._group:
                self.start(self._send())
                try:
                    code, reason = await self._receive(act)
                finally:
                    for task in self._tasks:
                        task.cancel()
        except* ConnectionError:
            pass  # The browser is gone; there is nobody left to be told.
        except* Exception:
            code, reason = WSCloseCode.INTERNAL_ERROR, "something went wrong here"
            _log.exception("a WebSocket crashed")
        return code, reason

    async def close(self, code: int, reason: str) -> None:
        """Close the socket."""
        await self._socket.close(code=code, message=reason.encode(), drain=False)
        if self._outbox.dropped:
            _log.info("a WebSocket was too slow", dropped=dict(self._outbox.dropped))

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do `work` beside the receiving; it is cancelled when that ends."""
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def answering(
        self, work: Callable[[], Awaitable[None]], message_id: int | None, seq: int | None = None
    ) -> None:
        """Do `work`; what cannot be done is said, and costs nothing else on the socket."""
        try:
            await work()
        except SignalingError as error:
            self._refuse(error, message_id, seq)
        except CaptureError as error:
            self._refuse(told(error), message_id, seq)
        except Exception:
            _log.exception("a message crashed")
            self._refuse(INTERNAL_ERROR, message_id, seq)

    def done(self, message_id: int | None) -> None:
        """Say that it was done, if somebody asked."""
        if message_id is not None:
            self.reply(Ok(), message_id)

    def reply(self, message: ServerMessage, message_id: int | None) -> None:
        """Send what somebody waits for."""
        self._outbox.reply(serialize(message, message_id))

    def push(self, kind: str, message: ServerMessage) -> None:
        """Send what nobody asked for at this moment; it is dropped, and counted by its `kind`, when too much waits."""
        self._outbox.push(kind, serialize(message))

    async def _send(self) -> None:
        while True:
            await self._socket.send_str(await self._outbox.next())

    async def _receive(self, act: Act) -> tuple[int, str]:
        """Take messages until the socket is closed, or has to be: then with what is returned."""
        async for frame in self._socket:
            if frame.type is WSMsgType.ERROR:
                break  # A broken frame: aiohttp has closed the socket, with the code that says why.
            if frame.type is WSMsgType.TEXT:
                await self._take(frame.data, act)
            else:
                self._refuse(MalformedMessage("a message is a text frame with JSON in it, not a binary one"), None)
                self._malformed_in_a_row += 1
            if self._malformed_in_a_row >= MAX_MALFORMED:
                return WSCloseCode.POLICY_VIOLATION, f"{MAX_MALFORMED} malformed messages in a row"
            if self._limits.is_flooded:
                return WSCloseCode.POLICY_VIOLATION, "too many messages"
            if self._outbox:
                # Of many frames that came at once, the replies to the first ones leave before the last.
                await asyncio.sleep(0)
            if self._outbox.is_overrun:
                return WSCloseCode.POLICY_VIOLATION, "the replies are not read"
        return WSCloseCode.OK, ""

    async def _take(self, text: str, act: Act) -> None:
        try:
            message, message_id = parse(text)
        except MalformedMessage as error:
            self._malformed_in_a_row += 1
            self._refuse(error, error.message_id)
            return
        self._malformed_in_a_row = 0
        is_input = isinstance(message, Input | ClipboardRequest)
        seq = message.seq if isinstance(message, Input | ClipboardRequest) else None
        try:
            self._limits.admit(time.monotonic(), is_input=is_input)
        except SignalingError as error:
            self._refuse(error, message_id, seq)
            return
        await self.answering(partial(act, message, message_id), message_id, seq)

    def _refuse(self, error: SignalingError, message_id: int | None, seq: int | None = None) -> None:
        self._refused[error.code] += 1
        self.reply(Error(error.code, error.detail, error.retry_after, seq), message_id)
